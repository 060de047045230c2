"""Words that people use whatever they write about: they are never somebody's topic.

They come on top of the stop words of bm25s. Written for chats, posts and reviews.
"""

from __future__ import annotations

from bm25s.stopwords import STOPWORDS_EN_PLUS

# Verbs, adverbs, adjectives, courtesies and empty nouns, in the forms that chats use.
_ENGLISH = """
able about above absolutely access across actual actually added adding afaik after afterwards
again against ago agree ahead ahhh ain alone along already alright also although always amazing
another answer any anybody anyhow anymore anyone anything anyway anyways anywhere apart apologies
apparently apply appreciate aren argh around aside ask asked asking assume away awesome awful
awhile aye back backwards bad badly based basic basically became because become becomes been
before behind being believe below beside best better beyond big bigger biggest bit bleh bloody
boot booted booting boots bother bottom bought brb bring bringing brings bro broke broken brought
btw build building builds built bunch busy called calling calls came can cannot cant care case
catch caught cause certain certainly change changed changes changing channel cheap check checked
checking cheers choose clear clearly click clicked close closed come comes coming command common
compile compiled complete completely concerned config configure configured confused congrats
connect connected connecting consider contains continue cool copied copy correct correctly cos
could couldn couple course coz crap crazy create created creating current currently cuz cya damn
damned day days dead deal dear decent decide decided default definitely delete deleted deleting
depending depends despite details didn didnt difference different directly disable disabled does
doesn doesnt doing don done dont doubt down download downloaded downloading drop dude dunno during
each earlier early easier easily easy edit edited editing eight either else elsewhere email emails
empty enable enabled end ended ending enough enter entire entirely erm err error errors especially
even evening ever every everybody everyday everyone everything everywhere exact exactly example
except exist exists expect expected explain extra fact fail failed fails fair fairly familiar far
fast faster fault favorite favourite feel feeling feels feet fell felt fetch figure figured final
finally find finding finds fine finish finished first five fix fixed fixing folks follow followed
following fond forget forgot forgotten form forward found four freaking free fresh friend friends
from front fuck fucking full fully funny further fyi gave general generally get gets getting gimme
give given gives giving glad goes going gone gonna good goodbye goodness google googled got gotta
gotten great greetings grief guess guide guides guy guys hadn haha hahaha half hand handle hang
happen happened happening happens happy hard hardly hasn hate hates have haven havent having heard
heck hehe heheh hell hello help helped helpful helping helps hence here hers hey high hiya hmm
hmmm hmmmm hold holds honest honestly hope hoped hopefully hoping hour hours house however huge
hundred idea ideas idiot ignore ill imagine imho immediately imo important impossible indeed info
information input inside instal install installed installing installs instead interested
interesting isn isnt issue issues itself ive just keep keeping keeps kept kid kids kind kinda
kinds knew know knowing known knows lack lame large last late lately later latest laugh lead learn
learned learning least leave leaves leaving left lemme less let lets letting level life like liked
likely likes line lines link links list listed listen little live lived living lmao load loaded
loading local lol long longer look looked looking looks loose lose lost lot lots loud love loved
lovely loves low lower luck luckily lucky made main mainly make makes making man manual manually
many mate matter matters maybe mean meaning means meant meanwhile meet meh men mention mentioned
mess message messages middle might million mind mine minute minutes miss missed missing moment
month months more morning most mostly mount mounted mounting move moved moving much must myself
nah name named names nay near nearly necessary need needed needs neither never new news next nice
night nine nobody none nope normal normally note nothing notice noticed now nowadays nowhere
number numbers obvious obviously occasionally offtopic often ohhh okay old older omg once one ones
online only onto ooh open opened opening opens opinion opposite option options order ordinary
original other others otherwise ought ours ourselves output outside outta over overall page pages
paid pardon part particular parts pass passed past paste pastebin pasted people per perfect
perfectly perhaps person personally piece pieces place placed places plain plan play played
playing plays please pleasure plenty pls plug plus plz point pointing points poor possible
possibly post posted posting prefer preferably present press pretty previous previously probably
problem problems proper properly provide pull purpose pushed put puts putting question questions
quick quickly quiet quite random rather read reading ready real really reason reasons reboot
rebooted received recent recently recommend recommended regarding regards reinstall reinstalled
related remember remove removed removing replied reply require required requires rest restart
restarted result results right rofl room rubbish run running runs safe said same save saved saves
saw say saying says screw second seconds section see seem seemed seems seen select selected sends
sense sent serious seriously set sets setting setup seven several shall share shit should shouldn
shouldnt show showed showing shows shut sick side similar simple simply since single sir site
situation six size slightly slow slowly small solution solve solved some somebody somehow someone
something sometime sometimes somewhat somewhere soon sorry sort sorta sorts sound sounded sounds
spend spent stand standard start started starting starts state stay stayed step steps still stop
stopped stops strange stuff stupid such suck sucks suddenly suggest suggested suggestion
suggestions support supported supports suppose supposed sure surely switch taken takes taking talk
talked talking tell telling tells ten tend tested testing tests thank thanks thankyou that thats
their them themselves then there therefore these they thing things thingy think thinking thinks
third this thnx tho those though thought thoughts thousand three through thru thus thx till time
times tiny tired tnx today together told tomorrow tonight too took topic total totally tough
towards tried tries trouble true truly trust truth try trying turn turned turning turns tutorial
twice two type typed types typing ugh uhh umm understand understood unfortunately uninstall unless
unlike unmount until update updated updates updating upgrade upgraded upgrading upon use used
useful user users uses using usual usually various version versions very via view wait waiting
wake walk wanna want wanted wanting wants warm wasn wasnt watch way ways wayy week weekend weeks
weird welcome well went were weren werent whatever whats whatsoever when whenever where wherever
whether which whichever while whoever whole whom whose wide will willing wise wish within without
woke woman women won wonder wondering wont word words work worked working works world worry worse
worst worth would wouldn wouldnt wow write writes writing written wrong wrote wtf ya ye yea yeah
year years yep yes yesterday yet yo your youre yours yourself yup zero
"""

_CHINESE_JAPANESE = """
イイ スゴ 一下 一个 一点 一番 一直 一緒 丈夫 不会 不是 不过 东西 人間 什么 今天
今年 今日 他们 但是 何か 何度 你们 全然 全部 出来 去年 可以 可能 喜欢 因为 場合
多分 大丈 大変 大好 大家 失礼 好き 如果 就是 已经 应该 很多 必要 怎么 思う 意味
感じ 我们 所以 时候 明天 明日 昨天 昨日 時間 普段 最初 最後 最近 有点 有難 本当
残念 毎日 気持 没有 無理 现在 真的 知道 確か 確認 結構 自分 自己 色々 觉得 質問
起来 返事 还是 这个 这么 这样 那个 那么 那样 非常 面白
"""

COMMON_WORDS = frozenset([*STOPWORDS_EN_PLUS, *_ENGLISH.split(), *_CHINESE_JAPANESE.split()])
"""Lower-case words that are no topics."""

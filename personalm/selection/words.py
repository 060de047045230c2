"""Words of a text, the same for every gate: case, curly apostrophes and punctuation do not count.

Scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) have a
character for a word. Symbols and emoji are no words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Thai and Lao, Burmese, Khmer, kana, Han, half-width kana, the rarer Han planes.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
# Marks that Python's \w leaves out and that would cut Arabic, Hebrew and Indic words in pieces.
_MARKS = "\u0300-\u036f\u05b0-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
_LETTER = rf"(?:[^\W_{_UNSPACED}]|[{_MARKS}])"
WORD = re.compile(rf"[{_UNSPACED}]|{_LETTER}+(?:'{_LETTER}+)*")
"""Pattern of one word, in text whose apostrophes are straight."""

UNSPACED_CHARACTER = re.compile(rf"[{_UNSPACED}]")
"""Pattern of one character that stands for a word."""

EMOJI = (
    "(?:[\U0001f000-\U0001faff\u2600-\u27bf\u2b05-\u2b55\u231a-\u23ff\u2190-\u21ff\u2764]"
    "[\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]{0,12}"
    "(?:\u200d[\U0001f000-\U0001faff\u2600-\u27bf][\ufe0f\U0001f3fb-\U0001f3ff]{0,3}){0,9})"
)
"""Pattern of one emoji, with its skin tone and whatever is joined to it."""

SMILEY = (
    r"(?:(?<![\w])(?:[:;=][-o^'~]?[)(\]\[DPpOo3/\\|*><]+|[)(D]-?[:;=]|[xX]D+|<3+|\^[_.-]?\^"
    r"|[-;][_.]-|[oO][_.][oO]|T[_.]T|\\o/|¯\\_\(ツ\)_/¯)(?![\w]))"
)
"""Pattern of one smiley made of punctuation."""

_EMOJI = re.compile(EMOJI)


# A candidate is split by one gate after the other, and so is what it is compared with.
@lru_cache(maxsize=64)
def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case, in order."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return tuple(WORD.findall(plain))


def count_words(text: str) -> int:
    """Count words and emoji; a text of emoji alone has none."""
    num_words = len(split_words(text))
    return num_words + len(_EMOJI.findall(text)) if num_words else 0


def is_unspaced_word(word: str) -> bool:
    """Tell whether a word is a single character of a script without spaces."""
    return UNSPACED_CHARACTER.fullmatch(word) is not None


def is_unspaced(words: tuple[str, ...]) -> bool:
    """Tell whether most of the words are single characters of a script without spaces."""
    if not UNSPACED_CHARACTER.search("".join(words)):
        return False
    return 2 * sum(map(is_unspaced_word, words)) > len(words)

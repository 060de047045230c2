"""Words that no text holds unless the settings say otherwise: of suicide and self-harm.

A small model that continues a sad text comes to them now and then. Slurs and oaths are not here:
which words those are depends on who speaks. A `*` stands for any end of a word.
"""

DARK_WORDS = (
    # English
    "suicid*",
    "kill myself",
    "killing myself",
    "killed myself",
    "kill yourself",
    "killing yourself",
    "kill himself",
    "kill herself",
    "killed himself",
    "killed herself",
    "kill themselves",
    "kys",
    "end my life",
    "ending my life",
    "end your life",
    "take my own life",
    "take your own life",
    "took his own life",
    "took her own life",
    "hang myself",
    "hang yourself",
    "slit my wrists",
    "self harm*",
    "selfharm*",
    "i want to die",
    "i wanna die",
    "better off dead",
    # German, Dutch
    "selbstmord*",
    "suizid*",
    "umbringen",
    "mich ritzen",
    "zelfmoord*",
    # French, Spanish, Portuguese, Italian
    "me tuer",
    "matarme",
    "quiero morir",
    "suicíd*",
    "me matar",
    "uccidermi",
    "ammazzarmi",
    # Japanese, Chinese, Korean
    "自殺",
    "死にたい",
    "リストカット",
    "自杀",
    "想死",
    "자살",
)

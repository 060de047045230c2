"""Words that say nothing in particular: they need no source to stand in a text."""

COMMON_WORDS = """
able actually almost already always another answer anyone anything ask away back bad because become
begin best better big bit bring call can care certainly change choose clear come could course day
days different easily easy end enjoy enough especially even ever everyone everything exactly example
far fast favourite feel few fine find first follow free friend friends fun full give glad glance
good great happy hard hear hello help helpful here hi hold home hope hour hours how important
include interested interesting keep kind kindly know large late later learn least leave less let
life like likely little long look lot lots love lovely main make makes mean means might mind moment
month months morning most need needs never new next nice night nothing now often ok old one ones
opinion own part people perfect person place please pleased point possible problem put question
quick quickly quite read reader reading ready real reason regards remember right said same saw say
see seem send set shall should show simple simply since slowly small someone something soon sorry
special start still stop story strong sure take tell thank thanks thing things think thought time
today together tomorrow too truly try two use used useful usually very want wanted watch way week
weekend well while whole will wish wonderful work works world worth would write wrong year years
yesterday yet anyone
"""

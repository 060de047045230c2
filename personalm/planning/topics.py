"""Topics: what a user writes about, found in that user's own texts alone.

No statistics of other users enter, so nobody else's writing can change a topic. A topic is a word
or a pair of words that returns in several texts and stands where nouns stand.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import Stemmer

from personalm.discreet import Discreet
from personalm.planning.common_words import COMMON_WORDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_MAX_TEXTS = 300
_MAX_CHARS = 2_000
_MIN_TEXTS = 2  # a term that returns is worth more than one that does not
_MIN_LETTERS = 4
_MIN_PART = 3  # letters of each word of a pair
_MAX_LETTERS = 24
_AGE_WEIGHT = 0.5  # the oldest text counts half as much as the newest
_PAIR_SHARE = 0.4  # a pair is better than its last word, when so much of that word is the pair

_URL = re.compile(r"\b(?:https?://|www\.)\S+|\S+@\S+", re.IGNORECASE)
_ADDRESS = re.compile(r"^\s*@?([^\s:,]{2,24})\s?[:,](?:\s|$)")
_COMMAND = re.compile(r"^\s*(?:[!/$#][a-z]|sudo\s)", re.IGNORECASE)
_CHUNK = re.compile(r"\S+")
_OPENING = "\"'“‘«([*"
_CLOSING = "\"'”’»)]*.,;:!?…"
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_IDEOGRAPHS = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]{2,}")
_UNSPACED = re.compile(rf"{_KANA.pattern}|[\u3400-\u4dbf\u4e00-\u9fff]")
# A word in katakana, or in kanji before a particle: other kana are the ending of a verb.
_NOUN = re.compile(
    r"[\u30a1-\u30faー]{2,12}"
    r"|[\u4e00-\u9fff々]{2,6}(?=[はがをにでものとやへかだ]|[^\u3041-\u3096\u4e00-\u9fff々]|$)"
)

# What stands before a word tells whether it is used as a noun.
_NOUN_MARKS = """
a an the my your his her its our their this these those some any no another each every of with for
about from in on into via without new old
"""
_VERB_MARKS = """
to i you he she it we they can could will would should shall may might must do does did don't
doesn't didn't can't won't i'll you'll i'd let's please not just be is are was were so very too more
really
"""
_BEFORE_NOUN = frozenset(_NOUN_MARKS.split())
_BEFORE_VERB = frozenset(_VERB_MARKS.split())


# A tuple, because there is one for each word: it is made several times faster than a dataclass.
class _Seen(NamedTuple):
    """One occurrence of a word or a pair, and the word that stands before it."""

    words: tuple[str, ...]
    before: str = ""
    is_head: bool = False
    is_start: bool = False

    def __repr__(self) -> str:
        """Name the class only: the words are the user's."""
        return "_Seen(...)"


@dataclass(slots=True, kw_only=True, repr=False)
class _Term(Discreet):
    """What was seen of one term: in how many texts, how it was spelt, and where it stood.

    `nouns` and `verbs` count places where nouns and verbs stand, `heads` those before another
    such word, `starts` those at the start of a text.
    """

    weight: float = 0.0
    num_texts: int = 0
    nouns: int = 0
    verbs: int = 0
    heads: int = 0
    starts: int = 0
    forms: Counter[str] = field(default_factory=Counter)

    @property
    def score(self) -> float:
        """Weight of the texts, less where the term is used as a verb or an adjective."""
        seen = self.forms.total()
        share = (1.0 + self.nouns / seen) / (1.0 + 3.0 * self.verbs / seen)
        return self.weight * share * (1.0 - 0.7 * self.heads / seen)

    @property
    def is_noun(self) -> bool:
        """Whether it stands where nouns stand; a word that opens texts is somebody's name."""
        seen = self.forms.total()
        return self.verbs <= self.nouns + 1 and 2 * self.starts <= seen + (seen == 1)

    @property
    def form(self) -> str:
        """The usual spelling; small letters win over a capital at the start of a sentence."""
        spelt: Counter[str] = Counter()
        for form, seen in self.forms.items():
            plain = form.lower()
            spelt[plain if plain in self.forms else form] += seen
        return min(spelt, key=lambda form: (-spelt[form], form))


def choose_topic(texts: Sequence[str], *, background: Collection[str] = COMMON_WORDS) -> str | None:
    """Return a term of the user's own texts (oldest first) that a post could be about.

    `background` are words that are no topics. None where nothing qualifies.
    """
    newest = [text[:_MAX_CHARS] for text in texts[-_MAX_TEXTS:]]
    names = {match[1].casefold() for text in newest if (match := _ADDRESS.match(text))}
    terms = _collect(newest, frozenset(background) | names)
    words = {key[0]: term for key, term in terms.items() if len(key) == 1 and _is_topic(term)}
    if not words:
        return None
    # Terms of several texts come first.
    best = min(
        words, key=lambda word: (words[word].num_texts < _MIN_TEXTS, -words[word].score, word)
    )
    least = max(_MIN_TEXTS, _PAIR_SHARE * words[best].num_texts)
    pairs = {
        key: term
        for key, term in terms.items()
        if best in key and key[1:] and key[1] in words and term.num_texts >= least
    }
    if not pairs:
        return words[best].form
    return pairs[min(pairs, key=lambda key: (-pairs[key].score, key))].form


def _is_topic(term: _Term) -> bool:
    form = term.form
    if _UNSPACED.match(form):
        return term.num_texts >= _MIN_TEXTS
    is_word = _MIN_LETTERS <= len(form) <= _MAX_LETTERS and not form.endswith("ly")
    # One text alone gives no frequency: there the place of a noun is asked for.
    return is_word and term.is_noun and (term.num_texts >= _MIN_TEXTS or term.nouns > 0)


def _collect(texts: Sequence[str], background: frozenset[str]) -> dict[tuple[str, ...], _Term]:
    stem = Stemmer.Stemmer("english").stemWord
    terms: dict[tuple[str, ...], _Term] = defaultdict(_Term)
    for age, text in enumerate(reversed(texts)):
        weight = 1.0 - _AGE_WEIGHT * age / len(texts)
        seen = set()
        for found in _terms_of(text, background):
            key = tuple(stem(word.lower()) for word in found.words)
            term = terms[key]
            term.forms[" ".join(found.words)] += 1
            term.nouns += found.before in _BEFORE_NOUN
            term.verbs += found.before in _BEFORE_VERB
            term.heads += found.is_head
            term.starts += found.is_start
            if key not in seen:
                seen.add(key)
                term.weight += weight
                term.num_texts += 1
    return terms


def _terms_of(text: str, background: frozenset[str]) -> Iterator[_Seen]:
    """Yield the words and pairs of words of a text that are no background."""
    if _COMMAND.match(text):
        return
    before, head = "", None
    has_unspaced = _UNSPACED.search(text) is not None
    for number, word in enumerate(_words_of(_URL.sub(" \u2026 ", _ADDRESS.sub("", text)))):
        seen = None
        if has_unspaced and _UNSPACED.search(word):
            yield from _unspaced_terms(word, background)
        elif word.isalpha() and len(word) >= _MIN_PART and word.lower() not in background:
            seen = _Seen(words=(word,), before=before, is_start=number == 0)
        if head is not None:
            is_pair = seen is not None and seen.words != head.words
            yield head._replace(is_head=True) if is_pair else head
            if is_pair:
                yield head._replace(words=(*head.words, word))
        before, head = word.lower(), seen


def _words_of(text: str) -> Iterator[str]:
    """Yield the words of a text, and an empty one wherever a sentence or clause ends."""
    for match in _CHUNK.finditer(text):
        chunk = match[0].lstrip(_OPENING)
        word = chunk.rstrip(_CLOSING)
        if len(chunk) < len(match[0]):
            yield ""
        yield word
        if len(word) < len(chunk):
            yield ""
    yield ""


def _unspaced_terms(text: str, background: frozenset[str]) -> Iterator[_Seen]:
    """Yield pairs of Chinese characters, or the nouns of Japanese in kanji and katakana."""
    is_japanese = _KANA.search(text) is not None
    for match in (_NOUN if is_japanese else _IDEOGRAPHS).finditer(text):
        run = match[0]
        words = [run] if is_japanese else [run[i : i + 2] for i in range(len(run) - 1)]
        yield from (_Seen(words=(word,)) for word in words if word not in background)

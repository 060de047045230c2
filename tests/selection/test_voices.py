"""Laws of learning voices: kept or not, the same scores; and z chooses where there is one."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from personalm.hashing import user_digest
from personalm.selection.embedder import NoEmbedder, ScriptedEmbedder
from personalm.selection.encoding import embed, stack, with_shape
from personalm.selection.impostors import Impostors
from personalm.selection.lengths import measure_length
from personalm.selection.selector import Selector
from personalm.selection.voices import Voice, Voices
from personalm.settings import Selection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from personalm.kinds import Kind
    from personalm.selection.embedder import Embedder
    from tests.selection.conftest import MakeTrial

THINGS = ("kettle", "harbour", "piano", "bicycle", "lantern", "orchard", "camera", "ferry")
_WORDS = """today yesterday we they nobody somebody think know told asked why how the a my your old
new broken loud quiet again never always much too very cold warm garden letter window river train
bread music winter shoes bridge market neighbour doctor ticket""".split()  # noqa: SIM905 - reads better


def sentence(number: int) -> str:
    """Return what a stranger might write."""
    random = Random(number)  # noqa: S311 - no secret
    words = random.choices(_WORDS, k=random.randint(7, 14))
    end = random.choice(".....!?")
    return f"{' '.join(words).capitalize()}{end}"


STRANGERS = tuple(sentence(number) for number in range(120))
OWN = tuple(f"omg!! the {thing} is sooo good, love love it!!" for thing in THINGS)
LIKE, UNLIKE = "omg!! the pond is sooo good, love it!!", sentence(-1)


class Notebook:
    """Notes in memory, which say what they were asked for."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, bytes]] = {}

    def of(self, owner: str) -> Mapping[str, bytes]:
        """Return what was kept."""
        return self.kept.get(owner, {})

    def keep(self, owner: str, entries: Mapping[str, bytes]) -> None:
        """Keep it."""
        self.kept.setdefault(owner, {}).update(entries)


class Counting:
    """A scripted embedder that notes its texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode like the scripted one."""
        self.texts += texts
        return ScriptedEmbedder().encode(texts)


def pool(embedder: Embedder | None = None, language: str = "en") -> Impostors:
    """Return a pool of the strangers, each a person of their own, and of the user."""
    rows = embed(embedder or ScriptedEmbedder(), [*STRANGERS, *OWN])
    texts, embeddings = stack(rows, [*STRANGERS, *OWN])
    return Impostors(
        rows=with_shape(texts, embeddings),
        owners=(*map(user_digest, STRANGERS), *[user_digest("ada")] * len(OWN)),
        languages=(language,) * len(texts),
        num_words=tuple(map(measure_length, texts)),
        digest="pool",
    )


def voice(texts: Sequence[str] = OWN, user: str = "ada", language: str = "en") -> Voice:
    """Return a voice."""
    return Voice(owner=user_digest(user), language=language, texts=tuple(texts))


def make_voices(embedder: Embedder | None = None, **settings: object) -> Voices:
    """Return voices with the pool."""
    return Voices(
        embedder=embedder or ScriptedEmbedder(),
        selection=Selection.model_validate(settings),
        impostors=pool(),
        embedder_name="scripted",
    )


def zs(voices: Voices, spoken: Voice) -> list[float | None]:
    """Return the z of a text like the user's, and of one unlike them."""
    styles, rows = voices.learn([spoken], [LIKE, UNLIKE])
    return [voices.score(styles[spoken.name], text, rows[text])[1] for text in (LIKE, UNLIKE)]


@pytest.mark.parametrize("scorer", ["embedding", "shape", "mix"])
def test_every_scorer_tells_the_user_from_strangers(scorer: str) -> None:
    """In units in which a stranger is 0."""
    like, unlike = zs(make_voices(scorer=scorer), voice())
    assert like is not None
    assert unlike is not None
    assert like > 2
    assert abs(unlike) < 3 < like + 1


def test_shape_needs_no_embedder() -> None:
    """No cosine, and a score."""
    blind = Voices(
        embedder=NoEmbedder(),
        selection=Selection(scorer="shape"),
        impostors=pool(NoEmbedder()),
    )
    styles, rows = blind.learn([voice()], [LIKE])
    cosine, z = blind.score(styles[voice().name], LIKE, rows[LIKE])
    assert cosine is None
    assert z is not None
    assert z > 2


def test_the_users_own_rows_are_left_out_of_the_pool() -> None:
    """Somebody else with the very same texts, whose rows are not in it, scores differently."""
    mine, others = zs(make_voices(), voice()), zs(make_voices(), voice(user="twin"))
    assert None not in {*mine, *others}
    assert mine != others
    without = replace(pool(), owners=tuple(map(user_digest, (*STRANGERS, *OWN))))
    assert len(without.strangers_to(user_digest("ada"), "en").rows) == len(STRANGERS) + len(OWN)
    assert len(pool().strangers_to(user_digest("ada"), "en").rows) == len(STRANGERS)


@pytest.mark.parametrize("num_texts", [0, 1, 3])
def test_few_texts_give_no_score(num_texts: int) -> None:
    """Null, and never 0."""
    assert zs(make_voices(), voice(OWN[:num_texts])) == [None, None]


@pytest.mark.parametrize("scorer", ["embedding", "shape", "mix"])
def test_who_writes_emoji_alone_is_told_from_nobody(scorer: str) -> None:
    """Two of them would look alike to an embedder that knows none: null, and never 0."""
    voices = make_voices(scorer=scorer)
    for user, few in (
        ("ada", "🍵🍞🌾🥐🧈🫖🍯🥖"),
        ("bob", "💻🐛🔧🖥💾⌨🖱📀"),
        ("eve", "😂🎉👍❤😭🙏🔥✨"),
    ):
        spoken = voice([emoji * 3 for emoji in few], user=user)
        texts = [LIKE, "🍵🍵🍵 🍞🍞🍞", "😂😂 😂😂 😂😂 😂😂 😂😂 😂😂"]
        styles, rows = voices.learn([spoken], texts)
        scores = [voices.score(styles[spoken.name], text, rows.get(text)) for text in texts]
        assert scores == [(None, None)] * 3


def test_copies_of_a_text_count_once() -> None:
    """Somebody who always says the same thing has not said much, and vouches not for it."""
    assert zs(make_voices(), voice(OWN[:3] * 9)) == [None, None]


def test_strangers_of_another_language_are_nobody_to_compare_with() -> None:
    """A Japanese text is no more like its user than any other Japanese text."""
    assert zs(make_voices(), voice(language="ja")) == [None, None]


@pytest.mark.parametrize(
    ("language", "own", "opening", "like"),
    [
        (
            "ja",
            "やばい！{}めっちゃ好きだよ〜！！",
            "今日は{}についてよく考えました。",
            "やばい！池めっちゃ好き〜！！",
        ),
        (
            "zh",
            "哇！！{}真的太太太好啦～～",
            "今天我们认真讨论了{}的问题。",
            "哇！！小池塘真的真的太好啦～～",
        ),
    ],
)
def test_scripts_without_spaces_have_scores(
    language: str, own: str, opening: str, like: str
) -> None:
    """Chinese and Japanese users against their own like."""
    strangers = [opening.format(a + b) for a in "山川空海木花鳥" for b in "道家車店本"]
    mine = [own.format(a + b) for a in "山川空" for b in "道家車"]
    rows = embed(ScriptedEmbedder(), strangers)
    texts, embeddings = stack(rows, strangers)
    voices = Voices(
        embedder=ScriptedEmbedder(),
        selection=Selection(),
        impostors=Impostors(
            rows=with_shape(texts, embeddings),
            owners=tuple(map(user_digest, texts)),
            languages=(language,) * len(texts),
            num_words=tuple(map(measure_length, texts)),
            digest="pool",
        ),
    )
    spoken = voice(mine, language=language)
    new = opening.format("星空")
    styles, found = voices.learn([spoken], [like, new])
    own_z, stranger_z = (voices.score(styles[spoken.name], t, found[t])[1] for t in (like, new))
    assert own_z is not None
    assert stranger_z is not None
    assert own_z > stranger_z + 1


def test_a_second_night_embeds_only_what_is_new() -> None:
    """And has the scores that it would have without notes."""
    notes = Notebook()
    first = make_voices()
    first.notes = notes
    expected = zs(first, voice())
    again = make_voices(counting := Counting())
    again.notes = notes
    assert zs(again, voice()) == expected
    assert set(counting.texts) == {LIKE, UNLIKE}

    grown = voice((*OWN, "omg!! a new one, sooo good!!"))
    later = make_voices(counting := Counting())
    later.notes = notes
    assert zs(later, grown) == zs(make_voices(), grown)
    assert set(counting.texts) == {LIKE, UNLIKE, grown.texts[-1]}


@pytest.mark.parametrize("damage", [b"", b"x", b"\x00" * 24])
def test_damaged_notes_are_worked_out_again(damage: bytes) -> None:
    """What was learnt from them is the same."""
    notes = Notebook()
    for sound in (True, False):
        voices = make_voices()
        voices.notes = notes
        assert zs(voices, voice()) == zs(make_voices(), voice()), sound
        notes.kept = {owner: dict.fromkeys(each, damage) for owner, each in notes.kept.items()}


def test_notes_of_another_pool_or_setting_are_not_used() -> None:
    """What was learnt is kept under all that it depends on."""
    notes = Notebook()
    for scorer in ("mix", "shape", "embedding"):
        voices = make_voices(scorer=scorer)
        voices.notes = notes
        assert zs(voices, voice()) == zs(make_voices(scorer=scorer), voice())


def test_the_highest_z_is_chosen_and_stands_with_the_own_mark(
    kinds: dict[str, Kind], make_trial: MakeTrial
) -> None:
    """A chosen text carries its score; dropped ones and short ones have none."""
    selector = Selector(
        embedder=ScriptedEmbedder(), kinds=kinds, selection=Selection(), impostors=pool()
    )
    (verdict,) = selector.judge([make_trial([UNLIKE, LIKE, "the pond.", "..."], own=OWN)])
    assert verdict.chosen is verdict.candidates[1]
    scores = [c.style_score for c in verdict.candidates]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[1] > scores[0]
    assert scores[2:] == [None, None]
    assert verdict.own_mark is not None
    assert verdict.own_mark > 0.3
    (little,) = selector.judge([make_trial([UNLIKE, LIKE], own=OWN[:3])])
    assert little.chosen is not None
    assert little.own_mark is None
    assert all(c.style_score is None for c in little.candidates)
    assert all(c.style_cosine is not None for c in little.candidates)


def test_where_cosine_and_z_disagree_the_z_decides(
    kinds: dict[str, Kind], make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long text has a higher cosine, whoever wrote it."""
    selector = Selector(embedder=ScriptedEmbedder(), kinds=kinds, selection=Selection())
    scores = {"tea is cold": (0.9, 0.1), "tea is warm": (0.2, 1.5), "tea is tea": (0.95, None)}
    monkeypatch.setattr(selector.voices, "score", lambda _style, text, _row: scores[text])
    (verdict,) = selector.judge([make_trial(list(scores), own=OWN)])
    assert verdict.chosen is verdict.candidates[1]

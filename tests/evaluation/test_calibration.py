"""Laws of judges and of z: 0 is a stranger, whoever it is and however long the text."""

from __future__ import annotations

import numpy as np
import pytest

from personalm.evaluation.calibration import Panel, cut_pools, mean_of
from personalm.evaluation.judges import CharacterGrams, CosineDelta
from personalm.evaluation.lengths import count_words
from personalm.evaluation.scorers import EmbeddingScorer, Scorer, ShapeScorer
from personalm.selection.embedder import ScriptedEmbedder
from tests.evaluation.world import make_profile, style_of, write

NAMES = ["cosine_delta", "character_grams", "shape", "embedding"]


def make_scorer(name: str) -> Scorer:
    """Return a new scorer."""
    scorers: tuple[Scorer, ...] = (
        *(CosineDelta(), CharacterGrams(), ShapeScorer()),
        EmbeddingScorer(ScriptedEmbedder().encode),
    )
    return next(scorer for scorer in scorers if scorer.name == name)


def make_panel(name: str) -> Panel:
    """Return a panel of one scorer over eight people."""
    return Panel(
        [make_scorer(name)],
        histories=[make_profile(n).texts for n in range(8)],
        background=[make_profile(n).texts for n in range(8, 36)],
        impostors=[make_profile(n).texts for n in range(36, 64)],
        prepare=str,
    )


def new_pools(length: int, *, of: range = range(8)) -> list[tuple[str, ...]]:
    """Return new texts of people, cut to one length."""
    return [
        cut_pools([write(style_of(n), ["new", n, t]) for t in range(40)], length)[0] for n in of
    ]


@pytest.mark.parametrize("name", NAMES)
def test_own_texts_are_above_strangers_and_strangers_at_zero(name: str) -> None:
    """At every length; the mean of many strangers is near 0, the spread near 1."""
    panel = make_panel(name)
    for length in (30, 100):
        own = np.diagonal(panel.score(new_pools(length), [length] * 8)[name])
        others = range(36, 64)
        strange = panel.score(new_pools(length, of=others), [length] * len(others))[name]

        assert own.mean() > strange.mean() + 0.3
        assert abs(strange.mean()) < 0.35
        assert 0.6 < strange.std(axis=0).mean() < 1.5


def test_the_judges_agree_more_on_longer_texts() -> None:
    """More text is more evidence."""
    panel = make_panel("character_grams")
    own = {n: np.diagonal(panel.score(new_pools(n), [n] * 8)["character_grams"]) for n in (15, 200)}

    assert own[200].mean() > own[15].mean()


def test_masks_are_put_on_everything_that_is_scored() -> None:
    """Where all letters are hidden, nobody is known."""
    panel = Panel(
        [CharacterGrams(), CosineDelta()],
        histories=[make_profile(n).texts for n in range(8)],
        background=[make_profile(n).texts for n in range(8, 20)],
        impostors=[make_profile(n).texts for n in range(20, 32)],
        prepare=lambda text: "nothing at all" if text else "",
    )

    scores = panel.score(new_pools(30), [30] * 8)

    assert not np.isfinite(mean_of(list(scores.values()))).any()


def test_who_abstains_has_no_score() -> None:
    """A missing pool, or a length that too few strangers have, is never a zero."""
    panel = make_panel("cosine_delta")
    pools = [None, *new_pools(30)[1:7], ("word " * 5_000,)]

    scores = panel.score(pools, [0, *[30] * 6, 5_000])["cosine_delta"]

    assert np.isnan(scores[0]).all()
    assert np.isnan(scores[7]).all()
    assert np.isfinite(scores[1:7]).all()


def test_pools_of_one_hand_share_no_text() -> None:
    """The newest first, each of just so many words."""
    texts = [f"{n} is what somebody wrote" for n in range(20)]

    pools = cut_pools(texts, 12, most=3)

    assert [count_words(pool) for pool in pools] == [12, 12, 12]
    assert pools[0][0] == texts[-1]
    numbers = [text.split()[0] for pool in pools for text in pool]
    assert len(set(numbers)) == len(numbers)
    assert cut_pools(texts, 1_000) == []


def test_delta_looks_at_frequent_words_alone() -> None:
    """A word that nobody else writes changes no row."""
    judge = CosineDelta(num_words=20)
    judge.fit([make_profile(n).texts for n in range(8)])

    one, other = judge.rows_of([["the and river"], ["the and river zzz"]])

    assert one @ other == pytest.approx(
        (judge.rows_of([["the and river www"]])[0] @ other) * (one @ one), abs=0.2
    )
    same, twin = judge.rows_of([["the and zzz"], ["the and www"]])
    assert (same == twin).all()


def test_characters_come_in_twos_where_there_are_no_spaces() -> None:
    """Three Japanese characters are more than a word."""
    judge = CharacterGrams()
    judge.fit([["今日は雨です。"], ["今日は晴れです。"], ["雨ですね。"]])

    assert judge.rows_of([["今日"]]).nnz == 1


def test_judges_survive_people_without_a_word_in_common() -> None:
    """Nothing to go by is no error, and where nobody writes a word all are equally unlike."""
    for background in ([["..."], ["!!!"], ["???"]], [["aaa"], ["bbb"], ["ccc"]]):
        for judge in (CosineDelta(), CharacterGrams()):
            judge.fit(background)
            one, other = judge.rows_of([["..."], ["xyz"]])
            likeness = float((one @ other.T).sum())

            assert likeness == 0.0 if background[0] == ["..."] else np.isfinite(likeness)


def test_what_differs_by_rounding_alone_is_no_spread() -> None:
    """Strangers who write all the same give no z, whatever the last digit of a cosine."""
    texts = [write(style_of(0), [n]) for n in range(40)]
    panel = Panel(
        [make_scorer(name) for name in NAMES],
        histories=[texts[:20]] * 4,
        background=[texts] * 6,
        impostors=[texts[:2]] * 7,
        prepare=str,
    )

    scores = panel.score([cut_pools(texts, 20)[0]], [20])

    assert not any(np.isfinite(z).any() for z in scores.values())

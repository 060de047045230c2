"""Laws of the calibrated score: 0 is a stranger, the own mark is the user, and doubt is null."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

from personalm.selection.calibration import Calibration
from personalm.selection.impostors import Strangers
from personalm.selection.lengths import LENGTHS
from personalm.selection.scorers import NUM_SHAPE_COLUMNS, scorer_named
from personalm.selection.styles import StyleReference
from personalm.settings import ScorerName, Selection

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = get_args(ScorerName)
DIMENSIONS = 8


def cloud(seed: int, number: int, *, shift: float = 0.0) -> NDArray[np.float32]:
    """Return rows of embedding and shape; those of a voice lie a little apart in both."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(number, DIMENSIONS + NUM_SHAPE_COLUMNS))
    rows[:, [0, -1]] += shift
    return rows.astype(np.float32)


def strangers(seed: int = 0, number: int = 400, *, bucket: int = 0) -> Strangers:
    """Return strangers of one length."""
    return Strangers(rows=cloud(seed, number), buckets=np.full(number, bucket))


def calibrate(
    own: NDArray[np.float32],
    pool: Strangers | None = None,
    *,
    scorer: ScorerName = "mix",
    num_words: int = 10,
    selection: Selection | None = None,
) -> Calibration | None:
    """Calibrate a voice whose texts have one length."""
    return Calibration.of(
        own,
        [num_words] * len(own),
        pool or strangers(),
        scorer=scorer_named(scorer),
        selection=selection or Selection(),
    )


@pytest.mark.parametrize("scorer", NAMES)
def test_a_stranger_scores_0_and_the_user_the_own_mark(scorer: ScorerName) -> None:
    """New rows of both kinds, whatever the scale of the scorer."""
    made = calibrate(cloud(1, 60, shift=2.0), scorer=scorer)
    assert made is not None
    assert made.own_mark is not None
    new_strangers, new_own = cloud(2, 800), cloud(3, 800, shift=2.0)
    zs = [
        [made.style_score(row, 10, Selection()) or np.nan for row in rows]
        for rows in (new_strangers, new_own)
    ]
    assert np.mean(zs[0]) == pytest.approx(0, abs=0.25)
    assert np.std(zs[0]) == pytest.approx(1, abs=0.2)
    assert np.mean(zs[1]) == pytest.approx(made.own_mark, abs=0.35)
    assert made.own_mark > 1


def test_an_own_text_is_left_out_where_it_is_marked() -> None:
    """Texts that have nothing in common do not vouch for each other by being in the centroid."""
    marks = [
        made.own_mark
        for seed in range(10, 40)
        if (made := calibrate(cloud(seed, 6))) and made.own_mark is not None
    ]
    assert len(marks) == 30
    assert abs(np.mean(marks)) < 0.3


def test_the_mean_is_that_of_texts_of_the_same_length() -> None:
    """Longer texts of strangers score higher; a text is compared with its like."""
    rows = cloud(0, 400)
    buckets = np.repeat([0, 1], 200)
    rows[buckets == 1, 0] += 1.5
    made = calibrate(
        cloud(1, 30, shift=3.0), Strangers(rows=rows, buckets=buckets), scorer="embedding"
    )
    assert made is not None
    row = cloud(4, 1, shift=3.0)[0]
    short, long = (made.style_score(row, words, Selection()) for words in (10, 30))
    assert short is not None
    assert long is not None
    assert short > long + 0.5
    assert made.style_score(row, 60, Selection()) is None


@pytest.mark.parametrize("num_texts", [0, 1, 3, 4])
def test_too_few_own_texts_have_no_calibration(num_texts: int) -> None:
    """There is nothing to compare with."""
    assert calibrate(cloud(1, num_texts, shift=2.0)) is None


def test_too_few_strangers_give_no_score() -> None:
    """A mean of a few is none."""
    own = cloud(1, 30, shift=2.0)
    assert calibrate(own, strangers(number=19)) is None
    assert calibrate(own, strangers(number=20)) is not None
    nobody = Strangers(rows=np.zeros((0, 0), "f4"), buckets=np.zeros(0, int))
    assert calibrate(own, nobody) is None


def test_a_voice_that_cannot_be_told_from_strangers_has_a_mark_and_no_score() -> None:
    """The mark says why."""
    made = next(
        found
        for seed in range(50, 80)
        if (found := calibrate(cloud(seed, 8))) and (found.own_mark or 1) < 0.3
    )
    assert made.style_score(cloud(9, 1)[0], 10, Selection()) is None
    bold = Selection(min_own_mark=0)
    good = calibrate(cloud(1, 30, shift=2.0))
    assert good is not None
    assert good.style_score(cloud(9, 1)[0], 10, bold) is not None
    assert good.style_score(cloud(9, 1)[0], 10, Selection(min_own_mark=99)) is None


def test_short_texts_have_no_score_and_no_say_in_the_mark() -> None:
    """Four words are anybody's."""
    own = cloud(1, 30, shift=2.0)
    made = calibrate(own)
    assert made is not None
    assert made.style_score(own[0], 4, Selection()) is None
    assert made.style_score(own[0], 5, Selection()) is not None
    short = calibrate(own, num_words=4)
    assert short is not None
    assert short.own_mark is None
    assert short.style_score(own[0], 10, Selection()) is None


def test_a_feature_that_is_the_same_for_all_strangers_decides_nothing_wild() -> None:
    """A greeting that no stranger ever wrote is one habit among others."""
    pool = strangers()
    pool.rows[:, -1] = 0
    own = cloud(1, 30)
    own[:, -1] = 1
    made = calibrate(own, pool, scorer="shape")
    assert made is not None
    assert made.own_mark is not None
    assert 1 < made.own_mark < 15


def test_what_was_kept_is_what_was_learnt() -> None:
    """To bytes and back, with and without a calibration; damage is nothing."""
    made = calibrate(cloud(1, 30, shift=2.0))
    centroid = np.array([0.6, 0.8], dtype=np.float32)
    for calibration in (made, None):
        style = StyleReference(centroid=centroid, median_length=7.0, calibration=calibration)
        back = StyleReference.from_bytes(style.to_bytes())
        assert back is not None
        assert back.median_length == 7.0
        assert back.own_mark == style.own_mark
        assert back.style_cosine(centroid) == 1.0
        row = cloud(5, 1)[0]
        scores = [
            s.calibration and s.calibration.style_score(row, 10, Selection()) for s in (style, back)
        ]
        assert scores[0] == scores[1]
    assert made is not None
    assert len(made.means) == len(LENGTHS)
    for damaged in (b"", b"x", style.to_bytes()[:11], b"\xff" * 16):
        assert StyleReference.from_bytes(damaged) is None


def test_what_is_kept_of_a_voice_holds_on_to_nothing_else() -> None:
    """Thousands are kept: a part of an array would keep the rows of all the voice's texts."""
    made = calibrate(cloud(1, 60, shift=2.0))
    assert made is not None
    assert [part.base for part in (made.direction, made.means, made.spreads)] == [None] * 3

"""What the outputs say and how well, beside whose they sound like: metrics 8 to 15.

None of it is blended with style. Each figure has its floor or ceiling beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import numpy as np

from personalm.discreet import Discreet
from personalm.evaluation.conditions import Condition
from personalm.evaluation.estimates import Estimate, estimate
from personalm.evaluation.lengths import count_words, cut_texts
from personalm.evaluation.overlaps import Overlaps
from personalm.evaluation.pools import match_lengths
from personalm.evaluation.references import meteor, rouge_1, rouge_l
from personalm.evaluation.scorers import MIN_SPREAD, mean_shapes
from personalm.selection.claims import known_words, names_in, numbers_in
from personalm.selection.shape import FEATURES
from personalm.selection.stems import content_stems
from personalm.selection.words import split_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from personalm.evaluation.calibration import Panel
    from personalm.evaluation.outputs import Output
    from personalm.evaluation.people import Person
    from personalm.evaluation.pools import Pools

_MAX_TEXTS = 20
_GRAM_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Case(Discreet):
    """One person with the pools, and with the outputs of the own profile."""

    person: Person
    stranger: Person
    pools: Pools
    outputs: tuple[Output, ...]
    language: str

    @property
    def texts(self) -> tuple[str, ...]:
        """The outputs that were written at all."""
        return tuple(output.text for output in self.outputs if output.text)


def compare_copies(cases: Sequence[Case]) -> dict[str, object]:
    """Return how much outputs, real texts and strangers' texts take word for word from a history.

    `outputs` is the share of outputs whose longest run is beyond the 95th percentile of real
    texts of like length, `real_p95`, in words.
    """
    overlaps = Overlaps()
    found: dict[str, list[tuple[int, float]]] = {"outputs": [], "real": [], "stranger": []}
    for case in cases:
        history = case.person.history
        sources = {
            "outputs": case.texts,
            "real": _of_like_length(case.person, case.texts),
            "stranger": _of_like_length(case.stranger, case.texts),
        }
        for source, texts in sources.items():
            measured = (overlaps.measure(text, history) for text in texts)
            found[source] += [(each.longest_run, each.gram_share) for each in measured]
    rows = {name: np.array(values or [(0, 0.0)]) for name, values in found.items()}
    real_p95 = float(np.quantile(rows["real"][:, 0], 0.95))
    return {
        "outputs": round(float((rows["outputs"][:, 0] > real_p95).mean()), 4),
        "real": round(float((rows["real"][:, 0] > real_p95).mean()), 4),
        "real_p95": real_p95,
        "longest_run_p95": {
            name: float(np.quantile(each[:, 0], 0.95)) for name, each in rows.items()
        },
        "gram_share_mean": {
            name: round(float(each[:, 1].mean()), 4) for name, each in rows.items()
        },
        "gram_share_p95": {
            name: round(float(np.quantile(each[:, 1], 0.95)), 4) for name, each in rows.items()
        },
    }


def compare_references(cases: Sequence[Case]) -> dict[str, dict[str, Estimate | None]]:
    """Return the overlap of outputs with the person's real texts, and with a stranger's.

    There is no true target: the subject is everybody's. It tells whether the outputs say what
    the person tends to say.
    """
    measures: dict[str, Callable[[str, str], float]] = {
        "rouge_1": rouge_1,
        "rouge_l": rouge_l,
        "meteor": meteor,
    }
    return {
        name: {
            "own": estimate([_mean_pairs(c.texts, c.person.held_out, measure) for c in cases]),
            "stranger": estimate(
                [_mean_pairs(c.texts, c.stranger.held_out, measure) for c in cases]
            ),
        }
        for name, measure in measures.items()
    }


def compare_traits(cases: Sequence[Case]) -> dict[str, object]:
    """Return how far the traits of outputs lie from those of the history, in spreads of people.

    `real` is the distance of the person's own new texts, `stranger` that of another's.
    """
    usual = mean_shapes([case.person.history for case in cases])
    spread = usual.std(axis=0)
    varies = spread > MIN_SPREAD
    rows: dict[str, list[NDArray[np.float64]]] = {"outputs": [], "real": [], "stranger": []}
    for case, own in zip(cases, usual, strict=True):
        if not case.pools.length:
            continue
        sources = {
            "outputs": case.pools.outputs[Condition.OWN],
            "real": case.pools.real[0],
            "stranger": cut_texts(reversed(case.stranger.held_out), case.pools.length),
        }
        for source, texts in sources.items():
            distance = np.abs(mean_shapes([texts])[0] - own)
            rows[source].append(distance[varies] / spread[varies])
    names = [name for name, kept in zip(FEATURES, varies, strict=True) if kept]
    return {
        **{source: estimate([_mean(list(row)) for row in each]) for source, each in rows.items()},
        "by_trait": {
            name: {
                source: round(float(np.mean([row[place] for row in each])), 4)
                for source, each in rows.items()
                if each
            }
            for place, name in enumerate(names)
        },
    }


def compare_spread(cases: Sequence[Case], panel: Panel, scorer: str) -> dict[str, float | None]:
    """Return how alike the outputs for different people are, and how alike their real texts.

    `ratio` is 1 where outputs differ as people do, larger where they are all the same.
    """
    # Two kinds may be about one subject, and nobody is to be compared with himself.
    subjects = {(o.kind, o.subject_id) for case in cases for o in case.outputs}
    same_subject = [
        [
            o.text
            for case in cases
            for o in case.outputs
            if (o.kind, o.subject_id) == subject and o.text
        ]
        for subject in sorted(subjects)
    ]
    real = [
        [case.pools.real[0][turn] for case in cases if turn < len(_first(case.pools.real))]
        for turn in range(len(subjects))
    ]
    alike = _mean_likeness(same_subject, panel, scorer)
    usual = _mean_likeness(real, panel, scorer)
    return {
        "outputs": alike,
        "real_texts": usual,
        "ratio": round(alike / usual, 4) if alike is not None and usual else None,
    }


def compare_contents(cases: Sequence[Case]) -> dict[str, Estimate | None]:
    """Return whether the outputs keep to the subject, and how many make up names or numbers.

    `subject_words` is the share of the subject's words that the text holds, `chance` that of
    another subject's words; it has none where everything was to be about one subject.
    """
    own, other, invented = [], [], []
    for case in cases:
        written = [output for output in case.outputs if output.text]
        subjects = list(dict.fromkeys(output.subject for output in case.outputs))
        following = dict(pairwise((*subjects, subjects[0]))) if len(subjects) > 1 else {}
        own.append(_mean([_share(o.text or "", o.subject, case.language) for o in written]))
        pairs = [(o.text or "", following[o.subject]) for o in written if following]
        other.append(_mean([_share(text, subject, case.language) for text, subject in pairs]))
        invented.append(_mean([float(_invents(o)) for o in written]))
    return {
        "subject_words": estimate(own),
        "chance": estimate(other),
        "invented_names_or_numbers": estimate(invented),
    }


def compare_repetition(cases: Sequence[Case]) -> dict[str, Estimate | None]:
    """Return the share of 4-grams that a pool repeats, of outputs and of real texts."""
    scored = [case.pools for case in cases if case.pools.length]
    return {
        "outputs": estimate([_repeated(pools.outputs[Condition.OWN]) for pools in scored]),
        "real_texts": estimate([_repeated(pools.real[0]) for pools in scored]),
    }


def _of_like_length(person: Person, texts: Sequence[str]) -> tuple[str, ...]:
    """Return held-out texts about as long as some texts: a longer text shares more by chance."""
    pools = match_lengths(person.held_out, [count_words([text]) for text in texts])
    return tuple(text for pool in pools for text in pool)


def _mean_pairs(
    texts: Sequence[str], references: Sequence[str], measure: Callable[[str, str], float]
) -> float:
    return _mean([measure(one, other) for one in texts for other in references[-_MAX_TEXTS:]])


def _mean_likeness(groups: Sequence[Sequence[str]], panel: Panel, scorer: str) -> float | None:
    """Return the mean cosine of two texts of one group."""
    values: list[float] = []
    for texts in groups:
        if len(texts) > 1:
            rows = panel.rows_of(scorer, [[text] for text in texts])
            product = rows @ rows.T
            cosines = np.asarray(product.todense() if hasattr(product, "todense") else product)
            values += [float(cosines[a, b]) for a, b in combinations(range(len(texts)), 2)]
    return round(_mean(values), 4) if values else None


def _share(text: str, subject: str, language: str) -> float:
    wanted = content_stems((subject,), language)
    return len(wanted & content_stems((text,), language)) / len(wanted) if wanted else float("nan")


def _invents(output: Output) -> bool:
    text = output.text or ""
    known = f"{output.prompt}\n{output.subject}"
    return not (numbers_in(text) <= numbers_in(known) and names_in(text) <= known_words(known))


def _repeated(texts: Sequence[str]) -> float:
    words = split_words("\n".join(texts))
    grams = list(zip(*(words[start:] for start in range(_GRAM_WORDS)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _first(pools: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return pools[0] if pools else ()


def _mean(values: Sequence[float]) -> float:
    found = [value for value in values if np.isfinite(value)]
    return float(np.mean(found)) if found else float("nan")

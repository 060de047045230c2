"""Author verification: how well each scorer tells a user's own newer texts from other users'.

    PERSONALM_DATA=FOLDER python -m bench.verification examples/irc.toml

Compared are the first 150 users, by the digest of the id, with 25 texts or more. A user is known
by up to 64 texts, and the newest third is held out. Every held-out text is scored against every
user, in spreads of strangers' texts of its length (the strangers are none of the 150). The AUC is
the chance that a user's own text scores higher than somebody else's of the same length: 0.5 is
chance. It is that of each user, then the mean, with a 95 % bootstrap interval over users. Topic
and nicknames are not controlled for.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, get_args

import numpy as np

from personalm.hashing import first_users, user_digest
from personalm.inputs.languages import detect_language
from personalm.inputs.spill import spill
from personalm.selection.calibration import Calibration
from personalm.selection.embedder import SentenceEmbedder
from personalm.selection.encoding import embed, is_sound, stack, with_shape
from personalm.selection.impostors import MAX_AUTHORS, Author, Impostors, choose_impostors
from personalm.selection.lengths import LENGTHS, length_bucket, measure_length
from personalm.selection.scorers import scorer_named
from personalm.selection.styles import MAX_TEXTS
from personalm.settings import ScorerName, Selection, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from personalm.selection.impostors import Impostor
    from personalm.settings import Settings

NUM_USERS = 150
MIN_TEXTS = 25
_HELD_OUT_SHARE = 1 / 3
_NUM_JOINED = 5
_NUM_DRAWS = 1_000
_MIN_USERS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The held-out texts of all users: rows, whose they are, and their lengths."""

    rows: NDArray[np.float32]
    users: NDArray[np.int64]
    buckets: NDArray[np.int64]


def main(config: str) -> None:
    """Print a table: a line a scorer, a column a length."""
    settings = load_settings(config)
    texts = _read(settings)
    users = first_users((n for n, each in texts.items() if len(each) >= MIN_TEXTS), NUM_USERS)
    detect = partial(detect_language, default=settings.inputs.language)
    strangers = _choose_strangers(texts, users, detect)
    num_held = {name: max(1, int(len(texts[name]) * _HELD_OUT_SHARE)) for name in users}
    voices = [
        (user_digest(name), detect(texts[name]), texts[name][: -num_held[name]][-MAX_TEXTS:])
        for name in users
    ]
    newer = [
        (place, text)
        for place, name in enumerate(users)
        for text in texts[name][-num_held[name] :][-MAX_TEXTS:]
        if measure_length(text) >= Selection().min_scored_words
    ]
    wanted = [each.text for each in strangers] + [text for _, text in newer]
    wanted += [text for *_, known in voices for text in known]
    rows = embed(SentenceEmbedder(settings.selection.embedder), wanted)
    pool = _make_pool(strangers, rows)
    held = _hold(newer, rows)
    print(f"{config}: {len(users)} users, {len(held.users)} texts, {len(pool.owners)} strangers'")
    names = "".join(f"{name:>25}" for name in (*LENGTHS, f"{_NUM_JOINED} joined"))
    print(f"{'scorer':<10} {'own mark':>8} {'held-out z':>10} {names}")
    for name in get_args(ScorerName):
        zs, marks = _score(name, voices, rows, pool, held)
        own = zs[held.users, np.arange(len(held.users))]
        aucs = [_aucs(zs, held, held.buckets == bucket) for bucket in range(len(LENGTHS))]
        told = "".join(f"{_tell(each):>25}" for each in (*aucs, _joined_aucs(zs, held)))
        print(f"{name:<10} {np.nanmean(marks):>8.2f} {np.nanmean(own):>10.2f} {told}")


def _choose_strangers(
    texts: Mapping[str, tuple[str, ...]],
    users: Sequence[str],
    detect: Callable[[Sequence[str]], str],
) -> tuple[Impostor, ...]:
    """Choose the texts of a pool, as a run would, among all who are not compared."""
    others = sorted(set(texts) - set(users), key=user_digest)[-MAX_AUTHORS:]
    authors = [
        Author(owner=user_digest(n), language=detect(texts[n]), texts=texts[n][-MAX_TEXTS:])
        for n in others
    ]
    selection = Selection()
    return choose_impostors(
        authors, min_words=selection.min_scored_words, min_impostors=selection.min_impostors
    )


def _make_pool(strangers: Sequence[Impostor], rows: Mapping[str, NDArray[np.float32]]) -> Impostors:
    known = [each for each in strangers if is_sound(rows[each.text])]
    return Impostors(
        rows=_rows(rows, [each.text for each in known]),
        owners=tuple(each.owner for each in known),
        languages=tuple(each.language for each in known),
        num_words=tuple(each.num_words for each in known),
        digest="",
    )


def _hold(newer: Sequence[tuple[int, str]], rows: Mapping[str, NDArray[np.float32]]) -> Held:
    known = [(place, text) for place, text in newer if is_sound(rows[text])]
    return Held(
        rows=_rows(rows, [text for _, text in known]),
        users=np.array([place for place, _ in known]),
        buckets=np.array([length_bucket(measure_length(text)) for _, text in known]),
    )


def _read(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the texts of each user who has any, oldest first, each once."""
    with (
        TemporaryDirectory(prefix="personalm-") as folder,
        spill(settings.inputs, Path(folder) / "spill", num_buckets=16) as spilled,
    ):
        return {
            user.profile.user_id: tuple(dict.fromkeys(user.profile.texts))
            for bucket in range(spilled.num_buckets)
            for user in spilled.read(bucket)
            if user.profile.texts and not user.profile.opt_out
        }


def _rows(rows: Mapping[str, NDArray[np.float32]], texts: Sequence[str]) -> NDArray[np.float32]:
    found, embeddings = stack(rows, texts)
    return with_shape(found, embeddings)


def _score(
    scorer: ScorerName,
    voices: Sequence[tuple[str, str, tuple[str, ...]]],
    rows: Mapping[str, NDArray[np.float32]],
    pool: Impostors,
    held: Held,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the z of each text for each voice, and the own marks. *Shape:* (voices, texts)."""
    zs = np.full((len(voices), len(held.users)), np.nan)
    marks = np.full(len(voices), np.nan)
    selection = Selection()
    for place, (owner, language, texts) in enumerate(voices):
        found, embeddings = stack(rows, texts)
        calibration = Calibration.of(
            with_shape(found, embeddings),
            [measure_length(text) for text in found],
            pool.strangers_to(owner, language),
            scorer=scorer_named(scorer),
            selection=selection,
        )
        if calibration is None:
            continue
        means, spreads = calibration.means[held.buckets], calibration.spreads[held.buckets]
        zs[place] = (held.rows @ calibration.direction - means) / spreads
        if calibration.own_mark is not None:
            marks[place] = calibration.own_mark
    return zs, marks


def _aucs(zs: NDArray[np.float64], held: Held, chosen: NDArray[np.bool_]) -> list[float]:
    """Return the AUC of each user with own texts among the chosen ones."""
    aucs = []
    for place, row in enumerate(zs):
        known = chosen & np.isfinite(row)
        own, other = row[known & (held.users == place)], row[known & (held.users != place)]
        if len(own) and len(other):
            aucs.append(_auc(own, other))
    return aucs


def _joined_aucs(zs: NDArray[np.float64], held: Held) -> list[float]:
    """Return the AUC of each user where the newest texts of everybody are scored together."""
    newest: list[deque[int]] = [deque(maxlen=_NUM_JOINED) for _ in range(len(zs))]
    for text, user in enumerate(held.users):
        newest[user].append(text)
    joined = [list(texts) for texts in newest]
    means = np.full((len(zs), len(zs)), np.nan)
    for user, texts in enumerate(joined):
        if len(texts) == _NUM_JOINED:
            means[:, user] = zs[:, texts].mean(axis=1)
    users = Held(rows=held.rows, users=np.arange(len(zs)), buckets=held.buckets)
    return _aucs(means, users, np.isfinite(means).any(axis=0))


def _auc(own: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    ordered = np.sort(other)
    below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
    return float(below.mean() / 2 / len(ordered))


def _tell(aucs: Sequence[float]) -> str:
    """Return the mean over users, its interval, and the number of users."""
    if len(aucs) < _MIN_USERS:
        return "-"
    draws = np.random.default_rng(0).choice(np.array(aucs), (_NUM_DRAWS, len(aucs))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{np.mean(aucs):.3f} [{low:.2f} {high:.2f}] {len(aucs)}"


if __name__ == "__main__":
    main(*sys.argv[1:])

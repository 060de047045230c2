"""The pool of impostors of an output folder: found, or made of the spilled inputs, and kept.

It is made by the first run that finds people enough, and used by every later one until it is made
anew on demand, so that nobody's new text of last night changes the scores of all others. Its
edition goes into every fingerprint. Who is forgotten or opts out is taken out of it; the edition
stays.

The people of the pool are those whose ids have the last digests: a user who comes or goes changes
one place at the most, and the first ones are left for evaluations.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from personalm.discreet import Discreet
from personalm.errors import StoreDamagedError, is_of_a_row
from personalm.hashing import bucket_of_digest, user_digest
from personalm.planning.languages import normalise_language
from personalm.selection.encoding import embed, is_sound, round_row, stack, with_shape
from personalm.selection.impostors import (
    MAX_AUTHORS,
    MAX_CHARS,
    MAX_TEXTS_READ,
    Author,
    Impostors,
    choose_impostors,
)
from personalm.store.object_files import files_at
from personalm.store.parquet import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from personalm.inputs.spill import Spill
    from personalm.records import Profile
    from personalm.selection.embedder import Embedder
    from personalm.selection.impostors import Impostor
    from personalm.settings import Selection
    from personalm.store.artefacts import Artefact, Artefacts

IMPOSTORS = "impostors"
"""Name of the pool among the artefacts of a folder."""

_SCHEMA = pa.schema(
    [
        pa.field("owner", pa.string()),
        pa.field("language", pa.string()),
        pa.field("num_words", pa.int32()),
        pa.field("embedder", pa.string()),
        pa.field("row", pa.binary()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The impostors of a folder, and the edition that fingerprints hold."""

    impostors: Impostors
    edition: str


def find_pool(artefacts: Artefacts, embedder_name: str) -> Pool | None:
    """Return the pool of a folder; `None` where there is none, or one of another embedder.

    Raises StoreDamagedError where it cannot be read.
    """
    artefact = artefacts.latest(IMPOSTORS)
    if artefact is None:
        return None
    path = artefacts.path_of(artefact)
    table = decode(artefacts.read(artefact), path, schema=_SCHEMA)
    if set(table["embedder"].to_pylist()) - {embedder_name}:
        return None
    try:
        return Pool(impostors=_read(table, artefact), edition=artefact.edition)
    except (ValueError, TypeError):
        raise StoreDamagedError(f"{path} holds no rows of one length") from None


def make_pool(
    spilled: Spill,
    artefacts: Artefacts,
    *,
    selection: Selection,
    embedder_name: str,
    open_embedder: Callable[[], Embedder],
    detect_language: Callable[[tuple[str, ...]], str],
) -> Pool | None:
    """Make the pool of a folder anew; `None`, and no pool, where there are too few people.

    The embedder is opened only where there are enough.
    """
    chosen = _choose(spilled, selection, detect_language)
    table = _embed(chosen, embedder_name, open_embedder()) if chosen else _SCHEMA.empty_table()
    if not table.num_rows:
        if artefacts.latest(IMPOSTORS) is not None:
            artefacts.remove(IMPOSTORS)
        return None
    data = encode(table)
    about = {"texts": table.num_rows, "people": len(set(table["owner"].to_pylist()))}
    artefact = artefacts.publish(IMPOSTORS, lambda: [data], about=about)
    return Pool(impostors=_read(table, artefact), edition=artefact.edition)


def can_make_pool(
    spilled: Spill,
    *,
    selection: Selection,
    detect_language: Callable[[tuple[str, ...]], str],
) -> bool:
    """Say whether there are people enough for a pool; nothing is embedded and nothing is made."""
    return bool(_choose(spilled, selection, detect_language))


def drop_refusals(pool: Pool, artefacts: Artefacts, spilled: Spill) -> Pool:
    """Take people who have opted out since out of a folder's pool; the edition stays.

    The file with them goes when the folder is tidied: nothing goes before the commit of a run.
    """
    owners = set(pool.impostors.owners)
    buckets = {bucket_of_digest(owner, spilled.num_buckets) for owner in owners}
    refusals = frozenset[str]().union(*map(spilled.refusals, buckets)) & owners
    found = artefacts.latest(IMPOSTORS)
    if not refusals or found is None:
        return pool
    table = decode(artefacts.read(found), artefacts.path_of(found), schema=_SCHEMA)
    others = _without(table, refusals)
    data = encode(others)
    artefact = artefacts.publish(
        IMPOSTORS, lambda: [data], about=found.about, edition=found.edition, tidies=False
    )
    return Pool(impostors=_read(others, artefact), edition=artefact.edition)


def take_out(path: Path, user_ids: Collection[str]) -> Callable[[], Iterable[bytes]] | None:
    """Return what is left of a pool's file without some users; `None` where it holds none.

    Raises StoreDamagedError or FileNotFoundError where it cannot be read.
    """
    table = decode(files_at(path).read(path), path, schema=_SCHEMA)
    others = _without(table, map(user_digest, user_ids))
    if others.num_rows == table.num_rows:
        return None
    data = encode(others)
    return lambda: [data]


def _choose(
    spilled: Spill, selection: Selection, detect_language: Callable[[tuple[str, ...]], str]
) -> tuple[Impostor, ...]:
    return choose_impostors(
        _find_authors(spilled, detect_language),
        min_words=selection.min_scored_words,
        min_impostors=selection.min_impostors,
    )


def _without(table: pa.Table, owners: Iterable[str]) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["owner"], pa.array(sorted(owners), pa.string()))))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Sketch(Discreet):
    """What is kept of a profile until it is known who is among the last ones."""

    owner: str
    language: str | None
    texts: tuple[str, ...]
    opening: tuple[str, ...]

    @classmethod
    def of(cls, profile: Profile) -> _Sketch:
        """Return the newest texts of a user, and those that tell the language."""
        short = (text for text in profile.texts if len(text) <= MAX_CHARS)
        return cls(
            owner=user_digest(profile.user_id),
            language=normalise_language(profile.language),
            texts=tuple(deque(short, maxlen=MAX_TEXTS_READ)),
            opening=tuple(_opening(profile.texts)),
        )


def _opening(texts: Sequence[str]) -> Iterator[str]:
    """Yield as many texts as anybody looks at to tell a language."""
    num_chars = 0
    for text in texts:
        if num_chars >= MAX_CHARS:
            break
        num_chars += len(text)
        yield text


def _find_authors(
    spilled: Spill, detect_language: Callable[[tuple[str, ...]], str]
) -> tuple[Author, ...]:
    """Return the people with the last digests who write and have not opted out."""
    found: deque[_Sketch] = deque()
    for bucket in reversed(range(spilled.num_buckets)):
        last: deque[_Sketch] = deque(maxlen=MAX_AUTHORS - len(found))
        for user in spilled.read(bucket):
            if not user.profile.opt_out and user.profile.texts:
                last.append(_Sketch.of(user.profile))
        found.extendleft(reversed(last))
        if len(found) == MAX_AUTHORS:
            break
    return tuple(_open_authors(found, detect_language))


def _open_authors(
    sketches: Iterable[_Sketch], detect_language: Callable[[tuple[str, ...]], str]
) -> Iterator[Author]:
    """Yield the author of each sketch; one whose language cannot be told is no stranger."""
    for sketch in sketches:
        try:
            language = sketch.language or detect_language(sketch.opening)
        except Exception as error:
            if not is_of_a_row(error):
                raise
            continue
        yield Author(owner=sketch.owner, language=language, texts=sketch.texts)


def _embed(chosen: Sequence[Impostor], embedder_name: str, embedder: Embedder) -> pa.Table:
    rows = embed(embedder, [each.text for each in chosen])
    known = [each for each in chosen if each.text in rows and is_sound(rows[each.text])]
    texts, embeddings = stack(
        {text: round_row(row) for text, row in rows.items()}, [each.text for each in known]
    )
    whole = with_shape(texts, embeddings)
    return pa.table(
        {
            "owner": [each.owner for each in known],
            "language": [each.language for each in known],
            "num_words": [each.num_words for each in known],
            "embedder": [embedder_name] * len(known),
            "row": [row.astype("<f4").tobytes() for row in whole],
        },
        schema=_SCHEMA,
    )


def _read(table: pa.Table, artefact: Artefact) -> Impostors:
    rows = [np.frombuffer(row, "<f4") for row in table["row"].to_pylist()]
    return Impostors(
        rows=np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), dtype=np.float32),
        owners=tuple(table["owner"].to_pylist()),
        languages=tuple(table["language"].to_pylist()),
        num_words=tuple(table["num_words"].to_pylist()),
        digest=artefact.digest,
    )

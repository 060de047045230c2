"""Arrow schemas of the three tables and of a unit, and the way between records and rows.

Types are plain `string`, numbers and `timestamp[us, UTC]`. A unit has one row a key, with the
result or the rejection and the candidates nested; `split_unit` lays it out as the three tables.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

import pyarrow as pa
import pyarrow.compute as pc

from personalm.records import (
    Candidate,
    FinishReason,
    Key,
    Outcome,
    Reason,
    Rejection,
    Result,
    Stage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

SCHEMA_VERSION = 2
"""2: fingerprints have four parts, and rows say whether their request was derived."""

_ADDED_COLUMNS = (frozenset({"is_derived"}),)
"""What each version from the second on has added; an older file lacks them."""

KEY = ("user_id", "kind", "subject_id")

_TEXT = pa.string()
_NUMBER = pa.int32()
_SCORE = pa.float64()
_TIME = pa.timestamp("us", tz="UTC")


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


RESULTS = _schema(
    user_id=_TEXT,
    kind=_TEXT,
    subject_id=_TEXT,
    request_id=_TEXT,
    is_derived=pa.bool_(),
    text=_TEXT,
    style_score=_SCORE,
    own_mark=_SCORE,
    style_cosine=_SCORE,
    tier=_TEXT,
    language=_TEXT,
    chosen=_NUMBER,
    n=_NUMBER,
    num_trimmed=_NUMBER,
    model=_TEXT,
    adapter=_TEXT,
    template=_TEXT,
    prompt_hash=_TEXT,
    fingerprint=_TEXT,
    seed=pa.int64(),
    run_id=_TEXT,
    generated_at=_TIME,
)

CANDIDATES = _schema(
    user_id=_TEXT,
    kind=_TEXT,
    subject_id=_TEXT,
    number=_NUMBER,
    text=_TEXT,
    num_tokens=_NUMBER,
    finish=_TEXT,
    style_cosine=_SCORE,
    style_score=_SCORE,
    dropped_by=_TEXT,
    is_chosen=pa.bool_(),
    run_id=_TEXT,
)

REJECTIONS = _schema(
    user_id=_TEXT,
    kind=_TEXT,
    subject_id=_TEXT,
    request_id=_TEXT,
    is_derived=pa.bool_(),
    stage=_TEXT,
    reason=_TEXT,
    message=_TEXT,
    fingerprint=_TEXT,
    run_id=_TEXT,
    generated_at=_TIME,
)

TABLES: Mapping[str, pa.Schema] = {
    "results": RESULTS,
    "candidates": CANDIDATES,
    "rejections": REJECTIONS,
}

_OF_THE_UNIT = ("fingerprint", "run_id", "generated_at")
"""Columns that a unit holds once a key, whatever became of it."""


def _nested(schema: pa.Schema) -> pa.StructType:
    return pa.struct([field for field in schema if field.name not in {*KEY, *_OF_THE_UNIT}])


UNIT = _schema(
    user_id=_TEXT,
    kind=_TEXT,
    subject_id=_TEXT,
    result=_nested(RESULTS),
    rejection=_nested(REJECTIONS),
    candidates=pa.list_(_nested(CANDIDATES)),
    fingerprint=_TEXT,
    run_id=_TEXT,
    generated_at=_TIME,
)


def to_unit(outcomes: Iterable[Outcome], *, run_id: str, generated_at: datetime) -> pa.Table:
    """Return a unit with one row an outcome, in their order."""
    rows = [
        {
            "user_id": outcome.key.user_id,
            "kind": outcome.key.kind,
            "subject_id": outcome.key.subject_id,
            "result": _result_row(outcome.result),
            "rejection": _rejection_row(outcome.rejection),
            "candidates": _candidate_rows(outcome),
            "fingerprint": outcome.fingerprint,
            "run_id": run_id,
            "generated_at": generated_at,
        }
        for outcome in outcomes
    ]
    return pa.Table.from_pylist(rows, schema=UNIT)


def from_unit(unit: pa.Table) -> tuple[Outcome, ...]:
    """Return the outcomes of a unit, in the order of its rows."""
    return tuple(_outcome(row) for row in unit.to_pylist())


def split_unit(unit: pa.Table) -> dict[str, pa.Table]:
    """Return the rows that a unit brings to each table."""
    unit = unit.combine_chunks()
    parents = pc.list_parent_indices(unit["candidates"]).cast(pa.int64())
    exploded = unit.select([*KEY, "run_id"]).take(parents)
    candidates = exploded.append_column("candidate", pc.list_flatten(unit["candidates"]))
    return {
        "results": _unnest(unit.filter(pc.is_valid(unit["result"])), "result", RESULTS),
        "candidates": _unnest(candidates, "candidate", CANDIDATES),
        "rejections": _unnest(unit.filter(pc.is_valid(unit["rejection"])), "rejection", REJECTIONS),
    }


def complete(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with all columns of a schema: null where an older version had none."""
    return pa.table(
        [
            table[field.name]
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in schema
        ],
        schema=schema,
    )


def is_written_by_any_version(found: pa.Schema, schema: pa.Schema) -> bool:
    """Say whether a file has the columns of this version, or those that an older one wrote."""
    added: frozenset[str] = frozenset()
    for columns in (frozenset(), *reversed(_ADDED_COLUMNS)):
        added |= columns
        if found.equals(pa.schema([field for field in schema if field.name not in added])):
            return True
    return False


def keys_of(table: pa.Table) -> list[Key]:
    """Return the key of each row."""
    columns = (table[name].to_pylist() for name in KEY)
    return [
        Key(user_id=user_id, kind=kind, subject_id=subject_id)
        for user_id, kind, subject_id in zip(*columns, strict=True)
    ]


def _unnest(table: pa.Table, nested: str, schema: pa.Schema) -> pa.Table:
    outer = set(table.column_names)
    columns = [
        table[name] if name in outer else pc.struct_field(table[nested], name)
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)


def _result_row(result: Result | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "request_id": result.request_id,
        "is_derived": result.is_derived,
        "text": _writable(result.text),
        "style_score": _finite(result.style_score),
        "own_mark": _finite(result.own_mark),
        "style_cosine": _finite(result.style_cosine),
        "tier": result.tier,
        "language": result.language,
        "chosen": result.chosen,
        "n": result.num_candidates,
        "num_trimmed": result.num_trimmed,
        "model": result.model,
        "adapter": result.adapter,
        "template": result.template,
        "prompt_hash": result.prompt_hash,
        "seed": result.seed,
    }


def _rejection_row(rejection: Rejection | None) -> dict[str, Any] | None:
    if rejection is None:
        return None
    return {
        "request_id": rejection.request_id,
        "is_derived": rejection.is_derived,
        "stage": rejection.stage.value,
        "reason": rejection.reason.value,
        "message": _writable(rejection.message),
    }


def _candidate_rows(outcome: Outcome) -> list[dict[str, Any]]:
    chosen = outcome.result.chosen if outcome.result else None
    return [
        {
            "number": candidate.number,
            "text": _writable(candidate.text),
            "num_tokens": candidate.num_tokens,
            "finish": candidate.finish,
            "style_cosine": _finite(candidate.style_cosine),
            "style_score": _finite(candidate.style_score),
            "dropped_by": candidate.dropped_by,
            "is_chosen": candidate.number == chosen,
        }
        for candidate in outcome.candidates
    ]


def _outcome(row: Mapping[str, Any]) -> Outcome:
    key = Key(**{name: row[name] for name in KEY})
    candidates = tuple(_candidate(nested) for nested in row["candidates"])
    if (nested := row["rejection"]) is not None:
        rejection = Rejection(
            key=key,
            request_id=nested["request_id"],
            stage=Stage(nested["stage"]),
            reason=Reason(nested["reason"]),
            message=nested["message"],
            fingerprint=row["fingerprint"],
            is_derived=nested["is_derived"],
        )
        return Outcome(rejection=rejection, candidates=candidates)
    nested = dict(row["result"])
    result = Result(
        key=key, num_candidates=nested.pop("n"), fingerprint=row["fingerprint"], **nested
    )
    return Outcome(result=result, candidates=candidates)


def _candidate(nested: Mapping[str, Any]) -> Candidate:
    fields = {name: value for name, value in nested.items() if name != "is_chosen"}
    if fields["finish"] not in get_args(FinishReason):
        raise ValueError(f"{fields['finish']!r} is no reason to finish")
    return Candidate(**fields)


def _finite(score: float | None) -> float | None:
    """Return a score that can be compared; NaN says nothing and is stored as no score."""
    return score if score is not None and math.isfinite(score) else None


def _writable(text: str) -> str:
    """Replace halves of surrogate pairs, which no UTF-8 file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text

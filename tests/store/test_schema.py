"""Records become rows and rows become records, with nothing lost on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from personalm.store.parquet import decode, encode
from personalm.store.schema import (
    CANDIDATES,
    REJECTIONS,
    RESULTS,
    TABLES,
    UNIT,
    from_unit,
    keys_of,
    split_unit,
    to_unit,
)
from tests.store.strategies import outcomes
from tests.store.world import key_of, outcome_of

if TYPE_CHECKING:
    from personalm.records import Outcome

NOW = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


def unit_of(*given_outcomes: Outcome) -> pa.Table:
    """Return a unit of a run."""
    return to_unit(given_outcomes, run_id="run-1", generated_at=NOW)


@settings(max_examples=40, deadline=None)
@given(st.lists(outcomes, max_size=5))
def test_outcomes_survive_the_way_to_parquet_and_back(given_outcomes: list[Outcome]) -> None:
    """Every field of every outcome, in order."""
    data = encode(unit_of(*given_outcomes))

    assert from_unit(decode(data, Path("x"), schema=UNIT)) == tuple(given_outcomes)


@settings(max_examples=25, deadline=None)
@given(st.lists(outcomes, max_size=5))
def test_a_unit_brings_each_outcome_to_its_tables(given_outcomes: list[Outcome]) -> None:
    """One row a result, one a rejection, one a candidate, with the columns of the contract."""
    tables = split_unit(unit_of(*given_outcomes))
    results = [o.result for o in given_outcomes if o.result]
    rejections = [o.rejection for o in given_outcomes if o.rejection]

    assert {name: table.schema for name, table in tables.items()} == dict(TABLES)
    assert [(r.key, r.text, r.seed, r.num_candidates) for r in results] == list(
        zip(
            keys_of(tables["results"]),
            *(tables["results"][name].to_pylist() for name in ("text", "seed", "n")),
            strict=True,
        )
    )
    assert [(r.key, r.reason.value, r.message) for r in rejections] == list(
        zip(
            keys_of(tables["rejections"]),
            *(tables["rejections"][name].to_pylist() for name in ("reason", "message")),
            strict=True,
        )
    )
    assert [
        (o.key, c.number, c.text, bool(o.result and o.result.chosen == c.number))
        for o in given_outcomes
        for c in o.candidates
    ] == list(
        zip(
            keys_of(tables["candidates"]),
            *(tables["candidates"][name].to_pylist() for name in ("number", "text", "is_chosen")),
            strict=True,
        )
    )


def test_columns_stand_in_the_order_of_the_contract() -> None:
    """Names, order and plain types of the three tables."""
    assert ",".join(RESULTS.names) == (
        "user_id,kind,subject_id,request_id,is_derived,text,style_score,own_mark,style_cosine,tier,"
        "language,chosen,n,num_trimmed,model,adapter,template,prompt_hash,fingerprint,seed,run_id,"
        "generated_at"
    )
    assert ",".join(CANDIDATES.names) == (
        "user_id,kind,subject_id,number,text,num_tokens,finish,style_cosine,style_score,"
        "dropped_by,is_chosen,run_id"
    )
    assert ",".join(REJECTIONS.names) == (
        "user_id,kind,subject_id,request_id,is_derived,stage,reason,message,fingerprint,run_id,"
        "generated_at"
    )
    assert RESULTS.field("text").type == pa.string()
    assert RESULTS.field("generated_at").type == pa.timestamp("us", tz="UTC")


def test_files_carry_no_metadata_of_any_library() -> None:
    """Types are plain, and read back as they were written."""
    for schema in (*TABLES.values(), UNIT):
        table = decode(encode(schema.empty_table()), Path("x"), schema=schema)

        assert table.schema == schema
        assert table.schema.metadata is None


def test_a_score_that_is_no_number_is_no_score() -> None:
    """NaN and infinity are stored as missing: they could win a comparison elsewhere."""
    outcome = next(o for o in (outcome_of(key_of(u), "v") for u in "abcdef") if o.result)
    assert outcome.result is not None
    odd = replace(outcome.result, style_score=math.nan, own_mark=math.inf, style_cosine=-math.inf)
    row = split_unit(unit_of(replace(outcome, result=odd)))["results"].to_pylist()[0]

    assert [row[name] for name in ("style_score", "own_mark", "style_cosine")] == [None] * 3
    assert (row["run_id"], row["generated_at"]) == ("run-1", NOW)


def test_half_a_surrogate_pair_stops_no_write() -> None:
    """It is replaced; the rest of the text, NUL included, survives."""
    outcome = next(o for o in (outcome_of(key_of(u), "v") for u in "abcdef") if o.result)
    assert outcome.result is not None
    odd = replace(outcome.result, text="a\ud800b\0c \U0001f600")
    (back,) = from_unit(unit_of(replace(outcome, result=odd)))

    assert back.result is not None
    assert back.result.text == "a\ufffdb\0c \U0001f600"

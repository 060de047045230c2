"""Outcomes of every form, for property tests."""

from __future__ import annotations

from typing import get_args

from hypothesis import strategies as st

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

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scores = st.none() | st.floats(allow_nan=False, allow_infinity=False)
numbers = st.integers(0, 2**31 - 1)
optional = st.none() | texts

keys = st.builds(Key, user_id=texts, kind=texts, subject_id=texts)

candidates = st.lists(
    st.builds(
        Candidate,
        number=numbers,
        text=texts,
        num_tokens=numbers,
        finish=st.sampled_from(get_args(FinishReason)),
        style_cosine=scores,
        style_score=scores,
        dropped_by=optional,
    ),
    max_size=4,
).map(tuple)

results = st.builds(
    Result,
    key=keys,
    request_id=optional,
    text=texts,
    style_score=scores,
    own_mark=scores,
    style_cosine=scores,
    tier=texts,
    language=texts,
    chosen=numbers,
    num_candidates=numbers,
    model=texts,
    adapter=optional,
    template=texts,
    prompt_hash=texts,
    num_trimmed=numbers,
    fingerprint=texts,
    seed=st.integers(0, 2**63 - 1),
)

rejections = st.builds(
    Rejection,
    key=keys,
    request_id=optional,
    stage=st.sampled_from(Stage),
    reason=st.sampled_from(Reason),
    message=texts,
    fingerprint=texts,
)

outcomes = st.one_of(
    st.builds(Outcome, result=results, candidates=candidates),
    st.builds(Outcome, rejection=rejections, candidates=candidates),
)

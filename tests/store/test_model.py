"""Whatever runs came before, the table is that of a plain dict that had the same runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from personalm.errors import StoreError
from personalm.store.store import Store
from personalm.store.verify import verify
from tests.store.faults import FaultyFiles, bad_disk
from tests.store.world import (
    BUCKETS,
    Plan,
    View,
    key_of,
    new_output,
    read_latest,
    read_view,
    run,
    table_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from personalm.records import Key

USERS = ("ada", "bo", "cy", "../x", "")

versions = st.sampled_from(["v1", "v2", "v3"])
requests = st.dictionaries(
    st.builds(key_of, st.sampled_from(USERS), st.sampled_from(["s", "t"])), versions, max_size=6
)
steps = st.tuples(
    requests,
    st.sets(st.sampled_from(USERS), max_size=2),
    st.sampled_from(["m1", "m2"]),
    st.sampled_from(["run", "run", "interrupted", "failed"]),
    st.integers(1, 80),
)


def see(output: Path) -> View:
    """Return what a reader sees, nothing where nothing is published yet."""
    try:
        return read_view(output)
    except StoreError:
        return {}


@settings(max_examples=12, deadline=None)
@given(st.lists(steps, max_size=5))
def test_the_table_is_that_of_a_dict(
    history: list[tuple[dict[Key, str], set[str], str, str, int]],
) -> None:
    """Runs that end, that stop before they publish, and that fail at some step."""
    model: dict[Key, str] = {}
    with new_output() as output:
        for number, (wanted, withdrawn, fingerprint, fate, step) in enumerate(history):
            served = {k: f"{v}{number}" for k, v in wanted.items() if k.user_id not in withdrawn}
            after = {k: v for k, v in model.items() if k.user_id not in withdrawn} | served
            if fate == "interrupted":
                store = Store.open(output, buckets=BUCKETS)
                with store.lock():
                    Plan(store, served).write(store.start_run(fingerprint))
                continue
            files = FaultyFiles(step if fate == "failed" else 10**6, bad_disk)
            with suppress(StoreError):
                run(output, served, withdrawn=withdrawn, fingerprint=fingerprint, files=files)
            if fate == "run" or see(output) != table_of(model):
                model = after
            assert see(output) == table_of(model)
        run(output, {})
        assert read_view(output) == read_latest(output) == table_of(model)
        assert verify(output) == ()

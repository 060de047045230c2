"""The laws of threads: linear algebra has one while texts are judged, and its own afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from personalm.selection.selector import Selector
from personalm.selection.threads import one_blas_thread
from personalm.settings import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personalm.selection.selector import Trial, Verdict


def _num_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def _fail_within() -> None:
    with one_blas_thread():
        assert _num_threads() == {1}
        raise LookupError


def test_there_is_one_thread_within_and_as_many_as_before_afterwards() -> None:
    """Also where what is done within fails: a notebook keeps its threads."""
    with threadpool_limits(limits=2, user_api="blas"):
        before = _num_threads()
        with pytest.raises(LookupError):
            _fail_within()
        after = _num_threads()

    assert after == before == {2}


def test_the_last_to_leave_gives_the_threads_back() -> None:
    """Threads of a server overlap as they like: the first must not leave one thread for good."""
    first, second = one_blas_thread(), one_blas_thread()
    with threadpool_limits(limits=2, user_api="blas"):
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        between = _num_threads()
        second.__exit__(None, None, None)
        after = _num_threads()

    assert between == {1}
    assert after == {2}


def test_texts_are_judged_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls: a run, a notebook, an evaluation."""
    seen: list[set[int]] = []

    def judge(_selector: Selector, _trials: Sequence[Trial]) -> tuple[Verdict, ...]:
        seen.append(_num_threads())
        return ()

    monkeypatch.setattr(Selector, "_judge", judge)
    selector = Selector(embedder=lambda: pytest.fail("not asked"), kinds={}, selection=Selection())
    with threadpool_limits(limits=2, user_api="blas"):
        selector.judge(())

    assert seen == [{1}]

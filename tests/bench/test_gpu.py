"""What the comparison on a GPU sets up and says of it; the times need a card."""

from __future__ import annotations

from bench.gpu import compare, settings_of
from bench.workloads import make_workload


def test_a_group_has_room_for_the_rows_that_are_asked_for() -> None:
    """The longest prompts fit, each with its candidates; `w3` has the shape of `w1`."""
    found = list(settings_of("64,1024", "32"))

    assert [(name, rows) for name, rows, _ in found] == [
        *[("personalm", 64)] * 2,
        *[("personalm", 1024)] * 2,
        ("generate", 32),
    ]
    workload = make_workload("w3", num_prompts=1_000)
    longest = max(len(prompt.token_ids) for prompt in workload.prompts)
    each = longest + workload.num_candidates * workload.num_new_tokens
    for name, rows, setting in found:
        if name == "personalm":
            assert setting["max_batch_tokens"] == rows // 4 * each
        else:
            assert setting["batch"] == rows // 4


def test_the_best_of_ours_is_set_against_each_of_theirs() -> None:
    """Steps one at a time are shown, and not the best."""
    systems = [
        {"name": "personalm", "rows": 64, "captures": True, "tokens_per_s": 300},
        {"name": "personalm", "rows": 64, "captures": False, "tokens_per_s": 900},
        {"name": "generate", "rows": 32, "captures": None, "tokens_per_s": 100},
    ]

    assert compare(systems) == {"best": 300, "ratio_over_generate": {"32 rows": 3.0}}

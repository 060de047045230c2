"""Laws of the warning about an open Prefect server."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from prefect import Flow, Task
from prefect.cache_policies import NO_CACHE
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    temporary_settings,
)

import flows
from flows.server import is_loopback, warn_of_open_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4200/api", True),
        ("http://127.9.9.9:4200/api", True),
        ("http://localhost:4200/api", True),
        ("http://LOCALHOST/api", True),
        ("http://[::1]:4200/api", True),
        ("http://0.0.0.0:4200/api", False),
        ("http://[::]:4200/api", False),
        ("http://10.0.0.3:4200/api", False),
        ("https://api.prefect.cloud/api", False),
        ("http://localhost.example.com/api", False),
        ("http://127.0.0.1.example.com/api", False),
        ("http://127.0.0.1@example.com/api", False),
        ("nonsense", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, expected: bool) -> None:  # noqa: FBT001 - a row of the table
    """By the address itself, not by how it begins."""
    assert is_loopback(url) is expected


@pytest.mark.parametrize(
    ("url", "key", "auth", "warns"),
    [
        ("http://user:secret@10.0.0.3:4200/api", None, None, True),
        ("http://10.0.0.3:4200/api", "key", None, False),
        ("http://10.0.0.3:4200/api", None, "user:secret", False),
        ("http://127.0.0.1:4200/api", None, None, False),
        (None, None, None, False),
    ],
)
def test_a_server_elsewhere_without_credentials_is_warned_of(
    url: str | None,
    key: str | None,
    auth: str | None,
    warns: bool,  # noqa: FBT001 - a row of the table
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The host is named, and nothing secret."""
    wanted = {PREFECT_API_URL: url, PREFECT_API_KEY: key, PREFECT_API_AUTH_STRING: auth}
    with temporary_settings({name: value for name, value in wanted.items() if value}):
        warn_of_open_server()

    assert ("10.0.0.3" in caplog.text) is warns
    assert ("without credentials" in caplog.text) is warns
    assert "secret" not in caplog.text


def everything_run_by_prefect() -> Iterator[Flow[..., object] | Task[..., object]]:
    """Yield each flow and each task of the package."""
    for module in pkgutil.iter_modules(flows.__path__):
        for value in vars(importlib.import_module(f"flows.{module.name}")).values():
            if isinstance(value, Flow | Task):
                yield value


def test_no_flow_and_no_task_keeps_results_or_takes_them_from_another_run() -> None:
    """A stored result is a pickle, and one found by a key could be another user's."""
    found = list(everything_run_by_prefect())

    assert {type(each) for each in found} == {Flow, Task}
    assert len(found) == 6
    for each in found:
        assert each.persist_result is False, each.name
        assert isinstance(each, Flow) or each.cache_policy == NO_CACHE, each.name
        assert isinstance(each, Flow) or each.cache_key_fn is None, each.name


def test_flows_and_tasks_are_handed_paths_and_numbers_and_no_live_objects() -> None:
    """A model, a tokenizer or a table as parameter would be pickled, hashed, sent and shown."""
    plain = {str, int, bool, float, type(None), list[int]}
    for each in everything_run_by_prefect():
        hints = get_type_hints(each.fn)
        hints.pop("return")
        for name, hint in hints.items():
            choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
            types = {
                type(value) for c in choices if get_origin(c) is Literal for value in get_args(c)
            }
            types |= {c for c in choices if get_origin(c) is not Literal}
            assert types <= plain, (each.name, name)


def test_no_deployment_opens_a_server_or_carries_a_secret() -> None:
    """Job variables are readable to whoever reads the server."""
    text = (ROOT / "prefect.yaml").read_text(encoding="utf-8")
    variables = yaml.safe_load(text)["definitions"]["work_pool"]["job_variables"]["env"]

    assert "0.0.0.0" not in text  # noqa: S104 - it is looked for, not bound
    assert set(variables) == {"DO_NOT_TRACK"}


@pytest.mark.parametrize(("given", "expected"), [(None, 120), ("7", 7)])
def test_a_temporary_server_has_time_to_start(given: str | None, expected: int) -> None:
    """On a slow machine, too; whoever names another number gets it."""
    name = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
    variables = {key: value for key, value in os.environ.items() if key != name}
    ask = (
        "import flows; from prefect.settings import get_current_settings as ask; "
        "print(ask().server.ephemeral.startup_timeout_seconds)"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        env=variables | ({name: given} if given else {}),
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) == expected

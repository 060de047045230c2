"""Laws of the warning about an open Prefect server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    temporary_settings,
)

from flows.generate_content import generate_content, write_shard
from flows.server import is_loopback, warn_of_open_server

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


def test_no_flow_and_no_task_keeps_results() -> None:
    """A stored result is a pickle, and holds what a flow was given."""
    assert generate_content.persist_result is False
    assert write_shard.persist_result is False


def test_no_deployment_opens_a_server_or_carries_a_secret() -> None:
    """Job variables are readable to whoever reads the server."""
    text = (ROOT / "prefect.yaml").read_text(encoding="utf-8")
    variables = yaml.safe_load(text)["definitions"]["work_pool"]["job_variables"]["env"]

    assert "0.0.0.0" not in text  # noqa: S104 - it is looked for, not bound
    assert set(variables) == {"DO_NOT_TRACK"}

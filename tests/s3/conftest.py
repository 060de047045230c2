"""A real S3 server on loopback: a process of its own, started and stopped by the tests."""

from __future__ import annotations

import os
import urllib.request
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.s3.server import ACCESS_KEY, SECRET_KEY, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = count(1)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Return the URL of a server for all tests, skip where the extra is not installed."""
    pytest.importorskip("obstore", reason='needs pip install "personalm[s3]"')
    pytest.importorskip("moto.server", reason="needs the S3 server of moto[server]")
    with s3_server() as url:
        yield url


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a new bucket, with the environment to reach it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    bucket = f"bucket-{next(_numbers)}"
    make = urllib.request.Request(f"{endpoint}/{bucket}", data=b"", method="PUT")  # noqa: S310 - loopback
    with urllib.request.urlopen(make) as answer:  # noqa: S310 - the same
        assert answer.status == 200
    return f"s3://{bucket}"

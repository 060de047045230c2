"""A real S3 server on loopback: a process of its own, started and stopped by the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# One request at a time: the server's own check for an existing name is not made for more, and
# that an object store keeps its word is not what is tested here.
_SERVER = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
class Handler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # without it each answer takes 40 ms
    wbufsize = -1
    def log_request(self, *_): pass
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, request_handler=Handler)
print(server.port, flush=True)
server.serve_forever()
"""
ACCESS_KEY, SECRET_KEY = "AKIACANARY0000000000", "canary/secret+of/the+store"
_numbers = count(1)


@contextmanager
def s3_server() -> Iterator[str]:
    """Run a server on a free port; yields its URL."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


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


def dump(endpoint: str) -> str:
    """Return the names that the server keeps, for a look at what was left behind."""
    with urllib.request.urlopen(f"{endpoint}/moto-api/data.json") as answer:  # noqa: S310 - loopback
        return str(json.load(answer))

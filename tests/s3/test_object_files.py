"""Laws of single objects: what is created is not overwritten, faults are said in plain words."""

from __future__ import annotations

import http.server
import socket
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from personalm import remote
from personalm.errors import PersonalmError, SettingsError, StoreError
from personalm.remote import place_of
from personalm.store.object_files import ObjectFiles
from personalm.store.reading import status
from tests.s3.server import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FILES = ObjectFiles()

OPERATIONS: dict[str, Callable[[Path], object]] = {
    "create": lambda path: FILES.create(path, b"x"),
    "replace": lambda path: FILES.replace(path, b"x"),
    "read": FILES.read,
    "names": FILES.names,
    "remove": FILES.remove,
    "remove_tree": FILES.remove_tree,
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS)


def test_a_name_that_is_taken_is_not_written_again(s3: str) -> None:
    """Not by other bytes, and not by the same."""
    path = place_of(f"{s3}/a/b")
    FILES.create(path, b"first")

    for data in (b"second", b"first"):
        with pytest.raises(FileExistsError):
            FILES.create(path, data)
    assert FILES.read(path) == b"first"


def test_a_large_object_is_created_once_too(s3: str) -> None:
    """It is not cut into parts, which would be put together without the condition."""
    path = place_of(f"{s3}/large")
    FILES.create(path, iter([b"1" * 6_000_000] * 2))

    with pytest.raises(FileExistsError):
        FILES.create(path, b"2" * 12_000_000)
    assert FILES.read(path) == b"1" * 12_000_000


@pytest.mark.parametrize("num_sent", [1, 2])
def test_an_answer_that_was_lost_does_not_hide_a_commit(
    s3: str, monkeypatch: pytest.MonkeyPatch, num_sent: int
) -> None:
    """What the very call has written counts as written, repeated by the client or not."""
    import obstore  # noqa: PLC0415 - an extra
    from obstore.exceptions import GenericError  # noqa: PLC0415 - the same

    put = obstore.put

    def lossy(*args: Any, **kwargs: Any) -> None:
        for _ in range(num_sent):
            put(*args, **kwargs)
        raise GenericError("error sending request")

    path = place_of(f"{s3}/x")
    with monkeypatch.context() as patched:
        patched.setattr(obstore, "put", lossy)
        FILES.create(path, b"ours")
    with pytest.raises(FileExistsError):
        FILES.create(path, b"ours")


def test_names_are_those_directly_below(s3: str) -> None:
    """A name that another starts with is another place."""
    for key in ("a/x", "a/b/y", "a/b/z", "ab/x"):
        FILES.create(place_of(f"{s3}/{key}"), b"")

    assert FILES.names(place_of(f"{s3}/a")) == ("b", "x")
    assert FILES.names(place_of(s3)) == ("a", "ab")
    FILES.remove_tree(place_of(f"{s3}/a"))
    FILES.remove_tree(place_of(f"{s3}/a"))
    FILES.remove(place_of(f"{s3}/a/x"))
    assert FILES.names(place_of(s3)) == ("ab",)
    with pytest.raises(FileNotFoundError):
        FILES.read(place_of(f"{s3}/a/x"))


@each_operation
def test_a_bucket_that_does_not_exist_is_named(s3: str, endpoint: str, operation: str) -> None:
    """Nothing there is not the same as nowhere."""
    words = fault_of(operation, f"{s3}-gone/x", endpoint)

    assert "the bucket of s3://" in words
    assert "does not exist" in words


@each_operation
def test_refused_access_says_what_to_check(
    s3: str, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Right names and wrong rights."""
    with answering(403, b"<Error><Code>AccessDenied</Code></Error>") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        words = fault_of(operation, f"{s3}/x", endpoint)

    assert "access to s3://" in words
    assert "AWS_ environment variables" in words


@pytest.mark.parametrize("operation", ["create", "names"])
def test_an_endpoint_that_is_not_there_is_given_up_soon(
    s3: str, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Nobody listens at the address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        words = fault_of(operation, f"{s3}/x", endpoint)

    assert "does not answer" in words


@pytest.mark.parametrize("operation", ["create", "read"])
def test_an_endpoint_that_says_nothing_is_given_up_in_time(
    s3: str, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """It takes the connection and never answers."""
    monkeypatch.setattr(remote, "REQUEST_TIMEOUT", timedelta(seconds=0.3))
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(50)
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        began = time.monotonic()
        words = fault_of(operation, f"{s3}/x", endpoint)

    assert "does not answer" in words
    assert time.monotonic() - began < 5


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever uses s3:// without it reads what to install."""
    for module in ("obstore", "obstore.store", "obstore.exceptions"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(remote, "_connect", remote._connect.__wrapped__)
    place = place_of("s3://bucket/out")

    for use in (status, *OPERATIONS.values()):
        with pytest.raises(SettingsError, match=r'pip install "personalm\[s3\]"'):
            use(place)


def test_personal_data_does_not_travel_in_the_open(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http is for loopback, unless the operator says otherwise."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example")
    with pytest.raises(SettingsError, match="not encrypted"):
        FILES.read(place_of(f"{s3}/x"))


@contextmanager
def answering(status_code: int, body: bytes) -> Iterator[str]:
    """Answer every request the same; yields the URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status_code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base has it
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fault_of(operation: str, url: str, endpoint: str) -> str:
    """Return the words of a failed operation, after a look for what they may not hold."""
    with pytest.raises(StoreError) as caught:
        OPERATIONS[operation](place_of(url))
    error: PersonalmError = caught.value
    words = str(error)
    assert error.__suppress_context__
    for secret in (ACCESS_KEY, SECRET_KEY, endpoint, endpoint.rpartition(":")[2]):
        assert secret not in words
    return words

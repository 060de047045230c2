"""An S3 server on loopback, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

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

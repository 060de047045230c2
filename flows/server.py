"""What a flow says about the Prefect server that it talks to, and leaves on its pages.

Whoever may write to a server may start its flows with parameters of their own, so that an open one
is a risk worth a warning. A server that fails is none for the outcome: the store holds it.
"""

from __future__ import annotations

import ipaddress
import logging
from urllib.parse import urlsplit

from prefect.artifacts import create_markdown_artifact
from prefect.settings import get_current_settings

_log = logging.getLogger(__name__)


def warn_of_open_server() -> None:
    """Log a warning where the server is on another machine and asks for no credentials."""
    api = get_current_settings().api
    has_credentials = bool(api.key or api.auth_string)
    if api.url and not has_credentials and not is_loopback(api.url):
        # The host alone: an address may hold a password.
        _log.warning(
            "the Prefect server on %s is used without credentials: whoever reaches it can start "
            "flows and read their parameters. Set PREFECT_API_AUTH_STRING here and "
            "PREFECT_SERVER_API_AUTH_STRING there, or PREFECT_API_KEY.",
            urlsplit(api.url).hostname or "an unknown host",
        )


def leave_page(key: str, markdown: str, *, description: str) -> None:
    """Leave an outcome as a page on the server, or log a warning that it was not taken.

    What it tells is published by then: a flow that failed here would be run again for nothing.
    """
    try:
        create_markdown_artifact(key=key, markdown=markdown, description=description)
    except Exception as error:  # noqa: BLE001 - the client raises errors of many libraries
        _log.warning(
            "the Prefect server did not take the page %s (%s); the outcome stands all the same",
            *(key, type(error).__name__),
        )


def is_loopback(url: str) -> bool:
    """Tell whether an address stays on this machine; a name that merely looks so does not."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

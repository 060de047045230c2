"""What a flow says about the Prefect server that it talks to.

Whoever may write to a server may start its flows with parameters of their own, so that an open one
is a risk worth a warning.
"""

from __future__ import annotations

import ipaddress
import logging
from urllib.parse import urlsplit

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


def is_loopback(url: str) -> bool:
    """Tell whether an address stays on this machine; a name that merely looks so does not."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

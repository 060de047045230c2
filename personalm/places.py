"""Paths that people name: home folders written out, links followed, and refused in words.

It knows object storage by `personalm.remote`, and nothing of what lies at a place.
"""

from __future__ import annotations

from pathlib import Path

from personalm.errors import SettingsError
from personalm.remote import RemotePath, place_of


def expand_home(path: str | Path) -> Path:
    """Return a path of this machine with its home folder written out.

    Raises SettingsError for the home of somebody who is unknown.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise SettingsError(
            f"{path}: there is no such home folder",
            remedy="Write the path without ~, or ./~ for a folder of that name.",
        ) from None


def locate(place: str | Path) -> Path:
    """Return a place, absolute and with its links followed; it need not exist.

    Raises SettingsError for a path that no file can have.
    """
    found = place_of(place)
    if isinstance(found, RemotePath):
        return found
    shown = str(place).replace("\x00", "\ufffd")
    try:
        path = expand_home(found).resolve()
        path.exists()
    except RuntimeError:
        raise SettingsError(f"{shown} is a link that leads back to itself") from None
    except ValueError:
        raise SettingsError(f"{shown} holds a NUL character, which no path can") from None
    except OSError as error:
        raise SettingsError(f"{shown} cannot be used: {error.strerror or error}") from None
    return path


def locate_here(place: str | Path, what: str) -> Path:
    """Return a place of this machine as `locate` does; `what` is to be written there.

    Raises SettingsError for object storage.
    """
    path = locate(place)
    if isinstance(path, RemotePath):
        raise SettingsError(
            f"{what} is written to this machine, not to {path}",
            remedy="Name a path here, and copy it there.",
        )
    return path

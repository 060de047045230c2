"""Places on an object store: `s3://BUCKET/KEY`, how to reach them, and what can go wrong there.

Credentials, region and endpoint come from the usual AWS_ environment variables and stay there:
they are in no setting, and no message repeats what the store's client says, for it names them.
It knows neither inputs nor results.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, NoReturn, Self
from urllib.parse import urlsplit

from personalm.errors import SettingsError

if TYPE_CHECKING:
    from obstore.store import S3Store

OUTPUT_MARK = "_personalm.json"
"""What lies in every folder that results were written to, here or there."""

CONNECT_TIMEOUT = timedelta(seconds=5)
REQUEST_TIMEOUT = timedelta(seconds=60)
"""One request, its bytes included; a place that answers nothing is given up after so long."""

_SCHEME = "s3:/"
_OTHER_SCHEME = re.compile(r"(?!s3:)[A-Za-z][A-Za-z0-9+.-]+:/")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_NUM_RETRIES = 4


class RemotePath(PosixPath):
    """A place on an object store; the first part is its bucket.

    It is put together and taken apart as a path is. There are no folders and no links there, and
    to open it as a file of this machine is a TypeError.
    """

    def __str__(self) -> str:
        path = super().__str__()
        return _SCHEME + path if self.is_absolute() else path

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is no path of this machine")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash((_SCHEME, self.parts))

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.parts[1]

    @property
    def key(self) -> str:
        """What comes after the bucket; empty for the bucket itself."""
        return "/".join(self.parts[2:])

    def expanduser(self) -> Self:
        """Return the place itself."""
        return self

    def resolve(self, strict: bool = False) -> Self:  # noqa: FBT001, FBT002 - as Path has it
        """Return the place itself: nothing leads elsewhere."""
        del strict
        return self

    def is_dir(self) -> bool:
        """Say no: there are no folders."""
        return False

    def is_symlink(self) -> bool:
        """Say no: there are no links."""
        return False


def place_of(location: str | Path) -> Path:
    """Return a `RemotePath` for an s3:// location, the path itself for any other.

    A Path that was made of such a location has lost a slash, and is known all the same. Raises
    SettingsError for a location that names no bucket, and for other schemes.
    """
    text = str(location)
    if isinstance(location, RemotePath):
        return location
    if _OTHER_SCHEME.match(text):
        raise SettingsError(
            f"{text.partition(':')[0]}: is no place that is known",
            remedy="Give a local path, or s3://BUCKET/FOLDER.",
        )
    if not text.startswith(_SCHEME) and text != _SCHEME.removesuffix("/"):
        return Path(location)
    place = RemotePath("/" + text.removeprefix(_SCHEME).lstrip("/"))
    # What stands there instead may be a secret, and is not repeated.
    if len(place.parts) == 1 or not _BUCKET.fullmatch(place.bucket) or ".." in place.parts:
        raise SettingsError(
            "an s3:// location does not start with the name of a bucket, or has '..' in it",
            remedy="Write s3://BUCKET/FOLDER; credentials go into AWS_ environment variables.",
        )
    return place


def connect(place: RemotePath) -> S3Store:
    """Return the client of a place's bucket, one a process; nothing is asked of the store yet.

    Raises SettingsError where the extra is not installed, or an endpoint is not encrypted.
    """
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    return _connect(place.bucket, endpoint, os.getpid())


def explain(error: Exception, place: Path) -> tuple[str, str]:
    """Return what went wrong at a place, and what to do, without the words of the client."""
    text = str(error)
    code = next(iter(_CODE.findall(text)), "")
    status = next(iter(_STATUS.findall(text)), "")
    if code == "NoSuchBucket":
        return "the bucket of " + str(place) + " does not exist", "Create it, or correct the name."
    if "169.254." in text or "NoCredentials" in text:
        return (
            f"no credentials are set for {place}",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what your platform gives.",
        )
    if status in {"401", "403"}:
        return (
            f"access to {place} is refused" + (f": {code}" if code else ""),
            "Check the AWS_ environment variables, and the rights to list, get, put and delete.",
        )
    if "error sending request" in text or "timed out" in text:
        return (
            f"the object store of {place} does not answer",
            "Check the network and AWS_ENDPOINT_URL, and run again.",
        )
    said = code or (f"status {status}" if status else type(error).__name__)
    return f"the object store refuses {place}: {said}", "Run again; what is published stays."


def is_no_bucket(error: Exception) -> bool:
    """Say whether something was not found because its whole bucket is not there."""
    return "<Code>NoSuchBucket</Code>" in str(error)


@lru_cache(maxsize=16)
def _connect(bucket: str, endpoint: str, process: int) -> S3Store:
    del process  # a client does not survive a fork
    try:
        from obstore.store import S3Store  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        _refuse_without_extra()
    is_plain = endpoint.startswith("http://")
    if is_plain and not _may_be_plain(endpoint):
        raise SettingsError(
            "the endpoint of the object store is not encrypted: personal data would be readable "
            "on the way",
            remedy="Use https:// in AWS_ENDPOINT_URL, or set AWS_ALLOW_HTTP=true.",
        )
    return S3Store(
        bucket,
        client_options={
            "allow_http": is_plain,
            "connect_timeout": CONNECT_TIMEOUT,
            "timeout": REQUEST_TIMEOUT,
        },
        retry_config={"max_retries": _NUM_RETRIES, "retry_timeout": REQUEST_TIMEOUT},
    )


def _may_be_plain(endpoint: str) -> bool:
    allowed = os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true"}
    return allowed or urlsplit(endpoint).hostname in _LOOPBACK


def _refuse_without_extra() -> NoReturn:
    raise SettingsError(
        "an s3:// location needs the package obstore, which is not installed",
        remedy='Install it: pip install "personalm[s3]"',
    ) from None

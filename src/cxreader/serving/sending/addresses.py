"""How a destination is reached, as it is given by a person and kept in its row; and whether it answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cxreader.errors import UsageError, nearest
from cxreader.serving.results.uids import KINDS
from cxreader.serving.sending import store_scu, stow
from cxreader.serving.settings import Settings
from cxreader.serving.store.tables.sending import Destination

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def by_store(node: str, *, tls: bool = False, calling: str = "") -> dict[str, Any]:
    """Of AE@HOST:PORT, for C-STORE. Raises UsageError."""
    title, at, place = node.partition("@")
    host, colon, port = place.rpartition(":")
    if not (at and colon and title.strip() and host and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError("the address is no DICOM node", mend="give AE_TITLE@HOST:PORT")
    if len(title) > 16 or len(calling) > 16:
        raise UsageError("an AE title has at most 16 characters", mend="shorten it")
    return {"host": host, "port": int(port), "ae_title": title, "calling": calling, "tls": tls}


def by_stow(url: str, credentials: Path | None = None) -> dict[str, Any]:
    """Of the URL of a DICOMweb service, for STOW-RS. Raises UsageError, for plain HTTP to another machine too."""
    found = urlsplit(url)
    if found.scheme not in ("http", "https") or not found.hostname or found.username or found.query:
        mend = "give http(s)://HOST:PORT/dicom-web, and a user's name and password by --credentials"
        raise UsageError("is no URL of a DICOMweb service", where="--url", mend=mend)
    if found.scheme == "http" and found.hostname not in _LOOPBACK:
        raise UsageError("patient data would travel unencrypted", where="--url", mend="give an https URL")
    if credentials is not None and not credentials.is_file():
        raise UsageError("there is no such file", where=credentials, mend="write USER:PASSWORD, or a token, into it")
    return {"url": url, "credentials": None if credentials is None else str(credentials.resolve())}


def kinds(asked: Sequence[str]) -> tuple[str, ...]:
    """Which kinds of object are sent: those asked for, all when none is. Raises UsageError with the nearest name."""
    for one in asked:
        if one not in KINDS:
            raise UsageError("there is no such object", where="--send", mend=nearest(one, KINDS))
    return tuple(one for one in KINDS if not asked or one in asked)


def place(destination: Destination) -> str:
    """The address in one line."""
    address = destination.address
    if destination.kind == "stow":
        return str(address["url"])
    return f"{address['ae_title']}@{address['host']}:{address['port']}{' (TLS)' if address['tls'] else ''}"


def of(settings: Settings, destination: Destination) -> dict[str, Any]:
    """The address as `stow` and `store_scu` take it: a file of credentials in the home by its whole path."""
    named = destination.address.get("credentials")
    return {**destination.address, **({"credentials": str(settings.home / named)} if named else {})}


def echo(settings: Settings, destination: Destination) -> str:
    """Ask whether it answers: empty, or why not."""
    if destination.kind == "stow":
        return stow.echo(of(settings, destination))
    return store_scu.echo(settings.dicom, destination.address)

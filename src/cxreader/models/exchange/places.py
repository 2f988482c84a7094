"""Where artifacts are published: a folder, an address of the web, a repository of the Hugging Face Hub."""

from __future__ import annotations

import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from cxreader.atomic import writing_whole
from cxreader.codec import in_words
from cxreader.errors import ArtifactError, MissingDependencyError, UsageError
from cxreader.models.exchange.listing import LISTING

TIMEOUT = 30
"""Seconds without a byte after which a server is given up."""
_PIECE = 2**20
_HUB = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?")
_FAULTS = (OSError, HTTPException, ValueError)
"""What urllib raises: a line that drops, an answer that is no HTTP, an address that cannot be asked for."""
_ELSEWISE = "or bring the folder by other means"
_AGAIN = f"give the command again, it goes on where it ended; {_ELSEWISE}"
_HIDDEN = f"see whether the address is right and is read without a password or a login; {_ELSEWISE}"
_READING = {401: _HIDDEN, 403: _HIDDEN}
_BY_HAND = "or publish to a folder and bring that by other means"
_SEND_AGAIN = f"give the command again, what is there already is not sent again; {_BY_HAND}"
_PUT = f"the server must accept PUT, as WebDAV does; {_BY_HAND}"
_CREDENTIALS = f"it asks for credentials, and cxreader sends none: let it accept PUT without; {_BY_HAND}"
_NO_FOLDER = f"make the folder on the server, which must accept PUT in it, as WebDAV does; {_BY_HAND}"
_NO_ROOM = f"the server takes no file so large; {_BY_HAND}"
_MOVED = "the server sends elsewhere: give the address to which it sends a browser"
_WRITING = {
    **dict.fromkeys((401, 403, 407), _CREDENTIALS),
    **dict.fromkeys((404, 409, 410), _NO_FOLDER),
    **dict.fromkeys((400, 405, 411, 415, 501), _PUT),
    **dict.fromkeys((413, 507), _NO_ROOM),
    **dict.fromkeys((301, 302, 303, 307, 308), _MOVED),
}
"""The mend by the status with which a server refuses."""


class Opened:
    """A file of a place that is being read, a context that closes it.

    `begin`: the position from which its bytes really come, the wanted one or 0. `total`: how many the whole file has, None where
    nobody tells.
    """

    def __init__(
        self,
        begin: int,
        total: int | None,
        stream: BinaryIO | HTTPResponse,
        failed: Callable[[Exception], ArtifactError],
    ) -> None:
        self.begin, self.total, self._stream, self._failed = begin, total, stream, failed

    def pieces(self) -> Iterator[bytes]:
        """Its bytes. Raises ArtifactError where they cannot be read; what whoever takes them raises passes as it is."""
        try:
            while piece := self._stream.read(_PIECE):
                yield piece
        except _FAULTS as error:
            raise self._failed(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


class Place(Protocol):
    """A folder of files, near or far. What cannot be read or written raises ArtifactError."""

    address: str

    def read(self, name: str, start: int) -> Opened | None:
        """A file, from a position on; None where there is none of that name."""
        ...

    def write(self, name: str, path: Path) -> None:
        """Put a file there, over one of that name."""
        ...


def place_of(address: str) -> Place:
    """The place of an address: `hf:OWNER/NAME[@REVISION]`, `http://`, `https://`, or a folder.

    Raises UsageError for another scheme, for an address with a password and for a file.
    """
    address = address.removesuffix("/").removesuffix(f"/{LISTING}")
    if (hub := _HUB.fullmatch(address)) is not None:
        return HubRepository(hub["repository"], hub["revision"] or "main")
    if address.lower().startswith(("http://", "https://")):
        _require_web_address(address)
        return WebAddress(address)
    if "://" in address or address.startswith("hf:"):
        mend = "known: hf:OWNER/NAME, http://, https://, a folder"
        where = f"{address.partition(':')[0]}:"  # behind it a password may stand
        raise UsageError("no address of a published artifact", where=where, mend=mend)
    if os.path.exists(address) and not os.path.isdir(address):  # noqa: PTH110, PTH112 - a name too long is no place
        mend = f"give the folder where {LISTING} lies or is to lie; an archive is unpacked first"
        raise UsageError("is a file, not a folder", where=address, mend=mend)
    return Folder(Path(address))


def _require_web_address(address: str) -> None:
    try:
        parts = urllib.parse.urlsplit(address)
        secret, whole = parts.username or parts.password, parts.hostname and parts.port != 0
    except ValueError:
        secret, whole = None, False
    if secret:
        mend = "give it without: what needs a password is fetched by other means, then published as a folder"
        raise UsageError("an address with a password ends in histories and logs", where="address", mend=mend)
    if not whole or not address.isascii() or any(sign.isspace() for sign in address):
        mend = "such as https://example.org/readers/adult; signs beyond ASCII as %XX"
        raise UsageError("no address of the web", where="address", mend=mend)


class Folder:
    """A folder of this machine, or of one that is mounted."""

    def __init__(self, path: Path) -> None:
        self.path, self.address = path, str(path)

    def read(self, name: str, start: int) -> Opened | None:
        """See Place."""

        def failed(error: Exception) -> ArtifactError:
            mend = "give a folder that may be read"
            return ArtifactError(f"{name}: cannot be read ({in_words(error)})", where=self.address, mend=mend)

        try:
            file = (self.path / name).open("rb")
            file.seek(start)
            return Opened(start, os.fstat(file.fileno()).st_size, file, failed)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(error) from None

    def write(self, name: str, path: Path) -> None:
        """See Place. Raises StorageError."""
        with path.open("rb") as source, writing_whole(self.path / name, needed=path.stat().st_size) as target:
            shutil.copyfileobj(source, target)


class WebAddress:
    """A folder behind a server: files are fetched by GET, from where they broke off, and put by PUT (as WebDAV takes them)."""

    def __init__(self, address: str) -> None:
        self.address = address
        # Neither files nor ftp, wherever a server redirects to.
        handlers = (urllib.request.HTTPHandler, urllib.request.HTTPSHandler, urllib.request.ProxyHandler)
        self._opener = urllib.request.OpenerDirector()
        for handler in (*handlers, urllib.request.HTTPRedirectHandler, urllib.request.HTTPDefaultErrorHandler):
            self._opener.add_handler(handler())
        self._opener.add_handler(urllib.request.HTTPErrorProcessor())

    def read(self, name: str, start: int) -> Opened | None:
        """See Place."""

        def failed(error: Exception) -> ArtifactError:
            return self._failed(name, error, _READING, _AGAIN)

        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            answer = self._opener.open(urllib.request.Request(self._of(name), headers=headers), timeout=TIMEOUT)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                return None
            if error.code == 416:  # nothing lies behind `start`
                return Opened(start, _range_of(error.headers)[1], BytesIO(), failed)
            raise failed(error) from None
        except _FAULTS as error:
            raise failed(error) from None
        begin, total = _range_of(answer.headers) if answer.status == 206 else (0, answer.length)
        return Opened(start if begin == start else 0, total, answer, failed)

    def write(self, name: str, path: Path) -> None:
        """See Place."""
        with path.open("rb") as file:
            headers = {"Content-Length": str(path.stat().st_size), "Content-Type": "application/octet-stream"}
            request = urllib.request.Request(self._of(name), data=file, method="PUT", headers=headers)  # noqa: S310
            try:
                self._opener.open(request, timeout=TIMEOUT).close()
            except _FAULTS as error:
                raise self._failed(name, error, _WRITING, _SEND_AGAIN) from None

    def _failed(self, name: str, error: Exception, mends: dict[int, str], other: str) -> ArtifactError:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            why, mend = f"the server answers {error.code} {error.reason}", mends.get(error.code, other)
            return ArtifactError(f"{name}: {why}", where=self.address, mend=mend)
        why = str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__
        return ArtifactError(f"{name}: {why}", where=self.address, mend=other)

    def _of(self, name: str) -> str:
        return f"{self.address}/{urllib.parse.quote(name)}"


def _range_of(headers: Message) -> tuple[int | None, int | None]:
    """Of an answer with a part: where it begins and how long the whole is, each None where it is not told."""
    match = re.fullmatch(r"bytes (?:(\d{1,16})-\d{1,16}|\*)/(?:(\d{1,16})|\*)", str(headers["Content-Range"]).strip())
    begin, total = match.groups() if match else (None, None)
    return None if begin is None else int(begin), None if total is None else int(total)


class HubRepository(WebAddress):
    """A public repository of the Hugging Face Hub: read by its addresses, written by huggingface_hub with the user's login."""

    def __init__(self, repository: str, revision: str) -> None:
        super().__init__(f"https://huggingface.co/{repository}/resolve/{revision}")
        self.repository, self.revision = repository, revision

    def write(self, name: str, path: Path) -> None:
        """See Place. Raises MissingDependencyError without huggingface_hub."""
        try:
            from huggingface_hub import HfApi
            from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
        except ModuleNotFoundError:
            mend = "pip install 'cxreader[train]'"
            raise MissingDependencyError("publishing to the Hub needs huggingface_hub", mend=mend) from None
        api = HfApi()
        try:
            api.create_repo(self.repository, exist_ok=True)
            api.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=self.repository, revision=self.revision)
        except (HfHubHTTPError, LocalTokenNotFoundError, OSError, ValueError) as error:  # a name that no repository has
            mend = "log in with `hf auth login`, and see whether the repository is yours"
            raise ArtifactError(f"{name}: {type(error).__name__}", where=f"hf:{self.repository}", mend=mend) from None

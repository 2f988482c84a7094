"""Where artifacts are published: a folder, an address of the web, a repository of the Hugging Face Hub."""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, Protocol

from cxreader.atomic import writing_whole
from cxreader.errors import ArtifactError, MissingDependencyError, UsageError
from cxreader.models.exchange.listing import LISTING

TIMEOUT = 30
"""Seconds without a byte after which a server is given up."""
_HUB = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?")


class Place(Protocol):
    """A folder of files, near or far. What cannot be read or written raises ArtifactError, a missing file FileNotFoundError."""

    address: str

    def read(self, name: str, start: int) -> AbstractContextManager[tuple[int, BinaryIO]]:
        """A context with the bytes of a file, and the position from which they really come: `start`, or 0."""
        ...

    def write(self, name: str, path: Path) -> None:
        """Put a file there, over one of that name."""
        ...


def place_of(address: str) -> Place:
    """The place of an address: `hf:OWNER/NAME[@REVISION]`, `http://`, `https://`, or a folder.

    Raises UsageError for another scheme and for an address with a password.
    """
    address = address.removesuffix("/").removesuffix(f"/{LISTING}")
    if (hub := _HUB.fullmatch(address)) is not None:
        return HubRepository(hub["repository"], hub["revision"] or "main")
    parts = urllib.parse.urlsplit(address)
    if parts.scheme in ("http", "https"):
        if parts.username or parts.password:
            mend = "give it without: what needs a password is fetched by other means, then published as a folder"
            raise UsageError("an address with a password ends in histories and logs", where="address", mend=mend)
        return WebAddress(address)
    if "://" in address or address.startswith("hf:"):
        mend = "known: hf:OWNER/NAME, http://, https://, a folder"
        raise UsageError("no address of a published artifact", where=address, mend=mend)
    return Folder(Path(address))


class Folder:
    """A folder of this machine, or of one that is mounted."""

    def __init__(self, path: Path) -> None:
        self.path, self.address = path, str(path)

    @contextmanager
    def read(self, name: str, start: int) -> Iterator[tuple[int, BinaryIO]]:
        """See Place."""
        with (self.path / name).open("rb") as file:
            file.seek(start)
            yield start, file

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

    @contextmanager
    def read(self, name: str, start: int) -> Iterator[tuple[int, BinaryIO]]:
        """See Place."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._asked(urllib.request.Request(self._of(name), headers=headers), name) as answer:  # noqa: S310
            partial = answer.status == 206 and str(answer.headers["Content-Range"]).startswith(f"bytes {start}-")
            yield start if partial else 0, answer

    def write(self, name: str, path: Path) -> None:
        """See Place."""
        with path.open("rb") as file:
            headers = {"Content-Length": str(path.stat().st_size), "Content-Type": "application/octet-stream"}
            request = urllib.request.Request(self._of(name), data=file, method="PUT", headers=headers)  # noqa: S310
            with self._asked(request, name):
                pass

    @contextmanager
    def _asked(self, request: urllib.request.Request, name: str) -> Iterator[HTTPResponse]:
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (404, 410):
                raise FileNotFoundError(name) from None
            raise self._failed(name, f"the server answers {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            raise self._failed(name, str(error.reason)) from None
        except (OSError, HTTPException) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise self._failed(name, str(error) or type(error).__name__) from None

    def _failed(self, name: str, why: str) -> ArtifactError:
        mend = "give the command again, it goes on where it ended; or bring the folder by other means"
        return ArtifactError(f"{name}: {why}", where=self.address, mend=mend)

    def _of(self, name: str) -> str:
        return f"{self.address}/{urllib.parse.quote(name)}"


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
        except (HfHubHTTPError, LocalTokenNotFoundError, OSError) as error:
            mend = "log in with `hf auth login`, and see whether the repository is yours"
            raise ArtifactError(f"{name}: {type(error).__name__}", where=f"hf:{self.repository}", mend=mend) from None

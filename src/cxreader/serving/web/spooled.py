"""Bodies of requests on their way: written to the home's own folder as they come, bounded, and gone when the request ends."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from cxreader.atomic import storage_error
from cxreader.errors import UsageError
from cxreader.serving.web.door import Door

SILENT = 60.0
"""Seconds after which a sender who sends nothing is given up."""
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that was sent: where it lies now, what its sender calls it, and its media type (lower case, without parameters)."""

    path: Path
    name: str
    media: str


@asynccontextmanager
async def spooled(request: Request, door: Door) -> AsyncIterator[list[Spooled]]:
    """The files of a body: each part of a multipart one, else the body itself. They are deleted when the block ends.

    Raises UsageError for a body that is none or is damaged, HTTPException 413 for too much and 408 for silence, StorageError
    for a full disk, and TooManyError where too many others are under way.
    """
    with door.under_way.taken():
        parts = _Parts(door, [])
        try:
            yield await _written(request, parts)
        except OSError as error:
            raise storage_error(error, door.incoming, 0) from None
        finally:
            parts.close()


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """A body as it comes. Raises HTTPException 408 where nothing came for SILENT seconds: whoever went away holds no place."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(SILENT):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HTTPException(408) from None
        yield chunk


async def _written(request: Request, parts: _Parts) -> list[Spooled]:
    media, options = parse_options_header(request.headers.get("content-type"))
    if media.startswith(b"multipart/"):
        await _multipart(request, parts, options.get(b"boundary", b""))
    else:
        parts.begin("", media.decode("latin-1"))
        async for chunk in chunks(request):
            parts.write(chunk)
        parts.end()
    if not any(one.path.stat().st_size for one in parts.kept):
        raise UsageError("nothing was sent", mend="send the file as the body, or as a form's files")
    return parts.kept


class _Parts:
    """Writes parts to files, and remembers how much came."""

    def __init__(self, door: Door, kept: list[Spooled]) -> None:
        self._most = door.settings.web.upload_mib * _MIB
        self._files = door.settings.web.upload_files
        self._folder, self.kept = door.incoming, kept
        self._open: BinaryIO | None = None
        self._came = 0

    def begin(self, name: str, media: str) -> None:
        """A file begins."""
        if len(self.kept) >= self._files:
            raise HTTPException(413)
        path = self._folder / secrets.token_hex(16)
        self._open = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: PTH123, SIM115
        self.kept.append(Spooled(path, name, media))

    def count(self, length: int) -> None:
        """So many bytes came, whatever they are for."""
        self._came += length
        if self._came > self._most:
            raise HTTPException(413)

    def write(self, chunk: bytes) -> None:
        """More of the file that is open."""
        self.count(len(chunk))
        self.put(chunk)

    def put(self, chunk: bytes) -> None:
        """The same for what is counted already; nothing happens between files."""
        if self._open is not None:
            self._open.write(chunk)

    def end(self) -> None:
        """The file is whole."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def close(self) -> None:
        """Delete everything."""
        self.end()
        for one in self.kept:
            one.path.unlink(missing_ok=True)


async def _multipart(request: Request, parts: _Parts, boundary: bytes) -> None:
    """Write each part that is a file (RFC 7578 4.2; all parts of multipart/related, RFC 2387)."""
    if not boundary:
        raise UsageError("a multipart body without its boundary", mend="name it in the header Content-Type")
    related = request.headers.get("content-type", "").lower().startswith("multipart/related")
    reader = _Reader(parts, related=related)
    parser = MultipartParser(boundary, reader.callbacks())
    try:
        async for chunk in chunks(request):
            parts.count(len(chunk))
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise UsageError("the multipart body is damaged", mend="send it again") from None


class _Reader:
    """What the parser calls as it goes; it bounds the headers of a part itself."""

    def __init__(self, parts: _Parts, *, related: bool) -> None:
        self._parts, self._related = parts, related
        self._field = self._value = b""
        self._headers: dict[bytes, bytes] = {}

    def callbacks(self) -> Any:
        """The parser's table."""
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": lambda data, start, end: self._parts.put(data[start:end]),
            "on_part_end": self._parts.end,
        }

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        media, _ = parse_options_header(self._headers.get(b"content-type", b""))
        if self._related or b"filename" in options:
            name = options.get(b"filename", b"").decode("utf-8", "replace").replace("\0", "")
            self._parts.begin(name.replace("\\", "/").rpartition("/")[2], media.decode("latin-1"))

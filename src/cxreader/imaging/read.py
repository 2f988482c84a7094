"""A path or bytes become a Radiograph, by magic bytes and never by the file's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from cxreader.errors import ImageError
from cxreader.imaging import png
from cxreader.imaging.radiograph import Radiograph

FORMATS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
MAX_BYTES = 512 * 1024 * 1024
"""No single radiograph is larger; a larger file is refused before it is loaded."""


def read(source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Radiograph:
    """The radiograph in a file or in `bytes`; `name` stands for bytes in messages.

    Grey PNG (8 or 16 bits) and JPEG as they are; colour, palette and CMYK become grey, transparency is laid on black, an
    EXIF rotation is applied. Raises ImageError, whose `where` is the file, for anything that is not one readable image of
    at least 32 and at most 100 million pixels.
    """
    if isinstance(source, bytes):
        label, data = name or "bytes", source
    else:
        label, data = os.fspath(source), _load(Path(source))
    kind = sniff(data)
    if kind is None:
        what = "the file is empty" if not data else "not a PNG or JPEG image (by its content, whatever its name says)"
        raise ImageError(what, where=label, mend="give the radiograph as PNG or JPEG")
    return png.decode(data, kind, label)


def size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of a file in pixels, from its header alone. Raises ImageError as `read` does."""
    label = os.fspath(path)
    with _opened(Path(path)) as file:
        head = file.read(16)
        kind = sniff(head)
        if kind is None:
            raise ImageError("not a PNG or JPEG image (by its content)", where=label)
        file.seek(0)
        return png.header_size(file, kind, label)


def sniff(data: bytes) -> str | None:
    """PNG or JPEG by the first bytes, None for anything else."""
    return next((kind for magic, kind in FORMATS.items() if data.startswith(magic)), None)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from None


def _load(path: Path) -> bytes:
    try:
        length = path.stat().st_size
        if length > MAX_BYTES:
            raise ImageError(f"the file has {length / 2**20:,.0f} MiB", where=path, mend="at most 512 MiB are read")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> ImageError:
    if path.is_dir():
        return ImageError(
            "is a folder, not an image", where=path, mend="give its files, or the folder to `cxreader read`"
        )
    if isinstance(error, FileNotFoundError):
        return ImageError("no such file", where=path, mend="check the path")
    return ImageError(f"cannot be opened ({error.strerror})", where=path, mend="check its permissions")

"""The central directory of a zip archive (PKWARE APPNOTE 4.3.12), read once, bounded before zipfile makes objects of it."""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from cxreader.errors import ImageError
from cxreader.imaging import files

MAX_MEMBERS = 100_000
MAX_TOTAL = 64 * 2**30
"""Bytes that all members of an archive may have; they are read one at a time."""
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
MAX_DIRECTORY = 64 * 2**20
"""Bytes of an archive's directory: of 100,000 members with names of 600 letters."""
_END, _END_64 = struct.Struct("<4s6xHL6x"), struct.Struct("<4s28xQQ8x")
_LOCATOR, _HEADER = 20, 46


@dataclass(frozen=True, slots=True)
class Directory:
    """What is in an archive: members by name, the last of each; names that several have; how many members there are.

    Folders are separated by `/` in all names, as the standard wants it (PKWARE APPNOTE 4.4.17), whatever the archive has.
    """

    infos: dict[str, zipfile.ZipInfo]
    twice: frozenset[str]
    count: int


@lru_cache(maxsize=8)
def listed(archive: str, size: int, changed: int) -> Directory:  # noqa: ARG001 - parts of the key
    """What is in an archive, read once and not for each member.

    `size` in bytes and `changed`, the time of change, are the file's: another file of the name is read anew. Raises ImageError
    for more than MAX_MEMBERS members or MAX_TOTAL bytes, and what zipfile raises for a damaged archive.
    """
    with files.opened(archive) as opened:
        count = _count(opened, size)
        if count > MAX_MEMBERS:
            what = f"the archive holds {count:,} files"
            raise ImageError(what, where=archive, mend=f"at most {MAX_MEMBERS:,} are read")
        with zipfile.ZipFile(opened) as file:
            infos = file.infolist()
    for info in infos:
        info.filename = _name(info)
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL:
        what = f"the archive holds {len(infos):,} files of {total / 2**30:,.1f} GiB"
        raise ImageError(what, where=archive, mend=f"at most {MAX_TOTAL // 2**30} GiB together are read")
    names = Counter(info.filename for info in infos)
    twice = frozenset(name for name, times in names.items() if times > 1)
    return Directory({info.filename: info for info in infos}, twice, len(infos))


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name; UTF-8 where the bytes are that though their flag (bit 11) is missing, as in archives made by macOS."""
    name = info.filename
    if not info.flag_bits & 0x800 and not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _count(file: BinaryIO, size: int) -> int:
    """How many members the directory of an archive of `size` bytes lists; 0 when it has no end record.

    The end record may lie about the number (PKWARE APPNOTE 4.3.16), so that the directory's own headers count too.
    """
    file.seek(max(0, size - _END.size - 0xFFFF))
    tail = file.read()
    at = len(tail) - _END.size if tail[-_END.size :][:4] == ZIP[1] else tail.rfind(ZIP[1])
    if at < 0 or at + _END.size > len(tail):
        return 0
    _, count, length = _END.unpack_from(tail, at)
    end = size - len(tail) + at
    file.seek(max(0, end - _END_64.size - _LOCATOR))
    record = file.read(_END_64.size + _LOCATOR)
    if record.startswith(b"PK\x06\x06") and record[_END_64.size :].startswith(b"PK\x06\x07"):  # zip64
        _, count, length = _END_64.unpack_from(record)
        end -= _END_64.size + _LOCATOR
    if count > MAX_MEMBERS or length > end:  # zipfile refuses the latter
        return int(count)
    if length > MAX_DIRECTORY:
        return int(length) // _HEADER
    file.seek(end - length)
    return max(int(count), file.read(length).count(b"PK\x01\x02"))

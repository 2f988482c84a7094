"""Files that hold several images: zip archives, whose members are read as bytes, and DICOMDIRs, which name files beside them.

A member is named `archive.zip!/inner/name.dcm`. Nothing is ever unpacked to the disk, a member's size is bounded before it
is inflated, and names that lead out of an archive or a folder are refused.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cxreader import remote
from cxreader.counting import format_count
from cxreader.errors import CxreaderError, ImageError
from cxreader.imaging import files
from cxreader.imaging import zip_directory as zips
from cxreader.imaging.dicom.objects import media_class
from cxreader.imaging.dicom.parse import DIRECTORY_CLASS, parse
from cxreader.imaging.limits import HEAD, MAX_BYTES
from cxreader.imaging.zip_directory import ZIP

SEPARATOR = "!/"
_DOCUMENTS = ("[Content_Types].xml", "mimetype")
"""The members by which documents of office programs are known (OPC, OpenDocument, EPUB)."""
_LOCAL = struct.Struct("<4s22xHH")
_RECORDS = {"DirectoryRecordType": 0x00041430, "ReferencedFileID": 0x00041500}
_NOT_WHOLE = (
    zipfile.BadZipFile,
    struct.error,
    zlib.error,
    NotImplementedError,
    EOFError,
    OSError,
    ValueError,
    IndexError,
)
"""What the standard library is known to raise for damaged archives."""


def is_archive(path: str | os.PathLike[str]) -> bool:
    """True for a zip archive, by its first bytes, that is no document of an office program."""
    return _starts(path, ZIP) and not _is_document(os.fspath(path))


def is_inner_archive(head: bytes) -> bool:
    """True for the first bytes (HEAD) of a zip archive that is no office document, as it may lie in another archive."""
    return head.startswith(ZIP) and not any(name.encode() in head for name in _DOCUMENTS)


def is_member(name: str | os.PathLike[str]) -> bool:
    """True for `archive!/member` where the archive exists; whether it has the member is not looked at."""
    return SEPARATOR in os.fspath(name) and _split(os.fspath(name)) is not None


def refuse(path: str | os.PathLike[str]) -> None:
    """Raise ImageError for a container in an image's place: what it is, and where it is damaged or too large, that."""
    label = os.fspath(path)
    if _starts(path, ZIP) and _is_document(label):
        what, mend = "is a document, not an image", "give the radiograph as DICOM, PNG or JPEG"
    elif is_archive(path):
        count = _directory(label).count
        what, mend = (
            f"is a zip archive of {format_count(count, '[file|files]')}, not an image",
            "give it to `cxreader read`, or name a member",
        )
    else:
        count = len(referenced(path))
        what, mend = (
            f"is a DICOMDIR of {format_count(count, '[file|files]')}, not an image",
            "give it to `cxreader read`, which reads its files",
        )
    raise ImageError(what, where=label, mend=mend)


def members(archive: str | os.PathLike[str]) -> Iterator[tuple[str, bytes | None]]:
    """Name and first HEAD bytes of each file in an archive, hidden ones left out; None for one that cannot be read.

    Raises ImageError for an archive that is damaged, or holds too much.
    """
    label = os.fspath(archive)
    for info in _directory(label).infos.values():
        if info.is_dir() or _is_hidden(info):
            continue
        name = f"{label}{SEPARATOR}{info.filename}"
        try:
            yield name, _inflated(label, info, name, most=HEAD)
        except ImageError:
            yield name, None


def member_names(archive: str | os.PathLike[str]) -> list[str]:
    """The names of an archive's files inside it, hidden ones too. Raises as `members`."""
    return [info.filename for info in _directory(os.fspath(archive)).infos.values() if not info.is_dir()]


def hidden_members(archive: str | os.PathLike[str]) -> int:
    """How many files of an archive `members` leaves out. Raises as it."""
    infos = _directory(os.fspath(archive)).infos.values()
    return sum(_is_hidden(info) and not info.is_dir() for info in infos)


def identity(name: str) -> tuple[int, int]:
    """Size in bytes of a file and its time of change in ns; of a member of an archive its size and CRC-32. Raises OSError.

    By it a file that was read before is known to be the same.
    """
    try:
        if remote.is_remote(name) and SEPARATOR not in name:
            return remote.identity(name)
        found = os.stat(name)  # noqa: PTH116 (one for each of 112,120 images)
    except OSError:
        if SEPARATOR not in name:
            raise
        try:
            info = _member(name)[1]
        except ImageError as error:
            raise FileNotFoundError(str(error)) from None
        return info.file_size, info.CRC
    return found.st_size, found.st_mtime_ns


def is_there(name: str) -> bool:
    """True for a file, and for a member of an archive."""
    try:
        identity(name)
    except OSError:
        return False
    return True


def head(name: str) -> bytes:
    """The first HEAD bytes of a file, or of a member of an archive. Raises ImageError."""
    if is_member(name) and not os.path.lexists(name):
        archive, info = _member(name)
        return _inflated(archive, info, name, most=HEAD)
    return files.first_bytes(name, HEAD)


def read_member(name: str) -> bytes:
    """The bytes of a member, named as `members` names it. Raises ImageError when it cannot, or must not, be read."""
    archive, info = _member(name)
    return _inflated(archive, info, name)


def referenced(dicomdir: str | os.PathLike[str]) -> list[str]:
    """Paths of the files that a DICOMDIR names, in its order (PS3.3 F.3, Referenced File ID).

    Raises ImageError for a damaged one, and for a name that leads out of the DICOMDIR's folder.
    """
    label = os.fspath(dicomdir)
    folder = Path(label).parent
    try:
        data = files.load(label)
        items = parse(data, label).elements.items("DirectoryRecordSequence", _RECORDS, most=MAX_BYTES)
        names = [item.texts("ReferencedFileID") for item in items]
    except CxreaderError:
        raise
    except Exception as error:  # noqa: BLE001 - what pydicom raises for a damaged file is open-ended
        raise ImageError(f"damaged DICOMDIR ({type(error).__name__})", where=label, mend="name its files") from None
    return [str(_beside(folder, name, label)) for name in names if any(name)]


def is_dicomdir(path: str | os.PathLike[str]) -> bool:
    """True for a DICOMDIR, by its content."""
    try:
        return holds_directory(files.first_bytes(path, HEAD))
    except ImageError:
        return False


def holds_directory(head: bytes) -> bool:
    """True for the first bytes (HEAD) of a DICOMDIR: by its Media Storage SOP Class UID, whatever the file is called."""
    return media_class(head) == DIRECTORY_CLASS


def _member(name: str) -> tuple[str, zipfile.ZipInfo]:
    """The archive, and the entry of a member in its directory. Raises ImageError."""
    found = _split(name)
    if found is None:
        raise ImageError("no such file", where=name, mend="check the path")
    archive, inner = found[0], found[1].replace("\\", "/")
    directory = _directory(archive)
    if inner in directory.twice:
        what = "the archive has several members of this name"
        raise ImageError(what, where=name, mend="unpack it with a tool that keeps them all")
    info = directory.infos.get(inner)
    if info is None:
        raise ImageError("no such member in the archive", where=name, mend="check its name")
    return archive, info


def _is_hidden(info: zipfile.ZipInfo) -> bool:
    return any(files.is_hidden(part) and part[:2] != ".." for part in info.filename.split("/"))


def _beside(folder: Path, parts: tuple[str, ...], label: str) -> Path:
    """The file of a record: below the DICOMDIR's folder, in lower case where the disk has it so. Raises ImageError."""
    safe = all(part and part not in (".", "..") and not set(part) & set("/\\:\0") for part in parts)
    path = folder.joinpath(*parts)
    if not safe or not path.resolve().is_relative_to(folder.resolve()):
        raise ImageError("names a file outside its folder", where=label, mend="such a DICOMDIR is not to be trusted")
    lower = folder.joinpath(*(part.lower() for part in parts))
    return lower if not path.exists() and lower.exists() else path


def _split(name: str) -> tuple[str, str] | None:
    """Archive and member, at the first separator whose left side is an archive; None without one."""
    at = name.find(SEPARATOR)
    while at >= 0:
        if is_archive(name[:at]):
            return name[:at], name[at + len(SEPARATOR) :]
        at = name.find(SEPARATOR, at + 1)
    return None


def _starts(path: str | os.PathLike[str], magic: tuple[bytes, ...]) -> bool:
    try:
        return files.first_bytes(path, 4) in magic
    except ImageError:
        return False


def _is_document(archive: str) -> bool:
    """Office programs write zip archives too. One that is damaged, or holds too much, is none: reading it says so."""
    try:
        return any(name in _directory(archive).infos for name in _DOCUMENTS)
    except ImageError:
        return False


def _directory(archive: str) -> zips.Directory:
    try:
        return zips.listed(archive, *identity(archive))
    except _NOT_WHOLE as error:
        raise _damaged(archive, error) from None


def _inflated(archive: str, info: zipfile.ZipInfo, name: str, *, most: int = MAX_BYTES) -> bytes:
    """Up to `most` bytes of a member. Raises ImageError."""
    refusal = _refusal(info)
    if refusal is not None:
        raise ImageError(refusal, where=name, mend="unpack the archive with a tool you trust")
    try:
        with files.opened(archive) as file:  # ZipFile would read the whole directory again for each member
            file.seek(info.header_offset)
            head = file.read(_LOCAL.size)
            magic, names, extra = _LOCAL.unpack(head)
            if magic != ZIP[0]:
                raise zipfile.BadZipFile
            file.seek(names + extra, os.SEEK_CUR)
            packed = file.read(min(info.compress_size, most))
        limit = min(most, info.file_size) + 1  # a member may be larger than it says
        found = (
            packed if info.compress_type == zipfile.ZIP_STORED else zlib.decompressobj(-15).decompress(packed, limit)
        )
    except _NOT_WHOLE as error:
        raise _damaged(name, error) from None
    if most == MAX_BYTES and (len(found) != info.file_size or zlib.crc32(found) != info.CRC):
        raise _damaged(name, zipfile.BadZipFile())
    return found


def _refusal(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not read; None when it may be."""
    inner = PurePosixPath(info.filename)
    if inner.is_absolute() or ".." in inner.parts or ":" in info.filename.split("/")[0]:
        return "the member's name leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "the member is a link"
    if info.flag_bits & 1:
        return "the member is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"the member is compressed by method {info.compress_type}: stored and deflated ones are read"
    if info.file_size > MAX_BYTES:
        return f"the member has {info.file_size / 2**20:,.0f} MiB, at most {MAX_BYTES // 2**20} are read"
    return None


def _damaged(name: str, error: BaseException) -> ImageError:
    return ImageError(f"damaged zip archive ({type(error).__name__})", where=name, mend="copy it again from its source")

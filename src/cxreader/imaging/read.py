"""A path, bytes or a DICOM data set become a Radiograph, by magic bytes and never by the file's name."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from cxreader.errors import ImageError, UsageError
from cxreader.imaging import containers, deep_jpeg, files, raster
from cxreader.imaging.dicom import read as dicom
from cxreader.imaging.dicom.sniff import is_dicom
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.limits import HEAD
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.stored import StoredPicture, of_grey
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.imaging.zip_directory import ZIP

if TYPE_CHECKING:
    from pydicom import Dataset

FORMATS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
"""Magic bytes of the formats that begin with theirs; DICOM has them behind a preamble, or none (`sniff`)."""

_OTHERS = {
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"II+\0": "a TIFF picture",
    b"MM\0+": "a TIFF picture",
    b"BM": "a BMP picture",
    b"GIF8": "a GIF picture",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"NRRD": "an NRRD volume",
    b"\x93NUMPY": "a NumPy array",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file itself",
}
"""What people give besides, by its first bytes."""
_BRANDS = {**dict.fromkeys((b"heic", b"heix", b"mif1"), "an HEIC picture"), b"avif": "an AVIF picture"}
"""By the brand of a file of ISO/IEC 14496-12, such as phones write."""
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def read(
    source: str | os.PathLike[str] | bytes | Dataset,
    *,
    name: str | None = None,
    window: int = 0,
    reserve: Callable[[int], None] | None = None,
    site: SiteTerms | None = None,
    keep: Callable[[StoredPicture], None] | None = None,
) -> Radiograph:
    """The radiograph in a file, in `bytes` or in a pydicom Dataset; `name` stands for the latter two in messages.

    Grey PNG (8 or 16 bits) and JPEG as they are; colour, palette and CMYK become grey, transparency is laid on black, an
    EXIF rotation is applied. DICOM, with or without its preamble, as its header says it is to be shown: `window` chooses
    among the windows there, 0 the first. A member of a zip archive is named `archive.zip!/inner/name.dcm`. `reserve` is called
    with how many pixels the header promises before they are decoded: it may wait until there is room for them. `site`: a site's
    own words for what headers tell. `keep` is called with the picture as it is stored, for viewers. What the picture does
    not need, such as metadata, is not looked at; where a header contradicts the data, these count, and a note says so.
    Raises ImageError, whose `where` is the file, for anything that is not one readable image of at least 32 pixels a side
    and at most 50 million, MissingDecoderError (an ImageError too) when its compression needs a package that is not installed.
    """
    if isinstance(source, bytes | str | os.PathLike):
        label, data = _content(source, name)
        kind = sniff(data)
        if kind is None:
            raise _unknown(data, label)
        if kind in raster.KINDS:
            deep = kind == "JPEG" and raster.is_deep(data, label)
            found = deep_jpeg.decode(data, label, reserve) if deep else raster.decode(data, kind, label, reserve)
            if keep is not None:
                keep(of_grey(found.pixels))
            return found
        return dicom.decode(data, label, window=window, reserve=reserve, site=site, keep=keep)
    from pydicom import Dataset

    if not isinstance(source, Dataset):
        raise UsageError(f"cannot read a {type(source).__name__}", mend="give a path, bytes or a pydicom Dataset")
    return dicom.decode(source, name or "data set", window=window, reserve=reserve, site=site, keep=keep)


def read_header(
    source: str | os.PathLike[str] | bytes,
    *,
    name: str | None = None,
    salt: str | None = None,
    site: SiteTerms | None = None,
) -> DicomHeader:
    """What may leave the header of a DICOM file (see `DicomHeader`), its pixels not decoded.

    With `salt` the patient comes as a salted hash. `site`: a site's own words for terms. Raises ImageError for a file that is
    no DICOM, or damaged.
    """
    file, label = _opened(source, name)
    with file:
        if sniff(file.read(HEAD)) != "DICOM":
            raise ImageError("not a DICOM file (by its content)", where=label)
        file.seek(0)
        return dicom.read_header(file, label, salt=salt, site=site)


def load(source: str | os.PathLike[str]) -> bytes:
    """The bytes that `read` reads of a file, or of a member of a zip archive. Raises ImageError as `read` does."""
    return _content(source, None)[1]


def size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height in pixels of a file's picture, from its header alone (before any EXIF rotation). Raises as `read`."""
    file, label = _opened(path, None)
    with file:
        kind = sniff(file.read(HEAD))
        file.seek(0)
        if kind is None:
            raise ImageError("not a PNG, JPEG or DICOM image (by its content)", where=label)
        return raster.header_size(file, kind, label) if kind in raster.KINDS else dicom.picture_size(file, label)


def sniff(data: bytes) -> str | None:
    """PNG, JPEG or DICOM by the first bytes (`HEAD` of them are enough), None for anything else."""
    found = next((kind for magic, kind in FORMATS.items() if data.startswith(magic)), None)
    if found is None and len(data) > 8:
        return "DICOM" if is_dicom(data) else None
    return found


def _opened(source: str | os.PathLike[str] | bytes, name: str | None) -> tuple[BinaryIO, str]:
    """A source to read from, of a file no more than is read; and its name in messages."""
    if isinstance(source, bytes) or _is_member(source):
        label, data = _content(source, name)
        return io.BytesIO(data), label
    return files.opened(source), os.fspath(source)


def _content(source: str | os.PathLike[str] | bytes, name: str | None) -> tuple[str, bytes]:
    """The source's name in messages, and all its bytes."""
    if isinstance(source, bytes):
        return name or "bytes", source
    label = os.fspath(source)
    if _is_member(source):
        return label, containers.read_member(label)
    data = files.load(source)
    if containers.holds_directory(data[:HEAD]) or data.startswith(ZIP):
        containers.refuse(source)
    return label, data


def _is_member(source: str | os.PathLike[str]) -> bool:
    """True for the name of a member of a zip archive; a file of that very name comes first."""
    return containers.is_member(source) and not os.path.lexists(source)


def _unknown(data: bytes, label: str) -> ImageError:
    if containers.is_inner_archive(data):
        return ImageError("is a zip archive in another", where=label, mend="unpack it, and give it by itself")
    if not data.strip(b"\0"):
        what = "the file holds nothing but zeros" if data else "the file is empty"
        return ImageError(what, where=label, mend=files.COPY_AGAIN)
    other = _other(data)
    kind = "" if other is None else f" but {other}"
    what = f"not a PNG, JPEG or DICOM image{kind} (by its content, whatever its name says)"
    return ImageError(what, where=label, mend="give the radiograph as DICOM, PNG or JPEG")


def _other(data: bytes) -> str | None:
    """What a file of none of the formats is, by its first bytes."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "a WebP picture"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    if data[:64].lstrip().lower().startswith(_PAGES):
        return "a web page or XML"
    if data[257:262] == b"ustar":
        return "a tar archive"
    if data[344:348] in (b"n+1\0", b"ni1\0"):
        return "a NIfTI volume"
    return next((name for magic, name in _OTHERS.items() if data.startswith(magic)), None)

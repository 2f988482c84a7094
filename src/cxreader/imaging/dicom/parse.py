"""Bytes of a DICOM file become its elements: where the data set starts, how it is encoded, where its pixels lie (PS3.5, PS3.10).

pydicom parses; only the tags of `WANTED` are kept. Their values are taken from the bytes here, so that pydicom converts, and
warns about, as few of them as can be.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cxreader.errors import ImageError
from cxreader.imaging.dicom import encoding
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.encoding import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, NEXT
from cxreader.imaging.dicom.repair import without_odd_elements
from cxreader.imaging.dicom.sniff import PREAMBLE
from cxreader.imaging.dicom.tags import WANTED
from cxreader.imaging.limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
"""Media Storage SOP Class of a DICOMDIR."""
MAX_READS = 100_000
"""Pieces that a header is read in, two or so an element; a second of work. Ordinary headers have some hundred elements."""
PIXELS = 0x7FE00010
ODD_ELEMENTS = "elements of the header that cannot be read: left out"
_FIRST_PIXELS = 0x7FE00008  # float pixels; the two kinds of them stand before the whole numbers
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Parsed:
    """A DICOM file, its pixels not decoded.

    `elements`: those of WANTED. `transfer_syntax`: its UID, empty when the file has none. `pixels`: the value of Pixel Data,
    in fragments (PS3.5 A.4) when `encapsulated`; None when the file has none, or only its header was read. `little_endian`:
    the order of bytes in native pixels of 16 bits. `swapped`: 8-bit pixels in words of 16 bits, big endian, so that each pair
    is reversed. `truncated`: the file ends within an element of its header. `notes`: where the data set is not encoded as the
    file says.
    """

    elements: Elements
    transfer_syntax: str
    pixels: memoryview | None = None
    encapsulated: bool = False
    little_endian: bool = True
    swapped: bool = False
    truncated: bool = False
    notes: tuple[str, ...] = ()


class _BoundedFile(io.RawIOBase):
    """A file that is read at most MAX_READS times (ImageError), and never for more bytes than it has."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self._file, self._label, self._left = file, label, MAX_READS
        self._end = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.truncated = False
        """True when an element goes on behind the file's end."""

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            what = "the header has too many elements"
            raise ImageError(what, where=self._label or None, mend="such a file is a bomb or a mistake")
        room = max(0, self._end - self._file.tell())
        found = self._file.read(room if size < 0 else min(size, room))
        self.truncated |= len(found) < size and (bool(found) or size != NEXT)
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = self._file.seek(offset, whence)
        self.truncated |= at > self._end
        return at

    def tell(self) -> int:
        return self._file.tell()


def parse(data: bytes, label: str) -> Parsed:
    """The file in `data`. Raises ImageError for a bomb; pydicom may raise any exception for a damaged file."""
    file = _BoundedFile(io.BytesIO(data), label)
    syntax = _transfer_syntax(file, data)
    inflated = encoding.inflated(data, file.tell(), syntax, label)
    if inflated is not None:
        data, file = inflated, _BoundedFile(io.BytesIO(inflated), label)
    return _mended(file, syntax, data, label, deflated=inflated is not None)


def parse_header(file: BinaryIO, label: str) -> Parsed:
    """The file, read up to its pixels and without them. Raises as `parse`."""
    bounded = _BoundedFile(file, label)
    syntax = _transfer_syntax(bounded, bounded.read(PREAMBLE + 4))
    at = bounded.tell()
    start = bounded.read(NEXT)
    bounded.seek(at)
    if syntax != DEFLATED and encoding.encoding_of(start) is not None:
        try:
            found = _body(bounded, syntax, None)
        except ImageError:
            raise
        except Exception:  # noqa: BLE001 - what pydicom raises for a damaged file is open-ended
            found = None
        if found is not None and not found.truncated:
            return found
    file.seek(0)
    return replace(parse(file.read(MAX_BYTES), label), pixels=None)


def parse_elements(data: bytes, tags: Iterable[int] | None = None, label: str = "") -> tuple[Dataset, str]:
    """The data set of a file up to its pixels, all of it or these tags, and its transfer syntax as `Parsed.transfer_syntax`.

    A deflated one is inflated within MAX_BYTES: pydicom's own `dcmread` knows no bound. Raises as `parse`.
    """
    from pydicom.filereader import read_dataset
    from pydicom.tag import BaseTag

    silence_pydicom()
    file = _BoundedFile(io.BytesIO(data), label)
    syntax = _transfer_syntax(file, data)
    inflated = encoding.inflated(data, file.tell(), syntax, label)
    if inflated is not None:
        file = _BoundedFile(io.BytesIO(inflated), label)
    implicit, little, _ = _encoding(file, syntax, deflated=inflated is not None)
    wanted: list[BaseTag | int] | None = None if tags is None else [BaseTag(tag) for tag in tags]
    found = read_dataset(
        cast("BinaryIO", file), implicit, little, stop_when=lambda tag, *_: tag >= _FIRST_PIXELS, specific_tags=wanted
    )
    return found, syntax


def _mended(file: _BoundedFile, syntax: str, data: bytes, label: str, *, deflated: bool) -> Parsed:
    """The data set at the file's position, and, where it cannot be read to its pixels, without elements that are none."""
    at = file.tell()
    failed: Exception | None = None
    try:
        found = _body(file, syntax, data, deflated=deflated)
        if not found.truncated:
            return found
    except ImageError:
        raise
    except Exception as error:
        if isinstance(error.__context__, ImageError):  # of the bounded file
            raise
        failed = error
    implicit, little = encoding.encoding_of(data[at : at + NEXT]) or (True, True)
    rest = None if implicit else without_odd_elements(data, at, little=little, wanted=(*WANTED.values(), PIXELS))
    if rest is None:
        if failed is not None:
            raise failed
        return found
    again = _BoundedFile(io.BytesIO(rest), label)
    again.seek(at)
    mended = _body(again, syntax, rest, deflated=deflated)
    return replace(mended, notes=(*mended.notes, ODD_ELEMENTS))


def parse_dataset(dataset: Dataset) -> Parsed:
    """A data set in memory, such as one that came over a network. Raises as `parse`."""
    silence_pydicom()
    meta = getattr(dataset, "file_meta", None)
    syntax = str((meta or {}).get("TransferSyntaxUID", "") or "")
    implicit, little = dataset.original_encoding
    if not syntax and little is not None:
        syntax = BIG_ENDIAN if not little else IMPLICIT if implicit else EXPLICIT
    element = dataset.get_item(PIXELS)
    value: Any = None if element is None else element.value
    pixels = memoryview(value) if isinstance(value, bytes | bytearray) else None
    encapsulated = syntax not in ("", IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)
    big = syntax == BIG_ENDIAN
    swapped = big and element is not None and element.VR != "OB"
    return Parsed(Elements(dataset, WANTED), syntax, pixels, encapsulated, not big, swapped)


def silence_pydicom() -> None:
    """Keep pydicom from warning and logging: it quotes values of headers. Called before each use, in case somebody undid it."""
    logger = logging.getLogger("pydicom")
    if logger.level <= logging.CRITICAL:
        logger.setLevel(logging.CRITICAL + 1)
    for _, _, _, module, _ in warnings.filters:
        if getattr(module, "pattern", None) == r"pydicom\b":
            return
    warnings.filterwarnings("ignore", module=r"pydicom\b")


def _body(file: _BoundedFile, syntax: str, data: bytes | None, *, deflated: bool = False) -> Parsed:
    """The data set at the file's position; `data`, all bytes of the file, gives its pixels too."""
    from pydicom.filereader import read_dataset
    from pydicom.tag import BaseTag

    silence_pydicom()
    implicit, little, notes = _encoding(file, syntax, deflated=deflated)
    found: list[int] = []

    def at_pixels(tag: BaseTag, *_: object) -> bool:
        if tag >= _FIRST_PIXELS:
            found.append(int(tag))
        return bool(found)

    wanted: list[BaseTag | int] = [BaseTag(tag) for tag in WANTED.values()]
    dataset = read_dataset(cast("BinaryIO", file), implicit, little, stop_when=at_pixels, specific_tags=wanted)
    elements = Elements(dataset, WANTED)
    if data is None or not found or found[0] != PIXELS:
        return Parsed(elements, syntax, little_endian=little, truncated=file.truncated, notes=notes)
    vr, length, start = _pixel_element(data, file.tell(), implicit=implicit, little=little)
    endless = length == _UNDEFINED
    pixels = memoryview(data)[start:] if endless else memoryview(data)[start : start + length]
    return Parsed(elements, syntax, pixels, endless, little, not little and vr != b"OB", notes=notes)


def _transfer_syntax(file: _BoundedFile, start: bytes) -> str:
    """The UID in the File Meta Information (PS3.10 7.1), empty without one; leaves the file's position at its data set."""
    from pydicom.filereader import read_dataset

    silence_pydicom()
    file.truncated = False  # the first look may have asked a short file for more than it has
    file.seek(PREAMBLE + 4 if start[PREAMBLE : PREAMBLE + 4] == b"DICM" else 0)
    meta = read_dataset(cast("BinaryIO", file), False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    return Elements(meta, {"TransferSyntaxUID": 0x00020010}).text("TransferSyntaxUID") or ""


def _encoding(file: _BoundedFile, syntax: str, *, deflated: bool) -> tuple[bool, bool, tuple[str, ...]]:
    """Whether VRs are implicit, and the order little endian, by the first element; and a note where the file says otherwise."""
    at = file.tell()
    start = file.read(NEXT)
    file.seek(at)
    told = (syntax == IMPLICIT, syntax != BIG_ENDIAN)
    found = encoding.encoding_of(start) or told
    if not syntax or (found == told and deflated == (syntax == DEFLATED)):
        return *found, ()
    said, there = (encoding.named(*told, deflated=syntax == DEFLATED), encoding.named(*found, deflated=deflated))
    return *found, (f"the header says {said}, the data set is {there}: read as it is",)


def _pixel_element(data: bytes, at: int, *, implicit: bool, little: bool) -> tuple[bytes, int, int]:
    """VR, length and start of the value of the Pixel Data element at `at` (PS3.5 7.1).

    Some writers mix explicit and implicit elements: letters where a length would be odd are a VR.
    """
    order = "<" if little else ">"
    vr = bytes(data[at + 4 : at + 6])
    if vr in (b"OB", b"OW", b"UN") and (not implicit or data[at + 6 : at + 8] == b"\0\0"):
        return vr, struct.unpack_from(f"{order}L", data, at + 8)[0], at + 12
    return b"OW", struct.unpack_from(f"{order}L", data, at + 4)[0], at + 8

"""Bytes of a DICOM file become its elements: where the data set starts, how it is encoded, where its pixels lie (PS3.5, PS3.10).

pydicom parses; only the tags of `WANTED` are kept. Their values are taken from the bytes here, so that pydicom converts, and
warns about, as few of them as can be.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from cxreader.errors import ImageError
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.limits import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
PREAMBLE = 128
MAX_READS = 100_000
"""Pieces that a header is read in, two or so an element; a second of work. Ordinary headers have some hundred elements."""
PIXELS = 0x7FE00010
_FIRST_PIXELS = 0x7FE00008  # float pixels; the two kinds of them stand before the whole numbers
_UNDEFINED = 0xFFFFFFFF
_NEXT = 8
"""Bytes of an element's start, which are asked for at the end of a whole file too."""
_DIRECTORY = 0x00041220

WANTED = {
    "MediaStorageSOPClassUID": 0x00020002,
    "DirectoryRecordSequence": _DIRECTORY,
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "Modality": 0x00080060,
    "PresentationIntentType": 0x00080068,
    "PatientID": 0x00100020,
    "IssuerOfPatientID": 0x00100021,
    "PatientSex": 0x00100040,
    "PatientAge": 0x00101010,
    "BodyPartExamined": 0x00180015,
    "ImagerPixelSpacing": 0x00181164,
    "ViewPosition": 0x00185101,
    "PatientPosition": 0x00185100,
    "PatientOrientation": 0x00200020,
    "Laterality": 0x00200060,
    "ImageLaterality": 0x00200062,
    "SamplesPerPixel": 0x00280002,
    "PhotometricInterpretation": 0x00280004,
    "PlanarConfiguration": 0x00280006,
    "NumberOfFrames": 0x00280008,
    "Rows": 0x00280010,
    "Columns": 0x00280011,
    "PixelSpacing": 0x00280030,
    "PixelAspectRatio": 0x00280034,
    "BitsAllocated": 0x00280100,
    "BitsStored": 0x00280101,
    "HighBit": 0x00280102,
    "PixelRepresentation": 0x00280103,
    "PixelPaddingValue": 0x00280120,
    "PixelPaddingRangeLimit": 0x00280121,
    "WindowCenter": 0x00281050,
    "WindowWidth": 0x00281051,
    "RescaleIntercept": 0x00281052,
    "RescaleSlope": 0x00281053,
    "VOILUTFunction": 0x00281056,
    "RedPaletteColorLookupTableDescriptor": 0x00281101,
    "GreenPaletteColorLookupTableDescriptor": 0x00281102,
    "BluePaletteColorLookupTableDescriptor": 0x00281103,
    "RedPaletteColorLookupTableData": 0x00281201,
    "GreenPaletteColorLookupTableData": 0x00281202,
    "BluePaletteColorLookupTableData": 0x00281203,
    "ModalityLUTSequence": 0x00283000,
    "VOILUTSequence": 0x00283010,
    "PresentationLUTShape": 0x20500020,
}
"""The tags that are looked at. The identifier of a patient is hashed, and never leaves (`dicom_header`)."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A DICOM file less its pixels.

    `transfer_syntax` is a UID, empty when the file does not say. `pixels` is the value of Pixel Data (encapsulated when
    `encapsulated`), None when the file has none or only its header was read. `swapped`: 8-bit pixels whose bytes stand
    pairwise reversed (OW in big endian). `truncated`: the file ends within an element of its header.
    """

    elements: Elements
    transfer_syntax: str
    pixels: memoryview | None = None
    encapsulated: bool = False
    little_endian: bool = True
    swapped: bool = False
    truncated: bool = False


def is_dicom(data: bytes) -> bool:
    """True for the first bytes (132 or more) of a DICOM file, with or without its preamble."""
    return data[PREAMBLE : PREAMBLE + 4] == b"DICM" or _bare(data)


class _BoundedFile(io.RawIOBase):
    """A file that is asked no more often than a header needs, and never for more than it has."""

    def __init__(self, file: BinaryIO, label: str) -> None:
        self._file, self._label, self._left = file, label, MAX_READS
        self._end = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.truncated = False
        """True when an element was met that goes on behind the file's end."""

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            what = "the header has too many elements"
            raise ImageError(what, where=self._label, mend="such a file is a bomb or a mistake")
        room = max(0, self._end - self._file.tell())
        found = self._file.read(room if size < 0 else min(size, room))
        self.truncated |= len(found) < size and (bool(found) or size != _NEXT)
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = self._file.seek(offset, whence)
        self.truncated |= at > self._end
        return at

    def tell(self) -> int:
        return self._file.tell()


def parse(data: bytes, label: str) -> Parsed:
    """The file in `data`, its pixels not decoded. Raises ImageError when it is damaged; pydicom may raise anything."""
    file = _BoundedFile(io.BytesIO(data), label)
    syntax = _transfer_syntax(file, data)
    if syntax == DEFLATED:
        data = _inflated(data, file.tell(), label)
        file = _BoundedFile(io.BytesIO(data), label)
    return _body(file, syntax, data)


def parse_header(file: BinaryIO, label: str) -> Parsed:
    """The file less its pixels, reading no further than needed. Raises as `parse`."""
    guarded = _BoundedFile(file, label)
    syntax = _transfer_syntax(guarded, guarded.read(PREAMBLE + 4))
    if syntax == DEFLATED:
        guarded = _BoundedFile(io.BytesIO(_inflated(guarded.read(MAX_BYTES), 0, label)), label)
    return _body(guarded, syntax, None)


def parse_dataset(dataset: Dataset) -> Parsed:
    """A data set in memory, as one that came over a network is. Raises as `parse`."""
    quiet()
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


def quiet() -> None:
    """Nothing that pydicom warns of or logs leaves: it may quote values of a header. Done again when somebody undid it."""
    logger = logging.getLogger("pydicom")
    if logger.level <= logging.CRITICAL:
        logger.setLevel(logging.CRITICAL + 1)
    for _, _, _, module, _ in warnings.filters:
        if getattr(module, "pattern", None) == r"pydicom\b":
            return
    warnings.filterwarnings("ignore", module=r"pydicom\b")


def _body(file: _BoundedFile, syntax: str, data: bytes | None) -> Parsed:
    """The data set at the file's position; with `data`, all bytes of the file, its pixels are found too."""
    from pydicom.filereader import read_dataset
    from pydicom.tag import BaseTag

    quiet()
    implicit, little = syntax == IMPLICIT, syntax != BIG_ENDIAN
    if not syntax:
        implicit, little = _guessed(file)
    found: list[int] = []

    def at_pixels(tag: BaseTag, *_: object) -> bool:
        if tag >= _FIRST_PIXELS:
            found.append(int(tag))
        return bool(found)

    wanted: list[BaseTag | int] = [BaseTag(tag) for tag in WANTED.values()]
    dataset = read_dataset(cast("BinaryIO", file), implicit, little, stop_when=at_pixels, specific_tags=wanted)
    elements = Elements(dataset, WANTED)
    if data is None or not found or found[0] != PIXELS:
        return Parsed(elements, syntax, little_endian=little, truncated=file.truncated and not found)
    vr, length, start = _pixel_element(data, file.tell(), implicit=implicit, little=little)
    endless = length == _UNDEFINED
    pixels = memoryview(data)[start:] if endless else memoryview(data)[start : start + length]
    return Parsed(elements, syntax, pixels, endless, little, not little and vr != b"OB")


def _transfer_syntax(file: _BoundedFile, start: bytes) -> str:
    """The UID that the file's meta information tells, empty when it has none; the file then stands at its data set."""
    from pydicom.filereader import read_dataset

    quiet()
    file.truncated = False  # the first look may have asked a short file for more than it has
    file.seek(PREAMBLE + 4 if start[PREAMBLE : PREAMBLE + 4] == b"DICM" else 0)
    meta = read_dataset(cast("BinaryIO", file), False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
    return Elements(meta, {"TransferSyntaxUID": 0x00020010}).text("TransferSyntaxUID") or ""


def _guessed(file: _BoundedFile) -> tuple[bool, bool]:
    """Implicit value representations, little endian: by the first element, where no transfer syntax is told."""
    at = file.tell()
    first = file.read(6)
    file.seek(at)
    explicit = len(first) == 6 and first[4:6].isalpha() and first[4:6].isupper()
    return not explicit, not (explicit and first[0] == 0 and first[1] != 0)


def _pixel_element(data: bytes, at: int, *, implicit: bool, little: bool) -> tuple[bytes, int, int]:
    """VR, length and start of the value of the element at `at`."""
    order = "<" if little else ">"
    if implicit:
        return b"OW", struct.unpack_from(f"{order}L", data, at + 4)[0], at + 8
    vr = bytes(data[at + 4 : at + 6])
    if not vr.isalpha():  # an implicit element in an explicit file, which some writers make
        return b"OW", struct.unpack_from(f"{order}L", data, at + 4)[0], at + 8
    return vr, struct.unpack_from(f"{order}L", data, at + 8)[0], at + 12


def _inflated(data: bytes, start: int, label: str) -> bytes:
    """A deflated data set, and no more than MAX_BYTES of it."""
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    found = engine.decompress(memoryview(data)[start:], MAX_BYTES)
    if engine.unconsumed_tail:
        what = f"the deflated data set has more than {MAX_BYTES // 2**20} MiB"
        raise ImageError(what, where=label, mend="such a file is a bomb or a mistake")
    return found


def _bare(data: bytes) -> bool:
    """True when the bytes start with the elements of a DICOM file that has no preamble.

    Two elements in a row must make sense: the first of group 2 or 8, the second behind it.
    """
    for order, explicit in (("<", True), ("<", False), (">", True)):
        try:
            first, next_at = _element(data, 0, order, explicit=explicit)
            second, _ = _element(data, next_at, order, explicit=explicit)
        except (struct.error, ValueError):
            continue
        if first >> 16 in (2, 8) and first & 0xFFFF <= 0x0070 and first < second and second >> 16 <= 0x0010:
            return True
    return False


_KNOWN_VR = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UI UL US OB SQ UT UC UR".split())


def _element(data: bytes, at: int, order: str, *, explicit: bool) -> tuple[int, int]:
    """Tag of the element at `at`, and where the next one starts. Raises ValueError when it is none, struct.error at the end."""
    group, element = struct.unpack_from(f"{order}HH", data, at)
    if not explicit:
        (length,) = struct.unpack_from("<L", data, at + 4)
        after = at + 8 + length
    else:
        vr = bytes(data[at + 4 : at + 6])
        if vr not in _KNOWN_VR:
            raise ValueError("no value representation")
        long = vr in (b"OB", b"SQ", b"UT", b"UC", b"UR")
        (length,) = struct.unpack_from(f"{order}{'L' if long else 'H'}", data, at + (8 if long else 6))
        after = at + (12 if long else 8) + length
    if length > 1024:
        raise ValueError("too long for a first element")
    return group << 16 | element, after

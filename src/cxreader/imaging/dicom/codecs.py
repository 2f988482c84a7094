"""Pixel Data becomes stored values: which decoder reads which transfer syntax, and what is checked before it is called.

Native decoders trust what a codestream promises. Its size, precision and components are therefore compared with the
header's first, so that no decoder allocates, or writes, more than the picture takes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError, MissingDecoderError
from cxreader.imaging.dicom import codestreams
from cxreader.imaging.dicom.lossless import rewritten
from cxreader.imaging.dicom.parse import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, Parsed
from cxreader.imaging.jpeg import refuse_many_scans
from cxreader.imaging.limits import MAX_PIXELS
from cxreader.imaging.terms import PHOTOMETRIC

RLE = "1.2.840.10008.1.2.5"
_JPEG = "1.2.840.10008.1.2.4."
BASELINE, EXTENDED = f"{_JPEG}50", f"{_JPEG}51"
LOSSLESS = frozenset((f"{_JPEG}57", f"{_JPEG}70"))
JPEG_LS = frozenset((f"{_JPEG}80", f"{_JPEG}81"))
JPEG_2000 = frozenset((f"{_JPEG}90", f"{_JPEG}91"))
NATIVE = frozenset(("", IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED))

PIP = "pip install 'cxreader[dicom]'"
PIP_GPL = "pip install 'cxreader[dicom-gpl]' (its decoder is under the GPL, version 3: nobody gets it unasked)"
_AGAIN = "copy the file again from its source"
_UNREADABLE = "give the picture itself, as the device or the archive exports it"


StoredPixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class ImagePixelModule:
    """How the pixels of a file are stored: the header's image pixel module, checked.

    `allocated` and `stored` bits, `high` the highest of the stored ones; `signed` two's complement. `samples` 1 or 3 a
    pixel, `planar` when all of one sample come before the next.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    high: int
    signed: bool
    planar: bool

    @property
    def codes(self) -> int:
        """How many values a sample can have."""
        return 1 << self.stored


def layout(parsed: Parsed, label: str) -> ImagePixelModule:
    """The image pixel module. Raises ImageError when it is incomplete, impossible, or describes no single picture."""
    e = parsed.elements
    frames = e.integer("NumberOfFrames", 1)
    if frames > 1:
        raise ImageError(f"the file holds {frames} frames", where=label, mend="give one image a file")
    rows, columns = e.integer("Rows", 0), e.integer("Columns", 0)
    if parsed.truncated:
        raise ImageError("the file is cut short within its header", where=label, mend=_AGAIN)
    if rows < 1 or columns < 1:
        what = "a DICOM file without a picture (no rows and columns)"
        raise ImageError(what, where=label, mend="give an image: this may be a report, a plan or a presentation state")
    if rows * columns > MAX_PIXELS:
        raise ImageError(
            f"the header promises {columns} x {rows} pixels",
            where=label,
            mend=f"at most {MAX_PIXELS // 10**6} million are read: reduce the image",
        )
    samples, allocated = e.integer("SamplesPerPixel", 1), e.integer("BitsAllocated", 0)
    stored = e.integer("BitsStored", allocated)
    high = e.integer("HighBit", stored - 1)
    photometric = e.code("PhotometricInterpretation") or "MONOCHROME2"
    if photometric not in PHOTOMETRIC:
        mend = "correct it: MONOCHROME1 and MONOCHROME2, RGB, YBR and palettes are read"
        raise ImageError("the photometric interpretation is no known term", where=label, mend=mend)
    found = ImagePixelModule(
        rows, columns, samples, photometric, allocated, stored,
        high if stored - 1 <= high < allocated else stored - 1,
        e.integer("PixelRepresentation", 0) == 1, e.integer("PlanarConfiguration", 0) == 1,
    )  # fmt: skip
    if not allocated:
        raise ImageError(
            "the header does not say how many bits a pixel has", where=label, mend="export the image again"
        )
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        what = f"pixels of {stored} bits in {allocated}"
        raise ImageError(what, where=label, mend="radiographs have at most 16 bits in 8 or 16")
    if samples not in (1, 3) or (samples == 3 and allocated != 8):
        what = f"{samples} samples of {allocated} bits a pixel"
        raise ImageError(what, where=label, mend="grey of 8 or 16 bits and colour of 3 x 8 bits are read")
    return found


def stored_values(parsed: Parsed, form: ImagePixelModule, label: str) -> tuple[StoredPixels, str]:
    """Raw words of the picture and their photometric interpretation, which a decoder may have changed.

    uint8 or uint16, (H, W) or (H, W, 3), as stored: neither shifted, masked nor given a sign. Raises ImageError for pixels
    that are missing, cut short or damaged, MissingDecoderError for a decoder that is not installed.
    """
    if parsed.pixels is None:
        raise ImageError("a DICOM file without pixels", where=label, mend=_UNREADABLE)
    if parsed.transfer_syntax in NATIVE:
        if parsed.encapsulated:
            what = "compressed pixels, and a header that does not say how"
            raise ImageError(what, where=label, mend=_UNREADABLE)
        return _native(parsed, form, label)
    return _compressed(parsed, form, label)


def _native(parsed: Parsed, form: ImagePixelModule, label: str) -> tuple[StoredPixels, str]:
    data, count = parsed.pixels, form.rows * form.columns * form.samples
    assert data is not None  # noqa: S101 - stored_values has looked
    halved = form.photometric == "YBR_FULL_422"  # two pixels share their colour
    needed = (count * 2 // 3 if halved else count) * form.allocated // 8
    if len(data) < needed:
        what = f"the pixels are cut short: {len(data):,} bytes of {needed:,}"
        raise ImageError(what, where=label, mend=_AGAIN)
    if form.allocated == 16:
        words = np.frombuffer(data, "<u2" if parsed.little_endian else ">u2", count)
        return _shaped(words if parsed.little_endian else words.astype(np.uint16), form), form.photometric
    octets = np.frombuffer(data, np.uint8)
    if parsed.swapped:
        octets = octets[: len(octets) // 2 * 2].view(np.uint16).byteswap().view(np.uint8)
    if halved:
        if form.columns % 2:
            raise ImageError("YBR_FULL_422 with an odd number of columns", where=label, mend=_UNREADABLE)
        pairs = octets[:needed].reshape(form.rows, form.columns // 2, 4)
        return _pairs(pairs), "YBR_FULL"
    return _shaped(octets[:count], form), form.photometric


def _pairs(pairs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W/2, 4) of Y Y Cb Cr as (H, W, 3) (PS3.3 C.7.6.3.1.2)."""
    full = np.empty((pairs.shape[0], pairs.shape[1], 2, 3), np.uint8)
    full[..., 0], full[..., 1], full[..., 2] = pairs[..., :2], pairs[..., 2:3], pairs[..., 3:]
    return full.reshape(pairs.shape[0], -1, 3)


def _shaped(flat: NDArray[Any], form: ImagePixelModule) -> NDArray[Any]:
    if form.samples == 1:
        return flat.reshape(form.rows, form.columns)
    if form.planar:
        return flat.reshape(3, form.rows, form.columns).transpose(1, 2, 0)
    return flat.reshape(form.rows, form.columns, 3)


def _compressed(parsed: Parsed, form: ImagePixelModule, label: str) -> tuple[StoredPixels, str]:
    syntax = parsed.transfer_syntax
    if not _known(syntax):
        raise ImageError(f"the transfer syntax {_uid(syntax)} is not read", where=label, mend=_UNREADABLE)
    frame = codestreams.frame(parsed.pixels, label)
    if syntax == RLE:
        codestreams.check_rle(frame, form.rows * form.columns, form.samples * form.allocated // 8, label)
        precision = form.allocated
    elif syntax in JPEG_2000:
        frame = codestreams.codestream(frame, label)
        precision = codestreams.check_jpeg_2000(frame, (form.columns, form.rows, form.samples), label)
    else:
        kinds = "lossless" if syntax in LOSSLESS else "JPEG-LS" if syntax in JPEG_LS else "DCT"
        precision = codestreams.check_jpeg(frame, kinds, (form.columns, form.rows, form.samples), label)
        refuse_many_scans(frame, form.rows * form.columns, label)
        frame = rewritten(frame, label) if syntax in LOSSLESS else frame
    if (precision + 7) // 8 > form.allocated // 8:
        what = f"samples of {precision} bits, the header has room for {form.allocated}"
        raise ImageError(what, where=label, mend=_UNREADABLE)
    return _decoded(syntax, frame, precision, form, label)


def _decoded(syntax: str, frame: bytes, precision: int, form: ImagePixelModule, label: str) -> tuple[StoredPixels, str]:
    from pydicom.pixels.decoders.base import get_decoder  # imports every decoder that is installed

    decoder = get_decoder(syntax)
    plugin = _plugin(syntax, precision, decoder.available_plugins, label)
    options: dict[str, Any] = {
        "rows": form.rows,
        "columns": form.columns,
        "samples_per_pixel": form.samples,
        "photometric_interpretation": form.photometric,
        "bits_allocated": form.allocated,
        "bits_stored": form.stored,
        "pixel_representation": int(form.signed),
        "planar_configuration": int(form.planar),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
    if syntax not in JPEG_2000 | JPEG_LS:
        options["correct_unused_bits"] = False  # masked by who asked
    item = b"\xfe\xff\x00\xe0"
    source = b"".join((item, bytes(4), item, struct.pack("<L", len(frame)), frame, b"\xfe\xff\xdd\xe0", bytes(4)))
    try:
        array, about = decoder.as_array(source, index=0, raw=True, validate=False, decoding_plugin=plugin, **options)
    except Exception as error:  # noqa: BLE001 - a decoder raises whatever it likes, and may quote what it read
        what = f"damaged pixels ({plugin} cannot decode them: {type(error).__name__})"
        raise ImageError(what, where=label, mend=_AGAIN) from None
    words: StoredPixels = np.asarray(array).view(np.uint8) if form.allocated == 8 else np.asarray(array).view(np.uint16)
    return words, str(about["photometric_interpretation"])


def _known(syntax: str) -> bool:
    return syntax in (RLE, BASELINE, EXTENDED) or syntax in LOSSLESS | JPEG_LS | JPEG_2000


def _plugin(syntax: str, precision: int, available: tuple[str, ...], label: str) -> str:
    """The decoder that reads this, by name. pydicom would take the first of those installed, whichever that is."""
    if syntax in (BASELINE, EXTENDED) and precision == 8:
        return "pillow"
    if syntax == RLE:
        return "pylibjpeg" if "pylibjpeg" in available else "pydicom"  # the same picture, ten times slower
    if syntax in (BASELINE, EXTENDED):
        wanted, mend = "pylibjpeg", PIP_GPL
    else:
        wanted, mend = ("gdcm" if syntax in LOSSLESS else "pyjpegls" if syntax in JPEG_LS else "pylibjpeg"), PIP
    if wanted not in available:
        raise MissingDecoderError(f"no decoder for {name(syntax)} is installed", where=label, mend=mend)
    return wanted


def name(syntax: str) -> str:
    """What people call a transfer syntax."""
    if syntax in LOSSLESS:
        return "JPEG Lossless"
    if syntax in JPEG_LS:
        return "JPEG-LS"
    if syntax in JPEG_2000:
        return "JPEG 2000"
    return {RLE: "RLE", BASELINE: "JPEG Baseline", EXTENDED: "12-bit JPEG Extended"}.get(syntax, _uid(syntax))


def _uid(text: str) -> str:
    """A UID, and nothing that only stands where one should."""
    return text if len(text) <= 64 and set(text) <= set("0123456789.") else "(not a UID)"

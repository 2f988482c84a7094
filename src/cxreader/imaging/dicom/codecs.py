"""Pixel Data becomes stored values: which decoder reads which transfer syntax (PS3.5 A.4), and what is checked before.

Native decoders trust what a codestream promises. Its size, precision and components are therefore compared with the
header's first, so that no decoder allocates, or writes, more than the picture takes.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError, MissingDecoderError
from cxreader.imaging.dicom import codestreams
from cxreader.imaging.dicom.lossless import rewritten
from cxreader.imaging.dicom.parse import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, Parsed
from cxreader.imaging.dicom.pixel_module import ImagePixelModule
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.jpeg import refuse_many_scans

RLE = "1.2.840.10008.1.2.5"
_JPEG = "1.2.840.10008.1.2.4."
BASELINE, EXTENDED = f"{_JPEG}50", f"{_JPEG}51"
LOSSLESS = frozenset((f"{_JPEG}57", f"{_JPEG}70"))
JPEG_LS = frozenset((f"{_JPEG}80", f"{_JPEG}81"))
JPEG_2000 = frozenset((f"{_JPEG}90", f"{_JPEG}91"))
NATIVE = frozenset(("", IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED))
_NAMES = {
    RLE: "RLE",
    BASELINE: "JPEG Baseline",
    EXTENDED: "12-bit JPEG Extended",
    **dict.fromkeys(LOSSLESS, "JPEG Lossless"),
    **dict.fromkeys(JPEG_LS, "JPEG-LS"),
    **dict.fromkeys(JPEG_2000, "JPEG 2000"),
}
"""What people call the compressed transfer syntaxes that are read."""

PIP = "pip install 'cxreader[dicom]'"
PIP_GPL = "pip install 'cxreader[dicom-gpl]' (its decoder is under the GPL, version 3: nobody gets it unasked)"
_UNREADABLE = "give the picture itself, as the device or the archive exports it"

StoredPixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) or (H, W, 3), the pixel cells of `allocated` bits as they are stored: neither shifted, masked nor given a sign."""


def stored_values(parsed: Parsed, module: ImagePixelModule, label: str) -> tuple[StoredPixels, str]:
    """The decoded pixel cells of Pixel Data, and their photometric interpretation, which a decoder may have changed.

    Raises ImageError for pixels that are missing, cut short, damaged or of a transfer syntax that is not read,
    MissingDecoderError for a decoder that is not installed.
    """
    if parsed.pixels is None:
        raise ImageError("a DICOM file without pixels", where=label, mend=_UNREADABLE)
    if parsed.transfer_syntax in NATIVE:
        if parsed.encapsulated:
            what = "compressed pixels, and a header that does not say how"
            raise ImageError(what, where=label, mend=_UNREADABLE)
        return _native(parsed, module, label)
    return _compressed(parsed, module, label)


def _native(parsed: Parsed, module: ImagePixelModule, label: str) -> tuple[StoredPixels, str]:
    """Uncompressed pixels (PS3.5 8.1, annex A.1 to A.3 and A.5)."""
    data, count = parsed.pixels, module.rows * module.columns * module.samples
    assert data is not None  # noqa: S101 - stored_values has looked
    subsampled = module.photometric == "YBR_FULL_422"  # two pixels share their colour
    needed = (count * 2 // 3 if subsampled else count) * module.allocated // 8
    if len(data) < needed:
        what = f"the pixels are cut short: {len(data):,} bytes of {needed:,}"
        raise ImageError(what, where=label, mend=COPY_AGAIN)
    if module.allocated == 16:
        pixels = np.frombuffer(data, "<u2" if parsed.little_endian else ">u2", count)
        return _shaped(pixels if parsed.little_endian else pixels.astype(np.uint16), module), module.photometric
    octets = np.frombuffer(data, np.uint8)
    if parsed.swapped:
        octets = octets[: len(octets) // 2 * 2].view(np.uint16).byteswap().view(np.uint8)
    if subsampled:
        if module.columns % 2:
            raise ImageError("YBR_FULL_422 with an odd number of columns", where=label, mend=_UNREADABLE)
        return _upsampled(octets[:needed].reshape(module.rows, module.columns // 2, 4)), "YBR_FULL"
    return _shaped(octets[:count], module), module.photometric


def _upsampled(pairs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W/2, 4) of Y Y Cb Cr as (H, W, 3) (PS3.3 C.7.6.3.1.2)."""
    full = np.empty((pairs.shape[0], pairs.shape[1], 2, 3), np.uint8)
    full[..., 0], full[..., 1], full[..., 2] = pairs[..., :2], pairs[..., 2:3], pairs[..., 3:]
    return full.reshape(pairs.shape[0], -1, 3)


def _shaped(flat: NDArray[Any], module: ImagePixelModule) -> NDArray[Any]:
    if module.samples == 1:
        return flat.reshape(module.rows, module.columns)
    if module.planar:
        return flat.reshape(3, module.rows, module.columns).transpose(1, 2, 0)
    return flat.reshape(module.rows, module.columns, 3)


def _compressed(parsed: Parsed, module: ImagePixelModule, label: str) -> tuple[StoredPixels, str]:
    syntax = parsed.transfer_syntax
    if syntax not in _NAMES:
        raise ImageError(f"the transfer syntax {_uid(syntax)} is not read", where=label, mend=_UNREADABLE)
    frame = codestreams.frame(parsed.pixels, label)
    if syntax == RLE:
        codestreams.check_rle(frame, module.rows * module.columns, module.samples * module.allocated // 8, label)
        precision = module.allocated
    elif syntax in JPEG_2000:
        frame = codestreams.codestream(frame, label)
        precision = codestreams.check_jpeg_2000(frame, (module.columns, module.rows, module.samples), label)
    else:
        kind = "lossless" if syntax in LOSSLESS else "JPEG-LS" if syntax in JPEG_LS else "DCT"
        precision = codestreams.check_jpeg(frame, kind, (module.columns, module.rows, module.samples), label)
        refuse_many_scans(frame, module.rows * module.columns, label)
        frame = rewritten(frame, label) if syntax in LOSSLESS else frame
    if (precision + 7) // 8 > module.allocated // 8:
        what = f"samples of {precision} bits, the header has room for {module.allocated}"
        raise ImageError(what, where=label, mend=_UNREADABLE)
    return _decoded(syntax, frame, precision, module, label)


def _decoded(
    syntax: str, frame: bytes, precision: int, module: ImagePixelModule, label: str
) -> tuple[StoredPixels, str]:
    from pydicom.pixels.decoders.base import get_decoder  # imports every decoder that is installed

    decoder = get_decoder(syntax)
    plugin = _plugin(syntax, precision, decoder.available_plugins, label)
    options: dict[str, Any] = {
        "rows": module.rows,
        "columns": module.columns,
        "samples_per_pixel": module.samples,
        "photometric_interpretation": module.photometric,
        "bits_allocated": module.allocated,
        "bits_stored": module.stored,
        "pixel_representation": int(module.signed),
        "planar_configuration": int(module.planar),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
    if syntax not in JPEG_2000 | JPEG_LS:
        options["correct_unused_bits"] = False  # `dicom.read` masks them
    item = b"\xfe\xff\x00\xe0"
    source = b"".join((item, bytes(4), item, struct.pack("<L", len(frame)), frame, b"\xfe\xff\xdd\xe0", bytes(4)))
    try:
        array, about = decoder.as_array(source, index=0, raw=True, validate=False, decoding_plugin=plugin, **options)
    except Exception as error:  # noqa: BLE001 - a decoder raises whatever it likes, and may quote what it read
        what = f"damaged pixels ({plugin} cannot decode them: {type(error).__name__})"
        raise ImageError(what, where=label, mend=COPY_AGAIN) from None
    cells = np.asarray(array)
    pixels: StoredPixels = cells.view(np.uint8) if module.allocated == 8 else cells.view(np.uint16)
    return pixels, str(about["photometric_interpretation"])


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
        raise MissingDecoderError(f"no decoder for {_NAMES[syntax]} is installed", where=label, mend=mend)
    return wanted


def _uid(text: str) -> str:
    """A UID as it is; anything else in its place may be a name, and is not repeated."""
    return text if len(text) <= 64 and set(text) <= set("0123456789.") else "(not a UID)"

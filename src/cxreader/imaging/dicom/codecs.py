"""Pixel Data becomes stored values: which decoder reads which transfer syntax (PS3.5 A.4), and what is checked before.

Native decoders trust what a codestream promises. Its size, precision and components are therefore compared with the
header's first, so that no decoder allocates, or writes, more than the picture takes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError, MissingDecoderError
from cxreader.imaging.dicom import codestreams
from cxreader.imaging.dicom.encoding import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from cxreader.imaging.dicom.lossless import rewritten
from cxreader.imaging.dicom.parse import Parsed
from cxreader.imaging.dicom.pixel_module import ImagePixelModule
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.formats.jpeg import refuse_many_scans, sequential
from cxreader.imaging.refusing import PERHAPS, refusing

RLE = "1.2.840.10008.1.2.5"
_JPEG = "1.2.840.10008.1.2.4."
BASELINE, EXTENDED = f"{_JPEG}50", f"{_JPEG}51"
LOSSLESS = frozenset((f"{_JPEG}57", f"{_JPEG}70"))
JPEG_LS = frozenset((f"{_JPEG}80", f"{_JPEG}81"))
HTJ2K = frozenset((f"{_JPEG}201", f"{_JPEG}202", f"{_JPEG}203"))
JPEG_2000 = frozenset((f"{_JPEG}90", f"{_JPEG}91")) | HTJ2K
NATIVE = frozenset(("", IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED))
_FAMILIES = {
    "RLE": (RLE,),
    "DCT": (BASELINE, EXTENDED),
    "lossless": (f"{_JPEG}70", *LOSSLESS),
    "JPEG-LS": (f"{_JPEG}80", *JPEG_LS),
    "JPEG 2000": (f"{_JPEG}90", f"{_JPEG}91"),
    "HTJ2K": (f"{_JPEG}201", *HTJ2K),
}
"""By what a compressed picture is (`codestreams.family`): transfer syntaxes that may hold it, first the one it is decoded by."""
_NAMES = {
    RLE: "RLE",
    BASELINE: "JPEG Baseline",
    EXTENDED: "12-bit JPEG Extended",
    **dict.fromkeys(LOSSLESS, "JPEG Lossless"),
    **dict.fromkeys(JPEG_LS, "JPEG-LS"),
    **dict.fromkeys(JPEG_2000, "JPEG 2000"),
    **dict.fromkeys(HTJ2K, "HTJ2K"),
}
"""What people call the compressed transfer syntaxes that are read."""

PIP = "pip install 'cxreader[dicom]'"
PIP_GPL = "pip install 'cxreader[dicom-gpl]' (its decoder is under the GPL, version 3: nobody gets it unasked)"
_UNREADABLE = "give the picture itself, as the device or the archive exports it"

StoredPixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) or (H, W, 3), the pixel cells of `allocated` bits as they are stored: neither shifted, masked nor given a sign."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The decoded pixel cells of Pixel Data.

    `photometric`: their photometric interpretation, which a decoder may have changed. `module`: how they are stored, which is the
    header's unless the data say otherwise; `notes` tell where they do.
    """

    pixels: StoredPixels
    photometric: str
    module: ImagePixelModule
    notes: tuple[str, ...] = ()


def stored_values(parsed: Parsed, module: ImagePixelModule, label: str) -> Stored:
    """The pixel cells of a file: native or compressed as the data are, whatever its transfer syntax says.

    Raises ImageError for pixels that are missing, cut short, damaged or of a transfer syntax that is not read,
    MissingDecoderError for a decoder that is not installed.
    """
    data, syntax = parsed.pixels, parsed.transfer_syntax
    if data is None:
        raise ImageError("a DICOM file without pixels", where=label, mend=_UNREADABLE)
    in_fragments = codestreams.is_encapsulated(data) and (parsed.encapsulated or syntax not in NATIVE)
    whole = len(data) >= _native_bytes(module)
    if syntax in NATIVE and not in_fragments and (whole or codestreams.family(data) is None):
        return _native(parsed, data, module, label)
    if not in_fragments and codestreams.family(data) is None and not (syntax == RLE and codestreams.is_rle(data)):
        if syntax in _NAMES and whole:
            found = _native(parsed, data, module, label)
            note = f"the header says {_NAMES[syntax]}, the pixels are not compressed: read as they are"
            return replace(found, notes=(note, *found.notes))
        if syntax not in _NAMES:
            raise _not_read(syntax, label)
        what = f"the pixels are neither {_NAMES[syntax]}, as the header says, nor as long as the picture"
        raise ImageError(what, where=label, mend=PERHAPS)
    frames = parsed.elements.integer("NumberOfFrames", 0) or None
    frame = codestreams.frame(data, label, frames) if in_fragments else bytes(data)
    notes = () if in_fragments else ("compressed pixels that do not lie in fragments: read as they are",)
    found = _of_frame(parsed, frame, module, label)
    return replace(found, notes=(*notes, *found.notes))


def _of_frame(parsed: Parsed, frame: bytes, module: ImagePixelModule, label: str) -> Stored:
    """The cells of a compressed picture, by what it is; by the transfer syntax where it does not say."""
    syntax, needed = parsed.transfer_syntax, _native_bytes(module)
    kind = codestreams.family(frame)
    if kind is None and codestreams.is_rle(frame):
        kind = "RLE"
    if kind is None and syntax in (*NATIVE, *_NAMES) and len(frame) in (needed, needed + 1):
        found = _native(parsed, memoryview(frame), module, label)
        return replace(found, notes=("pixels in fragments that are not compressed: read as they are", *found.notes))
    if kind is None and syntax not in _NAMES:
        raise _not_read(syntax, label)
    if kind is None or syntax in _FAMILIES[kind]:
        return codestream_values(syntax, frame, module, label)
    there = _FAMILIES[kind][0]
    said = _NAMES.get(syntax) or ("that they are not" if syntax in NATIVE else "a transfer syntax that is not read")
    note = f"the header says {said}, the pixels are compressed as {_NAMES[there]}: read as they are"
    found = codestream_values(there, frame, module, label)
    return replace(found, notes=(note, *found.notes))


def _not_read(syntax: str, label: str) -> ImageError:
    if syntax in NATIVE:
        what = "compressed pixels, and a header that does not say how"
        return ImageError(what, where=label, mend=_UNREADABLE)
    return ImageError(f"the transfer syntax {_uid(syntax)} is not read", where=label, mend=_UNREADABLE)


def _native_bytes(module: ImagePixelModule) -> int:
    """Bytes of an uncompressed picture (PS3.5 8.1)."""
    count = module.rows * module.columns * module.samples
    subsampled = module.photometric == "YBR_FULL_422"  # two pixels share their colour
    return (count * 2 // 3 if subsampled else count) * module.allocated // 8


def _native(parsed: Parsed, data: memoryview, module: ImagePixelModule, label: str) -> Stored:
    """Uncompressed pixels (PS3.5 8.1, annex A.1 to A.3 and A.5)."""
    count, needed = module.rows * module.columns * module.samples, _native_bytes(module)
    if module.allocated == 16 and module.stored <= 8 and len(data) in (count, count + count % 2):
        found = _native(parsed, data, replace(module, allocated=8), label)
        note = "the header says 16 bits a pixel, there are 8: read as they are"
        return replace(found, pixels=found.pixels.astype(np.uint16), module=module, notes=(note,))
    if len(data) < needed:
        what = f"the pixels are cut short: {len(data):,} bytes of {needed:,}"
        raise ImageError(what, where=label, mend=f"{COPY_AGAIN}; if it is the same there, the header's size is wrong")
    if module.allocated == 16:
        pixels = np.frombuffer(data, "<u2" if parsed.little_endian else ">u2", count)
        shaped = _shaped(pixels if parsed.little_endian else pixels.astype(np.uint16), module)
        return Stored(shaped, module.photometric, module)
    octets = np.frombuffer(data, np.uint8)
    if parsed.swapped:
        octets = octets[: len(octets) // 2 * 2].view(np.uint16).byteswap().view(np.uint8)
    if module.photometric == "YBR_FULL_422":
        if module.columns % 2:
            raise ImageError("YBR_FULL_422 with an odd number of columns", where=label, mend=_UNREADABLE)
        pairs = octets[:needed].reshape(module.rows, module.columns // 2, 4)
        return Stored(_upsampled(pairs), "YBR_FULL", module)
    return Stored(_shaped(octets[:count], module), module.photometric, module)


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


def codestream_values(syntax: str, frame: bytes, module: ImagePixelModule, label: str) -> Stored:
    """The cells of one compressed picture, `frame`, of a transfer syntax that is read; its own depth decides. Raises as above."""
    promised = (module.columns, module.rows, module.samples)
    if syntax == RLE:
        segments = codestreams.rle_segments(frame)
        precision = 8 if (segments, module.samples, module.allocated) == (1, 1, 16) else module.allocated
        codestreams.check_rle(frame, module.rows * module.columns, module.samples * precision // 8, label)
    elif syntax in JPEG_2000:
        frame = codestreams.codestream(frame, label)
        precision = codestreams.check_jpeg_2000(frame, promised, label)
    else:
        kind = "lossless" if syntax in LOSSLESS else "JPEG-LS" if syntax in JPEG_LS else "DCT"
        precision = codestreams.check_jpeg(frame, kind, promised, label)
        refuse_many_scans(frame, module.rows * module.columns, label)
        if kind != "JPEG-LS":
            frame = rewritten(frame, label) if kind == "lossless" else sequential(frame, label)
    bits = 8 if precision <= 8 else 16
    notes: tuple[str, ...] = ()
    if bits > module.allocated and module.samples > 1:
        what = f"samples of {precision} bits, the header has room for {module.allocated}"
        raise ImageError(what, where=label, mend=_UNREADABLE)
    if bits > module.allocated:
        notes = (f"the header says {module.allocated} bits a pixel, the picture has {precision}: read as it is",)
        module = replace(module, allocated=16, stored=precision, high=precision - 1)
    cells, photometric = _decoded(syntax, frame, precision, replace(module, allocated=bits), label)
    if syntax in JPEG_2000 and codestreams.is_colour_transformed(frame):
        photometric = "RGB"
    if bits < module.allocated:
        cells = (cells.view(np.int8).astype(np.int16) if module.signed else cells).astype(np.uint16)
    return Stored(cells, photometric, module, notes)


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
        "bits_stored": min(module.stored, module.allocated),
        "pixel_representation": int(module.signed),
        "planar_configuration": 0,  # of native pixels alone; codestreams tell their own order (PS3.5 8.2)
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
    if syntax not in JPEG_2000 | JPEG_LS:
        options["correct_unused_bits"] = False  # `dicom.read` masks them
    item = b"\xfe\xff\x00\xe0"
    source = b"".join((item, bytes(4), item, struct.pack("<L", len(frame)), frame, b"\xfe\xff\xdd\xe0", bytes(4)))
    with refusing(f"the compressed pixels cannot be decoded by {plugin}", label):
        array, about = decoder.as_array(source, index=0, raw=True, validate=False, decoding_plugin=plugin, **options)
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

"""A DICOM file becomes a Radiograph: stored values, modality LUT, VOI LUT, inversion; square pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.errors import CxreaderError, ImageError
from cxreader.imaging.dicom import lut as luts
from cxreader.imaging.dicom.codecs import ImagePixelModule, StoredPixels, layout, stored_values
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.header import header_of
from cxreader.imaging.dicom.parse import Parsed, parse, parse_dataset, parse_header
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.limits import MAX_PIXELS
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.raster import colourfulness

if TYPE_CHECKING:
    from pydicom import Dataset

FOR_PROCESSING = "for-processing image: raw detector values, not what a radiologist is shown"
NO_PHOTOMETRIC = "no photometric interpretation in the header: taken as MONOCHROME2"
_SQUARE = 0.01
"""Pixels whose sides differ by less are square: spacings are rounded."""
_MAX_ASPECT = 4.0
_LOOKED_UP, _COUNTED = 2**15, 2**17
"""Pixels that are looked up, and counted, at once."""
_MAX_SQUARE = MAX_PIXELS // 2
"""Pixels that a picture may grow to when it is made square."""
_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"


def decode(
    source: bytes | Dataset, label: str, *, window: int = 0, reserve: Callable[[int], None] | None = None
) -> Radiograph:
    """The picture of a DICOM file or data set; `label` names it in messages, `window` and `reserve` are those of `read.read`.

    Raises ImageError for a file that is damaged or no single picture, MissingDecoderError when its compression needs a
    package that is not installed, UsageError for a negative `window`.
    """
    try:
        parsed = parse(source, label) if isinstance(source, bytes) else parse_dataset(source)
        return _radiograph(parsed, label, window, reserve)
    except CxreaderError:
        raise
    except Exception as error:  # noqa: BLE001 - what pydicom raises for a damaged file is open-ended
        raise _damaged(label, error) from None


def header(source: bytes | BinaryIO, label: str, *, salt: str | None = None) -> DicomHeader:
    """What may leave the header of a file, its pixels not read. Raises ImageError."""
    try:
        parsed = parse(source, label) if isinstance(source, bytes) else parse_header(source, label)
        return header_of(parsed, salt=salt)
    except CxreaderError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise _damaged(label, error) from None


def header_size(source: bytes | BinaryIO, label: str) -> tuple[int, int]:
    """Width and height of the picture that `decode` gives, from the header alone. Raises ImageError."""
    try:
        parsed = parse(source, label) if isinstance(source, bytes) else parse_header(source, label)
        form = layout(parsed, label)
        return _square_size(form, _aspect(parsed.elements, header_of(parsed), label))
    except CxreaderError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise _damaged(label, error) from None


def _radiograph(parsed: Parsed, label: str, window: int, reserve: Callable[[int], None] | None) -> Radiograph:
    told = header_of(parsed)
    if (
        parsed.elements.text("MediaStorageSOPClassUID") == _DIRECTORY_CLASS
        or "DirectoryRecordSequence" in parsed.elements
    ):
        raise ImageError(
            "is a DICOMDIR, not an image", where=label, mend="give it to `cxreader read`, which reads its files"
        )
    form = layout(parsed, label)
    aspect = _aspect(parsed.elements, told, label)
    if reserve is not None:
        reserve(math.prod(_square_size(form, aspect)))
    stored, photometric = stored_values(parsed, form, label)
    notes: tuple[str, ...] = ()
    colour = 0.0
    if form.samples == 3:
        pixels, colour = _grey_of_colour(stored, photometric, label)
    elif form.photometric == "PALETTE COLOR":
        pixels, colour = _grey_of_palette(stored, parsed.elements, form, label)
    else:
        pixels, notes = _grey(stored, parsed.elements, form, window=window, label=label)
    if told.for_processing:
        notes = (FOR_PROCESSING, *notes)
    if parsed.elements.text("PhotometricInterpretation") is None:
        notes = (NO_PHOTOMETRIC, *notes)
    pixels, spacing, more = _squared(pixels, form, aspect, told.spacing)
    return Radiograph(pixels, label, told.view, spacing, notes + more, header=told, colour=colour)


def _grey(
    stored: StoredPixels, elements: Elements, form: ImagePixelModule, *, window: int, label: str
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """float32 (H, W) in [0, 1] of one sample a pixel, and notes."""
    codes, padding_mask = _codes(stored, elements, form)
    measured = luts.modality(elements, form, label)
    shown, notes = luts.voi(elements, measured, window=window, label=label)
    pad = _padding_codes(elements, form)
    if shown is None:
        shown, note = _without_window(codes, padding_mask, measured, pad, form)
        notes = (*notes, note if notes else f"no window in the header: {note}")
    if luts.inverted(elements, form):
        shown = 1 - shown
    if pad is not None:
        shown[pad] = 0
    pixels = _looked_up(shown, codes)
    if padding_mask is not None:
        pixels[padding_mask] = 0
    return pixels, notes


def _looked_up(table: luts.Values, codes: StoredPixels) -> NDArray[np.float32]:
    """The table's entry of each code, a few rows at a time: NumPy widens indices to 8 bytes each, and fresh memory is slow."""
    entries = table.astype(np.float32)
    found = np.empty(codes.shape, np.float32)
    step = max(1, _LOOKED_UP // codes.shape[-1])
    for at in range(0, len(codes), step):
        np.take(entries, codes[at : at + step], out=found[at : at + step], mode="clip")
    return found


def _counted(codes: StoredPixels, size: int) -> NDArray[np.int64]:
    """(size,) how often each code stands there, counted in stretches too."""
    flat = codes.ravel()
    found = np.zeros(size, np.int64)
    for at in range(0, flat.size, _COUNTED):
        found += np.bincount(flat[at : at + _COUNTED], minlength=size)
    return found


def _codes(
    stored: StoredPixels, elements: Elements, form: ImagePixelModule
) -> tuple[StoredPixels, NDArray[np.bool_] | None]:
    """The stored bits alone; and where a padding value stands that needs more bits than are stored."""
    shift = form.high + 1 - form.stored
    padding_mask = None
    ends = luts.padding(elements, form)
    if ends is not None and shift == 0 and form.stored < form.allocated and not _fits(ends, form):
        words: NDArray[np.integer] = stored
        if form.signed:
            words = stored.view(np.int8) if form.allocated == 8 else stored.view(np.int16)
        padding_mask = (words >= ends[0]) & (words <= ends[1])
    found: StoredPixels = stored
    if shift:
        found = np.right_shift(found, found.dtype.type(shift))
    if form.stored < form.allocated and int(found.max()) >= form.codes:  # rarely: looking is quicker than a copy
        found = np.bitwise_and(found, found.dtype.type(form.codes - 1))
    return found, padding_mask


def _fits(ends: tuple[int, int], form: ImagePixelModule) -> bool:
    low, high = (-form.codes // 2, form.codes // 2 - 1) if form.signed else (0, form.codes - 1)
    return low <= ends[0] and ends[1] <= high


def _padding_codes(elements: Elements, form: ImagePixelModule) -> NDArray[np.intp] | None:
    ends = luts.padding(elements, form)
    if ends is None or not _fits(ends, form):
        return None
    return np.arange(ends[0], ends[1] + 1) % form.codes


def _without_window(
    codes: StoredPixels,
    padding_mask: NDArray[np.bool_] | None,
    measured: tuple[luts.Values, bool],
    pad: NDArray[np.intp] | None,
    form: ImagePixelModule,
) -> tuple[luts.Values, str]:
    """8-bit values were made to be shown as they are; deeper ones need a range, and the picture's own is taken."""
    values, by_table = measured
    if form.stored <= 8 and not by_table:
        return luts.full_range(values), "8-bit values are shown as they are"
    counts = _counted(codes if padding_mask is None else codes[~padding_mask], form.codes)
    if pad is not None:
        counts[pad] = 0
    shown, (low, high) = luts.by_percentiles(values, counts)
    return shown, f"values from {low:g} to {high:g} are shown (percentiles 0.5 and 99.5)"


def _grey_of_colour(stored: StoredPixels, photometric: str, label: str) -> tuple[NDArray[np.float32], float]:
    """float32 (H, W) of 3 x 8 bits, weighted as a PNG's colours are; and how colourful it is."""
    octets = np.ascontiguousarray(stored, np.uint8)
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        luma = octets[..., 0].astype(np.float32)
        luma /= 255
        return luma, colourfulness(Image.fromarray(octets, "YCbCr"))
    if photometric not in ("RGB", "YBR_ICT", "YBR_RCT"):  # the decoder has undone the latter two
        raise ImageError(f"colours told as {photometric}", where=label, mend="RGB, YBR and palettes are read")
    image = Image.fromarray(octets, "RGB")
    grey = np.asarray(image.convert("L")).astype(np.float32)
    grey /= 255
    return grey, colourfulness(image)


def _grey_of_palette(
    stored: StoredPixels, elements: Elements, form: ImagePixelModule, label: str
) -> tuple[NDArray[np.float32], float]:
    """Each code's colour by the three tables (C.7.6.3.1.5), as grey; and how colourful the picture is."""
    codes, _ = _codes(stored, elements, form)
    values = np.arange(form.codes, dtype=np.float64)
    bands = []
    for band in ("Red", "Green", "Blue"):
        names = (f"{band}PaletteColorLookupTableDescriptor", f"{band}PaletteColorLookupTableData")
        table = luts.lut(elements, False, label, names=names)
        bands.append(table.apply(values) / table.top)
    colours = np.stack(bands, axis=1)
    counts = _counted(codes, form.codes)
    colour = float((colours.max(1) - colours.min(1)) @ counts / counts.sum())
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as for a PNG
    return _looked_up(np.clip(colours @ weights, 0, 1), codes), colour


def _aspect(elements: Elements, told: DicomHeader, label: str) -> float:
    """Height of a stored pixel by its width: by its spacing, else by Pixel Aspect Ratio (C.7.6.3.1.7). Raises ImageError."""
    aspect = told.aspect
    ratio = elements.numbers("PixelAspectRatio")
    if aspect is None and len(ratio) == 2 and min(ratio) > 0:
        aspect = ratio[0] / ratio[1]
    if aspect is None or abs(aspect - 1) <= _SQUARE:
        return 1.0
    if not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
        raise ImageError(f"pixels {aspect:g} times as high as wide", where=label, mend="correct the header's spacing")
    return aspect


def _square_size(form: ImagePixelModule, aspect: float) -> tuple[int, int]:
    """Width and height with square pixels: the longer side of a pixel is cut, so that nothing is lost while there is room."""
    width, height = form.columns * max(1.0, 1 / aspect), form.rows * max(1.0, aspect)
    shrink = min(1.0, (_MAX_SQUARE / (width * height)) ** 0.5)
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _squared(
    pixels: NDArray[np.float32], form: ImagePixelModule, aspect: float, spacing: tuple[float, float] | None
) -> tuple[NDArray[np.float32], tuple[float, float] | None, tuple[str, ...]]:
    """The picture with square pixels, their spacing, and a note when they were not."""
    if aspect == 1:
        return pixels, spacing, ()
    size = _square_size(form, aspect)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    if spacing is not None:
        spacing = (spacing[0] * form.columns / size[0], spacing[1] * form.rows / size[1])
    note = f"pixels {aspect:.3g} times as high as wide: made square"
    return np.clip(np.asarray(image), 0, 1), spacing, (note,)


def _damaged(label: str, error: Exception) -> ImageError:
    """The kind of the error and not its text, which may quote the header."""
    what = f"damaged DICOM ({type(error).__name__})"
    return ImageError(what, where=label, mend="copy the file again from its source")

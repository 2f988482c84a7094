"""A DICOM file becomes a Radiograph: stored values, Modality LUT, VOI LUT, inversion (PS3.4 N.2); square pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.errors import ImageError
from cxreader.imaging.dicom import lut as luts
from cxreader.imaging.dicom.codecs import StoredPixels, stored_values
from cxreader.imaging.dicom.elements import Elements
from cxreader.imaging.dicom.header import header_of
from cxreader.imaging.dicom.parse import DIRECTORY_CLASS, Parsed, parse, parse_dataset, parse_header
from cxreader.imaging.dicom.pixel_module import ImagePixelModule, bit_notes, image_pixel_module
from cxreader.imaging.dicom.shutter import outside
from cxreader.imaging.dicom.stored import stored_picture
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.limits import MAX_PIXELS
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.raster import colourfulness
from cxreader.imaging.refusing import refusing
from cxreader.imaging.stored import StoredPicture, of_grey
from cxreader.imaging.vocabulary.site_terms import SiteTerms

if TYPE_CHECKING:
    from pydicom import Dataset

DAMAGED = "cannot be read as DICOM: it is damaged, or written in an unusual way"
FOR_PROCESSING = "for-processing image: raw detector values, not what a radiologist is shown"
NO_PHOTOMETRIC = "no photometric interpretation in the header: taken as MONOCHROME2"
_SQUARE = 0.01
"""Pixels whose sides differ by less are square: spacings are rounded."""
_MAX_ASPECT = 4.0
_LOOKED_UP, _COUNTED = 2**15, 2**17
"""Pixels that are looked up, and counted, at once."""
_SAMPLED = 128
"""Rows or columns, of the fewer, of the grid on which is looked whether a window shows anything."""
_MAX_SQUARE = MAX_PIXELS // 2
"""Pixels that a picture may grow to when it is made square."""


def decode(
    source: bytes | Dataset,
    label: str,
    *,
    window: int = 0,
    reserve: Callable[[int], None] | None = None,
    site: SiteTerms | None = None,
    keep: Callable[[StoredPicture], None] | None = None,
) -> Radiograph:
    """The picture of a DICOM file or data set; `label` names it in messages, the others are those of `read.read`.

    Raises ImageError for a file that is damaged or no single picture, MissingDecoderError when its compression needs a
    package that is not installed, UsageError for a negative `window`.
    """
    with refusing(DAMAGED, label):
        parsed = parse(source, label) if isinstance(source, bytes) else parse_dataset(source)
        return _radiograph(parsed, header_of(parsed, site=site), label, window, (reserve, keep))


def read_header(file: BinaryIO, label: str, *, salt: str | None = None, site: SiteTerms | None = None) -> DicomHeader:
    """What may leave the header of a DICOM file, its pixels not read. Raises ImageError for a damaged one."""
    with refusing(DAMAGED, label):
        return header_of(parse_header(file, label), salt=salt, site=site)


def picture_size(file: BinaryIO, label: str) -> tuple[int, int]:
    """Width and height in pixels of the picture that `decode` gives, from the header alone. Raises ImageError."""
    with refusing(DAMAGED, label):
        parsed = parse_header(file, label)
        module = image_pixel_module(parsed, label)
        return _square_size(module, _aspect(parsed.elements, header_of(parsed), label))


def _radiograph(
    parsed: Parsed,
    header: DicomHeader,
    label: str,
    window: int,
    told: tuple[Callable[[int], None] | None, Callable[[StoredPicture], None] | None],
) -> Radiograph:
    """`told`: the caller's `reserve` and `keep`."""
    reserve, keep = told
    if (
        parsed.elements.text("MediaStorageSOPClassUID") == DIRECTORY_CLASS
        or "DirectoryRecordSequence" in parsed.elements
    ):
        raise ImageError(
            "is a DICOMDIR, not an image", where=label, mend="give it to `cxreader read`, which reads its files"
        )
    module = image_pixel_module(parsed, label)
    aspect = _aspect(parsed.elements, header, label)
    if reserve is not None:
        reserve(math.prod(_square_size(module, aspect)))
    bits = bit_notes(parsed, module)
    found = stored_values(parsed, module, label)
    stored, photometric, module = found.pixels, found.photometric, found.module
    hidden, shut = outside(parsed.elements, module.rows, module.columns)
    notes: tuple[str, ...] = ()
    colour, table = 0.0, None
    if module.samples == 3:
        pixels, colour = _grey_of_colour(stored, photometric, label)
    elif module.photometric == "PALETTE COLOR":
        pixels, colour = _grey_of_palette(stored, parsed.elements, module, label)
    else:
        pixels, notes, table = _grey(stored, parsed.elements, module, hidden, window=window, label=label)
    if hidden is not None:
        pixels[hidden] = 0
    if keep is not None:
        keep(replace(of_grey(pixels) if table is None else table(hidden), aspect=aspect))
    notes = (*parsed.notes, *bits, *found.notes, *shut, *notes)
    if header.for_processing:
        notes = (FOR_PROCESSING, *notes)
    if parsed.elements.text("PhotometricInterpretation") is None:
        notes = (NO_PHOTOMETRIC, *notes)
    pixels, spacing, more = _squared(pixels, module, aspect, header.spacing)
    return Radiograph(pixels, label, header.view, spacing, notes + more, header=header, colour=colour)


def _grey(
    stored: StoredPixels,
    elements: Elements,
    module: ImagePixelModule,
    hidden: NDArray[np.bool_] | None,
    *,
    window: int,
    label: str,
) -> tuple[NDArray[np.float32], tuple[str, ...], Callable[[NDArray[np.bool_] | None], StoredPicture]]:
    """float32 (H, W) in [0, 1] of one sample a pixel, padding black, and notes for the reader (PS3.4 N.2).

    `hidden`: (H, W), pixels that no range is taken from, since they will not be shown. Last comes what gives the picture as
    stored, those pixels dark.
    """
    padding = luts.padding(elements, module)
    codes, padding_mask = _codes(stored, module), _padding_mask(stored, padding, module)
    padding_codes = _padding_codes(padding, module)
    measured = luts.modality(elements, module, label)
    shown, notes = luts.voi(elements, measured, window=window, label=label)
    left_out = [mask for mask in (padding_mask, hidden) if mask is not None]
    windows = luts.windows(elements)
    if shown is not None and luts.shows_nothing(shown, measured[0], _sample(codes, left_out, padding_codes)):
        shown, windows, notes = None, (), (*notes, "the header's window shows nothing of this picture")
    if shown is None:
        counted = codes[~np.logical_or.reduce(left_out)] if left_out else codes
        shown, note = _without_window(counted, measured, padding_codes, module)
        notes = (*notes, note if notes else f"no window in the header: {note}")
    notes = (*luts.notes_of_slope(elements), *notes)
    inverted = luts.inverted(elements, module)
    if inverted:
        shown = 1 - shown
    shown[padding_codes] = 0
    pixels = _looked_up(shown, codes)
    if padding_mask is not None:
        pixels[padding_mask] = 0

    def as_stored(dark: NDArray[np.bool_] | None) -> StoredPicture:
        found = stored_picture(codes, shown, measured, inverted=inverted, windows=windows)
        for mask in (dark, padding_mask):
            if mask is not None:
                found.values[mask] = (1 << found.bits) - 1 if inverted else 0
        return found

    return pixels, notes, as_stored


def _looked_up(table: luts.Values, codes: StoredPixels) -> NDArray[np.float32]:
    """The table's entry of each code, a few rows at a time: NumPy widens indices to 8 bytes each, and fresh memory is slow."""
    entries = table.astype(np.float32)
    found = np.empty(codes.shape, np.float32)
    step = max(1, _LOOKED_UP // codes.shape[-1])
    for at in range(0, len(codes), step):
        np.take(entries, codes[at : at + step], out=found[at : at + step], mode="clip")
    return found


def _counted(codes: StoredPixels, size: int) -> NDArray[np.int64]:
    """(size,) how many pixels have each code, counted some at a time too."""
    flat = codes.ravel()
    found = np.zeros(size, np.int64)
    for at in range(0, flat.size, _COUNTED):
        found += np.bincount(flat[at : at + _COUNTED], minlength=size)
    return found


def _codes(stored: StoredPixels, module: ImagePixelModule) -> StoredPixels:
    """The stored bits of each pixel cell as an unsigned number (PS3.5 8.1.1): shifted down, other bits masked."""
    shift = module.high + 1 - module.stored
    found: StoredPixels = np.right_shift(stored, stored.dtype.type(shift)) if shift else stored
    if module.stored < module.allocated and int(found.max()) >= module.codes:  # rarely: looking is quicker than a copy
        found = np.bitwise_and(found, found.dtype.type(module.codes - 1))
    return found


def _padding_mask(
    stored: StoredPixels, padding: tuple[int, int] | None, module: ImagePixelModule
) -> NDArray[np.bool_] | None:
    """(H, W), True where a pixel is padding that needs more bits than are stored, so that no code stands for it; else None."""
    cut = module.high + 1 == module.stored < module.allocated
    if padding is None or not cut or _fits(padding, module):
        return None
    cells: NDArray[np.integer] = stored
    if module.signed:
        cells = stored.view(np.int8) if module.allocated == 8 else stored.view(np.int16)
    return (cells >= padding[0]) & (cells <= padding[1])


def _fits(padding: tuple[int, int], module: ImagePixelModule) -> bool:
    low, high = (-module.codes // 2, module.codes // 2 - 1) if module.signed else (0, module.codes - 1)
    return low <= padding[0] and padding[1] <= high


def _padding_codes(padding: tuple[int, int] | None, module: ImagePixelModule) -> NDArray[np.intp]:
    """(n,) the codes that stand for padding; none when it has no code."""
    if padding is None or not _fits(padding, module):
        return np.empty(0, np.intp)
    return np.arange(padding[0], padding[1] + 1) % module.codes


def _sample(
    codes: StoredPixels, left_out: Sequence[NDArray[np.bool_]], padding_codes: NDArray[np.intp]
) -> NDArray[np.unsignedinteger]:
    """(n,) the codes of some thousands of pixels on a grid, those left out and padding not among them."""
    step = max(1, min(codes.shape) // _SAMPLED)
    kept = ~np.isin(codes[::step, ::step], padding_codes)
    for mask in left_out:
        kept &= ~mask[::step, ::step]
    return codes[::step, ::step][kept]


def _without_window(
    codes: StoredPixels, measured: tuple[luts.Values, bool], padding_codes: NDArray[np.intp], module: ImagePixelModule
) -> tuple[luts.Values, str]:
    """8-bit values were made to be shown as they are; deeper ones need a range, and the picture's own is taken."""
    values, by_table = measured
    if module.stored <= 8 and not by_table:
        return luts.full_range(values), "8-bit values are shown as they are"
    counts = _counted(codes, module.codes)
    counts[padding_codes] = 0
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
        raise ImageError(f"colours stored as {photometric}", where=label, mend="RGB, YBR and palettes are read")
    image = Image.fromarray(octets, "RGB")
    grey = np.asarray(image.convert("L")).astype(np.float32)
    grey /= 255
    return grey, colourfulness(image)


def _grey_of_palette(
    stored: StoredPixels, elements: Elements, module: ImagePixelModule, label: str
) -> tuple[NDArray[np.float32], float]:
    """float32 (H, W) of each code's colour by the three palette tables (C.7.9), weighted as a PNG's; and how colourful it is."""
    codes = _codes(stored, module)
    values = np.arange(module.codes, dtype=np.float64)
    tables = [
        luts.lut(elements, False, label, names=(f"{name}LookupTableDescriptor", f"{name}LookupTableData"))
        for name in ("RedPaletteColor", "GreenPaletteColor", "BluePaletteColor")
    ]
    colours = np.stack([table.apply(values) for table in tables], axis=1) / max(table.top for table in tables)
    counts = _counted(codes, module.codes)
    colour = float((colours.max(1) - colours.min(1)) @ counts / counts.sum())
    weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as for a PNG
    return _looked_up(np.clip(colours @ weights, 0, 1), codes), colour


def _aspect(elements: Elements, header: DicomHeader, label: str) -> float:
    """Height of a stored pixel divided by its width: by its spacing, else by Pixel Aspect Ratio (C.7.6.3.1.7), else 1.

    Raises ImageError for one outside 1/4 to 4.
    """
    aspect = header.aspect
    ratio = elements.numbers("PixelAspectRatio")
    if aspect is None and len(ratio) == 2 and min(ratio) > 0:
        aspect = ratio[0] / ratio[1]
    if aspect is None or abs(aspect - 1) <= _SQUARE:
        return 1.0
    if not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
        raise ImageError(f"pixels {aspect:g} times as high as wide", where=label, mend="correct the header's spacing")
    return aspect


def _square_size(module: ImagePixelModule, aspect: float) -> tuple[int, int]:
    """Width and height in square pixels: the shorter side of a stored pixel, or larger ones where that exceeds _MAX_SQUARE."""
    width, height = module.columns * max(1.0, 1 / aspect), module.rows * max(1.0, aspect)
    shrink = min(1.0, (_MAX_SQUARE / (width * height)) ** 0.5)
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _squared(
    pixels: NDArray[np.float32], module: ImagePixelModule, aspect: float, spacing: tuple[float, float] | None
) -> tuple[NDArray[np.float32], tuple[float, float] | None, tuple[str, ...]]:
    """The picture with square pixels, their spacing, and a note when they were not."""
    if aspect == 1:
        return pixels, spacing, ()
    size = _square_size(module, aspect)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    if spacing is not None:
        spacing = (spacing[0] * module.columns / size[0], spacing[1] * module.rows / size[1])
    note = f"pixels {aspect:.3g} times as high as wide: made square"
    return np.clip(np.asarray(image), 0, 1), spacing, (note,)

"""The Image Pixel Module: how many pixels a header promises, and in which bits they are stored (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from cxreader.errors import ImageError
from cxreader.imaging.dicom.parse import Parsed
from cxreader.imaging.files import COPY_AGAIN
from cxreader.imaging.limits import MAX_PIXELS
from cxreader.imaging.vocabulary.terms import PHOTOMETRIC


@dataclass(frozen=True, slots=True)
class ImagePixelModule:
    """How Pixel Data is stored (PS3.3 C.7.6.3, the Image Pixel Module), checked.

    `rows`, `columns`: pixels, at most MAX_PIXELS together. `samples`: 1 or 3 a pixel. `photometric`: Photometric Interpretation,
    upper case. `allocated`: Bits Allocated, 8 or 16. `stored`: Bits Stored, 1 to `allocated`. `high`: High Bit, counted from 0.
    `signed`: Pixel Representation, two's complement. `planar`: Planar Configuration, all of one sample before the next.
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
        """2 ** `stored`: how many values a sample can have."""
        return 1 << self.stored


def bit_notes(parsed: Parsed, module: ImagePixelModule) -> tuple[str, ...]:
    """What must be said where the header does not tell which bits of a pixel hold its value."""
    if parsed.elements.number("BitsStored") is None:
        return (f"no Bits Stored in the header: all {module.stored} bits are taken",)
    high = parsed.elements.number("HighBit")
    if high == module.high:
        return ()
    told = "no High Bit in the header" if high is None else "the header's High Bit is impossible"
    return (f"{told}: taken as {module.high}",)


def image_pixel_module(parsed: Parsed, label: str) -> ImagePixelModule:
    """The checked Image Pixel Module of a header; `label` names the file in messages.

    A missing Bits Stored is Bits Allocated, a High Bit out of range the highest of the stored bits. Raises ImageError when the
    module is incomplete, impossible, or describes no single picture.
    """
    e = parsed.elements
    frames = e.integer("NumberOfFrames", 1)
    if frames > 1:
        raise ImageError(f"the file holds {frames} frames", where=label, mend="give one image a file")
    rows, columns = e.integer("Rows", 0), e.integer("Columns", 0)
    if parsed.truncated:
        raise ImageError("the file is cut short within its header", where=label, mend=COPY_AGAIN)
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
    module = ImagePixelModule(
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
    return module

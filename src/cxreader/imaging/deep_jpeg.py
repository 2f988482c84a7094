"""JPEG files that are not of 8 bits and DCT, read by the decoders of compressed DICOM: 12 bits, JPEG Lossless, JPEG-LS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from cxreader.errors import ImageError, MissingDecoderError
from cxreader.imaging.dicom import codecs
from cxreader.imaging.dicom.pixel_module import ImagePixelModule
from cxreader.imaging.formats import jpeg
from cxreader.imaging.formats.depth import by_depth
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.raster import refuse_many_pixels, turned
from cxreader.imaging.refusing import refusing

_SYNTAXES = {0xC0: codecs.EXTENDED, 0xC1: codecs.EXTENDED, 0xC2: codecs.EXTENDED}
_SYNTAXES |= {0xC3: "1.2.840.10008.1.2.4.57", 0xF7: "1.2.840.10008.1.2.4.80"}
"""By frame header: the transfer syntax whose decoder reads it."""
_MEND = "save it as PNG of 16 bits with another program"


def decode(data: bytes, label: str, reserve: Callable[[int], None] | None = None) -> Radiograph:
    """The radiograph in the bytes of a JPEG file for which `raster.is_deep` is true; arguments as of `raster.decode`.

    Raises ImageError for a file that is damaged or of a kind that is not read, MissingDecoderError when a package is missing.
    """
    with refusing("this JPEG cannot be decoded", label):
        marker, precision, height, width, components = jpeg.frame_header(data, label)
        refuse_many_pixels(width, height, label)
        kind = f"JPEG of {precision} bits"
        if marker not in _SYNTAXES or components != 1 or not 8 <= precision <= 16:
            what = f"a {kind}, {components} components and frame {marker:#04x} is not read"
            raise ImageError(what, where=label, mend=_MEND)
        if reserve is not None:
            reserve(width * height)
        bits = 8 if precision == 8 else 16
        module = ImagePixelModule(height, width, 1, "MONOCHROME2", bits, bits, bits - 1, signed=False, planar=False)
        _, tiff, xmp = jpeg.without_metadata(data, label)
        try:
            cells = codecs.codestream_values(_SYNTAXES[marker], data, module, label).pixels
        except MissingDecoderError as error:
            raise MissingDecoderError(f"a {kind} is not read: {error.what}", where=label, mend=error.mend) from None
        values, notes = by_depth(cells, precision)
        image, more = turned(Image.fromarray(values), tiff, xmp)
        return Radiograph(np.ascontiguousarray(image), source=label, notes=(*notes, *more))

"""The decoded pixels of an image: made for the viewer, as the file stores them, and as a network is shown them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.imaging.dicom.codecs import stored_values
from cxreader.imaging.dicom.parse import parse
from cxreader.imaging.dicom.pixel_module import image_pixel_module
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read
from cxreader.imaging.stored import StoredPicture
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.inference.pixel_budget import PixelBudget
from cxreader.serving.store.files.objects import ObjectStore
from cxreader.serving.store.files.pixels import packed
from cxreader.serving.store.reading.results import KeptPixels


def keep_decoded(objects: ObjectStore, content: bytes, name: str, *, site: SiteTerms | None = None) -> KeptPixels:
    """Decode a file and put its pixels away; `name` stands for it in messages. Raises ImageError, StorageError.

    They can be made again from the file, so that nobody waits until they are on the disk. Of large pictures one is decoded at a
    time.
    """
    kept: list[StoredPicture] = []
    with _BUDGET.slot() as reserve:
        shown = read(content, name=name, reserve=reserve, site=site, keep=kept.append)
        data, about = packed(kept[0], shown)
    return KeptPixels(objects.put(data, durable=False), len(data), about)


def network_input(content: bytes, name: str, spec: InputSpec, *, site: SiteTerms | None = None) -> bytes:
    """What a network with this input spec is shown of a file, as a grey PNG of 8 bits. Raises ImageError."""
    from PIL import Image

    with _BUDGET.slot() as reserve:
        pixels = spec.pixels(read(content, name=name, reserve=reserve, site=site))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def cells(content: bytes, name: str) -> NDArray[Any]:
    """The pixel cells of a DICOM file's first frame as they are stored, neither windowed nor given a sign: (H, W) or (H, W, 3).

    uint8 or uint16, decompressed where they are compressed. Of large pictures one is decoded at a time. Raises ImageError.
    """
    parsed = parse(content, name)
    module = image_pixel_module(parsed, name)
    with _BUDGET.slot() as reserve:
        reserve(module.rows * module.columns)
        return np.ascontiguousarray(stored_values(parsed, module, name).pixels)


_BUDGET = PixelBudget(1)

"""What stands between a file and the network: a picture in the network's size, and what its header and its look give."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.models.acceptance import judge_header, judge_picture
from cxreader.records import Acceptance

if TYPE_CHECKING:
    from pydicom import Dataset

    Source = str | os.PathLike[str] | bytes | NDArray[np.generic] | Dataset | Radiograph

_FULL_SCALE = {"uint8": 255, "uint16": 65535}


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One source, decoded. `pixels`: (S, S) uint8 by `InputSpec.pixel_key`; empty when it could not be read, for `reasons`.

    `seen`: what the header and the whole picture speak against it; None when it could not be read.
    """

    name: str
    pixels: dict[str, NDArray[np.uint8]]
    seen: Acceptance | None
    reasons: tuple[str, ...] = ()


def prepare(source: Source, specs: Sequence[InputSpec], *, name: str | None = None) -> Prepared:
    """Decode a source for each of `specs`. Raises ImageError."""
    radiograph = as_radiograph(source, name)
    seen = judge_header(radiograph.header) + judge_picture(radiograph)
    noted = seen + Acceptance(notes=radiograph.notes)
    return Prepared(name or radiograph.source, {spec.pixel_key: spec.pixels(radiograph) for spec in specs}, noted)


def prepare_or_reason(source: Source, specs: Sequence[InputSpec], *, name: str | None = None) -> Prepared:
    """`prepare`, or what there is to say of a source that cannot be read."""
    try:
        return prepare(source, specs, name=name)
    except ImageError as error:
        reason = error.what if error.mend is None else f"{error.what}; {error.mend}"
        return Prepared(name or name_of(source), {}, None, (reason,))


def as_radiograph(source: Source, name: str | None = None) -> Radiograph:
    """The picture in a path, the bytes of a file, a pydicom Dataset, or an array, or the Radiograph itself.

    An array is (H, W), bright = dense: uint8 or uint16 at full scale, or floats in [0, 1]. Raises ImageError.
    """
    if isinstance(source, Radiograph):
        return source
    if isinstance(source, np.ndarray):
        top = _FULL_SCALE.get(str(source.dtype), 1)
        if top == 1 and not np.issubdtype(source.dtype, np.floating):
            mend = "give uint8 or uint16 at full scale, or floats in [0, 1]"
            raise ImageError(f"an array of {source.dtype}", where=name or "array", mend=mend)
        return Radiograph(source.astype(np.float32) / np.float32(top), source=name or "array")
    return read(source, name=name)


def name_of(source: Source) -> str:
    """How messages and tables call a source that has no name of its own."""
    if isinstance(source, Radiograph):
        return source.source
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return "bytes" if isinstance(source, bytes) else "array" if isinstance(source, np.ndarray) else "dataset"

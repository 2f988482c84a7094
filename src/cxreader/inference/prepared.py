"""From a source to what a network is shown: the picture in the network's size, and the verdicts of header and picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError
from cxreader.imaging.duplicates.digests import file_digest
from cxreader.imaging.formats.depth import by_depth
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import load, read
from cxreader.models.acceptance.header import judge_header
from cxreader.models.acceptance.picture import judge_picture
from cxreader.records import Acceptance

if TYPE_CHECKING:
    from pydicom import Dataset

    from cxreader.imaging.vocabulary.site_terms import SiteTerms

    Source = str | os.PathLike[str] | bytes | NDArray[np.generic] | Dataset | Radiograph


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One source, decoded, as the networks are given it.

    `pixels`: uint8 (S, S) for each input spec, by `InputSpec.pixel_key`. `intake`: the acceptance by header and whole picture,
    before any network. `sop_class` and `sop_instance_uid`: those of a DICOM file, None for other files and where its header
    has none. A source that could not be read has no pixels, `intake` None and its `reasons`. `file_digest`: that of the bytes of
    its file (`imaging.digests`), where it was asked for. `age` in years, as written, `sex`
    (F, M) and `view`: those of a DICOM header.
    """

    name: str
    pixels: dict[str, NDArray[np.uint8]]
    intake: Acceptance | None
    reasons: tuple[str, ...] = ()
    sop_class: str | None = None
    sop_instance_uid: str | None = None
    file_digest: bytes | None = None
    age: float | None = None
    sex: str | None = None
    view: str | None = None


def prepare(
    source: Source,
    specs: Sequence[InputSpec],
    *,
    name: str | None = None,
    reserve: Callable[[int], None] | None = None,
    digest: bool = False,
    site: SiteTerms | None = None,
) -> Prepared:
    """Decode a source for each of `specs`; `reserve` and `site` as in `imaging.read.read`. Raises ImageError.

    With `digest` a file's bytes are hashed too.
    """
    found = None
    if digest and isinstance(source, str | os.PathLike):
        name, source = name or os.fspath(source), load(source)
        found = file_digest(source)
    radiograph = as_radiograph(source, name, reserve, site)
    header = radiograph.header
    intake = judge_header(header) + judge_picture(radiograph) + Acceptance(notes=radiograph.notes)
    different = {spec.pixel_key: spec for spec in specs}
    pixels = {key: spec.pixels(radiograph) for key, spec in different.items()}
    uids = (None, None) if header is None else (header.sop_class, header.sop_instance_uid)
    made = Prepared(name or radiograph.source, pixels, intake, (), *uids, found)
    return made if header is None else replace(made, age=header.age, sex=header.sex, view=header.view)


def prepare_or_reason(
    source: Source,
    specs: Sequence[InputSpec],
    *,
    name: str | None = None,
    reserve: Callable[[int], None] | None = None,
    digest: bool = False,
    site: SiteTerms | None = None,
) -> Prepared:
    """As `prepare`, but a source that cannot be read is returned with its reason (`unread`); nothing is raised for it."""
    try:
        return prepare(source, specs, name=name, reserve=reserve, digest=digest, site=site)
    except ImageError as error:
        return unread(name or name_of(source), error)


def unread(name: str, error: ImageError) -> Prepared:
    """A source that could not be read, with its reason and mend; the place is left out, since `name` stands beside it."""
    reason = error.what if error.mend is None else f"{error.what}; {error.mend}"
    return Prepared(name, {}, None, (reason,))


def as_radiograph(
    source: Source,
    name: str | None = None,
    reserve: Callable[[int], None] | None = None,
    site: SiteTerms | None = None,
) -> Radiograph:
    """The picture in a path, the bytes of a file, a pydicom Dataset, or an array, or the Radiograph itself.

    An array is (H, W), bright = dense: uint8, uint16 (scaled as a PNG of 16 bits is), or floats in [0, 1]. Raises ImageError.
    """
    if isinstance(source, Radiograph):
        return source
    if isinstance(source, np.ndarray):
        return _of_array(source, name or "array")
    return read(source, name=name, reserve=reserve, site=site)


def _of_array(array: NDArray[np.generic], label: str) -> Radiograph:
    if array.dtype == np.uint16:
        pixels, notes = by_depth(array)
        return Radiograph(pixels, source=label, notes=notes)
    if array.dtype == np.uint8:
        return Radiograph(array.astype(np.float32) / np.float32(255), source=label)
    if not np.issubdtype(array.dtype, np.floating):
        mend = "give uint8 or uint16, or floats in [0, 1]"
        raise ImageError(f"an array of {array.dtype}", where=label, mend=mend)
    return Radiograph(array.astype(np.float32), source=label)


def name_of(source: Source) -> str:
    """How messages and tables call a source that has no name of its own."""
    if isinstance(source, Radiograph):
        return source.source
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return "bytes" if isinstance(source, bytes) else "array" if isinstance(source, np.ndarray) else "dataset"

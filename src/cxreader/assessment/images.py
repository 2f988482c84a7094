"""Every judged image decoded once: what the reader answers, and the pixels that all later questions share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.duration import Estimate
from cxreader.assessment.pictures import Pictures
from cxreader.atomic import storage_error
from cxreader.imaging.duplicates.digests import shown_digest
from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.prepared import Prepared
from cxreader.inference.reader import Reader
from cxreader.progress import Bar
from cxreader.records import LABEL_NAMES, ImageRecord, Reading


@dataclass(frozen=True, eq=False)
class ReadImages:
    """The images of a cohort after one decoding.

    `asked`: the records that are judged or cannot be read. `readings`: one for each, in their order, of refused images too; one
    that could not be read has no `acceptance`. `records` are the m of them that could be read; `pixels` (m, S, S) uint8,
    memory-mapped, is what the first network was shown of them, by `InputSpec.pixels`. `contradicted`: uint8 (D, D) for the eye,
    by image, of those whose decision is not their label. `pictures`: who chose them, one a model, where anybody did.
    """

    asked: tuple[ImageRecord, ...]
    readings: tuple[Reading, ...]
    records: tuple[ImageRecord, ...]
    pixels: NDArray[np.uint8]
    contradicted: dict[str, NDArray[np.uint8]]
    pictures: tuple[Pictures, ...] = ()

    def of(self, records: Iterable[ImageRecord]) -> NDArray[np.uint8]:
        """(k, S, S) uint8 of some of `records`. Raises KeyError for an image that could not be read."""
        return np.asarray(self.pixels[[self._row_of[record.image] for record in records]])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {record.image: row for row, record in enumerate(self.records)}


@contextmanager
def read_once(
    reader: Reader,
    records: Sequence[ImageRecord],
    *,
    bar: Bar,
    display: InputSpec | None = None,
    pictures: Sequence[Pictures] = (),
    estimate: Estimate | None = None,
) -> Iterator[ReadImages]:
    """Read the images; the pixels, as the first model is shown them, last as long as the block.

    `pictures`, one a model, decide which of them are judged, an image that each of them judges; the others leave nothing here.
    `estimate` is told how long each batch took. `display` gives the pixels of `contradicted`; without it there are none. Raises
    StorageError when the pixels, S x S bytes an image, find no room in the temporary folder.
    """
    specs = [member.artifact.spec for member in reader.members]
    spec = specs[0]
    with TemporaryDirectory(prefix="cxreader-") as folder:
        place = Path(folder) / "pixels.u8"
        done = 0
        asked: list[ImageRecord] = []
        readings: list[Reading] = []
        found: list[ImageRecord] = []
        contradicted: dict[str, NDArray[np.uint8]] = {}
        try:
            with place.open("wb") as file, bar("reading") as progress:
                files = [record.path or record.image for record in records]
                for batch in reader.prepared(
                    files, further=() if display is None else (display,), digest=bool(pictures)
                ):
                    several = _judged(zip(records[done:], batch, strict=False), pictures, specs)
                    began = time.monotonic()
                    answers = reader.answer([one for _, one in several], refuse=False)
                    if estimate is not None:
                        estimate.after(len(batch), time.monotonic() - began)
                    for (record, one), reading in zip(several, answers, strict=True):
                        asked.append(record)
                        if reading.acceptance is None:
                            continue
                        found.append(record)
                        file.write(one.pixels[spec.pixel_key].tobytes())
                        if display is not None and reading.decision != LABEL_NAMES[record.label]:
                            contradicted[record.image] = one.pixels[display.pixel_key]
                    readings += answers
                    done += len(batch)
                    if progress is not None:
                        progress(done, len(records))
        except OSError as error:
            raise storage_error(error, place, len(records) * spec.size**2) from None
        shape = (len(found), spec.size, spec.size)
        pixels = np.memmap(place, np.uint8, "r", shape=shape) if found else np.empty(shape, np.uint8)
        yield ReadImages(tuple(asked), tuple(readings), tuple(found), pixels, contradicted, tuple(pictures))


def _judged(
    batch: Iterable[tuple[ImageRecord, Prepared]], pictures: Sequence[Pictures], specs: Sequence[InputSpec]
) -> list[tuple[ImageRecord, Prepared]]:
    """Of a batch what cannot be read and what `pictures` has judged."""
    return [
        (record, one)
        for record, one in batch
        if one.intake is None
        or all(own.judges(record, _digests(one, spec)) for own, spec in zip(pictures, specs, strict=False))
    ]


def _digests(image: Prepared, spec: InputSpec) -> tuple[bytes, ...]:
    """Of a readable image prepared for `spec`: the digest of what a network is shown, and of its file where it was taken."""
    shown = shown_digest(image.pixels[spec.pixel_key])
    return (shown,) if image.file_digest is None else (shown, image.file_digest)

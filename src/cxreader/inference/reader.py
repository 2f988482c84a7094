"""The Reader: an image in, a Reading out. No torch here; the runtime stands behind `backend`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError, UsageError
from cxreader.evaluation.calibration import margin
from cxreader.evaluation.calibrators import calibrator_from_dict
from cxreader.evaluation.conformal import ConformalRule
from cxreader.evaluation.venn_abers import VennAbers
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read as read_radiograph
from cxreader.inference.backend import Backend, load_backend
from cxreader.models.artifact import Artifact, load_artifact
from cxreader.records import LABEL_NAMES, OperatingPoint, Reading
from cxreader.runs import artifact_folder

Source = str | os.PathLike[str] | bytes | Radiograph
DECODERS = max(2, os.cpu_count() or 1)


class Reader:
    """One model that reads radiographs: decision, calibrated probability, heat map.

    `Reader.load(path).read(image)`. For research; not a medical device. Safe to call from several threads.
    """

    def __init__(self, artifact: Artifact, backend: Backend, operating_point: OperatingPoint) -> None:
        self.artifact = artifact
        self.backend = backend
        self.operating_point = operating_point
        self.calibrator = calibrator_from_dict(artifact.calibration)
        self.venn_abers = None if artifact.venn_abers is None else VennAbers.from_dict(artifact.venn_abers)
        self.conformal = None if artifact.conformal is None else ConformalRule.from_dict(artifact.conformal)
        self._id = artifact.id

    @classmethod
    def load(cls, path: str | Path, *, operating_point: str | None = None, backend: str = "torch") -> Self:
        """The reader of an artifact's folder, or of a run's. `operating_point` is its first one when left out.

        Raises ArtifactError for a damaged or unknown artifact, MissingDependencyError when the runtime is not installed.
        """
        folder = artifact_folder(path)
        artifact = load_artifact(folder)
        return cls(artifact, load_backend(backend, artifact, folder), artifact.operating_point(operating_point))

    def read(self, source: Source, *, heat_map: bool = True) -> Reading:
        """The Reading of one image: a path, the bytes of a file, or a Radiograph.

        Raises ImageError when it cannot be read; `read_many` gives a Reading with its reason instead.
        """
        radiograph = source if isinstance(source, Radiograph) else read_radiograph(source)
        pixels = self.artifact.spec.pixels(radiograph)[None]
        return self._readings([radiograph.source], pixels, [radiograph.notes], heat_map)[0]

    def read_many(
        self, sources: Iterable[Source], *, batch_size: int = 16, heat_map: bool = False
    ) -> Iterator[Reading]:
        """One Reading a source, in their order, decoding the next batch while the network works on this one.

        A source that cannot be read gives a Reading without decision whose `reasons` say why; nothing is raised for it.
        Raises UsageError, before anything is read, for a `batch_size` below 1.
        """
        _refuse_no_batch(batch_size)
        return self._in_batches(sources, batch_size, heat_map)

    def _in_batches(self, sources: Iterable[Source], batch_size: int, heat_map: bool) -> Iterator[Reading]:
        waiting = iter(sources)
        with ThreadPoolExecutor(DECODERS) as pool:
            ahead = [pool.submit(self._prepared, s) for s in islice(waiting, batch_size)]
            while ahead:
                batch = [job.result() for job in ahead]
                ahead = [pool.submit(self._prepared, s) for s in islice(waiting, batch_size)]
                yield from self._batch(batch, heat_map)

    def probabilities(self, pixels: NDArray[np.uint8], *, batch_size: int = 64) -> NDArray[np.float64]:
        """Calibrated probabilities of abnormal (n,) of images (n, S, S) uint8, as the artifact's `spec.pixels` gives them.

        Raises UsageError for a `batch_size` below 1.
        """
        _refuse_no_batch(batch_size)
        found = [np.empty(0)]
        for start in range(0, len(pixels), batch_size):
            logits = self.backend.logits(self.artifact.spec.normalise(np.asarray(pixels[start : start + batch_size])))
            found.append(self.calibrator.apply(margin(logits)))
        return np.concatenate(found)

    def _prepared(self, source: Source) -> tuple[str, NDArray[np.uint8] | None, tuple[str, ...]]:
        """Name, pixels and notes; no pixels, and the reason, when the source cannot be read."""
        name = (
            "bytes" if isinstance(source, bytes) else source.source if isinstance(source, Radiograph) else str(source)
        )
        try:
            radiograph = source if isinstance(source, Radiograph) else read_radiograph(source)
            return name, self.artifact.spec.pixels(radiograph), radiograph.notes
        except ImageError as error:
            reason = error.what if error.mend is None else f"{error.what}; {error.mend}"
            return name, None, (reason,)

    def _batch(
        self, batch: list[tuple[str, NDArray[np.uint8] | None, tuple[str, ...]]], heat_map: bool
    ) -> Iterator[Reading]:
        whole = [(name, pixels, notes) for name, pixels, notes in batch if pixels is not None]
        read: Iterator[Reading] = iter(())
        if whole:
            names, arrays, notes = zip(*whole, strict=True)
            read = iter(self._readings(names, np.stack(arrays), notes, heat_map))
        for name, pixels, reasons in batch:
            yield next(read) if pixels is not None else self._unread(name, reasons)

    def _unread(self, name: str, reasons: tuple[str, ...]) -> Reading:
        return Reading(name, self._id, self.operating_point, reasons=reasons)

    def _readings(
        self, names: Iterable[str], pixels: NDArray[np.uint8], notes: Iterable[tuple[str, ...]], heat_map: bool
    ) -> list[Reading]:
        batch = self.artifact.spec.normalise(pixels)
        maps: NDArray[np.float32] | None = None
        if heat_map:
            logits, maps = self.backend.logits_and_maps(batch)
        else:
            logits = self.backend.logits(batch)
        score = margin(logits)
        probability = self.calibrator.apply(score)
        pairs = None if self.venn_abers is None else np.stack(self.venn_abers.apply(score), axis=1).tolist()
        modes = None if self.conformal is None else self.conformal.predict(probability).tolist()
        return [
            Reading(
                image=name,
                artifact=self._id,
                operating_point=self.operating_point,
                decision=LABEL_NAMES[int(p >= self.operating_point.threshold)],
                probability=float(p),
                heat_map=None if maps is None else maps[i],
                reasons=reasons,
                interval=None if pairs is None else (pairs[i][0], pairs[i][1]),
                conformal=None if modes is None else modes[i],
            )
            for i, (name, p, reasons) in enumerate(zip(names, probability, notes, strict=True))
        ]


def _refuse_no_batch(batch_size: int) -> None:
    if batch_size < 1:
        raise UsageError(f"a batch of {batch_size} images reads nothing", mend="give 1 or more, such as 16")

"""One model of a reader: from the network's outputs to calibrated answers, or to a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.calibration.calibrators import calibrator_from_dict
from cxreader.evaluation.calibration.temperature import margin
from cxreader.evaluation.calibration.venn_abers import VennAbers
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.inference.backend import Backend, load_backend
from cxreader.models.acceptance.out_of_distribution import OODDetector
from cxreader.models.artifact import Artifact, load_artifact
from cxreader.records import LABEL_NAMES, Acceptance, OperatingPoint, Reading
from cxreader.runs import artifact_folder


class Member:
    """An artifact and the runtime that holds its weights, at one operating point; `folder`: where it lies, if anywhere."""

    def __init__(
        self, artifact: Artifact, backend: Backend, operating_point: OperatingPoint, folder: Path | None = None
    ) -> None:
        self.artifact = artifact
        self.folder = folder
        self.backend = backend
        self.operating_point = operating_point
        self.calibrator = calibrator_from_dict(artifact.calibration)
        self.venn_abers = None if artifact.venn_abers is None else VennAbers.from_dict(artifact.venn_abers)
        self.conformal = None if artifact.conformal is None else ConformalRule.from_dict(artifact.conformal)
        self.ood_detector = None if artifact.acceptance is None else OODDetector.from_dict(artifact.acceptance)
        self.id = artifact.id

    @classmethod
    def load(cls, path: str | Path, *, operating_point: str | None = None, backend: str = "auto") -> Self:
        """The member of an artifact's folder, or of a run's. Raises as `Reader.load`.

        Of the network's files only the one that the runtime reads need be there, and is checked.
        """
        folder = artifact_folder(path)
        artifact = load_artifact(folder, weights=False, exports=False)
        point = artifact.operating_point(operating_point)
        return cls(artifact, load_backend(backend, artifact, folder), point, folder)

    def with_maps(self) -> Self:
        """The same model, with torch as its runtime where its export holds no heat maps. Raises as `load_backend`."""
        if self.backend.has_maps or self.folder is None:
            return self
        backend = load_backend("torch", self.artifact, self.folder)
        return type(self)(self.artifact, backend, self.operating_point, self.folder)

    def probabilities(self, pixels: NDArray[np.uint8], batch_size: int) -> NDArray[np.float64]:
        """Calibrated probabilities of abnormal (n,) of images (n, S, S) uint8, whether or not they would be accepted."""
        found = [np.empty(0)]
        for start in range(0, len(pixels), batch_size):
            logits = self.backend.logits(self.artifact.spec.normalise(np.asarray(pixels[start : start + batch_size])))
            found.append(self.calibrator.apply(margin(logits)))
        return np.concatenate(found)

    def accept(self, pixels: NDArray[np.uint8], features: NDArray[np.float32]) -> list[Acceptance]:
        """What the artifact's own rule says of images (n, S, S) uint8 with the network's `features` (n, C)."""
        if self.ood_detector is None:
            return [Acceptance()] * len(pixels)
        return self.ood_detector.judge(pixels, features)

    def readings(
        self,
        names: Sequence[str],
        pixels: NDArray[np.uint8],
        intake: Sequence[Acceptance],
        *,
        heat_map: bool,
        refuse: bool = True,
    ) -> list[Reading]:
        """One Reading an image of `pixels` (n, S, S) uint8; `seen` says what its header and its picture gave.

        With `refuse` off a refused image is answered all the same, its verdict and reasons beside the answer.
        """
        output = self.backend.run(self.artifact.spec.normalise(pixels), maps=heat_map)
        accepted = [a + b for a, b in zip(intake, self.accept(pixels, output.features), strict=True)]
        score = margin(output.logits)
        probability = self.calibrator.apply(score)
        pairs = None if self.venn_abers is None else np.stack(self.venn_abers.apply(score), axis=1).tolist()
        modes = None if self.conformal is None else self.conformal.predict(probability).tolist()
        return [
            self.unanswered(name, acceptance)
            if refuse and acceptance.verdict == "refused"
            else Reading(
                image=name,
                artifact=self.id,
                operating_point=self.operating_point,
                decision=LABEL_NAMES[int(p >= self.operating_point.threshold)],
                probability=float(p),
                heat_map=None if output.maps is None else output.maps[i],
                reasons=acceptance.reasons,
                notes=acceptance.notes,
                interval=None if pairs is None else (pairs[i][0], pairs[i][1]),
                conformal=None if modes is None else modes[i],
                acceptance=acceptance.verdict,
            )
            for i, (name, p, acceptance) in enumerate(zip(names, probability, accepted, strict=True))
        ]

    def unanswered(self, name: str, acceptance: Acceptance | None, reasons: tuple[str, ...] = ()) -> Reading:
        """The Reading of an image that is refused, or (`acceptance` None, for `reasons`) could not be read."""
        if acceptance is None:
            return Reading(name, self.id, self.operating_point, reasons=reasons)
        verdict, reasons, notes = acceptance.verdict, acceptance.reasons, acceptance.notes
        return Reading(name, self.id, self.operating_point, reasons=reasons, notes=notes, acceptance=verdict)

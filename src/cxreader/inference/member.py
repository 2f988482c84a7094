"""One model of a reader: from the network's outputs to calibrated answers, or to a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.calibration.temperature import margin
from cxreader.inference.answers import Answers
from cxreader.inference.decide import decided
from cxreader.inference.prepared import Prepared
from cxreader.inference.runtimes.backend import Backend, load_backend
from cxreader.models.acceptance.out_of_distribution import OODDetector
from cxreader.models.artifact import Artifact, load_artifact
from cxreader.models.population import Population, judge_population
from cxreader.records import Acceptance, OperatingPoint, Reading
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
        self.answers = Answers.of(artifact)
        self.calibrator = self.answers.calibrator.calibrator
        self.venn_abers = self.answers.calibrator.venn_abers
        self.support = self.answers.support
        self.conformal = self.answers.conformal if self.support.calibrated else None
        self.ood_detector = None if artifact.acceptance is None else OODDetector.from_dict(artifact.acceptance)
        self.population = Population.read(artifact.provenance)
        self.id = artifact.id

    @classmethod
    def load(cls, path: str | Path, *, operating_point: str | None = None, backend: str = "auto") -> Self:
        """The member of an artifact's folder, or of a run's. Raises as `Reader.load`.

        Of the network's files only the one that the runtime reads need be there, and is checked.
        """
        folder = artifact_folder(path)
        artifact = load_artifact(folder, weights=False, exports=False)
        point = Answers.of(artifact).operating_point(artifact, operating_point)
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
            found.append(self.answers.calibrator.apply(margin(logits)))
        return np.concatenate(found)

    def accept(
        self, pixels: NDArray[np.uint8], features: NDArray[np.float32]
    ) -> tuple[list[Acceptance], list[float | None]]:
        """The artifact's own verdict on images (n, S, S) uint8 with the network's `features` (n, D), and their `ood_score`.

        Without a detector every image is accepted and no score is known.
        """
        if self.ood_detector is None:
            return [Acceptance()] * len(pixels), [None] * len(pixels)
        verdicts, scores = self.ood_detector.judge(pixels, features)
        return verdicts, scores.tolist()

    def readings(self, shown: Sequence[Prepared], *, heat_map: bool, refuse: bool = True) -> list[Reading]:
        """One Reading for each image of `shown`, all of which could be read.

        With `refuse` off a refused image is answered all the same, its verdict and reasons beside the answer.
        """
        pixels = np.stack([image.pixels[self.artifact.spec.pixel_key] for image in shown])
        output = self.backend.run(self.artifact.spec.normalise(pixels), maps=heat_map)
        verdicts, ood_scores = self.accept(pixels, output.features)
        score = margin(output.logits)
        probability = self.answers.calibrator.apply(score)
        pair = self.answers.calibrator.pair(score)
        pairs = None if pair is None else np.stack(pair, axis=1).tolist()
        modes = None if self.conformal is None else self.conformal.predict(probability).tolist()
        calibrated, note = self.support.calibrated, self.support.note
        bare = [self.unanswered(*each) for each in zip(shown, verdicts, ood_scores, strict=True)]
        return [
            reading
            if refuse and reading.acceptance == "refused"
            else decided(
                replace(
                    reading,
                    probability=float(p) if calibrated else None,
                    score=None if calibrated else float(p),
                    notes=(*reading.notes, *([] if note is None else [note])),
                    heat_map=None if output.maps is None else output.maps[i],
                    region_map=None if output.regions is None else output.regions[i, -1],
                    region_maps={} if output.regions is None else self._by_finding(output.regions[i]),
                    interval=None if pairs is None or not calibrated else (pairs[i][0], pairs[i][1]),
                    conformal=None if modes is None else modes[i],
                )
            )
            for i, (reading, p) in enumerate(zip(bare, probability, strict=True))
        ]

    def _by_finding(self, regions: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The maps (f + 1, s, s) of one image by the findings of the artifact's region head."""
        head = self.artifact.region_head
        return {} if head is None else dict(zip(head.findings, regions, strict=False))

    def unanswered(self, image: Prepared, verdict: Acceptance | None = None, ood_score: float | None = None) -> Reading:
        """The Reading without an answer: why an image could not be read, or what its intake and `verdict` say of it."""
        if image.intake is None:
            return Reading(image.name, self.id, self.operating_point, reasons=image.reasons)
        whom = judge_population(self.population, image.age, image.sex, image.view)
        accepted = image.intake + whom if verdict is None else image.intake + whom + verdict
        return Reading(
            image=image.name,
            artifact=self.id,
            operating_point=self.operating_point,
            reasons=accepted.reasons,
            notes=accepted.notes,
            acceptance=accepted.verdict,
            ood_score=ood_score,
            sop_class=image.sop_class,
            sop_instance_uid=image.sop_instance_uid,
        )

"""What an artifact holds about its answers, on the scale of the probabilities that are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from cxreader.evaluation.calibration.bounded import BoundedCalibrator
from cxreader.evaluation.calibration.calibrators import calibrator_from_dict
from cxreader.evaluation.calibration.support import CalibrationSupport
from cxreader.evaluation.calibration.venn_abers import VennAbers
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.models.artifact import Artifact
from cxreader.records import OperatingPoint


@dataclass(frozen=True)
class Answers:
    """The map from scores to probabilities, and the thresholds on them: an image is flagged when its probability reaches one.

    An artifact of schema 2 to 4 was fitted on probabilities that could lie outside their pair. Its thresholds are moved with
    them, so that it flags and refers the images it always did.
    """

    calibrator: BoundedCalibrator
    operating_points: tuple[OperatingPoint, ...]
    conformal: ConformalRule | None

    @property
    def support(self) -> CalibrationSupport:
        """How many images of each class the probabilities rest on."""
        fitted = self.calibrator.calibrator
        return CalibrationSupport(fitted.n_positive, fitted.n_negative)

    @classmethod
    def of(cls, artifact: Artifact) -> Self:
        """Those of an artifact. Raises DataError for a damaged record."""
        pair = None if artifact.venn_abers is None else VennAbers.from_dict(artifact.venn_abers)
        bounded = BoundedCalibrator(calibrator_from_dict(artifact.calibration), pair)
        rule = None if artifact.conformal is None else ConformalRule.from_dict(artifact.conformal)
        points = artifact.operating_points
        if artifact.thresholds_on == "calibration" and pair is not None:
            points = tuple(replace(p, threshold=bounded.at_or_above(p.threshold)) for p in points)
            rule = rule and replace(
                rule,
                abnormal_from=bounded.at_or_above(rule.abnormal_from),
                normal_to=bounded.at_or_below(rule.normal_to),
            )
        return cls(bounded, points, rule)

    def operating_point(self, artifact: Artifact, name: str | None = None) -> OperatingPoint:
        """The named point, or the first. Raises ArtifactError with the nearest known name."""
        return self.operating_points[artifact.operating_points.index(artifact.operating_point(name))]

"""The probability of a reading: what the calibration says, inside what the images it was fitted on allow.

A calibration of one or two numbers is smooth and may be wrong: where the network leans to one class, a temperature cannot
move it back, and every probability lies beside its Venn-Abers pair. The pair follows the images of `calibrate` alone and
moves in steps. The probability shown is the smooth one as long as it lies inside the pair, else the pair's nearer end.

The ends are taken along straight lines through the pairs at the scores where one of them steps. Such a line stays between
p0, which steps up at a score, and p1, which steps up behind it, so that what is shown is inside the pair at every score
and moves with the score without a step: two runtimes that differ in the sixth digit of a score differ no more in the
answer. A hundredth of the pair's width is kept for the order of scores: a higher score always has a higher probability,
which therefore ranks images exactly as the network does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.calibration.calibrators import Calibrator, checked_scores
from cxreader.evaluation.calibration.venn_abers import VennAbers

Floats = NDArray[np.float64]
KEPT_FOR_ORDER = 0.01
"""Share of the pair's width within which scores of one plateau are told apart."""
_FARTHEST = 2.0**60


@dataclass(frozen=True)
class BoundedCalibrator:
    """A calibrator and the Venn-Abers predictor of the same images; without the latter the calibrator decides alone."""

    calibrator: Calibrator
    venn_abers: VennAbers | None

    def apply(self, score: NDArray[np.floating]) -> Floats:
        """The probabilities (n,) to be shown of scores (n,): in [0, 1], inside `pair`, rising with the score.

        Raises TableError for scores that are not finite.
        """
        scores = checked_scores(score)
        smooth = self.calibrator.apply(scores)
        pair = self.pair(scores)
        if pair is None:
            return smooth
        low, high = (np.interp(scores, self._knots[0], ends) for ends in self._knots[1:])
        order = low + (high - low) * (1 + scores / (1 + np.abs(scores))) / 2
        found = (1 - KEPT_FOR_ORDER) * np.clip(smooth, low, high) + KEPT_FOR_ORDER * order
        return np.asarray(np.clip(found, *pair))  # against rounding

    def pair(self, score: NDArray[np.floating]) -> tuple[Floats, Floats] | None:
        """The Venn-Abers pair of scores (n,), each (n,), where there is a predictor. Raises as `apply`."""
        return None if self.venn_abers is None else self.venn_abers.apply(score)

    def at_or_above(self, threshold: float) -> float:
        """Where `apply` reaches what the calibrator alone calls `threshold`: both flag the same images from there on."""
        return self._shown(self._reaching(threshold))

    def at_or_below(self, threshold: float) -> float:
        """As `at_or_above`, for images that are called so up to and with `threshold`."""
        return self._shown(self._reaching(float(np.nextafter(threshold, 2.0))))

    @cached_property
    def _knots(self) -> tuple[Floats, Floats, Floats]:
        """Scores (k,), and p0 and p1 there: each score at which one of them steps, and one as far outside on either side."""
        pair = self.venn_abers
        steps = np.unique([*pair.p0_from, *pair.p1_to]) if pair is not None else np.empty(0)
        first, last = (float(steps[0]), float(steps[-1])) if len(steps) else (0.0, 0.0)
        reach = max(last - first, 1.0)
        scores = np.concatenate([[first - reach], steps, [last + reach]])
        return (scores, *(pair.apply(scores) if pair is not None else (scores, scores)))

    def _shown(self, score: float) -> float:
        if np.isinf(score):
            return 0.0 if score < 0 else 1.0
        return float(self.apply(np.array([score]))[0])

    def _reaching(self, threshold: float) -> float:
        """The lowest score whose calibrated probability is at least `threshold`; infinite where all are, or none is."""

        def reached(score: float) -> bool:
            return bool(self.calibrator.apply(np.array([score]))[0] >= threshold)

        low, high = -1.0, 1.0
        while reached(low):
            low *= 2
            if low < -_FARTHEST:
                return -np.inf
        while not reached(high):
            high *= 2
            if high > _FARTHEST:
                return np.inf
        while low < (middle := low + (high - low) / 2) < high:
            low, high = (low, middle) if reached(middle) else (middle, high)
        return high

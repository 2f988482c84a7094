"""What a calibration may be called that was fitted on so many images: a calibration, one of few images, or none.

A Venn-Abers pair, a temperature and a threshold of some ten images of a class move with every image that is added: a share of
0.9 that is seen in 20 images has an exact 95 % interval of 0.68 to 0.99, in 50 one of 0.78 to 0.97. Below 20 images of a class
no probability is given, only the score that is compared with the threshold; below 50 every answer says how many they were.
"""

from __future__ import annotations

from dataclasses import dataclass

LEAST, ENOUGH = 20, 50
"""Images of each class on `calibrate`: below the first there is no probability, below the second every answer warns."""


@dataclass(frozen=True, slots=True)
class CalibrationSupport:
    """How many abnormal and normal images of `calibrate` a probability or a threshold rests on."""

    n_positive: int
    n_negative: int

    @property
    def calibrated(self) -> bool:
        """False where what is shown is a score and no probability."""
        return min(self.n_positive, self.n_negative) >= LEAST

    @property
    def note(self) -> str | None:
        """What must stand beside every answer, such as `not calibrated: 17 abnormal, 8 normal`; None where nothing must."""
        counts = f"{self.n_positive:,} abnormal, {self.n_negative:,} normal"
        if not self.calibrated:
            return (
                f"not calibrated: {counts} images on calibrate, {LEAST} of each class are the least, so a score in place of "
                "a probability, and its threshold rests on as few"
            )
        if min(self.n_positive, self.n_negative) < ENOUGH:
            return f"calibrated on few images: {counts}, below {ENOUGH} of a class, probability and threshold may be far off"
        return None

    @property
    def threshold_note(self) -> str | None:
        """What must be said of a threshold that was fitted on so many; None where nothing must."""
        fitted = f"was fitted on {self.n_positive:,} abnormal and {self.n_negative:,} normal images"
        if not self.calibrated:
            return f"{fitted}: below {LEAST} of a class it is hardly better than a guess"
        if min(self.n_positive, self.n_negative) < ENOUGH:
            return f"{fitted}: below {ENOUGH} of a class it may be far off"
        return None

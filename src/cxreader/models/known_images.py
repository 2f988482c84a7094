"""Is an image of the kind the network was trained on? Two checks, fitted on the training images, held to a false-refusal rate.

Each check gives a score that is large for strange images, and refuses above a threshold taken from the `calibrate` part: the
order statistic that an exchangeable image exceeds with the stated probability (Vovk, Gammerman & Shafer, Algorithmic Learning
in a Random World, 2005: inductive conformal prediction). Images of another hospital are not exchangeable with it; how
many of them are refused is measured by `cxreader evaluate`, not promised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ArtifactError
from cxreader.models.feature_distance import FeatureDistance, fit_distance
from cxreader.models.orientation import LOOKS, Orientation, fit_orientation
from cxreader.records import Acceptance

LEAST_IMAGES = 20
"""Calibration images below which no threshold is taken: its false-refusal rate would be above one in twenty."""


UPRIGHT = 0.5
"""Probability of standing upright below which an image is refused in any case: another look is then as likely."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownImages:
    """The rule. `false_refusals`: the share of images like those of `calibrate` that each check refuses at most, as fitted.

    `n_train` and `n_calibrate` count the images behind it.
    """

    distance: FeatureDistance
    orientation: Orientation
    farthest: float
    least_upright: float
    false_refusals: float
    n_train: int
    n_calibrate: int

    def judge(self, pixels: NDArray[np.uint8], features: NDArray[np.floating]) -> list[Acceptance]:
        """What the rule says of images (n, S, S) uint8, as `InputSpec.pixels` gives them, and their features (n, C)."""
        far = self.distance.apply(features) / self.farthest
        looks = self.orientation.apply(pixels)
        return [self._verdict(float(f), look) for f, look in zip(far, looks, strict=True)]

    def _verdict(self, far: float, look: NDArray[np.float64]) -> Acceptance:
        reasons = []
        if far > 1:
            reasons.append(f"unlike the training images: {far:.1f} times as far from them as what is accepted")
        if look[0] < self.least_upright:
            best = int(look.argmax())
            seems = "if it is a chest, it looks" if far > 1 else "looks"
            reasons.append(f"{seems} {LOOKS[best]}" if best else "does not clearly look like an upright chest")
        return Acceptance("refused", tuple(reasons)) if reasons else Acceptance()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("distance", "orientation")}
        return {"distance": self.distance.to_dict(), "orientation": self.orientation.to_dict(), **plain}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, to the bit. Raises ArtifactError when a field is missing or wrong."""
        try:
            distance = FeatureDistance.from_dict(values["distance"])
            orientation = Orientation.from_dict(values["orientation"])
            rest = {k: v for k, v in values.items() if k not in ("distance", "orientation")}
            return cls(distance=distance, orientation=orientation, **rest)
        except (KeyError, TypeError, ValueError) as error:
            what = f"the acceptance rule cannot be read ({error})"
            raise ArtifactError(what, mend="use the cxreader that wrote it") from None


def fit_known_images(
    train: tuple[NDArray[np.uint8], NDArray[np.floating]],
    calibrate: tuple[NDArray[np.uint8], NDArray[np.floating]],
    false_refusals: float,
    *,
    seed: int = 0,
) -> KnownImages | None:
    """The rule from images (n, S, S) and features (n, C) of both parts; None where `calibrate` holds too few images.

    `false_refusals`: the wanted rate of each check; 1/(n+1) where the n calibration images allow no smaller one.
    """
    n = len(calibrate[0])
    if n < LEAST_IMAGES:
        return None
    distance, orientation = fit_distance(train[1]), fit_orientation(train[0], seed)
    far = np.sort(distance.apply(calibrate[1]))
    upright = np.sort(orientation.apply(calibrate[0])[:, 0])
    kept = accepted_of(n, false_refusals)
    least_upright = max(float(upright[n - kept]), UPRIGHT)
    refused = max(n - kept, int((upright < least_upright).sum()))
    return KnownImages(
        distance=distance,
        orientation=orientation,
        farthest=max(float(far[kept - 1]), float(np.finfo(np.float32).tiny)),
        least_upright=least_upright,
        false_refusals=(refused + 1) / (n + 1),
        n_train=len(train[0]),
        n_calibrate=n,
    )


def accepted_of(n: int, rate: float) -> int:
    """Of n calibration images sorted by strangeness, the one (from 1) beyond which a further one falls with at most `rate`.

    The largest possible, n, where n is too small for the rate.
    """
    return min(n, math.ceil((n + 1) * (1 - rate)))

"""Is an image of the kind the network was trained on? Checks fitted on the training images, held to a false-refusal rate.

One asks how it stands (`orientation`), one whether it is blurred (`sharpness`), and one how far it is from the training images:
in what the network's stages saw and in its thumbnail, of which the geometric mean counts, since an image may be strange in
texture or in shape.

Each check gives a score that is large for strange images, and refuses above a threshold taken from the `calibrate` part: the
order statistic that an exchangeable image exceeds with nearly the stated probability (Vovk, Gammerman & Shafer, Algorithmic
Learning in a Random World, 2005: inductive conformal prediction). Images of another hospital are not exchangeable with it;
how many of them are refused is measured by `cxreader evaluate`, not promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ArtifactError
from cxreader.models.acceptance.feature_distance import FeatureDistance, fit_distance
from cxreader.models.acceptance.orientation import LOOKS, Orientation, fit_orientation, thumbnails
from cxreader.models.acceptance.sharpness import sharpness
from cxreader.records import Acceptance

_PARTS: dict[str, type[FeatureDistance] | type[Orientation]] = {
    "features": FeatureDistance,
    "picture": FeatureDistance,
    "orientation": Orientation,
}
CHECKS = 3
"""How it stands, how sharp it is, how far it is from the training images."""
SHARP_ENOUGH = 0.8
"""Of the sharpness that nearly all calibration images have: one a little softer is no reason to refuse it."""
LEAST_IMAGES = 20
"""Calibration images below which no threshold is taken: its false-refusal rate would be above one in twenty."""


FEATURE_COMPONENTS, PICTURE_COMPONENTS = 32, 16
UPRIGHT = (0.5, 0.8)
"""Probability of standing upright below which an image is refused in any case, since another look is then as likely, and above
which it never is."""


@dataclass(frozen=True, slots=True, eq=False)
class OODDetector:
    """The rule. `false_refusals`: the share of images like those of `calibrate` that each check refuses at most, as fitted.

    `n_train` and `n_calibrate` count the images behind it.
    """

    features: FeatureDistance
    picture: FeatureDistance
    orientation: Orientation
    farthest: float
    least_upright: float
    least_sharp: float
    false_refusals: float
    n_train: int
    n_calibrate: int

    def judge(self, pixels: NDArray[np.uint8], features: NDArray[np.floating]) -> list[Acceptance]:
        """What the rule says of images (n, S, S) uint8, as `InputSpec.pixels` gives them, and their features (n, D)."""
        small = thumbnails(pixels)
        far = _ood_score(self.features, self.picture, features, small) / self.farthest
        looks = self.orientation.apply(small)
        blurred = sharpness(pixels) < self.least_sharp
        return [self._verdict(float(f), look, bool(b)) for f, look, b in zip(far, looks, blurred, strict=True)]

    def _verdict(self, far: float, look: NDArray[np.float64], blurred: bool) -> Acceptance:
        reasons = []
        if far > 1:
            reasons.append(f"unlike the training images: {how_far(far)} what is accepted")
        if look[0] < self.least_upright:
            best = int(look.argmax())
            seems = "if it is a chest, it looks" if far > 1 else "looks"
            reasons.append(f"{seems} {LOOKS[best]}" if best else "does not clearly look like an upright chest")
        if blurred:
            reasons.append("blurred: less fine detail than the training images have")
        return Acceptance("refused", tuple(reasons)) if reasons else Acceptance()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            name: value.to_dict() if name in _PARTS else value
            for name in self.__slots__
            for value in [getattr(self, name)]
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, to the bit. Raises ArtifactError when a field is missing or wrong."""
        try:
            parts = {name: kind.from_dict(values[name]) for name, kind in _PARTS.items()}
            return cls(**{**values, **parts})
        except (KeyError, TypeError, ValueError) as error:
            what = f"the acceptance rule cannot be read ({error})"
            raise ArtifactError(what, mend="use the cxreader that wrote it") from None


def fit_ood_detector(
    train: tuple[NDArray[np.uint8], NDArray[np.floating]],
    calibrate: tuple[NDArray[np.uint8], NDArray[np.floating]],
    false_refusals: float,
    *,
    seed: int = 0,
) -> OODDetector | None:
    """The rule from images (n, S, S) and features (n, D) of both parts; None where `calibrate` holds too few images.

    `false_refusals`: the wanted rate of each check; 1/(n+1) where the n calibration images allow no smaller one.
    """
    n = len(calibrate[0])
    if n < LEAST_IMAGES:
        return None
    features = fit_distance(train[1], FEATURE_COMPONENTS)
    picture = fit_distance(thumbnails(train[0]), PICTURE_COMPONENTS)
    orientation = fit_orientation(train[0], seed)
    small = thumbnails(calibrate[0])
    far = np.sort(_ood_score(features, picture, calibrate[1], small))
    upright = np.sort(orientation.apply(small)[:, 0])
    kept = accepted_of(n, false_refusals)
    least_upright = float(np.clip(upright[n - kept], *UPRIGHT))
    detail = np.sort(sharpness(calibrate[0]))
    refused = max(n - kept, int((upright < least_upright).sum()))
    return OODDetector(
        features=features,
        picture=picture,
        orientation=orientation,
        farthest=max(float(far[kept - 1]), float(np.finfo(np.float32).tiny)),
        least_upright=least_upright,
        least_sharp=SHARP_ENOUGH * float(detail[n - kept]),
        false_refusals=(refused + 1) / (n + 1),
        n_train=len(train[0]),
        n_calibrate=n,
    )


def _ood_score(
    features: FeatureDistance, picture: FeatureDistance, seen: NDArray[np.floating], small: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Geometric means (n,) of the two distances."""
    return np.asarray(np.sqrt(features.apply(seen) * picture.apply(small)))


def accepted_of(n: int, rate: float) -> int:
    """Of n calibration images sorted by strangeness, the one (from 1) beyond which a further one falls with `rate`, nearly.

    Beyond the k-th falls an exchangeable image with (n + 1 - k) / (n + 1): the k nearest to the rate, the last where n is small.
    """
    return min(n, round((n + 1) * (1 - rate)))


def how_far(far: float) -> str:
    """In words, how many times as far from the training images as what is accepted: above 1, and never told as 1.0."""
    return f"{far:.1f} times as far from them as" if far >= 1.05 else "hardly farther from them than"

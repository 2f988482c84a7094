"""Out-of-distribution detection: whether an image is of the kind the network was trained on.

Three checks, fitted on the training images: how the chest stands (`orientation`), whether the picture is blurred (`sharpness`),
and the out-of-distribution score, the geometric mean of two Mahalanobis distances from the training images (`feature_distance`;
Lee et al., NeurIPS 2018): in the features of the network's stages and in the thumbnail, since an image may be out of
distribution in texture or in shape.

Each check refuses beyond a threshold taken from the `calibrate` part: the order statistic that an exchangeable image exceeds
with nearly the stated probability (Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005: inductive conformal
prediction; for out-of-distribution detection Bates et al., Annals of Statistics 2023). Images of another hospital are not
exchangeable with it; how many of them are refused is measured by `cxreader evaluate`, not promised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain, in_words, key
from cxreader.errors import ArtifactError
from cxreader.models.acceptance.feature_distance import FeatureDistance, fit_distance
from cxreader.models.acceptance.orientation import LOOKS, Orientation, fit_orientation, standardised_thumbnails
from cxreader.models.acceptance.sharpness import sharpness
from cxreader.records import Acceptance

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


@dataclass(frozen=True, eq=False)
class OODDetector(Plain):
    """The fitted checks with their thresholds.

    An image is refused when its `ood_score` is above 1, its probability of standing upright below `least_upright` (in [0, 1])
    or its `sharpness` below `least_sharp` (>= 0). `ood_threshold` (> 0): the geometric mean of the two distances that is an
    `ood_score` of 1. `false_refusals`: the share, in (0, 1], of images
    exchangeable with those of `calibrate` that each check refuses at most. `n_train` and `n_calibrate` count the images that
    it was fitted on. Raises ArtifactError for a threshold that is not finite.
    """

    features: FeatureDistance
    picture: FeatureDistance
    orientation: Orientation
    ood_threshold: float = field(metadata=key("farthest"))
    least_upright: float
    least_sharp: float
    false_refusals: float
    n_train: int
    n_calibrate: int

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.ood_threshold, self.least_upright, self.least_sharp))):
            raise ArtifactError("a threshold of the acceptance rule is not finite", mend="train the artifact again")

    def ood_score(self, pixels: NDArray[np.uint8], features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Out-of-distribution scores (n,), at least 0, in multiples of the threshold: above 1 an image is refused.

        `pixels` (n, S, S) uint8, as `InputSpec.pixels` gives them; `features` (n, D), as `StagedModel.maps_and_features` does.
        """
        return self._ood_score(standardised_thumbnails(pixels), features)

    def judge(
        self, pixels: NDArray[np.uint8], features: NDArray[np.floating]
    ) -> tuple[list[Acceptance], NDArray[np.float64]]:
        """One verdict an image, accepted or refused with the reasons in plain words, and the `ood_score` of each (n,)."""
        small = standardised_thumbnails(pixels)
        far = self._ood_score(small, features)
        looks = self.orientation.apply(small)
        blurred = sharpness(pixels) < self.least_sharp
        return [self._verdict(float(f), look, bool(b)) for f, look, b in zip(far, looks, blurred, strict=True)], far

    def _ood_score(self, small: NDArray[np.float64], features: NDArray[np.floating]) -> NDArray[np.float64]:
        return _score(self.features, self.picture, features, small) / self.ood_threshold

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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, to the bit. Raises ArtifactError when a field is missing or wrong."""
        try:
            return super().from_dict(values)
        except (KeyError, TypeError, ValueError) as error:
            what = f"the acceptance rule cannot be read ({in_words(error)})"
            raise ArtifactError(what, mend="use the cxreader that wrote it") from None


def fit_ood_detector(
    train: tuple[NDArray[np.uint8], NDArray[np.floating]],
    calibrate: tuple[NDArray[np.uint8], NDArray[np.floating]],
    false_refusals: float,
    *,
    seed: int = 0,
) -> OODDetector | None:
    """Fit the checks on `train` and their thresholds on `calibrate`: each images (n, S, S) uint8 and features (n, D).

    `false_refusals`, in (0, 1): the wanted rate of each check; 1/(n+1) where the n calibration images allow no smaller one.
    `seed`: of the orientation's solver. None for fewer than `LEAST_IMAGES` calibration images.
    """
    n = len(calibrate[0])
    if n < LEAST_IMAGES:
        return None
    features = fit_distance(train[1], FEATURE_COMPONENTS)
    picture = fit_distance(standardised_thumbnails(train[0]), PICTURE_COMPONENTS)
    orientation = fit_orientation(train[0], seed)
    small = standardised_thumbnails(calibrate[0])
    score = np.sort(_score(features, picture, calibrate[1], small))
    upright = np.sort(orientation.apply(small)[:, 0])
    kept = conformal_rank(n, false_refusals)
    least_upright = float(np.clip(upright[n - kept], *UPRIGHT))
    detail = np.sort(sharpness(calibrate[0]))
    refused = max(n - kept, int((upright < least_upright).sum()))
    return OODDetector(
        features=features,
        picture=picture,
        orientation=orientation,
        ood_threshold=max(float(score[kept - 1]), float(np.finfo(np.float32).tiny)),
        least_upright=least_upright,
        least_sharp=SHARP_ENOUGH * float(detail[n - kept]),
        false_refusals=(refused + 1) / (n + 1),
        n_train=len(train[0]),
        n_calibrate=n,
    )


def _score(
    features: FeatureDistance, picture: FeatureDistance, seen: NDArray[np.floating], small: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Geometric means (n,) of the two distances."""
    return np.asarray(np.sqrt(features.apply(seen) * picture.apply(small)))


def conformal_rank(n: int, rate: float) -> int:
    """The rank k (from 1) among n sorted scores beyond which an exchangeable image's score falls with nearly `rate`.

    Beyond the k-th it falls with probability (n + 1 - k) / (n + 1): the k nearest to the rate, and n where that is too small.
    """
    return min(n, round((n + 1) * (1 - rate)))


def how_far(far: float) -> str:
    """In words, a score that is `far` (> 1) times the threshold; never told as 1.0."""
    return f"{far:.1f} times as far from them as" if far >= 1.05 else "hardly farther from them than"

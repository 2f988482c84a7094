"""The rule by which a reader accepts images, fitted on what the network was trained on and held on the calibrate part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cxreader.data.dataset import CachedImages, derive_seed
from cxreader.models.acceptance.out_of_distribution import LEAST_IMAGES, OODDetector, fit_ood_detector
from cxreader.models.stages import StagedModel
from cxreader.progress import Say
from cxreader.training.module import Recipe
from cxreader.training.predict import predict_with_features

MOST_IMAGES = 2000
"""Training images that the rule is fitted on; more change it little and each costs a pass through the network."""


def fit_acceptance(
    model: StagedModel,
    stage: str,
    recipe: Recipe,
    train: CachedImages,
    calibrate: CachedImages,
    features: Tensor,
    rate: float,
    say: Say,
) -> tuple[OODDetector, NDArray[np.float64]] | None:
    """The rule and the OOD scores (n,) of `calibrate`, or None where that part is too small for one, which is said.

    `features` (n, C) are those of `calibrate`; a sample of `train`, drawn from the seed, is shown to the network here.
    """
    if len(calibrate) < LEAST_IMAGES:
        say(
            f"no acceptance rule: {len(calibrate)} calibration images, {LEAST_IMAGES} are needed; strange images are read too"
        )
        return None
    sample = _sample(train, derive_seed(recipe.seed, "acceptance"))
    _, seen = predict_with_features(model, sample, recipe, stage)
    held_out = (_pixels(calibrate), features.numpy())
    rule = fit_ood_detector((_pixels(sample), seen.numpy()), held_out, rate, seed=recipe.seed)
    if rule is None:
        return None
    if rule.false_refusals > rate:
        say(
            f"acceptance: {rule.n_calibrate} calibration images allow no lower rate of false refusals than "
            f"{100 * rule.false_refusals:.1f} % a check"
        )
    return rule, rule.ood_score(*held_out)


def _sample(images: CachedImages, seed: int) -> CachedImages:
    if len(images) <= MOST_IMAGES:
        return images
    return images.chosen(np.sort(np.random.default_rng(seed).choice(len(images), MOST_IMAGES, replace=False)).tolist())


def _pixels(images: CachedImages) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.pixels[images.rows])

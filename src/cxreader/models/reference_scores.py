"""How an artifact's scores are distributed on `calibrate`, so that whoever uses it can see when those of later images drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.records import ABNORMAL, NORMAL

LEVELS = (0.0, 0.01, 0.025, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.975, 0.99, 1.0)
"""Deciles and the tails."""


@dataclass(frozen=True, slots=True)
class ScoreQuantiles(Plain):
    """Quantiles of one score at the levels beside them: of all images, of the normal and of the abnormal ones.

    A quantile is a score that occurred: the smallest at or below which lies at least the level's share of the images
    (Hyndman & Fan, The American Statistician 1996: definition 1); at level 0 the smallest of all.
    """

    all: tuple[float, ...]
    normal: tuple[float, ...]
    abnormal: tuple[float, ...]

    @classmethod
    def of(cls, score: NDArray[np.floating], label: NDArray[np.integer]) -> Self:
        """Of scores (n,) and labels (n,) 0 or 1, with an image of each class at least."""
        parts = (score, score[label == NORMAL], score[label == ABNORMAL])
        return cls(*(tuple(np.quantile(part, LEVELS, method="inverted_cdf").tolist()) for part in parts))


@dataclass(frozen=True, slots=True)
class ReferenceScores(Plain):
    """The scores of all images of `calibrate`, abnormal (`n_positive`) and normal, also of those that would be refused.

    `probability`: calibrated, of abnormal, in [0, 1]. `ood_score`: in multiples of the threshold, as `Reading.ood_score`; None
    where the artifact has no detector. The calibration was fitted on the same images, so that later ones of the same kind may
    differ a little.
    """

    n_positive: int
    n_negative: int
    levels: tuple[float, ...]
    probability: ScoreQuantiles
    ood_score: ScoreQuantiles | None

    @classmethod
    def of(
        cls, label: NDArray[np.integer], probability: NDArray[np.floating], ood_score: NDArray[np.floating] | None
    ) -> Self:
        """Of labels, calibrated probabilities and, where there is a detector, OOD scores of `calibrate`, each (n,)."""
        return cls(
            n_positive=int(np.count_nonzero(label == ABNORMAL)),
            n_negative=int(np.count_nonzero(label == NORMAL)),
            levels=LEVELS,
            probability=ScoreQuantiles.of(probability, label),
            ood_score=None if ood_score is None else ScoreQuantiles.of(ood_score, label),
        )

"""How many images of patients it has never met a reader would refuse, and for which reasons.

Whether a refusal is false is not known from the image: where all images judged are frontal chests, all of them are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.evaluation.statistics.exact import bounded_share
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, Weights, bootstrap
from cxreader.evaluation.statistics.metrics import ratio

MANY_REFUSED = 0.02
"""Share of refused images above which, if its whole interval lies there, every report warns."""
WHO = {"all": "all images", "normal": "normal images", "abnormal": "abnormal images"}


@dataclass(frozen=True, eq=False)
class Refusals(Plain):
    """Shares refused, by the names of `WHO`; `reasons` counts the images refused for each, a picture may have several.

    `stated`: the rate of each fitted check of the artifact on images like those it was calibrated on; None where it
    holds no such check, so that only headers and pictures were looked at. `unanswered`: where a table told who is refused, how
    many of these have no probability, so that no other figure counts them; None where a reader was asked.
    """

    shares: dict[str, Estimate]
    reasons: dict[str, int]
    stated: float | None = None
    unanswered: int | None = None


def count_refusals(
    refused: NDArray[np.bool_],
    reasons: Sequence[Sequence[str]],
    sample: Sample,
    *,
    stated: float | None = None,
    unanswered: int | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Refusals:
    """From who is `refused` (n,) and each image's `reasons` (empty for the others), intervals by patient.

    A reason is counted by its words before the first colon, which holds no number. Where none is refused, or all are, a
    bootstrap bounds nothing: the bound is then Clopper and Pearson's (Biometrika 26, 1934) for as many patients.
    """
    members = {
        "all": np.ones(len(refused)),
        "normal": (sample.label == 0).astype(float),
        "abnormal": (sample.label == 1).astype(float),
    }

    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        return {name: ratio(weight @ (own * refused), weight @ own) for name, own in members.items()}

    absent = {name: f"there is no {name} image" for name in ("normal", "abnormal")}
    found = bootstrap(statistic, sample, n_resamples=n_resamples, seed=seed, reasons=absent)
    shares = {name: _counted(found[name], members[name] > 0, sample) for name in WHO}
    kinds = Counter(kind for own in reasons for kind in {reason.split(":")[0] for reason in own})
    return Refusals(shares, dict(kinds.most_common()), stated, unanswered)


def _counted(share: Estimate, own: NDArray[np.bool_], sample: Sample) -> Estimate:
    """The estimate with the counts of its own images, and a bound where every resample gives the same."""
    n_positive = int(np.count_nonzero(own & (sample.label == 1)))
    people = len(np.unique(sample.groups[own]))
    known = people if sample.patients_known else None
    counted = replace(share, n_positive=n_positive, n_negative=int(own.sum()) - n_positive, n_patients=known)
    return bounded_share(counted, own, sample)

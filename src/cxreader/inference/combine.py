"""Several models' answers to one image become one: their mean, how far they agree, and a referral where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cxreader.errors import UsageError
from cxreader.inference.decide import decided, reasons_of_image
from cxreader.records import Acceptance, OperatingPoint, Reading


def combined_point(points: Sequence[OperatingPoint]) -> OperatingPoint:
    """The operating point of several models: the mean of their thresholds, which are all on the scale of probabilities.

    What sensitivity or specificity the mean reaches nobody measured, and its `rule` says so. It rests on as many images as the
    least supported of them. Raises UsageError when their names differ.
    """
    names = {point.name for point in points}
    if len(names) > 1:
        mend = "choose one that all of them have with --operating-point"
        raise UsageError(f"the models' operating points differ ({', '.join(sorted(names))})", mend=mend)
    rule = f"mean of {len(points)} models' thresholds; what it reaches was not measured"
    least_positive, least_negative = min(p.n_positive for p in points), min(p.n_negative for p in points)
    return OperatingPoint(
        points[0].name, float(np.mean([p.threshold for p in points])), rule, least_positive, least_negative
    )


def combine(readings: Sequence[Reading], point: OperatingPoint, bound: float) -> Reading:
    """One Reading of several models' Readings of one image.

    The image is refused when one of them refuses it, with a reason that names the model unless all give it; then no member
    keeps an answer either. Else `probability` is the mean, `agreement` 1 less the distance
    between the smallest and the largest probability, `interval` from the lowest to the highest end of theirs, `conformal`
    what all say, or refer; `decision` is refer when the distance is larger than `bound`, and as `decide.decided` says.
    `ood_score` is in any case the largest of those that a member has. Where a model has a score and no probability, the mean is
    a score.
    """
    first = readings[0]
    bare = replace(
        _without_answer(first),
        artifact="+".join(reading.artifact for reading in readings),
        operating_point=point,
        ood_score=max((r.ood_score for r in readings if r.ood_score is not None), default=None),
        members=tuple(readings),
    )
    verdicts = [Acceptance(r.acceptance, reasons_of_image(r), r.notes) for r in readings if r.acceptance is not None]
    if not verdicts:
        return bare
    probabilities = [r.value for r in readings if r.value is not None]
    if len(probabilities) < len(readings):
        refused = sum(_naming_models(readings, verdicts), Acceptance())
        return replace(_with(bare, refused), members=tuple(map(_without_answer, readings)))
    low, high = min(probabilities), max(probabilities)
    mean = float(np.mean(probabilities))
    pairs = [reading.interval for reading in readings if reading.interval is not None]
    modes = {reading.conformal for reading in readings}
    calibrated = all(reading.probability is not None for reading in readings)
    answered = replace(
        _with(bare, sum(verdicts, Acceptance())),
        probability=mean if calibrated else None,
        score=None if calibrated else mean,
        interval=(min(p[0] for p in pairs), max(p[1] for p in pairs)) if len(pairs) == len(readings) else None,
        conformal=None if None in modes else modes.pop() if len(modes) == 1 else "refer",
        agreement=1 - (high - low),
    )
    if high - low <= bound:
        return decided(answered)
    name = "probabilities" if calibrated else "scores"
    disagree = f"the models disagree: {name} from {low:.3f} to {high:.3f}, more than {bound:g} apart"
    return replace(answered, decision="refer", reasons=(*answered.reasons, disagree))


def _without_answer(reading: Reading) -> Reading:
    """What is left of a Reading where another model refused the image."""
    bare = replace(reading, reasons=reasons_of_image(reading), decision=None, probability=None, score=None)
    return replace(bare, interval=None, conformal=None, heat_map=None, region_map=None, region_maps={})


def _with(reading: Reading, accepted: Acceptance) -> Reading:
    return replace(reading, acceptance=accepted.verdict, reasons=accepted.reasons, notes=accepted.notes)


def _naming_models(readings: Sequence[Reading], verdicts: Sequence[Acceptance]) -> list[Acceptance]:
    """The verdicts, with the model before a refusal's reasons that not all models give."""
    shared = set.intersection(*(set(verdict.reasons) for verdict in verdicts))
    found = []
    for n, (reading, verdict) in enumerate(zip(readings, verdicts, strict=True), 1):
        who = f"model {n} ({reading.artifact}): " if verdict.verdict == "refused" else ""
        reasons = tuple(reason if reason in shared else who + reason for reason in verdict.reasons)
        found.append(replace(verdict, reasons=reasons))
    return found

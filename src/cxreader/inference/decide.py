"""From a number and a threshold to a decision, which never contradicts what the same row says beside it."""

from __future__ import annotations

from dataclasses import replace

from cxreader.records import LABEL_NAMES, Label, Reading


def decided(reading: Reading) -> Reading:
    """The reading with its decision: abnormal where its value reaches the threshold, else normal.

    Refer, with a reason, where the conformal rule holds the other label alone possible: two rules fitted on the same images then
    give two answers, and neither is taken. Where that rule says refer itself, both labels are possible or neither is, and the
    threshold decides. A reading without a value stays as it is.
    """
    if reading.value is None:
        return reading
    differ = difference(reading)
    if differ is None:
        return replace(reading, decision=_by_threshold(reading))
    return replace(reading, decision="refer", reasons=(*reading.reasons, differ))


def reasons_of_image(reading: Reading) -> tuple[str, ...]:
    """The reasons without the one that `decided` gave: what is said of the image and not of the answer."""
    return tuple(reason for reason in reading.reasons if reason != difference(reading))


def difference(reading: Reading) -> str | None:
    """Why the threshold and the conformal rule cannot both be followed; None where they can."""
    if reading.value is None or reading.conformal in (None, "refer", _by_threshold(reading)):
        return None
    return f"the threshold says {_by_threshold(reading)}, the conformal rule {reading.conformal}"


def _by_threshold(reading: Reading) -> Label:
    return LABEL_NAMES[int((reading.value or 0.0) >= reading.operating_point.threshold)]

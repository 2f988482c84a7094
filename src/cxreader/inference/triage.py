"""Readings become a worklist: who is looked at first, and why.

The rule, in four steps. (1) What is called abnormal, or referred because the models disagree or threshold and conformal rule
differ, the most suspicious first: by the probability (the score, where there is none), for a referred image by the highest that
any model gave, since one model's alarm is a reason to look. (2) What has no answer, refused or not read, in the order given:
nothing is known of it, so that it stands where the reader knows least, behind every alarm and before everything called normal,
and it needs a person in any case. (3) What is called
normal in doubt, with a warning or without the conformal rule's consent; (4) what is called normal. Both by the probability.

A model's probability rises with its network's score (`evaluation.calibration.bounded`): its order is the score's, without ties.

Nobody is left out: a worklist changes the order in which people look, never whether they do.
"""

from __future__ import annotations

from dataclasses import dataclass

from cxreader.inference.decide import difference
from cxreader.records import Reading

ALARM, UNANSWERED, IN_DOUBT, NORMAL = range(4)
_PERSON = "a person must look"
REFERRED_BY_RULE = "the conformal rule refers it"


@dataclass(frozen=True, slots=True)
class Urgency:
    """Where a reading belongs, and the `reason` in words.

    `step` of the rule, counted from 0; `height`: the probability that orders it there, 0 where there is none.
    """

    step: int
    height: float
    reason: str


def urgency(reading: Reading) -> Urgency:
    """The urgency of one Reading, by the rule above."""
    value = reading.value
    if value is None or reading.decision is None:
        return Urgency(UNANSWERED, 0.0, f"{'not read' if reading.acceptance is None else 'refused'}: {_PERSON}")
    plain = plain_reason(reading.decision, value, calibrated=reading.probability is not None)
    if reading.decision == "refer":
        highest = max([value, *(m.value for m in reading.members if m.value is not None)])
        differ = difference(reading)
        why = differ if differ in reading.reasons else f"the models disagree, the highest says {highest:.2f}"
        return Urgency(ALARM, highest, f"referred: {why}")
    if reading.decision == "abnormal":
        return Urgency(ALARM, value, f"{plain}{_warned(reading)}")
    if reading.acceptance == "warning":
        return Urgency(IN_DOUBT, value, f"{plain}{_warned(reading)}")
    if reading.conformal == "refer":
        return Urgency(IN_DOUBT, value, f"{plain}; {REFERRED_BY_RULE}")
    return Urgency(NORMAL, value, plain)


def plain_reason(decision: str, value: float, *, calibrated: bool = True) -> str:
    """The reason of a rank that says no more than the answer does."""
    return f"{decision}, {'probability' if calibrated else 'score'} {value:.2f}"


def _warned(reading: Reading) -> str:
    return "; with a warning" if reading.acceptance == "warning" else ""

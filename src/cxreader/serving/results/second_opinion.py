"""An answer as a second opinion in words: what it says, how often that is right, how sure, for whom it was measured.

How often comes from the evaluation that the artifact carries of itself, at the operating point that decided, with its interval
and counts; where that is not there, the words say so. What was refused has its reasons and no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cxreader.counting import format_count
from cxreader.errors import CxreaderError
from cxreader.evaluation.decisions.at_threshold import AtThreshold
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.inference.answer_text import interval_text, probability_text
from cxreader.models.artifact import Artifact
from cxreader.models.population import Population, drawn
from cxreader.records import OperatingPoint, Reading

Tone = Literal["alarm", "below", "refer", "refused", "unread"]
BLIND = (
    "It answers one question, normal or abnormal, on frontal chest radiographs; it names no finding.",
    "It sees this image alone: no earlier image, no history, no other view.",
    "It is known to miss small and subtle findings, and what its training images did not show.",
)
"""What no reader of this kind can see."""
PHANTOMS = "trained on drawn phantoms, no patients: its answers on patients mean nothing"
_HEADLINES: Mapping[Tone, str] = {
    "alarm": "Above the operating point",
    "below": "Below the operating point: does not rule out disease",
    "refer": "No clear answer: a person must look",
    "refused": "Refused: a person must look",
    "unread": "Could not be read: a person must look",
}


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """The words of one answer.

    `reasons`: of its quality or refusal, to be shown first; `notes`: what else is to be known; `number`: probability or score
    with what it is compared with, `frequency`: how often such an answer is right, both empty where there is no answer; `models`:
    each of several; `measured`, `trained`: on whom; `blind`: what it cannot see.
    """

    tone: Tone
    headline: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    number: str
    frequency: str
    models: tuple[str, ...]
    measured: tuple[str, ...]
    trained: tuple[str, ...]
    blind: tuple[str, ...] = BLIND


def second_opinion(reading: Reading, artifacts: Mapping[str, Artifact]) -> SecondOpinion:
    """The words of a Reading; `artifacts`: by id, those that are still at hand."""
    tone = _tone(reading)
    alone = artifacts.get(reading.artifact)
    answered = tone in ("alarm", "below", "refer")
    several = [artifacts[one.artifact] for one in reading.members if one.artifact in artifacts]
    of = several or ([alone] if alone else [])
    return SecondOpinion(
        tone=tone,
        headline=_HEADLINES[tone],
        reasons=(*reading.reasons, *([PHANTOMS] if any(drawn(one.provenance) for one in of) else [])),
        notes=reading.notes,
        number=_number(reading) if answered else "",
        frequency=_frequency(reading, alone) if tone in ("alarm", "below") else "",
        models=tuple(f"{_name(one, artifacts)}: {_number(one)}" for one in reading.members if one.value is not None),
        measured=tuple(_measured(one) for one in of) or ("Its artifact is not among the service's models any more.",),
        trained=tuple(_trained(one) for one in of),
    )


def _tone(reading: Reading) -> Tone:
    if reading.value is None or reading.decision is None:
        return "unread" if reading.acceptance is None else "refused"
    tones: Mapping[str, Tone] = {"abnormal": "alarm", "normal": "below", "refer": "refer"}
    return tones[reading.decision]


def _number(reading: Reading) -> str:
    """The value with its interval, and the operating point; a score says that it is no probability."""
    threshold = reading.operating_point.threshold
    shown = probability_text(reading.value, threshold)
    at = f"operating point {threshold:.3f}"
    if reading.probability is None:
        return f"score {shown}, not calibrated: no probability; {at}"
    if reading.interval is None:
        return f"probability {shown}, no interval was fitted; {at}"
    pair = interval_text(reading.probability, *reading.interval, threshold)
    return f"probability {shown} (Venn-Abers pair {pair}); {at}"


def _frequency(reading: Reading, artifact: Artifact | None) -> str:
    """How often an answer like this one was right where the artifact was judged."""
    if reading.members:
        return (
            "How often this is right is not known: several models read together, and together they were not evaluated."
        )
    if artifact is None or artifact.evaluation is None:
        return "How often this is right is not known: the artifact carries no evaluation."
    judged = _judged(artifact.evaluation, reading.operating_point)
    if judged is None:
        return "How often this is right is not known: this operating point was not evaluated."
    data = f"{artifact.evaluation['data']} ({artifact.evaluation['part']})"
    counts = judged.confusion
    if reading.decision == "abnormal":
        said = _of_hundred(judged.rates["ppv"], counts["tp"], counts["tp"] + counts["fp"])
        return f"Of 100 such images in {data}, {said}."
    said = _of_hundred(_rest(judged.rates["npv"]), counts["fn"], counts["fn"] + counts["tn"])
    return f"Of 100 images below it in {data}, {said} all the same."


def _of_hundred(share: Estimate, count: int, whole: int) -> str:
    if share.value != share.value:
        return f"how many were abnormal is not known: {share.reason}"
    low_high = f"95 % {100 * share.low:.0f}-{100 * share.high:.0f}"
    if share.low != share.low:
        low_high = f"no interval: {share.reason}"
    return f"{100 * share.value:.0f} were abnormal ({low_high}; {count:,} of {whole:,})"


def _rest(share: Estimate) -> Estimate:
    told = share.to_dict() | {"value": 1 - share.value, "low": 1 - share.high, "high": 1 - share.low}
    return Estimate.from_dict(told)


def _judged(evaluation: Mapping[str, Any], point: OperatingPoint) -> AtThreshold | None:
    """What the artifact's evaluation (`assessment.summary`) says of an operating point."""
    for plain in evaluation.get("points", ()):
        try:
            found = AtThreshold.from_dict(plain)
        except CxreaderError:
            continue
        if found.point.name == point.name and abs(found.point.threshold - point.threshold) < 1e-9:
            return found
    return None


def _measured(artifact: Artifact) -> str:
    """On whom it was judged, with the share of abnormal images there, on which every predictive value rests."""
    if artifact.evaluation is None:
        return f"{_name_of(artifact)}: not evaluated."
    told = artifact.evaluation
    counts = told["counts"]
    whom = "unknown patients" if counts["patients"] is None else format_count(counts["patients"], "[patient|patients]")
    abnormal = f"{counts['abnormal']:,} abnormal and {counts['normal']:,} normal"
    line = f"{_name_of(artifact)}: {told['data']} ({told['part']}), {abnormal} images of {whom}, {told['date'][:10]}."
    rarer = "Where disease is rarer than there, fewer of its alarms are right."
    return " ".join((line, rarer, *(f"{warning[:1].upper()}{warning[1:]}." for warning in told.get("warnings", ()))))


def _trained(artifact: Artifact) -> str:
    population = Population.read(artifact.provenance)
    whom = "not stated by the artifact" if population is None else str(population)
    return f"{_name_of(artifact)}: {whom}."


def _name(reading: Reading, artifacts: Mapping[str, Artifact]) -> str:
    found = artifacts.get(reading.artifact)
    return reading.artifact if found is None else _name_of(found)


def _name_of(artifact: Artifact) -> str:
    return f"{artifact.model} {artifact.id}"

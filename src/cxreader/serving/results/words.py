"""What the objects say of an answer, in words: short lines, each one true by itself."""

from __future__ import annotations

from cxreader.inference.answer_text import interval_text, probability_text
from cxreader.records import Reading
from cxreader.serving.results.subject import Subject

CAPTION = (
    "AI heat map: where the score is sensitive; no segmentation, often wrong for small findings. Not for diagnosis."
)
RESEARCH = "For research; not a medical device."
_LONGEST = 1024


def parameters(subject: Subject) -> list[str]:
    """The lines that stand beside the algorithm: operating point, answer, reasons, regions."""
    reading = subject.reading
    point = reading.operating_point
    lines = [f"operating point {point.name}: abnormal from {point.threshold:.3f} on ({point.rule})"]
    lines += [answer(reading)]
    lines += [f"{name}: {answer(own)}" for own, name in zip(reading.members, subject.names.values(), strict=False)]
    lines += [f"{reading.acceptance or 'not read'}: {reason}" for reason in reading.reasons]
    lines += [subject.about_regions] if subject.about_regions else []
    return [line[:_LONGEST] for line in (*lines, RESEARCH)]


def answer(reading: Reading) -> str:
    """The answer in one line."""
    if reading.value is None or reading.decision is None:
        return "no answer: the image was refused" if reading.acceptance else "no answer: the image could not be read"
    shown = probability_text(reading.value, reading.operating_point.threshold)
    if reading.probability is None:
        number = f"score {shown}, not calibrated"
    else:
        number = f"probability {shown}"
        if reading.interval is not None:
            low_high = interval_text(reading.probability, *reading.interval, reading.operating_point.threshold)
            number += f" (Venn-Abers {low_high})"
    said = {
        "abnormal": "at or above the operating point",
        "normal": "below the operating point, which does not rule out disease",
        "refer": "the models or rules disagree: a person must look",
    }[reading.decision]
    return f"{said}; {number}"

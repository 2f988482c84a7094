"""A result as an Observation (https://hl7.org/fhir/R4/observation.html): preliminary, since no person has confirmed it."""

from __future__ import annotations

from cxreader import __version__
from cxreader.records import Reading
from cxreader.serving.fhir.coded import DCM, SCT, UCUM, Json, concept, day, filled, resource_id, subject
from cxreader.serving.store.reading.results import reading_of
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import Result

_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
DECISIONS = {
    "abnormal": concept(SCT, "263654008", "Abnormal"),
    "normal": concept(SCT, "17621005", "Normal"),
    "refer": concept(SCT, "371934000", "Normality undetermined"),
}
"""DICOM's CID 222; normal means no more than below the operating point."""
NOT_RULED_OUT = "Below the operating point does not rule out disease."
RESEARCH = "Made by software for research; not a medical device. No person has confirmed it."


def observation(study: Study, instance: Instance, result: Result, issued: str) -> Json:
    """The resource; `issued`: when it was read, as an instant."""
    reading = reading_of(result)
    return filled(
        {
            "resourceType": "Observation",
            "id": resource_id(result.key),
            "contained": [_device(reading)],
            "status": "preliminary",
            "category": [concept(_CATEGORY, "imaging", "Imaging")],
            "code": concept(DCM, "121071", "Finding") | {"text": "Chest radiograph, normal or abnormal"},
            "subject": subject(study),
            "effectiveDateTime": day(instance.acquired) or day(study.study_date),
            "issued": issued,
            "bodySite": concept(SCT, "816094009", "Thorax"),
            "device": {"reference": "#device"},
            "derivedFrom": [{"reference": f"ImagingStudy/{resource_id(study.key)}"}],
            "note": [{"text": text} for text in _notes(reading)],
            "component": _components(reading),
            **_value(reading),
        }
    )


def _value(reading: Reading) -> Json:
    if reading.decision is not None:
        return {"valueCodeableConcept": DECISIONS[reading.decision]}
    absent = ("not-performed", "Not Performed") if reading.acceptance == "refused" else ("error", "Error")
    return {"dataAbsentReason": concept(_ABSENT, *absent) | {"text": "; ".join(reading.reasons) or "not read"}}


def _notes(reading: Reading) -> list[str]:
    point = reading.operating_point
    rule = f"Operating point {point.name}: {point.threshold:.4g}, {point.rule}"
    counts = f" ({point.n_positive} abnormal and {point.n_negative} normal images)"
    below = [NOT_RULED_OUT] if reading.decision == "normal" else []
    return [RESEARCH, rule + (counts if point.fitted_on != "given" else ""), *below, *reading.reasons, *reading.notes]


def _components(reading: Reading) -> list[Json]:
    made: list[Json] = []
    if reading.probability is not None:
        made.append({"code": concept(DCM, "122157", "Probability"), "valueQuantity": _number(reading.probability)})
    if reading.interval is not None:
        low, high = reading.interval
        pair = {"low": _number(low), "high": _number(high)}
        made.append({"code": {"text": "Venn-Abers pair around the probability"}, "valueRange": pair})
    if reading.score is not None:
        text = "Score: the images were too few to calibrate a probability"
        made.append({"code": {"text": text}, "valueQuantity": _number(reading.score)})
    if reading.agreement is not None:
        text = "Agreement of the models: 1 less the distance between their probabilities"
        made.append({"code": {"text": text}, "valueQuantity": _number(reading.agreement)})
    if reading.ood_score is not None:
        text = "Out-of-distribution score: above 1 the image is refused"
        made.append({"code": {"text": text}, "valueQuantity": _number(reading.ood_score)})
    return made


def _number(value: float) -> Json:
    return {"value": round(value, 4), "unit": "1", "system": UCUM, "code": "1"}


def _device(reading: Reading) -> Json:
    version = [{"value": __version__}]
    names = [{"name": "cxreader", "type": "manufacturer-name"}, {"name": reading.artifact, "type": "model-name"}]
    return {"resourceType": "Device", "id": "device", "deviceName": names, "version": version}

"""FHIR resources are what another library takes for R4B, and have only elements that R4 has too."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.observation import Observation
from tests.serving.web.world import World
from tests.serving.world import dicom, png, read_all

from cxreader.serving.retaining.retention import Retention

OBSERVATION = frozenset(
    [
        "resourceType",
        "id",
        "contained",
        "status",
        "category",
        "code",
        "subject",
        "effectiveDateTime",
        "issued",
        "valueCodeableConcept",
        "dataAbsentReason",
        "note",
        "bodySite",
        "device",
        "derivedFrom",
        "component",
    ]
)
IMAGING_STUDY = frozenset(
    [
        "resourceType",
        "id",
        "identifier",
        "status",
        "modality",
        "subject",
        "started",
        "numberOfSeries",
        "numberOfInstances",
        "description",
        "series",
    ]
)
"""Elements of R4 that are used (https://hl7.org/fhir/R4/observation.html, imagingstudy.html)."""


def _studies(world: World, *files: bytes) -> list[dict[str, Any]]:
    for data in files:
        world.service.receive(data, door="http")
    read_all(world.service)
    reader = world.by_token()
    return [reader.get(f"/api/v1/studies/{one.study.key}").json() for one in world.service.worklist().entries]


@pytest.mark.parametrize("file", [dicom(1), png(1), dicom(2, BodyPartExamined="HAND"), dicom(3, PatientID=None)])
def test_results_and_studies_are_valid_and_say_what_the_reading_says(world: World, file: bytes) -> None:
    (study,) = _studies(world, file)
    reader, answer = world.by_token(), study["images"][0]["answers"][0]
    found = reader.get(f"/fhir/Observation/{answer['result'].replace('_', '.')}")
    assert found.headers["content-type"] == "application/fhir+json"
    made = found.json()
    Observation.model_validate(made)
    assert set(made) <= OBSERVATION
    code = {"abnormal": "263654008", "normal": "17621005", "refer": "371934000"}
    if answer["decision"] is None:
        assert made["dataAbsentReason"]["text"] == "; ".join(answer["reasons"])
    else:
        assert made["valueCodeableConcept"]["coding"][0]["code"] == code[answer["decision"]]
    shown = (
        [one["valueQuantity"]["value"] for one in made["component"] if "coding" in one["code"]]
        if answer["probability"]
        else []
    )
    assert shown == ([] if answer["probability"] is None else [round(answer["probability"], 4)])
    whole = reader.get(f"/fhir/{made['derivedFrom'][0]['reference']}").json()
    ImagingStudy.model_validate(whole)
    assert set(whole) <= IMAGING_STUDY
    assert whole["identifier"][0]["value"] == f"urn:oid:{study['study_uid']}"
    assert whole["series"][0]["instance"][0]["uid"] == study["images"][0]["sop_instance_uid"]
    assert whole["subject"].get("identifier", {}).get("value", "") == study["patient"]["id"]


def test_files_that_were_deleted_are_not_available_and_no_uid_stands_twice(world: World) -> None:
    first, second = (dicom(1, SOPInstanceUID="1.2.8", ViewPosition=view) for view in ("PA", "AP"))  # one UID
    (study,) = _studies(world, first, second, dicom(1, SOPInstanceUID="1.2.9"))
    reader = world.by_token()

    def told() -> dict[str, Any]:
        made: dict[str, Any] = reader.get(f"/fhir/ImagingStudy/{study['study'].replace('_', '.')}").json()
        ImagingStudy.model_validate(made)
        return made

    uids = [one["uid"] for series in told()["series"] for one in series["instance"]]
    assert len(study["images"]) == 3
    assert (told()["status"], told()["numberOfInstances"], len(uids)) == ("available", 2, 2)
    assert len(set(uids)) == 2
    Retention(world.service, "a test").delete("images", [study["study"]])
    assert (told()["status"], told().get("numberOfInstances", 0), told().get("series")) == ("registered", 0, None)

"""Studies to be opened in the viewer: an alarm with an earlier image, one below, one referred, one refused, one not read yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.serving.web.world import World, revise
from tests.serving.world import dicom, read_all

from cxreader.evaluation.decisions.at_threshold import AtThreshold
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.models.artifact import load_artifact, save_manifest
from cxreader.records import Reading
from cxreader.serving.store.reading.results import HEAT, plain_reading
from cxreader.serving.store.tables.readings import HeatMap, Result

ALARM, BELOW, REFER, REFUSED, EARLIER, UNREAD = range(6)
OTHER = "0123456789ab"
REFUSAL = "the header says that this is a knee"


def judge(folder: Path) -> None:
    """Give an artifact an evaluation: at its operating point 412 of 496 alarms were right, 40 of 333 below it abnormal."""
    artifact = load_artifact(folder)
    counts = {"tp": 412, "fp": 84, "fn": 40, "tn": 293}
    rates = {
        "ppv": Estimate(412 / 496, 0.794, 0.861, 452, 377, 610, "percentile"),
        "npv": Estimate(293 / 333, 0.842, 0.911, 452, 377, 610, "percentile"),
    }
    point = AtThreshold(artifact.operating_points[0], counts, rates).to_dict()
    told: dict[str, Any] = {
        "data": "nih",
        "part": "test",
        "split": "s",
        "split_kind": "patient",
        "date": "2026-11-30",
        "points": [point],
    }
    told |= {"counts": {"images": 829, "patients": 610, "abnormal": 452, "normal": 377, "excluded": {}}, "maps": None}
    save_manifest(replace(artifact, evaluation=told | {"warnings": ["most images come from one hospital"]}), folder)


def studies(world: World) -> list[str]:
    """The keys of the studies, in the order of the numbers above."""
    own: Mapping[int, dict[str, Any]] = {
        ALARM: {"PatientOrientation": ["L", "F"]},
        EARLIER: {"PatientID": "P0", "StudyDate": "20200102", "PatientName": "DOE^JANE"},
    }
    keys = [
        world.service.receive(dicom(n, **own.get(n, {})), door="dicom", sender="DX-ROOM-1").study for n in range(UNREAD)
    ]
    read_all(world.service)
    answered: dict[str, Any] = {"acceptance": "accepted", "reasons": [], "score": None}
    told: dict[int, dict[str, Any]] = {
        ALARM: answered | {"decision": "abnormal", "probability": 0.91, "interval": [0.88, 0.93]},
        BELOW: answered | {"decision": "normal", "probability": 0.12, "interval": [0.1, 0.14]},
        REFER: answered | {"decision": "refer", "probability": 0.55, "reasons": ["the models disagree"]},
        REFUSED: {"acceptance": "refused", "decision": None, "probability": None, "score": None, "reasons": [REFUSAL]},
        EARLIER: answered | {"decision": "normal", "probability": 0.2},
    }
    told[REFER] |= _members(world)
    results = revise(world.service, lambda n: told[n])
    with world.service.database.writing() as session:
        for result in (results[ALARM], results[REFER]):
            session.add_all(_map(result, model) for model in result.reading["artifact"].split("+"))
    return [*keys, world.service.receive(dicom(UNREAD), door="dicom").study]


def image_of(world: World, study: str) -> str:
    """The key of a study's first image."""
    return world.service.study(study).images[0].instance.key


def _members(world: World) -> dict[str, Any]:
    """What two models said, of which one is not at hand any more."""
    (folder,) = world.service.settings.models
    artifact = load_artifact(folder)
    point = artifact.operating_points[0]
    told: dict[str, tuple[float, Any]] = {artifact.id: (0.9, "abnormal"), OTHER: (0.2, "normal")}
    members = [
        plain_reading(Reading("i", one, point, decision=decision, probability=probability, acceptance="accepted"))
        for one, (probability, decision) in told.items()
    ]
    return {"members": members, "artifact": "+".join(told), "agreement": 0.3}


def _map(result: Result, model: str) -> HeatMap:
    """A map that is warmest low on the patient's left, the picture's right."""
    values = np.zeros((8, 8), "<f2")
    values[6, 6], values[5, 6] = 2, 1.5
    kept = HeatMap(result_id=result.id, model=model, kind=HEAT, finding="", fit="pad")
    kept.height, kept.width, kept.data = 8, 8, values.tobytes()
    return kept

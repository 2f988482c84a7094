"""Before a reader's own verdict no route tells their session the answer: bodies are the same whatever it is."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from tests.serving.web.world import World, revise
from tests.serving.world import dicom, read_all

from cxreader.serving.results.uids import KINDS
from cxreader.serving.sending.making import Maker, NothingError
from cxreader.serving.store.reading import modes
from cxreader.serving.store.tables.images import Study
from cxreader.serving.store.tables.readings import Result

ANSWERED: dict[str, Any] = {"acceptance": "accepted", "reasons": [], "score": None}
ANSWERS: dict[str, dict[str, Any]] = {
    "abnormal": ANSWERED | {"decision": "abnormal", "probability": 0.91, "interval": [0.88, 0.93]},
    "below": ANSWERED | {"decision": "normal", "probability": 0.12, "interval": [0.1, 0.14]},
    "referred": ANSWERED | {"decision": "refer", "probability": 0.55, "reasons": ["the models disagree"]},
    "refused": {"acceptance": "refused", "decision": None, "probability": None, "score": None, "reasons": ["a knee"]},
}


@pytest.fixture
def study(world: World) -> str:
    """The key of a study that was read."""
    made = world.service.receive(dicom(1), door="http").study
    read_all(world.service)
    return made


def paths(study: str, result: Result) -> dict[str, str]:
    """Everything that could tell an answer, by name."""
    return {
        "study": f"/api/v1/studies/{study}",
        "row": "/api/v1/worklist",
        "maps": f"/api/v1/results/{result.key}/maps",
        "observation": f"/fhir/Observation/{result.key.replace('_', '.')}",
        "export": "/api/v1/export",
        "qido": "/dicomweb/studies",
        "qido series": "/dicomweb/series",
        "qido instances": "/dicomweb/instances",
        "wado": "/dicomweb/studies/1.2.3.1/metadata",
    }


def answered(world: World, study: str, answer: dict[str, Any]) -> Result:
    """The next revision of the answer to the one study, with its DICOM objects."""
    (result,) = revise(world.service, lambda _: answer)
    for kind in KINDS:
        with suppress(NothingError):
            Maker(world.service).file_of(result.id, kind)
    return result


def told(client: Any, study: str, result: Result) -> dict[str, str]:
    """Status and body of everything, but for counts of changes and the time that passes."""
    found = {}
    for name, path in paths(study, result).items():
        answer = client.get(path)
        body = answer.json() if "json" in answer.headers["content-type"] else answer.text
        for one in body["studies"] if name == "row" else [body] if name == "study" else []:
            one["revision"] = one["waited"] = None
        found[name] = f"{answer.status_code} {json.dumps(body)}"
    return found


def test_bodies_are_the_same_for_four_different_answers_and_differ_for_programs(world: World, study: str) -> None:
    admin, program = world.browser("admin"), world.by_token("admin")
    held, open_ = [], []
    for answer in ANSWERS.values():
        result = answered(world, study, answer)
        held.append(told(admin, study, result))
        open_.append(told(program, study, result))
    assert held[0] == held[1] == held[2] == held[3]
    for name in ("study", "row", "observation", "export", "wado"):
        assert len({one[name] for one in open_}) == 4, name
    refused = {name for name, one in held[0].items() if one.startswith("403")}
    assert refused == {"maps", "observation", "export"}
    assert '"type": "urn:cxreader:withheld"' in held[0]["maps"]
    assert '"withheld": "read-first"' in held[0]["study"]
    assert '"withheld": "read-first"' in held[0]["row"]
    assert '"withheld": ""' in open_[0]["study"]
    assert "SR" not in held[0]["qido series"]
    assert "SR" in open_[0]["qido series"]


def test_an_own_verdict_opens_it_and_another_s_does_not(world: World, study: str) -> None:
    reader, other = world.browser("reader"), world.browser("admin")
    result = answered(world, study, ANSWERS["abnormal"])
    given = {"kind": "accepted", "stage": "provisional", "impression": "abnormal", "comment": "plain as day"}
    assert other.post(f"/api/v1/studies/{study}/verdicts", json=given).status_code == 201
    before = told(reader, study, result)
    assert "plain as day" not in before["study"]
    assert before["maps"].startswith("403")
    assert reader.post(f"/api/v1/studies/{study}/verdicts", json=given).status_code == 201
    after = told(reader, study, result)
    assert after["study"].count("plain as day") == 2
    assert '"probability": 0.91' in after["study"]
    assert '"probability": 0.91' in after["row"]
    assert after["maps"].startswith("200")
    assert after["observation"].startswith("200")
    assert "SR" in after["qido series"]


def test_who_sees_answers_at_once_is_told_and_that_is_remembered(world: World, study: str) -> None:
    admin, key = world.browser("admin"), study
    answered(world, study, ANSWERS["below"])
    assert admin.post(f"/studies/{key}/mode", data={"mode": "concurrent"}).status_code == 200
    assert admin.get(f"/api/v1/studies/{key}").json()["images"][0]["answers"][0]["decision"] == "normal"
    assert admin.get("/api/v1/export").status_code == 200
    with world.service.database.reading() as session:
        found = session.query(Study).filter(Study.key == key).one()
        shown = modes.shown(session, found, world.people["admin"])
    assert shown is not None
    assert shown.mode == "concurrent"


def test_the_list_tells_the_place_and_no_figures_before_that(world: World, study: str) -> None:
    reader = world.browser("reader")
    answered(world, study, ANSWERS["abnormal"])
    news = f"/worklist/news?after=0&as_of=0&seen={study}"
    for path in ("/", news):
        assert "probability" not in reader.get(path).text
        assert study in reader.get(path).text
    given = {"kind": "accepted", "stage": "provisional", "impression": "abnormal"}
    assert reader.post(f"/api/v1/studies/{study}/verdicts", json=given).status_code == 201
    for path in ("/", news):
        assert "probability" in reader.get(path).text

"""The page of a study: what it holds, and what it does not hold before the reader's own verdict."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serving.page.viewed import ALARM, BELOW, REFER, REFUSAL, REFUSED, UNREAD, image_of, studies
from tests.serving.web.world import World, revise
from tests.serving.world import dicom

from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read
from cxreader.serving.settings import ResultsSection
from cxreader.serving.store.reading import verdicts
from cxreader.serving.store.tables.people import ShownAnswer
from cxreader.serving.web.app import create_app

ANSWERS: dict[str, dict[str, Any]] = {
    "alarm": {"decision": "abnormal", "probability": 0.91, "acceptance": "accepted", "reasons": []},
    "below": {"decision": "normal", "probability": 0.12, "acceptance": "accepted", "reasons": []},
    "refer": {"decision": "refer", "probability": 0.55, "acceptance": "accepted", "reasons": ["the models disagree"]},
    "refused": {"decision": None, "probability": None, "acceptance": "refused", "reasons": ["a knee"]},
}


def give(client: Any, key: str, **form: Any) -> str:
    """The panel after a verdict."""
    answer = client.post(f"/studies/{key}/verdict", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def section(page: str) -> str:
    """The panel of a page, with its blanks as one."""
    return re.sub(r"\s+", " ", page[page.index('id="panel"') : page.index("</aside>")])


def test_before_the_reader_s_own_verdict_the_page_is_the_same_whatever_the_answer_is(world: World) -> None:
    key = studies(world)[ALARM]
    reader, pages = world.browser(), set()
    for told in ANSWERS.values():
        revise(world.service, lambda _, told=told: told | {"score": None})  # type: ignore[misc]
        pages |= {reader.get(f"/studies/{key}").text, reader.get(f"/studies/{key}").text}
        assert "data-result" not in reader.get(f"/studies/{key}/panel").text
    (page,) = pages
    assert "Your reading first" in page
    assert not re.search(r"0\.91|0\.12|operating point|knee|disagree|Venn", page)


def test_after_a_provisional_verdict_the_answer_is_shown_and_both_are_kept(world: World) -> None:
    key = studies(world)[ALARM]
    reader = world.browser()
    form = {"stage": "provisional", "impression": "normal", "finding": ["pleural effusion", "wire"], "seconds": "12.5"}
    panel = section(give(reader, key, **form))
    assert "Above the operating point" in panel
    assert "probability 0.910 (Venn-Abers pair 0.880-0.930)" in panel
    assert "Accept: abnormal" in panel
    final = section(give(reader, key, impression="normal", disagreement="nothing there to see", comment="a fold"))
    assert "Your final verdict is kept." in final
    said = reader.get(f"/api/v1/studies/{key}").json()["verdicts"]
    assert [(v["stage"], v["kind"], v["mode"], v["impression"]) for v in said] == [
        ("provisional", "rejected", "read-first", "normal"),
        ("final", "rejected", "read-first", "normal"),
    ]
    assert said[0]["findings"] == [{"finding": "Effusion"}, {"finding": "wire"}]
    assert said[0]["seconds"] == 12.5
    assert (said[1]["disagreement"], said[1]["comment"]) == ("nothing there to see", "a fold")


def test_who_sees_the_answer_at_once_is_recorded_so_whatever_is_chosen_later(world: World) -> None:
    keys = studies(world)
    reader = world.browser()
    assert reader.post(f"/studies/{keys[BELOW]}/mode", data={"mode": "concurrent"}).status_code == 200
    assert "does not rule out disease" in reader.get(f"/studies/{keys[BELOW]}").text
    assert reader.post(f"/studies/{keys[BELOW]}/mode", data={"mode": "read-first"}).status_code == 200
    assert "does not rule out disease" in reader.get(f"/studies/{keys[BELOW]}").text
    assert "Your reading first" in reader.get(f"/studies/{keys[ALARM]}").text
    give(reader, keys[BELOW], impression="abnormal", disagreement="small or subtle")
    (said,) = reader.get(f"/api/v1/studies/{keys[BELOW]}").json()["verdicts"]
    assert (said["mode"], said["kind"], said["impression"]) == ("concurrent", "supplemented", "abnormal")
    with world.service.database.reading() as session:
        assert [one.mode for one in session.query(ShownAnswer)] == ["concurrent"]
    assert world.browser("admin").get(f"/studies/{keys[BELOW]}").text.count("Your reading first") == 1


def test_what_is_refused_has_its_reason_first_and_no_number(world: World) -> None:
    key = studies(world)[REFUSED]
    panel = section(give(world.browser(), key, stage="provisional", impression="normal"))
    assert panel.index("Refused: a person must look") < panel.index(REFUSAL)
    assert not re.search('class="number"|class="frequency"', panel)
    assert "data-no-map" in panel


def test_other_readers_verdicts_wait_with_the_answer(world: World) -> None:
    key = studies(world)[ALARM]
    give(world.browser("admin"), key, stage="provisional", impression="abnormal", comment="plain as day")
    reader = world.browser()
    page = reader.get(f"/studies/{key}").text
    assert "plain as day" not in page
    assert "1 other reader has given a verdict" in page
    assert "plain as day" in give(reader, key, stage="provisional", impression="normal")


def test_an_answer_that_is_not_there_yet_is_awaited(world: World) -> None:
    key = studies(world)[UNREAD]
    panel = section(give(world.browser(), key, stage="provisional", impression="normal"))
    assert 'data-waiting="true"' in panel
    assert "1 image waits to be read" in panel


def test_the_page_offers_other_images_of_this_patient_alone(world: World) -> None:
    keys = studies(world)
    page = world.browser().get(f"/studies/{keys[ALARM]}").text
    offered = re.findall(r'<option value="([^"]+)"', page[page.index("which-earlier") : page.index("which-model")])
    assert len(offered) == 1
    assert offered == [image_of(world, keys[4])]
    other = world.browser().get(f"/studies/{keys[BELOW]}").text
    assert "<option" not in other[other.index("which-earlier") : other.index("which-model")].partition("</select>")[0]


def test_the_input_is_what_the_network_is_shown(world: World) -> None:
    key = image_of(world, studies(world)[BELOW])
    client, (model,) = world.by_token(), world.service.settings.models
    from cxreader.models.artifact import load_artifact

    answer = client.get(f"/api/v1/images/{key}/input/{load_artifact(model).id}")
    found = np.asarray(Image.open(io.BytesIO(answer.content)))
    np.testing.assert_array_equal(found, InputSpec(64).pixels(read(dicom(BELOW))))
    assert client.get(f"/api/v1/images/{key}/input/nothing").json()["type"] == "urn:cxreader:absent"


def test_maps_say_where_they_are_highest(world: World) -> None:
    key = studies(world)[ALARM]
    panel = give(world.browser(), key, stage="provisional", impression="abnormal")
    result = re.findall(r'data-result="([^"]+)"', panel)[0]
    told = world.by_token().get(f"/api/v1/results/{result}/maps").json()
    assert [one["strongest"] for one in told["maps"]] == ["left lower zone"]
    assert told["regions"] == []
    assert "was not judged against boxes" in told["about_regions"]
    settings = world.service.settings.model_copy(update={"results": ResultsSection(regions="on")})
    client = replace(world, app=create_app(settings, world.service)).by_token()
    (box,) = client.get(f"/api/v1/results/{result}/maps").json()["regions"]
    assert (box["place"], box["source"]) == ("left lower zone", "Grad-CAM")
    assert box["peak"] == pytest.approx(2, abs=0.05)
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert middle == pytest.approx((6.5 / 8 * 96, 6 / 8 * 96 - 12), abs=4)  # of a square round 96 x 72 pixels


@pytest.mark.parametrize(
    ("impression", "decision", "adds", "kind"),
    [
        ("abnormal", "abnormal", False, "accepted"),
        ("abnormal", "abnormal", True, "supplemented"),
        ("normal", "abnormal", False, "rejected"),
        ("normal", "normal", False, "accepted"),
        ("abnormal", "normal", False, "supplemented"),
        ("normal", "refer", False, "supplemented"),
        ("abnormal", None, False, "supplemented"),
    ],
)
def test_the_kind_of_a_verdict_follows_from_impression_and_answer(
    impression: str, decision: str | None, adds: bool, kind: str
) -> None:
    assert verdicts.kind_of(impression, decision, adds=adds) == kind


def test_the_impression_is_the_label_of_the_export(world: World) -> None:
    key = studies(world)[REFER]
    reader = world.browser()
    give(reader, key, stage="provisional", impression="abnormal")
    give(reader, key, impression="normal")
    rows = world.by_token("admin").get("/api/v1/export").text.splitlines()
    column = rows[0].split(",").index("label")
    assert sorted(filter(None, (row.split(",")[column] for row in rows[1:]))) == ["normal"]


@pytest.mark.parametrize("path", ["", "/panel", "/verdict", "/mode"])
def test_nobody_else_gets_in(world: World, path: str) -> None:
    url = "/studies/1.2.3" + path
    method = "POST" if path in ("/verdict", "/mode") else "GET"
    body: dict[str, Any] = {"data": {"mode": "concurrent"}} if path == "/mode" else {}
    headers = {"HX-Request": "true"}
    assert world.client().request(method, url, headers=headers, **body).status_code == 401
    assert world.browser("auditor").request(method, url, headers=headers, **body).status_code == 403
    assert world.browser().request(method, url, headers=headers, **body).status_code == 404
    if method == "POST":
        reader = world.browser()
        del reader.headers["X-CSRF-Token"]
        assert reader.post(url, **body).status_code == 403

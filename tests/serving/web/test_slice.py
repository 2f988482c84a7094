"""From a browser's sign-in to the worklist."""

from __future__ import annotations

from tests.serving.web.world import World
from tests.serving.world import dicom, png, read_all


def test_a_reader_signs_in_uploads_and_finds_it_read_in_the_worklist(world: World) -> None:
    reader = world.browser("reader")
    sent = reader.post("/api/v1/images", content=dicom(1), headers={"Content-Type": "application/dicom"})
    assert sent.status_code == 201, sent.text
    (kept,) = sent.json()["files"]
    assert kept["outcome"] == "new"
    both = reader.post("/api/v1/images", files=[("files", ("a.png", png(1))), ("files", ("b.dcm", dicom(1)))])
    assert [one["outcome"] for one in both.json()["files"]] == ["new", "again"]
    read_all(world.service)
    listed = reader.get("/api/v1/worklist").json()
    assert {one["study"] for one in listed["studies"]} == {one["study"] for one in both.json()["files"]}
    found = reader.get(f"/api/v1/studies/{kept['study']}").json()
    assert found["patient"]["name"] == "Doe^Jane"
    assert (found["withheld"], found["images"][0]["answers"]) == ("read-first", [])
    given = reader.post(f"/api/v1/studies/{kept['study']}/verdicts", json={"kind": "accepted"})
    assert given.status_code == 201, given.text
    found = reader.get(f"/api/v1/studies/{kept['study']}").json()
    assert found["images"][0]["answers"][0]["acceptance"] in ("accepted", "warning", "refused")

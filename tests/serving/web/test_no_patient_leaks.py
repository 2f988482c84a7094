"""Names go through every door of HTTP; then everything that was written beside database and object store is searched for them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.serving.web.test_every_route import routes
from tests.serving.web.test_uploads import archive
from tests.serving.web.world import World
from tests.serving.world import dicom, read_all

from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.trail import AuditEntry, Event

NAME, NUMBER, ACCESSION = "Zyxwvut^Quorra", "PIDSECRET4711", "ACCSECRET99"
SECRET = re.compile(r"zyxwvut|quorra|pidsecret|accsecret|wrongname", re.IGNORECASE)


class Everything(logging.Handler):
    """All log records, with everything that a formatter could write of them."""

    def __init__(self) -> None:
        super().__init__(0)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.texts.append(f"{record.getMessage()} {record.__dict__}")


@pytest.fixture
def logged() -> Any:
    """What is logged by anybody."""
    handler, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the test's own client
    yield handler.texts
    root.removeHandler(handler)
    root.setLevel(level)


def _sent(seed: int, **more: Any) -> bytes:
    named = {"PatientName": NAME, "PatientID": NUMBER, "AccessionNumber": ACCESSION, "StudyDescription": NAME}
    return dicom(seed, **(named | more))


def _use_everything(world: World) -> list[str]:
    """Every door and every route with names in each place that takes text; the errors that came back."""
    reader, admin = world.by_token("reader"), world.by_token("admin")
    reader.post("/api/v1/images", content=_sent(1))
    reader.post("/api/v1/images", files=[("files", (f"{NAME}.dcm", _sent(2)))])
    reader.post("/api/v1/images", content=archive(**{f"{NAME}/{NUMBER}.dcm": _sent(3), f"{NAME}.txt": NAME.encode()}))
    reader.post("/api/v1/images", content=b"\x89PNG\r\n\x1a\n" + NAME.encode())
    related = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + _sent(4) + b"\r\n--x--\r\n"
    assert reader.post("/dicomweb/studies", content=body, headers=related).status_code == 200
    read_all(world.service)
    key = world.service.worklist().entries[0].study.key
    reader.post(f"/api/v1/studies/{key}/verdicts", json={"kind": "rejected", "comment": f"{NAME} is well"})
    found = reader.get("/dicomweb/studies", params={"PatientName": "zyxwvut*", "PatientID": NUMBER})
    assert NAME in found.text  # the door that shows patients does show them
    assert reader.get("/dicomweb/studies/1.2.3.1/metadata").status_code == 200
    person = world.browser()
    led = person.post("/worklist/search", data={"terms": "quorra zyxwvut"}).headers["hx-redirect"]
    assert SECRET.search(led) is None
    assert "Zyxwvut, Quorra" in person.get(led).text  # as this page does
    errors = [
        person.post("/worklist/search", data={"terms": NAME * 20}),
        reader.put(f"/api/v1/studies/{key}/reader", json={"reader": NAME}),
        reader.get("/dicomweb/studies", params={"PatientName": NAME, "Bogus": NAME}),
        reader.get("/dicomweb/studies", params={"StudyDate": NAME}),
        reader.post(f"/api/v1/studies/{key}/verdicts", json={"kind": NAME, "findings": NAME}),
        reader.put(f"/api/v1/studies/{key}/state", json={"state": NAME}),
        reader.get("/api/v1/worklist", params={"cursor": NAME, "state": NAME}),
        reader.get(f"/api/v1/{NAME}"),
        world.client().post("/login", data={"name": "WrongName", "password": NAME}),
        world.client().get(f"/{NAME}", headers={"Host": NAME}),
    ]
    for method, path in routes(world):
        if path != "/api/v1/events":
            filled = re.sub(r"\{\w+\}", NUMBER, path)
            errors.append(admin.request(method, filled, params={"q": NAME}, json={"x": NAME}))
    assert all(one.status_code >= 400 for one in errors[:10])
    return [f"{one.text} {one.headers}" for one in errors if one.status_code >= 400]


def test_names_stand_in_database_and_store_alone(
    world: World, logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    errors = _use_everything(world)
    written = [*logged, *errors, *capfd.readouterr(), *_told(world.service), *_files(world.service.settings.home)]
    assert any("/dicomweb/studies" in text for text in logged), "the access log is not looked at"
    assert len(errors) > 20
    for text in written:
        found = SECRET.search(text)
        assert found is None, f"{found} in {text[:2000]}"


def test_what_fails_without_a_reason_of_ours_tells_nothing(
    world: World, logged: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot do this to {NAME}")

    monkeypatch.setattr(TriageService, "worklist", failing)
    answer = world.by_token().get("/api/v1/worklist")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:cxreader:error")
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    kept = [text for text in logged if "RuntimeError" in text]
    assert kept
    assert answer.headers["x-request-id"] in kept[0]
    assert "test_no_patient_leaks.py:" in kept[0]  # where it came from
    for text in (*logged, answer.text, *capfd.readouterr()):
        assert SECRET.search(text) is None


def _told(service: TriageService) -> list[str]:
    """What the audit log and the events tell."""
    with service.database.reading() as session:
        entries = session.scalars(select(AuditEntry)).all()
        events = session.scalars(select(Event)).all()
    assert entries
    assert events
    return [f"{e.event} {e.actor} {e.subject} {e.detail}" for e in entries] + [f"{e.kind} {e.study}" for e in events]


def _files(home: Path) -> list[str]:
    """Names of all files of the home, and what stands in those that are neither database nor object store."""
    files = [path for path in home.rglob("*") if path.is_file()]
    kept = [path for path in files if "objects" not in path.parts and not path.name.startswith("service.db")]
    return [str(path) for path in files] + [path.read_bytes().decode("latin-1") for path in kept]

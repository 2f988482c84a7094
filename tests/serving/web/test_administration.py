"""Administration by the API: what is changed holds at once, is audited under who did it, and locks nobody out."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.serving.web.world import PASSWORD, World
from tests.serving.world import dicom, read_all, reader_of

from cxreader.models.artifact import load_artifact
from cxreader.serving.clock import SetClock
from cxreader.serving.operations import processes
from cxreader.serving.operations.processes import Running
from cxreader.serving.retaining.retention import DAY
from cxreader.serving.store import audit
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.store.tables.sending import OutboxEntry
from cxreader.serving.store.tables.trail import AuditEntry
from cxreader.serving.worker.models import settings_of

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom's own sockets
NODE = "PACS@127.0.0.1:1"


def noted(world: World) -> list[tuple[str, str]]:
    """Event and actor of every entry of the audit log, which is right."""
    with world.service.database.reading() as session:
        assert audit.verify(session).number is None
        return [(one.event, one.actor) for one in session.scalars(select(AuditEntry).order_by(AuditEntry.number))]


def test_people_are_added_changed_and_signed_out(world: World) -> None:
    admin = world.browser("admin")
    made = admin.post("/api/v1/users", json={"name": "dr-grey"}).json()
    assert (made["role"], made["enabled"], len(made["password"])) == ("reader", True, 20)
    grey = world.client()
    assert grey.post("/login", data={"name": "dr-grey", "password": made["password"]}).status_code == 303
    at = f"/api/v1/users/{made['key']}"
    assert admin.delete(f"{at}/sessions").status_code == 204
    assert grey.get("/api/v1/session").status_code == 401
    assert admin.put(f"{at}/role", json={"role": "auditor"}).json()["role"] == "auditor"
    told = admin.put(f"{at}/password", json={"password": "another long password"}).json()
    assert told["password"] is None  # it was given: it is not repeated
    assert grey.post("/login", data={"name": "dr-grey", "password": "another long password"}).status_code == 303
    assert admin.put(f"{at}/access", json={"enabled": False}).json()["enabled"] is False
    assert grey.get("/api/v1/session").status_code == 401
    assert {one["name"] for one in admin.get("/api/v1/users").json()} == {"admin", "auditor", "dr-grey", "reader"}
    wanted = ["user added", "sessions ended", "role set to auditor", "password set", "user disabled"]
    assert [(event, actor) for event, actor in noted(world) if actor == "admin" and event in wanted] == [
        (event, "admin") for event in wanted
    ]


def test_the_last_administrator_stays_one(world: World) -> None:
    admin, key = world.browser("admin"), world.people["admin"].key
    for place, body in (("role", {"role": "reader"}), ("access", {"enabled": False})):
        refused = admin.put(f"/api/v1/users/{key}/{place}", json=body)
        assert (refused.status_code, refused.json()["mend"]) == (400, "make another user one first")
    assert admin.get("/api/v1/session").json()["role"] == "admin"
    other = admin.post("/api/v1/users", json={"name": "second", "role": "admin"})
    assert other.status_code == 201
    assert admin.put(f"/api/v1/users/{key}/role", json={"role": "reader"}).status_code == 200


def test_a_token_of_somebody_is_shown_once_and_revoked(world: World) -> None:
    admin, at = world.browser("admin"), f"/api/v1/users/{world.people['reader'].key}/tokens"
    made = admin.post(at, json={"name": "script", "scopes": ["read"], "days": 2}).json()
    program = world.client(headers={"Authorization": f"Bearer {made['text']}"})
    assert program.get("/api/v1/worklist").status_code == 200
    (listed,) = admin.get(at).json()
    assert "text" not in listed
    assert admin.post(at, json={"name": "x", "scopes": ["admin"], "days": 2}).status_code == 400  # a reader may not
    by_token = world.by_token("admin").post(at, json={"name": "x", "scopes": ["read"], "days": 2})
    assert (by_token.status_code, by_token.json()["detail"]) == (403, "a token makes no tokens")
    assert admin.delete(f"{at}/{made['key']}").status_code == 204
    assert program.get("/api/v1/worklist").status_code == 401


@pytest.mark.parametrize(
    ("what", "given"), [("password", {"password": "another long password"}), ("access", {"enabled": False})]
)
def test_tokens_end_for_good_with_a_password_and_with_access(world: World, what: str, given: dict[str, Any]) -> None:
    admin, at = world.browser("admin"), f"/api/v1/users/{world.people['reader'].key}"
    program = world.by_token("reader")
    assert program.get("/api/v1/worklist").status_code == 200
    assert admin.delete(f"{at}/sessions").status_code == 204
    assert admin.put(f"{at}/role", json={"role": "reader"}).status_code == 200
    assert program.get("/api/v1/worklist").status_code == 200  # these leave them
    assert admin.put(f"{at}/{what}", json=given).status_code == 200
    assert admin.put(f"{at}/access", json={"enabled": True}).status_code == 200
    assert program.get("/api/v1/worklist").status_code == 401
    assert ("token revoked", "admin") in noted(world)


def test_a_destination_is_added_changed_asked_and_removed(world: World) -> None:
    admin = world.by_token("admin")
    add = {"name": "pacs", "node": NODE, "sends": ["sr", "sc"]}
    assert admin.post("/api/v1/destinations", json=add).json()["sends"] == ["sr", "sc"]
    assert admin.post("/api/v1/destinations", json=add).status_code == 400
    assert admin.post("/api/v1/destinations", json=add | {"name": "a/b"}).status_code == 400
    changed = admin.put("/api/v1/destinations/pacs", json={"sends": ["sr"], "enabled": False}).json()
    assert (changed["sends"], changed["enabled"]) == (["sr"], False)
    assert admin.post("/api/v1/destinations/pacs/echo").json() == {"answers": False, "why": "no connection"}
    assert admin.delete("/api/v1/destinations/pacs").status_code == 204
    assert admin.get("/api/v1/destinations").json() == []
    assert [event for event, actor in noted(world) if event.startswith("destination") and actor == "admin"] == [
        "destination added",
        "destination changed",
        "destination removed",
    ]


def test_what_a_web_service_asks_for_is_kept_for_its_owner_alone_and_never_shown(world: World) -> None:
    admin, home = world.by_token("admin"), world.service.settings.home
    add = {"name": "web", "url": "https://127.0.0.1:9/dicom-web", "credentials": "user:opensesame"}
    told = admin.post("/api/v1/destinations", json=add)
    assert told.status_code == 201
    assert "opensesame" not in told.text + admin.get("/api/v1/destinations").text
    (kept,) = (home / "credentials").iterdir()
    assert (kept.read_text(), kept.stat().st_mode & 0o077) == ("user:opensesame", 0)
    assert admin.post("/api/v1/destinations", json=add).status_code == 400  # its name is taken
    assert len(list((home / "credentials").iterdir())) == 1
    assert admin.delete("/api/v1/destinations/web").status_code == 204
    assert list((home / "credentials").iterdir()) == []


def filled(world: World) -> list[OutboxEntry]:
    """Three results for a destination, of which the first was given up."""
    world.by_token("admin").post("/api/v1/destinations", json={"name": "pacs", "node": NODE, "sends": ["sr"]})
    for n in range(3):
        world.service.receive(dicom(n), door="http")
    read_all(world.service)
    with world.service.database.writing() as session:
        found = list(session.scalars(select(OutboxEntry).order_by(OutboxEntry.id)))
        found[0].state, found[0].error, found[0].ended_at, found[0].attempts = "dead", "C-STORE status C000", 1.0, 3
        found[1].state, found[1].ended_at, found[1].attempts = "sent", 1.0, 1
    return found


def test_objects_are_listed_and_sent_again_one_by_one_and_all_dead_letters(world: World) -> None:
    found, admin = filled(world), world.by_token("admin")
    at = "/api/v1/destinations/pacs/outbox"
    listed = admin.get(at).json()
    assert [one["entry"] for one in listed] == [one.id for one in reversed(found)]
    (dead,) = admin.get(at, params={"state": "dead"}).json()
    assert (dead["why"], dead["attempts"]) == ("C-STORE status C000", 3)
    assert [one["entry"] for one in admin.get(at, params={"before": found[2].id}).json()] == [found[1].id, found[0].id]
    assert admin.post(f"/api/v1/outbox/{found[1].id}/again").status_code == 204  # it was sent: once more
    assert admin.post(f"/api/v1/outbox/{found[2].id}/again").status_code == 400  # it waits
    assert admin.post(f"/api/v1/outbox/{10**6}/again").status_code == 404
    assert admin.post(f"{at}/again").json() == {"objects": 1}
    assert {(one["state"], one["attempts"], one["why"]) for one in admin.get(at).json()} == {("waiting", 0, "")}
    assert admin.delete("/api/v1/destinations/pacs").status_code == 400
    assert admin.delete("/api/v1/destinations/pacs", params={"unsent": True}).status_code == 204


def test_retention_tells_what_it_would_delete_and_deletes_it_but_what_is_held(world: World, clock: SetClock) -> None:
    admin = world.by_token("admin", "admin")
    keys = [world.service.receive(dicom(n), door="http").study for n in range(3)]
    read_all(world.service)
    assert admin.get("/api/v1/retention", params={"older_than_days": 1}).json()["studies"] == 0
    clock.forward(2 * DAY)
    admin = world.by_token("admin", "admin")
    assert admin.put(f"/api/v1/studies/{keys[0]}/hold", json={"reason": "case 12"}).status_code == 204
    assert [(one["study"], one["reason"]) for one in admin.get("/api/v1/holds").json()] == [(keys[0], "case 12")]
    told = admin.get("/api/v1/retention", params={"older_than_days": 1}).json()
    assert (told["studies"], told["held"], told["images"]) == (3, 1, 2)
    assert told["bytes"] == len(dicom(1)) + len(dicom(2))
    wanted = {"what": "study", "older_than_days": 1}
    done = admin.post("/api/v1/retention/deletions", json=wanted).json()
    assert (done["studies"], done["held"], done["left"]) == (2, 0, 0)
    assert admin.get("/api/v1/retention", params={"older_than_days": 1}).json()["studies"] == 1
    assert admin.delete(f"/api/v1/studies/{keys[0]}/hold").status_code == 204
    assert admin.post("/api/v1/retention/deletions", json=wanted).json()["studies"] == 1


def packed(folder: Path, **more: bytes) -> bytes:
    """An artifact's folder as a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in folder.iterdir():
            archive.writestr(f"artifact/{path.name}", more.pop(path.name.replace(".", "_"), path.read_bytes()))
        for name, data in more.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_another_model_is_sent_activated_and_reads_while_old_answers_stay(
    world: World, artifact: Path, other_artifact: Path
) -> None:
    admin, service = world.by_token("admin"), world.service
    first, other = load_artifact(artifact).id, load_artifact(other_artifact).id
    service.receive(dicom(1), door="http")
    read_all(service)
    refused = admin.put("/api/v1/models/active", json={"models": [other]})
    assert (refused.status_code, refused.json()["mend"]) == (404, "send it first")
    assert admin.post("/api/v1/models", content=packed(other_artifact)).json()["id"] == other
    assert admin.post("/api/v1/models", content=packed(other_artifact)).status_code == 400  # it is here
    assert {one["id"]: one["active"] for one in admin.get("/api/v1/models").json()["here"]} == {
        first: True,
        other: False,
    }
    assert admin.put("/api/v1/models/active", json={"models": [other]}).json()["models"] == [other]
    assert admin.post("/api/v1/models/reread").json() == {"images": 1}
    with service.database.reading() as session:
        own = settings_of(service.settings, models.active(session))
    service.settings = own  # as a worker takes it up
    read_all(service)
    with service.database.reading() as session:
        answers = session.scalars(select(Result).order_by(Result.revision)).all()
    assert [one.reading["artifact"] for one in answers] == [first, other]
    assert reader_of(own.models).members[0].id == other
    sets = admin.get("/api/v1/models").json()["sets"]
    assert [(one["models"], one["active"], one["answers"]) for one in sets] == [([other], True, 1), ([first], False, 1)]
    assert ("models active", "admin") in noted(world)


@pytest.mark.parametrize("data", [b"no archive", b"PK\x05\x06" + b"\0" * 18], ids=["text", "empty"])
def test_what_is_no_artifact_is_refused(world: World, data: bytes) -> None:
    answer = world.by_token("admin").post("/api/v1/models", content=data)
    assert (answer.status_code, answer.json()["detail"]) == (422, "no artifact in it")


def test_a_damaged_artifact_is_refused_and_nothing_of_it_is_kept(world: World, other_artifact: Path) -> None:
    name = json.loads((other_artifact / "artifact.json").read_text())["exports"]["onnx"]["file"]
    damaged = packed(other_artifact, **{name.replace(".", "_"): b"other bytes"})
    assert world.by_token("admin").post("/api/v1/models", content=damaged).status_code == 422
    escaping = packed(other_artifact, **{"../../evil": b"x", "artifact/evil.py": b"x"})
    assert world.by_token("admin").post("/api/v1/models", content=escaping).status_code == 201
    home = world.service.settings.home
    kept = sorted(path.name for path in home.rglob("*") if path.is_file() and "objects" not in path.parts)
    assert not any("evil" in one for one in kept)
    assert [path for path in (home / "incoming").rglob("*") if path.is_file()] == []


def test_the_service_tells_how_it_does(world: World) -> None:
    processes.tell(world.service.settings.home, [Running("worker", 0, None, None, 2)])
    told = world.by_token("admin").get("/api/v1/service").json()
    assert told["silent"] is False
    (worker,) = told["processes"]
    assert (worker["running"], worker["starts"]) == (False, 2)
    checks = {one["name"]: one for one in told["checks"]}
    assert checks["models"]["why"] == checks["models"]["mend"] == ""
    assert (checks["node"]["why"], bool(checks["node"]["mend"])) == ("it does not listen", True)
    silent = world.service.settings.model_copy(update={"silent": True})
    object.__setattr__(world.app.state.door, "settings", silent)
    assert world.by_token("admin").get("/api/v1/service").json()["silent"] is True


def test_the_log_is_looked_through_and_verified(world: World) -> None:
    auditor = world.by_token("auditor")
    world.browser("reader")
    found = auditor.get("/api/v1/audit/latest", params={"event": "signed in", "size": 1}).json()
    assert [(one["event"], one["actor"]) for one in found] == [("signed in", "reader")]
    assert auditor.get("/api/v1/audit/latest", params={"before": found[0]["number"], "event": "signed in"}).json() == []
    told = auditor.get("/api/v1/audit/verification").json()
    assert (told["number"], told["entries"] >= 2, len(told["hash"])) == (None, True, 64)
    assert PASSWORD not in str(found)


def test_a_model_that_reads_and_is_gone_is_a_wrong_that_is_told(world: World) -> None:
    with world.service.database.writing() as session:
        active = models.active(session)
        assert active is not None
        session.execute(update(type(active)).values(rule=active.rule | {"artifacts": ["0" * 12]}))
    told = world.by_token("admin").get("/api/v1/service").json()
    (why,) = (one["why"] for one in told["checks"] if one["name"] == "models")
    assert why == "000000000000 reads, and is not on this machine"

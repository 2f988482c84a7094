"""The administration's pages without a browser: forms as a person sends them, what they say, and who sees which page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import text
from tests.serving.store.test_audit import tamper
from tests.serving.web.test_administration import NODE, filled, packed
from tests.serving.web.world import PASSWORD, World
from tests.serving.world import dicom, read_all

from cxreader.models.artifact import load_artifact
from cxreader.serving.clock import SetClock
from cxreader.serving.retaining.retention import DAY
from cxreader.serving.web.app import create_app
from cxreader.serving.web.pages import administration
from cxreader.serving.web.pages.administration.markdown import html_of

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom's own sockets
ROOMS = ("people", "tokens", "destinations", "models", "retention", "health")


class Person:
    """A browser whose forms carry the token that stands in their page, and no header of a script."""

    def __init__(self, world: World, role: str) -> None:
        self._client = world.client()
        assert self._client.post("/login", data={"name": role, "password": PASSWORD}).status_code == 303

    def get(self, path: str) -> str:
        answer = self._client.get(f"/administration/{path}")
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    def send(self, path: str, page: str = "people", **data: Any) -> Any:
        """The answer to a form, and what the page after it shows."""
        (csrf, *_) = re.findall(r'name="csrf" value="(\w+)"', self.get(page))
        answer = self._client.post(f"/administration/{path}", data={"csrf": csrf} | data)
        return self._client.get(answer.headers["location"]) if answer.status_code == 303 else answer


@pytest.fixture
def admin(world: World) -> Person:
    return Person(world, "admin")


def routes() -> Iterator[tuple[str, str]]:
    """Method and path of every page of the administration."""
    for router in (*administration.ROUTERS, *administration.UPLOADS):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield from ((method, route.path) for method in sorted(route.methods or ()))


def test_nobody_else_sees_or_does_anything(world: World) -> None:
    found = list(routes())
    assert len(found) >= 25
    nobody, reader, auditor = world.client(), world.browser("reader"), world.browser("auditor")
    for method, template in found:
        path = template.replace("{entry}", "7").replace("{name}", "x").replace("{user}", "x").replace("{key}", "x")
        nobodys = nobody.request(method, path)
        assert nobodys.status_code == (303 if method == "GET" else 401), path
        if path == "/administration":
            continue
        assert reader.request(method, path).status_code == 403, path
        assert auditor.request(method, path).status_code == (200 if path.endswith("/audit") else 403), path
    assert world.browser("admin").get("/administration/audit").status_code == 403
    assert auditor.get("/administration").headers["location"] == "/administration/audit"


def test_a_form_without_the_token_or_of_another_site_changes_nothing(world: World) -> None:
    browser = world.browser("admin")
    del browser.headers["X-CSRF-Token"]
    for sent in ({}, {"csrf": "0" * 64}):
        assert browser.post("/administration/people", data={"name": "mallory", **sent}).status_code == 403
    csrf = browser.get("/api/v1/session").json()["csrf"]
    other = {"Sec-Fetch-Site": "cross-site"}
    refused = browser.post("/administration/people", data={"name": "mallory", "csrf": csrf}, headers=other)
    assert refused.status_code == 403
    assert "mallory" not in browser.get("/administration/people").text
    assert browser.post("/administration/people", data={"name": "jane", "csrf": csrf}).status_code == 200


def test_a_person_is_added_with_a_password_that_is_shown_once(world: World, admin: Person) -> None:
    page = admin.send("people", name="dr-grey", role="reader").text
    (password,) = re.findall(r'class="secret">([^<]+)<', page)
    assert "Shown once" in page
    assert world.client().post("/login", data={"name": "dr-grey", "password": unescape(password)}).status_code == 303
    assert password not in admin.get("people")
    refused = admin.send("people", name="dr-grey", role="reader")
    assert refused.status_code == 400
    assert "A user of this name is there already; choose another name." in refused.text
    assert "secret" not in refused.text


def test_roles_passwords_sessions_and_access_are_changed(world: World, admin: Person) -> None:
    key, reader = world.people["reader"].key, world.browser("reader")
    assert "Signed out everywhere." in admin.send(f"people/{key}/sessions", f"people/{key}").text
    assert reader.get("/api/v1/session").status_code == 401
    assert "It is changed" in admin.send(f"people/{key}/role", role="auditor").text
    page = admin.send(f"people/{key}/password").text
    assert re.search(r'class="secret">\S{20}<', page)
    assert "Let enter again" in admin.send(f"people/{key}/access").text
    assert "Disable" in admin.send(f"people/{key}/access", enabled="true").text
    mine = admin.send(f"people/{world.people['admin'].key}/access")
    assert (mine.status_code, "Nobody else is an administrator" in mine.text) == (400, True)


def test_a_token_is_made_shown_once_and_revoked(world: World, admin: Person) -> None:
    key = world.people["reader"].key
    assert "No tokens" in admin.get("tokens")
    page = admin.send("tokens", user=key, name="script", scopes=["read", "upload"], days="2").text
    (made,) = re.findall(r'class="secret">([^<]+)<', page)
    program = world.client(headers={"Authorization": f"Bearer {made}"})
    assert program.get("/api/v1/worklist").status_code == 200
    assert made not in admin.get("tokens")
    (place,) = re.findall(r'action="/administration/(tokens/[^"]+/revoke)"', admin.get("tokens"))
    assert "opens nothing any more" in admin.send(place).text
    assert program.get("/api/v1/worklist").status_code == 401
    refused = admin.send("tokens", user=key, name="script", scopes=["admin"], days="2")
    assert (refused.status_code, "needs scopes that its user has" in refused.text) == (400, True)


def test_a_destination_is_added_tested_changed_repaired_and_removed(world: World, admin: Person) -> None:
    assert "None is set up" in admin.get("destinations")
    refused = admin.send("destinations", name="pacs", address="PACS", sends=["sr"])
    assert (refused.status_code, "is no DICOM node" in unescape(refused.text)) == (400, True)
    filled(world)
    assert NODE in admin.get("destinations")
    tested = admin.send("destinations/pacs/echo")
    assert "It does not answer: no connection." in tested.text
    page = admin.get("destinations/pacs?state=dead")
    assert "C-STORE status C000" in page
    assert page.count("dead letter</span>") == 1
    (entry,) = re.findall(r'name="entry" value="(\d+)"', page)
    assert "waits to be sent again" in admin.send("destinations/pacs/entries", entry=entry).text
    again = admin.send("destinations/pacs/entries", entry=entry)
    assert (again.status_code, "waits to be sent already" in again.text) == (400, True)
    assert "from the next result on" in admin.send("destinations/pacs/change", sends=["sr", "gsps"]).text
    assert "switched off" in admin.get("destinations")
    kept = admin.send("destinations/pacs/remove")
    assert (kept.status_code, "were not sent" in kept.text) == (400, True)
    assert "It is removed." in admin.send("destinations/pacs/remove", unsent="true").text


def test_models_are_shown_activated_and_what_they_have_not_read_is_queued(
    world: World, admin: Person, artifact: Path, other_artifact: Path
) -> None:
    first, other = load_artifact(artifact).id, load_artifact(other_artifact).id
    world.service.receive(dicom(1), door="http")
    read_all(world.service)
    script = world.browser("admin")
    sent = script.post("/administration/models/send", files={"files": ("a.zip", packed(other_artifact))})
    assert (sent.status_code, sent.headers["hx-redirect"]) == (204, "/administration/models?said=sent")
    page = admin.get("models")
    assert page.index(first) < page.index(other)
    assert "0 images have not been given" in page
    nothing = admin.send("models/active")
    assert (nothing.status_code, "No model would read" in nothing.text) == (400, True)
    assert "read from now on" in admin.send("models/active", chosen=[other]).text
    assert "1 image has not been given" in admin.get("models")
    assert "1 image waits to be read by the active models" in admin.send("models/reread").text
    assert "retired" in admin.get("models")
    told = admin.get(f"models/{other}")
    assert "The artifact holds no evaluation" in told
    assert "resnet18" in told


def test_a_card_shows_what_it_says_and_runs_nothing() -> None:
    shown = html_of(
        "# A\n\n| a | b |\n|---|---|\n| 1 | <script>x</script> |\n\n[go](javascript:x) ![p](http://e/p.png)"
    )
    assert "<h3>A</h3>" in shown
    assert "<table>" in shown
    assert "<script" not in shown
    assert "<img" not in shown
    assert 'href="javascript' not in shown


def test_deleting_needs_to_be_sure_and_leaves_what_is_held(world: World, admin: Person, clock: SetClock) -> None:
    keys = [world.service.receive(dicom(n), door="http").study for n in range(2)]
    clock.forward(2 * DAY)
    admin = Person(world, "admin")
    page = admin.send("retention/hold", study=keys[0], reason="case 12").text
    assert "Under legal hold" in page
    assert "case 12" in page
    assert "1 study under legal hold, which stays" in admin.get("retention?days=1")
    refused = admin.send("retention/delete", what="study", days="1")
    assert (refused.status_code, "Nothing was deleted" in refused.text) == (400, True)
    done = admin.send("retention/delete", what="study", days="1", sure="true").text
    assert "1 study gone through, 1 object gone from the store." in done
    assert [one.study.key for one in world.service.worklist().entries] == [keys[0]]
    missing = admin.send("retention/hold", study="none", reason="case 13")
    assert (missing.status_code, "There is no such study" in missing.text) == (400, True)
    assert "The hold is lifted." in admin.send("retention/lift", study=keys[0]).text


def test_the_log_is_filtered_paged_and_verified_and_a_change_is_found(world: World) -> None:
    for _ in range(3):
        world.browser("reader")
    auditor = Person(world, "auditor")
    page = auditor.get("audit?event=signed+in&actor=reader")
    assert page.count("<td>signed in</td>") == 3
    assert "No entry fits" in auditor.get("audit?actor=nobody")
    assert "No entry fits" in auditor.get("audit?until=2000-01-01")
    assert "none changed." in auditor.get("audit?verify=true")
    tamper(world.service.database, "UPDATE audit SET actor = 'nobody' WHERE number = 2")
    assert "Entry 2 was changed" in auditor.get("audit?verify=true")
    for room in ROOMS:
        assert f'href="/administration/{room}"' not in page


def test_health_says_what_is_wrong_and_what_helps(world: World, admin: Person) -> None:
    page = admin.get("health")
    assert "it does not listen" in page
    assert "no other program uses its port" in page
    with world.service.database.writing() as session:
        session.execute(text("UPDATE models SET active = :no"), {"no": False})
    assert "none is active" in admin.get("health")


def test_a_silent_service_says_so_on_every_page(world: World) -> None:
    silent = world.service.settings.model_copy(update={"silent": True})
    world.service.settings = silent
    quiet = Person(World(create_app(silent, world.service), world.service, world.people), "admin")
    for room in ROOMS:
        assert "nothing is shown or sent" in quiet.get(room)

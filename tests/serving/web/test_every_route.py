"""Every route of the API: without a login, with the wrong role, with a token that is over, revoked or another's, and silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.serving.web.world import World
from tests.serving.world import dicom, read_all

from cxreader.serving.clock import SetClock
from cxreader.serving.web.app import create_app

ANYBODY = {"/api/v1/session", "/api/v1/tokens", "/api/v1/tokens/{key}"}
NEEDS = {
    "/api/v1/images": "upload",
    "/dicomweb/studies POST": "upload",
    "/dicomweb/studies/{study} POST": "upload",
    "/api/v1/studies/{key}/verdicts": "verdict",
    "/api/v1/studies/{key}/state": "verdict",
    "/api/v1/studies/{key}/lock": "verdict",
    "/api/v1/studies/{key}/reader": "verdict",
    "/api/v1/worklist/next": "verdict",
    "/api/v1/export": "export",
    "/api/v1/audit": "audit",
    "/api/v1/audit/latest": "audit",
    "/api/v1/audit/verification": "audit",
    "/metrics": "metrics",
    "/api/v1/users": "admin",
    "/api/v1/users/{key}/role": "admin",
    "/api/v1/users/{key}/access": "admin",
    "/api/v1/users/{key}/password": "admin",
    "/api/v1/users/{key}/sessions": "admin",
    "/api/v1/users/{key}/tokens": "admin",
    "/api/v1/users/{key}/tokens/{token}": "admin",
    "/api/v1/destinations": "admin",
    "/api/v1/destinations/{name}": "admin",
    "/api/v1/destinations/{name}/echo": "admin",
    "/api/v1/destinations/{name}/outbox": "admin",
    "/api/v1/destinations/{name}/outbox/again": "admin",
    "/api/v1/outbox/{entry}/again": "admin",
    "/api/v1/models": "admin",
    "/api/v1/models/active": "admin",
    "/api/v1/models/reread": "admin",
    "/api/v1/models/{key}/card": "admin",
    "/api/v1/retention": "admin",
    "/api/v1/retention/deletions": "admin",
    "/api/v1/holds": "admin",
    "/api/v1/studies/{key}/hold": "admin",
    "/api/v1/service": "admin",
}
"""The scope that each route needs; all others need "read"."""
BODIES: dict[str, Any] = {
    "/api/v1/studies/{key}/verdicts": {"kind": "accepted"},
    "/api/v1/studies/{key}/state": {"state": "pending"},
    "/api/v1/studies/{key}/reader": {"reader": "admin"},
    "/api/v1/tokens": {"name": "x", "scopes": ["read"], "days": 1},
    "/api/v1/users": {"name": ""},
    "/api/v1/users/{key}/role": {"role": "reader"},
    "/api/v1/users/{key}/access": {"enabled": False},
    "/api/v1/users/{key}/password": {},
    "/api/v1/users/{key}/tokens": {"name": "x", "scopes": ["read"], "days": 1},
    "/api/v1/destinations": {"name": "x"},
    "/api/v1/destinations/{name}": {"sends": ["sr"]},
    "/api/v1/models/active": {"models": ["0" * 12]},
    "/api/v1/retention/deletions": {"what": "outbox", "older_than_days": 1},
    "/api/v1/studies/{key}/hold": {"reason": "x"},
}
HOLDERS = {
    "upload": "reader",
    "read": "reader",
    "verdict": "reader",
    "export": "admin",
    "audit": "auditor",
    "metrics": "auditor",
    "admin": "admin",
}
OTHERS = {
    "upload": "auditor",
    "read": "auditor",
    "verdict": "auditor",
    "export": "reader",
    "audit": "admin",
    "metrics": "reader",
    "admin": "auditor",
}
ALLOWED = (200, 400, 403, 404, 409, 422)
"""Of who may ask, for what is not there; 403 where a token asks for what only a person at a page may."""


def routes(world: World) -> Iterator[tuple[str, str]]:
    """Method and template of each route."""
    for path, of in world.app.openapi()["paths"].items():
        for method in of:
            yield method.upper(), path


def scope_of(method: str, path: str) -> str | None:
    """What a route needs; None where any user will do."""
    if path in ANYBODY:
        return None
    return NEEDS.get(f"{path} {method}", NEEDS.get(path, "read"))


def ask(client: Any, method: str, path: str) -> Any:
    """A request of this kind, for what is not there."""
    body = {"json": BODIES[path]} if path in BODIES and method != "GET" else {}
    for name in ("key", "study", "series_uid", "series", "instance", "frame", "resource", "model", "name", "token"):
        path = path.replace(f"{{{name}}}", "1.2.3")
    path = path.replace("{entry}", "7")
    assert "{" not in path
    return client.request(method, path, **body)


def test_there_are_as_many_routes_as_are_tried(world: World) -> None:
    found = list(routes(world))
    assert len(found) >= 30
    assert {"/api/v1/events", "/dicomweb/studies", "/fhir/Observation/{resource}"} <= {path for _, path in found}
    assert set(NEEDS) - {p for _, p in found} == {"/dicomweb/studies POST", "/dicomweb/studies/{study} POST"}


def test_without_a_login_with_a_token_that_is_over_or_wrong_nothing_opens(world: World, clock: SetClock) -> None:
    over = {role: world.by_token(role, days=1) for role in ("reader", "admin", "auditor")}
    clock.forward(86_401)
    wrong = world.client(headers={"Authorization": "Bearer cxr_wrong"})
    basic = world.client(headers={"Authorization": "Basic cmVhZGVyOnJlYWRlcg=="})
    cookie = world.client(cookies={"cxreader": "wrong"})
    for method, path in routes(world):
        for client in (world.client(), wrong, basic, cookie, *over.values()):
            answer = ask(client, method, path)
            assert (answer.status_code, answer.json()["type"]) == (401, "urn:cxreader:sign-in"), (method, path)
            assert answer.headers["content-type"] == "application/problem+json"


def test_the_wrong_role_is_refused_and_the_right_one_is_not(world: World) -> None:
    clients = {role: world.by_token(role) for role in ("reader", "admin", "auditor")}
    for method, path in routes(world):
        scope = scope_of(method, path)
        if scope is None or path == "/api/v1/events":
            continue
        assert ask(clients[OTHERS[scope]], method, path).status_code == 403, (method, path)
        assert ask(clients[HOLDERS[scope]], method, path).status_code in ALLOWED, (method, path)
    assert ask(clients["auditor"], "GET", "/api/v1/events").status_code == 403


def test_a_token_does_no_more_than_its_scope(world: World) -> None:
    narrow = {scope: world.by_token(HOLDERS[scope], scope) for scope in HOLDERS}
    for method, path in routes(world):
        scope = scope_of(method, path)
        for held, client in narrow.items():
            if scope is not None and held != scope:
                assert ask(client, method, path).status_code == 403, (method, path, held)


def test_a_silent_service_shows_nothing(world: World) -> None:
    got = world.service.receive(dicom(1), door="http")
    read_all(world.service)
    silent = world.service.settings.model_copy(update={"silent": True})
    world.service.settings = silent
    quiet = World(create_app(silent, world.service), world.service, world.people)
    reader, admin = quiet.by_token("reader"), quiet.by_token("admin")
    for method, path in routes(quiet):
        scope = scope_of(method, path)
        if scope in ("read", "verdict", "export"):
            answer = ask(admin if scope == "export" else reader, method, path)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:cxreader:silent"), (method, path)
    assert reader.get(f"/api/v1/studies/{got.study}").json()["type"] == "urn:cxreader:silent"
    sent = reader.post("/api/v1/images", content=dicom(2))
    assert sent.status_code == 201


@pytest.mark.parametrize("path", ["/api/v1/studies/x", "/api/v1/images/x/pixels", "/dicomweb/studies/1.2/metadata"])
def test_what_is_not_there_is_a_problem(world: World, path: str) -> None:
    answer = world.by_token().get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:cxreader:absent")

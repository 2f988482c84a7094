"""What matters is changed only by who proved to be there in the last ten minutes; programs are not asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from tests.serving.web.test_oidc import CODE, Stub, claims, hospital, stub
from tests.serving.web.world import PASSWORD, World

from cxreader.serving.access.sessions import CONFIRMED
from cxreader.serving.clock import SetClock
from cxreader.serving.store.tables.people import User
from cxreader.serving.store.tables.trail import AuditEntry
from cxreader.serving.web.app import create_app

__all__ = ["hospital", "stub"]
A_TOKEN = {"name": "x", "scopes": ["read"], "days": 1}


def asks(world: World) -> list[tuple[str, str, Any]]:
    """Every request of the API that matters, as method, path and body."""
    key = world.people["reader"].key
    return [
        ("POST", "/api/v1/users", {"name": "mallory", "role": "admin"}),
        ("PUT", f"/api/v1/users/{key}/role", {"role": "auditor"}),
        ("PUT", f"/api/v1/users/{key}/access", {"enabled": True}),
        ("PUT", f"/api/v1/users/{key}/password", {"password": "another long password"}),
        ("POST", f"/api/v1/users/{key}/tokens", A_TOKEN),
        ("DELETE", f"/api/v1/users/{key}/tokens/x", None),
        ("POST", "/api/v1/tokens", A_TOKEN),
        ("POST", "/api/v1/destinations", {"name": "evil", "node": "EVIL@127.0.0.1:11112"}),
        ("PUT", "/api/v1/destinations/evil", {"sends": ["sr"]}),
        ("DELETE", "/api/v1/destinations/evil", None),
        ("PUT", "/api/v1/models/active", {"models": ["0123456789ab"]}),
        ("POST", "/api/v1/retention/deletions", {"what": "study", "older_than_days": 1}),
        ("PUT", "/api/v1/studies/x/hold", {"reason": "case 12"}),
        ("DELETE", "/api/v1/studies/x/hold", None),
    ]


def forms(world: World) -> list[tuple[str, dict[str, Any]]]:
    """The same by the pages' forms: below /administration, and the fields."""
    key = world.people["reader"].key
    return [
        ("people", {"name": "mallory", "role": "admin"}),
        (f"people/{key}/role", {"role": "auditor"}),
        (f"people/{key}/access", {}),
        (f"people/{key}/password", {}),
        ("tokens", {"user": key} | A_TOKEN),
        (f"tokens/{key}/x/revoke", {}),
        ("destinations", {"name": "evil", "address": "EVIL@127.0.0.1:11112", "sends": ["sr"]}),
        ("destinations/evil/change", {"sends": ["sr"]}),
        ("destinations/evil/remove", {}),
        ("models/active", {"chosen": ["0123456789ab"]}),
        ("retention/delete", {"what": "study", "days": 1, "sure": "true"}),
        ("retention/hold", {"study": "x", "reason": "case 12"}),
        ("retention/lift", {"study": "x"}),
    ]


def test_after_ten_minutes_the_password_is_asked_again_before_anything_that_matters(
    world: World, clock: SetClock
) -> None:
    admin, program = world.browser("admin"), world.by_token("admin")
    clock.now += CONFIRMED + 1
    for method, path, body in asks(world):
        refused = admin.request(method, path, json=body)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:cxreader:confirmation"), path
    for path, fields in forms(world):
        led = admin.post(f"/administration/{path}", data=fields)
        room = path.partition("/")[0]
        assert led.headers["location"] == f"/confirm?to=%2Fadministration%2F{room}", path
    assert admin.get("/administration/people").text.count("mallory") == 0
    assert admin.post(f"/administration/people/{world.people['auditor'].key}/sessions").status_code == 303  # not asked
    assert program.post("/api/v1/users", json={"name": "by-program"}).status_code == 201

    assert admin.post("/confirm", data={"password": "a guess"}).status_code == 401
    assert admin.post("/api/v1/users", json={"name": "dr-grey"}).status_code == 403
    given = {"password": PASSWORD, "to": "/administration/people"}
    assert admin.post("/confirm", data=given).headers["location"] == "/administration/people"
    for method, path, body in asks(world)[:1] + asks(world)[7:8]:
        assert admin.request(method, path, json=body).status_code == 201, path
    clock.now += CONFIRMED - 2
    assert admin.post("/api/v1/users", json={"name": "dr-grey"}).status_code == 201
    clock.now += 3
    assert admin.post("/api/v1/users", json={"name": "dr-white"}).status_code == 403


def test_a_confirmation_is_this_session_s_and_noted(world: World, clock: SetClock) -> None:
    first, second = world.browser("admin"), world.browser("admin")
    clock.now += CONFIRMED + 1
    script = {"HX-Request": "true"}
    wrong = first.post("/confirm", data={"password": "a guess"}, headers=script)
    assert (wrong.status_code, wrong.json()["type"]) == (401, "urn:cxreader:sign-in")
    assert first.post("/confirm", data={"password": PASSWORD}, headers=script).status_code == 204
    assert first.post("/api/v1/users", json={"name": "dr-grey"}).status_code == 201
    assert second.post("/api/v1/users", json={"name": "dr-white"}).status_code == 403
    with world.service.database.reading() as session:
        noted = [one.event for one in session.scalars(select(AuditEntry))]
    assert noted.count("confirmed") == 1
    assert "sign-in refused" in noted
    del first.headers["X-CSRF-Token"]
    assert first.post("/confirm", data={"password": PASSWORD}).status_code == 403
    assert world.client().post("/confirm", data={"password": PASSWORD}).status_code == 401
    led = second.post("/confirm", data={"password": PASSWORD, "to": "//evil.example"})
    assert led.headers["location"] == "/"


def test_guesses_are_slowed_as_those_to_sign_in(world: World, clock: SetClock) -> None:
    admin = world.browser("admin")
    clock.now += CONFIRMED + 1
    for _ in range(5):
        assert admin.post("/confirm", data={"password": "a guess"}).status_code == 401
    assert admin.post("/confirm", data={"password": PASSWORD}).status_code == 401  # the account rests
    assert admin.post("/api/v1/users", json={"name": "dr-grey"}).status_code == 403


def as_admin(world: World, stub: Stub, clock: SetClock) -> Any:
    """A browser whose user came by the provider, and administers."""
    client = world.client()
    asked = asked_with(client.get("/login/oidc"))
    stub.claims = claims(stub, asked, clock.now)
    assert client.get("/login/oidc/answer", params={"code": CODE, "state": asked["state"]}).status_code == 303
    with world.service.database.writing() as session:
        session.scalars(select(User).where(User.name == "dr-grey")).one().role = "admin"
    client.headers["X-CSRF-Token"] = client.get("/api/v1/session").json()["csrf"]
    return client


def asked_with(answer: Any) -> dict[str, str]:
    """What the browser is sent to the provider with."""
    from urllib.parse import parse_qsl, urlsplit

    assert answer.status_code == 303, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@pytest.mark.parametrize(
    ("told", "opens"),
    [
        ({"auth_time": 0}, True),
        ({"auth_time": -3600}, False),
        ({}, False),
        ({"auth_time": 0, "sub": "another"}, False),
    ],
    ids=["now", "long ago", "not told", "another person"],
)
def test_the_provider_is_asked_to_ask_anew(
    hospital: World, stub: Stub, clock: SetClock, told: dict[str, Any], opens: bool
) -> None:
    admin = as_admin(hospital, stub, clock)
    wanted = {"name": "dr-white"}
    assert admin.post("/api/v1/users", json=wanted).status_code == 403  # the provider may know them since yesterday
    assert "/confirm/oidc?to=%2Fadministration%2Fpeople" in admin.get("/confirm?to=/administration/people").text
    asked = asked_with(admin.get("/confirm/oidc", params={"to": "/administration/people"}))
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    if "auth_time" in told:
        told = told | {"auth_time": int(clock.now) + told["auth_time"]}
    stub.claims = claims(stub, asked, clock.now, **told)
    back = admin.get("/login/oidc/answer", params={"code": CODE, "state": asked["state"]})
    assert (back.status_code, back.headers.get("location")) == (
        (303, "/administration/people") if opens else (401, None)
    )
    assert admin.post("/api/v1/users", json=wanted).status_code == (201 if opens else 403)


def test_a_password_does_not_confirm_whom_the_provider_signs_in(hospital: World, stub: Stub, clock: SetClock) -> None:
    admin = as_admin(hospital, stub, clock)
    assert admin.post("/confirm", data={"password": ""}).status_code == 401
    assert hospital.browser("admin").get("/confirm/oidc").status_code == 404


def test_a_proxy_vouches_for_every_request(world: World, clock: SetClock) -> None:
    settings = world.service.settings
    given = {"user_header": "X-Remote-User", "proxies": ("10.1.0.0/16",)}
    web = settings.web.model_copy(update=given)
    inside = replace(world, app=create_app(settings.model_copy(update={"web": web}), world.service))
    proxied = inside.client(client=("10.1.2.3", 1000), headers={"X-Remote-User": "admin"})
    assert proxied.get("/login").status_code == 303
    proxied.headers["X-CSRF-Token"] = proxied.get("/api/v1/session").json()["csrf"]
    assert proxied.post("/api/v1/users", json={"name": "dr-grey"}).status_code == 201
    clock.now += CONFIRMED + 1
    assert proxied.post("/api/v1/users", json={"name": "dr-white"}).status_code == 201
    stranger = inside.client(
        client=("10.9.9.9", 1000), headers={"X-Remote-User": "admin"}, cookies=dict(proxied.cookies)
    )
    stranger.headers["X-CSRF-Token"] = proxied.headers["X-CSRF-Token"]
    assert stranger.post("/api/v1/users", json={"name": "dr-black"}).status_code == 403

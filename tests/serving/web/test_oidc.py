"""Signing in by an OpenID Connect provider: a stub on this machine that keeps to the standard, and one that does not."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.serving.web.world import World

from cxreader.serving.clock import SetClock
from cxreader.serving.web.app import create_app
from cxreader.serving.web_settings import OidcSection

CLIENT, SECRET, CODE = "cxreader", "its secret", "a code"


class Stub:
    """A provider: `claims` are what it says next, `key` signs, `asked` are the forms that came; `forged` is sent instead."""

    def __init__(self) -> None:
        self.key = self.published = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
        self.asked: list[dict[str, str]] = []
        self.claims: dict[str, Any] = {}
        self.forged = ""
        self.header = {"alg": "RS256", "kid": "1"}
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._tell(stub.answer(self.path))

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                stub.asked.append({name: values[0] for name, values in form.items()})
                self._tell({"id_token": stub.forged or jwt.encode(stub.header, stub.claims, stub.key)})

            def _tell(self, told: dict[str, Any]) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(told).encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realm"

    def answer(self, path: str) -> dict[str, Any]:
        """What is at a path."""
        if path.endswith("/keys"):
            return {"keys": [self.published.as_dict(private=False)]}
        ends = {f"{n}_endpoint": f"{self.issuer}/{n}" for n in ("authorization", "token")}
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **ends}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A provider that listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Stub()
    thread = Thread(target=made.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def hospital(world: World, stub: Stub) -> World:
    """The application, with this provider."""
    oidc = OidcSection(issuer=stub.issuer, client_id=CLIENT, client_secret=SECRET, roles={"radiology": "reader"})
    settings = world.service.settings
    web = settings.web.model_copy(update={"oidc": oidc, "url": "http://localhost:8080", "sign_ins": 1000})
    return replace(world, app=create_app(settings.model_copy(update={"web": web}), world.service))


def begin(client: Any) -> dict[str, str]:
    """What the browser is sent to the provider with."""
    answer = client.get("/login/oidc")
    assert answer.status_code == 303
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def claims(stub: Stub, asked: dict[str, str], now: float, **more: Any) -> dict[str, Any]:
    """What an honest provider says."""
    honest = {"iss": stub.issuer, "aud": CLIENT, "sub": "42", "nonce": asked["nonce"], "exp": now + 60, "iat": now}
    return {**honest, "preferred_username": "dr-grey", "roles": ["staff", "radiology"], **more}


def test_a_person_with_a_role_enters_and_is_the_same_user_again(hospital: World, stub: Stub, clock: SetClock) -> None:
    for name in ("dr-grey", "dr-grey-married"):
        client = hospital.client()
        asked = begin(client)
        stub.claims = claims(stub, asked, clock.now, preferred_username=name)
        back = client.get("/login/oidc/answer", params={"code": CODE, "state": asked["state"]})
        assert (back.status_code, back.headers["location"]) == (303, "/")
        me = client.get("/api/v1/session").json()
        assert (me["user"], me["role"]) == ("dr-grey", "reader")
        form = stub.asked[-1]
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        )
        assert (challenge, asked["code_challenge_method"]) == (asked["code_challenge"], "S256")  # RFC 7636 4.6
        assert (form["code"], form["client_secret"], form["redirect_uri"]) == (CODE, SECRET, asked["redirect_uri"])
    assert len({one["code_verifier"] for one in stub.asked}) == 2


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"aud": "another client"},
        {"iss": "https://evil.example"},
        {"exp": 1_700_000_000},
        {"sub": None},
        {"roles": ["surgery"]},
        {"roles": None},
        {"preferred_username": "admin"},
    ],
)
def test_a_token_that_does_not_fit_opens_nothing(
    hospital: World, stub: Stub, clock: SetClock, lie: dict[str, Any]
) -> None:
    client = hospital.client()
    asked = begin(client)
    told = claims(stub, asked, clock.now, **lie)
    stub.claims = {name: value for name, value in told.items() if value is not None}
    assert client.get("/login/oidc/answer", params={"code": CODE, "state": asked["state"]}).status_code == 401
    assert client.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize("how", ["another key", "no signature", "a shared secret"])
def test_a_token_that_the_provider_did_not_sign_opens_nothing(
    hospital: World, stub: Stub, clock: SetClock, how: str
) -> None:
    client = hospital.client()
    asked = begin(client)
    stub.claims = claims(stub, asked, clock.now)
    token = jwt.encode(stub.header, stub.claims, RSAKey.generate_key(2048, {"kid": "1"}, private=True))
    if how != "another key":
        header = {"alg": "none" if how == "no signature" else "HS256", "kid": "1"}
        parts = [
            base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in (header, stub.claims)
        ]
        token = f"{'.'.join(parts)}.{'' if how == 'no signature' else 'AAAA'}"
    stub.forged = token
    assert client.get("/login/oidc/answer", params={"code": CODE, "state": asked["state"]}).status_code == 401


def test_an_answer_that_was_not_asked_for_opens_nothing(hospital: World, stub: Stub, clock: SetClock) -> None:
    thief, client = hospital.client(), hospital.client()
    asked = begin(thief)
    stub.claims = claims(stub, asked, clock.now)
    given = {"code": CODE, "state": asked["state"]}
    assert client.get("/login/oidc/answer", params=given).status_code == 401  # of another browser
    begin(client)
    assert client.get("/login/oidc/answer", params=given).status_code == 401  # whose state is another
    assert thief.get("/login/oidc/answer", params={"state": asked["state"]}).status_code == 401
    forged = thief.cookies["cxreader-oidc"].partition("~")[0] + "~" + "0" * 64
    other = hospital.client(cookies={"cxreader-oidc": forged})
    assert other.get("/login/oidc/answer", params=given).status_code == 401
    assert stub.asked == []


def test_without_a_provider_there_is_no_such_way(world: World) -> None:
    assert world.client().get("/login/oidc").status_code == 404
    assert "/login/oidc" not in world.client().get("/login").text

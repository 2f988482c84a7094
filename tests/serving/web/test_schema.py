"""The OpenAPI document is kept to, and nothing that can be sent makes the service fail."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans
from tests.serving.web.world import World
from tests.serving.world import dicom, read_all

from cxreader.serving.web.api import events

EXAMPLES = 12
"""Requests of each route: all of them together stay within a minute."""


@schemathesis.serializer("multipart/related")
def _related(_: Any, value: Any) -> bytes:
    """One part of whatever it is."""
    data = value if isinstance(value, bytes) else str(value).encode()
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"


@schemathesis.serializer("application/zip")
def _zip(_: Any, value: Any) -> bytes:
    """Whatever it is."""
    return value if isinstance(value, bytes) else str(value).encode()


def test_nothing_that_can_be_sent_makes_it_fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LONGEST", 0.0)
    got = world.service.receive(dicom(1), door="http")
    read_all(world.service)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", world.app, headers={"Host": "127.0.0.1"})
    tried = 0
    clients = {role: world.by_token(role) for role in ("admin", "auditor")}
    for found in schema.get_all_operations():
        operation = found.ok()
        client = clients["auditor" if "/audit" in operation.path else "admin"]
        _fuzz(operation, got.study, {"Authorization": client.headers["Authorization"], "Host": "127.0.0.1"})
        tried += 1
    assert tried > 30


def _fuzz(operation: Any, study: str, headers: dict[str, str]) -> None:
    """Requests of a route, valid and not; every other one for a study that is there."""

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), there=booleans())
    def fuzz(case: Any, there: bool) -> None:
        if "key" in case.path_parameters and there:
            case.path_parameters["key"] = study
        related = (case.media_type or "").startswith("multipart/related")
        named = {"Content-Type": f"{case.media_type}; boundary=b"} if related else {}
        answer = case.call(headers=headers | named)
        assert answer.status_code < 500, (case.formatted_path, answer.status_code, answer.text)

    fuzz()


def test_the_document_tells_of_every_refusal_and_signing_in(world: World) -> None:
    told = world.client().get("/api/v1/openapi.json").json()
    for path, of in told["paths"].items():
        for method, one in of.items():
            assert {"401", "403", "422", "503"} <= set(one["responses"]), (method, path)
            assert one["security"], (method, path)
            assert one.get("summary"), (method, path)
    assert set(told["components"]["securitySchemes"]) == {"token", "session"}
    assert "examples" in str(told["components"]["schemas"]["Listed"])

"""Live events: numbers that can be resumed from, and no patient."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.serving.web.world import World
from tests.serving.world import dicom

from cxreader.serving.web.api import events as room
from cxreader.serving.web.app import create_app


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of a moment."""
    monkeypatch.setattr(room, "LONGEST", 0.3)
    monkeypatch.setattr(room, "LOOK", 0.05)


def _events(text: str) -> list[dict[str, str]]:
    """Events as a browser reads them (WHATWG HTML 9.2.6)."""
    blocks = [
        dict(line.split(": ", 1) for line in block.split("\n") if line[0] != ":")
        for block in text.split("\n\n")
        if block
    ]
    return [one for one in blocks if "event" in one]


def test_events_after_the_last_one_are_replayed_in_order(world: World) -> None:
    receipts = [world.service.receive(dicom(n), door="http") for n in range(3)]
    client = world.by_token()
    text = client.get("/api/v1/events", headers={"Last-Event-ID": "1"}).text
    found = _events(text)
    assert [(one["id"], one["event"]) for one in found] == [("2", "received"), ("3", "received")]
    assert [one["data"] for one in found] == [f'{{"study":"{r.study}","revision":1}}' for r in receipts[1:]]
    assert client.get("/api/v1/events?after=1").text == text  # as a page that was drawn at that moment asks
    assert [
        one["id"] for one in _events(client.get("/api/v1/events?after=0", headers={"Last-Event-ID": "2"}).text)
    ] == ["3"]
    assert _events(client.get("/api/v1/events").text) == []  # from now on
    assert "id: 3" in client.get("/api/v1/events").text  # where a browser would resume
    assert "Doe" not in text


def test_a_stream_tells_of_what_happens_while_it_is_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LONGEST", 2.0)
    client = world.by_token()
    seen: list[dict[str, str]] = []

    async def both() -> None:
        asked = asyncio.to_thread(lambda: seen.extend(_events(client.get("/api/v1/events").text)))
        sent = asyncio.to_thread(_later, world)
        await asyncio.gather(asked, sent)

    asyncio.run(both())
    assert [one["event"] for one in seen] == ["received"]


def _later(world: World) -> None:
    import time

    time.sleep(1)
    world.service.receive(dicom(9), door="http")


def test_too_many_streams_are_refused(world: World) -> None:
    settings = world.service.settings
    web = settings.web.model_copy(update={"streams": 1})
    app = create_app(settings.model_copy(update={"web": web}), world.service)
    client = World(app, world.service, world.people).by_token()
    assert [client.get("/api/v1/events").status_code for _ in range(2)] == [200, 200]  # one after the other
    with app.state.door.streams.taken():
        answer: Any = client.get("/api/v1/events")
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:cxreader:too-many")

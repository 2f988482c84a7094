"""A reader who sits at the viewer of a running service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.serving.page.axe import violations
from tests.serving.page.viewed import EARLIER
from tests.serving.web.world import PASSWORD, World

LONGEST = 20_000
"""Milliseconds that anything may take, on a machine that does much else."""


@dataclass(frozen=True)
class Room:
    """A running service with studies to read, by their keys."""

    address: str
    world: World
    keys: list[str]


@contextmanager
def sitting(browser: Any, room: Room, role: str = "reader", refused: str = "", **more: Any) -> Iterator[Any]:
    """A signed-in reader's page, on which nothing may go wrong and which asks nobody but the service.

    `refused`: the end of the address of a request that the service refuses, of which the browser complains.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **more)
    wrong: list[str] = []
    own = (room.address, "blob:", "data:")
    page = context.new_page()
    page.set_default_timeout(LONGEST)
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def said(one: Any) -> None:
        if one.type == "error" and not (refused and one.location["url"].endswith(refused)):
            wrong.append(f"{one.text} {one.location}")

    page.on("console", said)
    page.on("request", lambda request: wrong.extend([] if request.url.startswith(own) else [request.url]))
    page.goto(f"{room.address}/login?to=/studies/{room.keys[EARLIER]}")
    page.fill("[name=name]", role)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector("#zoom:not(:empty)")
    yield page
    assert wrong == []
    context.close()


def opened(page: Any, room: Room, study: int, query: str = "") -> None:
    """Open a study, and wait until its picture is drawn."""
    page.goto(f"{room.address}/studies/{room.keys[study]}{query}")
    page.wait_for_selector("#zoom:not(:empty)")


def settled(page: Any) -> None:
    """Wait for the frame after the next."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def accessible(page: Any) -> None:
    """No violation that axe finds, in either theme."""
    for _ in range(2):
        assert violations(page) == [], page.url
        page.click("#theme")

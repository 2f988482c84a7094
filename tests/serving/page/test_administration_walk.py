"""Administration and review in a browser: a day of an administrator and of an auditor, in both themes, by keyboard too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.serving.page.axe import violations
from tests.serving.page.live import served
from tests.serving.test_review import filled
from tests.serving.web.test_administration import packed
from tests.serving.web.world import PASSWORD

from cxreader.models.artifact import load_artifact
from cxreader.serving.access.sessions import CONFIRMED
from cxreader.serving.clock import SetClock
from cxreader.serving.service import TriageService

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom's own sockets
ROOMS = ("people", "tokens", "destinations", "models", "retention", "health")


class Walk:
    """A signed-in page that counts what must not happen: errors of scripts, requests that leave this machine."""

    def __init__(self, browser: Any, address: str, name: str) -> None:
        self._context = browser.new_context(viewport={"width": 1280, "height": 720})
        self.page, self.address, self.wrong = self._context.new_page(), address, list[str]()
        self.page.set_default_timeout(30_000)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda asked: self._asked(asked.url))
        self.page.goto(f"{address}/login")
        self.page.fill("#name", name)
        self.page.fill("#password", PASSWORD)
        self.page.click("main button")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.wrong.append(url)

    def go(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def check(self) -> None:
        """No violation that axe knows, in neither theme; nothing wider than the window, at 200 % neither."""
        for _ in range(2):
            assert violations(self.page) == [], self.page.url
            self.page.click("#theme")
        self.page.set_viewport_size({"width": 640, "height": 360})
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wide) <= 0, self.page.url
        self.page.set_viewport_size({"width": 1280, "height": 720})

    def end(self) -> None:
        assert self.wrong == []
        self._context.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_day_of_an_administrator_and_of_an_auditor(
    browser: Any, service: TriageService, clock: SetClock, other_artifact: Path, tmp_path: Path
) -> None:
    world, other = filled(service, clock), load_artifact(other_artifact).id
    (tmp_path / "model.zip").write_bytes(packed(other_artifact))
    with served(world) as address:
        walk = Walk(browser, address, "admin")
        page = walk.page
        for room in ROOMS:
            walk.go(f"/administration/{room}")
            walk.check()
        _person_by_keyboard(walk)
        _destination(walk)
        clock.now += CONFIRMED + 1
        _asked_again(walk)
        walk.go("/administration/models")
        page.set_input_files("#archive", tmp_path / "model.zip")
        page.click("#send button")
        page.wait_for_url("**/administration/models?said=sent")
        page.check(f"input[value='{other}']")
        page.click("text=Let the ticked ones read from now on")
        assert "These models read from now on" in page.inner_text("[role=status]")
        page.set_input_files("#archive", tmp_path / "model.zip")
        page.click("#send button")
        page.wait_for_selector("#sending.alarm")
        assert "here already" in page.inner_text("#sending")
        page.click("table a >> nth=0")
        page.wait_for_url("**/administration/models/*")
        walk.check()
        walk.go("/review?weeks=4")
        assert page.locator("figure canvas").count() == 2
        walk.check()
        page.click("text=52 weeks")
        assert page.locator("#alarms-table tbody tr").count() == 52
        walk.end()
        auditor = Walk(browser, address, "auditor")
        auditor.go("/administration/audit")
        auditor.page.click("text=Verify the whole log")
        assert "none changed" in auditor.page.inner_text("[role=status]")
        auditor.check()
        assert auditor.page.locator(".rooms a").all_inner_texts() == ["Audit log"]
        auditor.end()


def _person_by_keyboard(walk: Walk) -> None:
    """Add somebody without touching the mouse, and sign them out."""
    page = walk.page
    walk.go("/administration/people")
    page.focus("#name")
    page.keyboard.type("dr-grey")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".secret")
    assert re.fullmatch(r"\S{20}", page.inner_text(".secret"))
    walk.check()
    page.click("text=dr-grey >> nth=-1")
    walk.check()
    page.click("text=End sessions")
    assert "Signed out everywhere" in page.inner_text("[role=status]")


def _asked_again(walk: Walk) -> None:
    """Add somebody after ten minutes: the password is asked first, and nothing that was typed is lost."""
    page = walk.page
    walk.go("/confirm?to=/administration/people")
    walk.check()
    walk.go("/administration/people")
    page.fill("#name", "dr-white")
    page.press("#name", "Enter")
    page.wait_for_selector("#confirm[open]")
    assert page.evaluate("document.activeElement.id") == "confirm-password"
    assert violations(page) == []
    page.keyboard.type("a guess")
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm [role=alert]:not([hidden])")
    assert "wrong" in page.inner_text("#confirm [role=alert]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".secret")
    assert "dr-white" in page.inner_text(".once")


def _destination(walk: Walk) -> None:
    """Add a destination, ask whether it answers, switch it off."""
    page = walk.page
    walk.go("/administration/destinations")
    page.fill("#name", "pacs")
    page.fill("#address", "PACS@127.0.0.1:1")
    page.click("text=Add >> nth=-1")
    page.wait_for_url("**/administration/destinations/pacs?said=added")
    page.click("button:text-is('Test')")
    assert "no connection" in page.inner_text("[role=alert]")
    walk.check()
    page.uncheck("input[name=enabled]")
    page.click("button:text-is('Change')")
    assert "switched off" in page.inner_text("h1")

"""A reader at the worklist in Chromium: what arrives moves no line, others see who reads, keys suffice, both themes pass axe."""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from tests.serving.conftest import active
from tests.serving.dicom.scu import sending, stored
from tests.serving.page.axe import violations
from tests.serving.page.filled import fill
from tests.serving.page.live import served
from tests.serving.web.conftest import world_of
from tests.serving.web.world import PASSWORD, World
from tests.serving.world import dicom, png, read_all

from cxreader.serving.clock import database_clock
from cxreader.serving.dicom.node import Node
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import FolderStore
from cxreader.serving.store.tables.people import LoginSession

LONGEST = 20_000
"""Milliseconds that anything may take, on a machine that does much else."""
LINES = "[...document.querySelectorAll('tr.line')].map((one) => one.dataset.study)"
HOVERED = "document.querySelector('tr.line:hover')?.dataset.study"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets


@dataclass(frozen=True)
class Room:
    """A running service with 30 studies, and its DICOM node."""

    address: str
    world: World
    node: Node


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, artifact: Path) -> Iterator[Room]:
    """One service for all walks."""
    folder, kept = tmp_path_factory.mktemp("room"), tempfile.tempdir
    shutil.copy(migrated_sqlite, folder / "service.db")
    given: dict[str, Any] = {"database": f"sqlite:///{folder / 'service.db'}", "dicom": {"port": 0, "grace": 2}}
    settings = Settings.load(folder / "home", models=(artifact,), **given)
    database = Database(settings.database_url, clock=database_clock)
    service = active(TriageService(settings, database, FolderStore(settings.home / "objects")))
    with database.writing() as session:
        fill(session, database.now(session), settings.worklist.waits, 30)
    world, node = world_of(service), Node(service)
    node.start()
    with served(world) as address:
        yield Room(address, world, node)
    node.stop()
    tempfile.tempdir = kept
    database.close()


class Person:
    """Somebody at a browser of their own; what their pages complain of, and where they ask, is kept."""

    def __init__(self, browser: Any, room: Room, **more: Any) -> None:
        self.context = browser.new_context(base_url=room.address, **more)
        self.context.set_default_timeout(LONGEST)
        self.page, self.asked = self.context.new_page(), set[str]()
        self.wrong, self.thrown = list[str](), list[str]()
        self.page.on("pageerror", lambda error: self.thrown.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", lambda request: self.asked.add(re.match(r"\w+://[^/]*", request.url)[0]))

    def _said(self, said: Any) -> None:
        """But of the files that these drawn-up studies have not."""
        if said.type in ("error", "warning") and not re.search("/(studies|images)/", said.location["url"]):
            self.wrong.append(said.text)

    def sign_in(self, name: str = "reader", to: str = "/") -> None:
        """By the form."""
        self.page.goto(f"/login?to={to}")
        self.page.fill("#name", name)
        self.page.fill("#password", PASSWORD)
        self.page.keyboard.press("Enter")
        self.ready()

    def ready(self) -> None:
        """Once the list's scripts run."""
        self.page.wait_for_selector('html[data-ready="true"]')

    def lines(self) -> list[str]:
        """Keys of the lines in their order."""
        found: list[str] = self.page.evaluate(LINES)
        return found

    def until(self, text: str, place: str) -> None:
        """Wait for words in a place."""
        self.page.wait_for_function(
            "([text, place]) => document.querySelector(place)?.textContent.includes(text)", arg=[text, place]
        )


def test_what_arrives_moves_no_line_and_others_see_who_reads(browser: Any, room: Room) -> None:
    first, second = Person(browser, room), Person(browser, room)
    first.sign_in()
    page, before = first.page, first.lines()
    line = page.locator("tr.line").nth(6)
    line.hover()
    hovered, box = page.evaluate(HOVERED), line.bounding_box()
    assert hovered == before[6]
    program = room.world.by_token()
    assert program.post("/api/v1/images", content=dicom(1)).status_code == 201
    with sending(room.node.port) as association:
        assert [stored(association, dicom(seed)) for seed in (2, 3)] == [0, 0]
    read_all(room.world.service)
    first.until("3 new", "#news")
    assert (first.lines(), page.evaluate(HOVERED), line.bounding_box()) == (before, hovered, box)
    page.keyboard.press("r")
    page.wait_for_function("() => document.querySelectorAll('tr.line').length === 33")
    assert page.locator("#news").text_content() == ""
    assert "33 studies" in page.locator(".summary").text_content()

    second.sign_in("admin")
    order = second.lines()
    page.keyboard.press("n")
    page.wait_for_url(re.compile(f"/studies/{order[0]}$"))
    second.until("reader since", f"#study-{order[0]} .reader")
    assert second.page.locator(f"#study-{order[0]} .state").text_content() == "Being read"
    assert second.lines() == order
    second.page.click('[data-does="pause"]')
    second.page.keyboard.press("n")  # the next one is not the one that another reads
    second.page.wait_for_url(re.compile(f"/studies/{order[1]}$"))

    page.goto("/")
    first.ready()
    _aside_and_over(first, order[2])
    for person in (first, second):
        assert person.asked == {room.address}
        assert person.wrong + person.thrown == []
    page.click("text=Sign out")
    page.wait_for_url("**/login")
    page.goto("/")
    assert page.url.endswith("/login")
    first.context.close()
    second.context.close()


def _aside_and_over(person: Person, key: str) -> None:
    """Put aside, taken back, handed over and released, each seen in its line."""
    person.page.click(f"#study-{key} .state")
    person.page.keyboard.press("p")
    person.until("Put aside", f"#study-{key} .state")
    person.page.keyboard.press("p")
    person.until("Open", f"#study-{key} .state")
    person.page.keyboard.press("h")
    person.page.select_option("#to", "admin")
    person.page.click("#hand-over >> text=Hand over >> nth=-1")
    person.until("to admin", f"#study-{key} .reader")
    person.page.keyboard.press("u")
    person.until("Open", f"#study-{key} .state")


DROP = """(text) => {
  const data = new DataTransfer();
  data.items.add(new File([text], "dropped.txt"));
  for (const kind of ["dragover", "drop"])
    document.querySelector("tr.line").dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data }));
}"""


def test_images_are_added_and_arrive_by_c_store_while_a_line_is_hovered(browser: Any, room: Room) -> None:
    person = Person(browser, room)
    person.sign_in()
    page, before = person.page, person.lines()
    line = page.locator("tr.line").nth(5)
    line.hover()
    box = line.bounding_box()
    page.keyboard.press("a")
    page.wait_for_selector("#add[open]")
    assert page.evaluate("document.activeElement.id") == "files"  # Enter opens the browser's own choice
    busy = {"status": 429, "headers": {"retry-after": "1"}, "body": '{"detail": "too many uploads"}'}
    page.route("**/api/v1/images", lambda route: route.fulfill(**busy), times=1)
    packed = archive({"a.png": png(41), "b.dcm": dicom(42), "notes.txt": b"no image"})
    given = [("one.dcm", dicom(40)), ("again.dcm", dicom(40)), ("all.zip", packed), ("letter.txt", b"no image")]
    page.set_input_files("#files", [{"name": n, "mimeType": "", "buffer": b} for n, b in given])
    with sending(room.node.port) as association:
        assert stored(association, dicom(43)) == 0
    person.until("Done: 3 received, 1 already there, 2 refused.", "#adding")
    told = page.locator("#added tbody tr").all_text_contents()
    assert told[0:2] == ["one.dcmreceived", "again.dcmalready there"]
    assert re.match(r"all\.zip2 received; image 3 refused: \w", told[2])
    assert re.match(r"letter\.txtrefused: \w", told[3])
    assert violations(page) == []
    page.keyboard.press("Escape")
    person.until("4 new", "#news")
    assert (person.lines(), page.evaluate(HOVERED), line.bounding_box()) == (before, before[5], box)

    page.route("**/api/v1/images", lambda route: route.fulfill(status=413, body="{}"), times=1)
    page.evaluate(DROP, "no image")
    person.until("refused: too much at once; at most 1,024 MiB and 2,000 images", "#added tr:nth-child(5)")
    page.keyboard.press("Escape")
    assert (person.lines(), line.bounding_box()) == (before, box)
    assert person.asked == {room.address}
    assert person.thrown == []
    person.context.close()


def archive(files: dict[str, bytes]) -> bytes:
    """A zip archive of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return buffer.getvalue()


def test_keys_alone_suffice_and_single_ones_can_be_switched_off(browser: Any, room: Room) -> None:
    person = Person(browser, room)
    page = person.page
    page.goto("/login")
    page.keyboard.type("reader")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    person.ready()
    order = person.lines()
    chosen = "document.querySelector('tr.chosen')?.dataset.study"
    for key, at in (("j", 0), ("j", 1), ("ArrowDown", 2), ("k", 1)):
        page.keyboard.press(key)
        assert page.evaluate(chosen) == order[at], key
    assert page.evaluate("document.activeElement.closest('tr')?.dataset.study") == order[1]
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    page.focus("#keys-on")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.evaluate(chosen) == order[1]
    page.keyboard.press("ArrowDown")
    assert page.evaluate(chosen) == order[2]
    page.evaluate("document.getElementById('keys-on').click()")
    page.keyboard.press("/")
    name = page.locator(f"#study-{order[3]} .patient a").text_content()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"search=[\w-]+$"))
    person.ready()
    assert order[3] in person.lines()
    assert not set(re.split(r"\W+", name)) & set(re.split(r"\W+", page.url))
    page.keyboard.press("j")
    first = person.lines()[0]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{first}")
    assert person.wrong + person.thrown == []
    person.context.close()


def test_filters_stand_in_the_address_and_the_way_back_works(browser: Any, room: Room) -> None:
    person = Person(browser, room)
    person.sign_in()
    page, whole = person.page, person.lines()
    page.select_option("#filter-view", "PA")
    page.wait_for_url("**/?view=PA")
    page.wait_for_selector(".chip")
    fewer = person.lines()
    assert set(fewer) < set(whole)
    page.select_option("#filter-station", "MOBILE-3")
    page.wait_for_url("**/?view=PA&station=MOBILE-3")
    page.go_back()
    page.wait_for_url("**/?view=PA")
    person.ready()
    assert person.lines() == fewer
    page.click(".chip")
    page.wait_for_function("() => location.search === ''")
    page.wait_for_function(f"() => {LINES}.length === {len(whole)}")
    assert person.wrong + person.thrown == []
    person.context.close()


def test_a_paused_list_stands_still_until_it_goes_on(browser: Any, room: Room) -> None:
    person = Person(browser, room)
    person.sign_in()
    page = person.page
    page.click('[data-does="pause"]')
    assert page.get_attribute('[data-does="pause"]', "aria-pressed") == "true"
    room.world.service.receive(dicom(9), door="http", sender="CT9")
    with page.expect_response("**/api/v1/session"):  # long enough for the news to have come
        page.evaluate("() => new Promise((done) => setTimeout(done, 2500)).then(() => fetch('/api/v1/session'))")
    assert page.locator("#news").text_content() == ""
    page.click('[data-does="pause"]')
    person.until("1 new", "#news")
    person.context.close()


def test_a_list_that_takes_long_says_so_and_the_one_before_stays(browser: Any, room: Room) -> None:
    person = Person(browser, room)
    person.sign_in()
    page, before, held = person.page, person.lines(), list[Any]()

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/?decision=*", hold)
    page.select_option("#filter-decision", "abnormal")
    person.until("Loading the list", "#waiting:not([hidden])")
    assert person.lines() == before
    assert float(page.evaluate("getComputedStyle(document.getElementById('worklist')).opacity")) < 1
    assert violations(page) == []
    held.pop().continue_()
    page.wait_for_selector("#waiting", state="hidden")
    page.wait_for_function(f"JSON.stringify({LINES}) !== {json.dumps(json.dumps(before))}")
    page.select_option("#filter-decision", "normal")
    person.until("Loading the list", "#waiting:not([hidden])")
    held.pop().abort()
    page.wait_for_selector("#waiting", state="hidden")
    person.until("the list could not be loaded, the service cannot be reached", "#banner")
    assert person.thrown == []
    person.context.close()


def test_a_lost_connection_and_a_session_that_is_over_are_said_and_nothing_is_lost(browser: Any, room: Room) -> None:
    person = Person(browser, room)
    person.sign_in()
    page, before = person.page, person.lines()
    page.route("**/api/v1/events*", lambda route: route.abort())
    page.reload()
    person.until("The connection is lost. The list is as of", "#banner")
    assert person.lines() == before
    page.unroute("**/api/v1/events*")
    page.wait_for_selector("#banner", state="hidden")
    person.context.set_offline(True)
    page.keyboard.press("r")
    person.until("cannot be reached", "#banner")
    assert person.lines() == before
    person.context.set_offline(False)
    page.keyboard.press("r")
    page.wait_for_selector("#banner", state="hidden")
    with room.world.service.database.writing() as session:
        session.execute(delete(LoginSession))
    page.keyboard.press("r")
    person.until("You are signed out", "#banner")
    assert person.lines() == before
    page.click("#banner a")
    page.wait_for_url("**/login?to=**")
    assert person.thrown == []
    person.context.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_and_little_room_is_enough(browser: Any, room: Room, theme: str) -> None:
    person = Person(browser, room, viewport={"width": 1280, "height": 720})
    page = person.page
    person.context.add_cookies([{"name": "cxreader-theme", "value": theme, "url": room.address}])
    page.goto("/login")
    assert violations(page) == []
    person.sign_in()
    page.keyboard.press("j")
    for width, height in ((1280, 720), (640, 360)):  # the second is 200 %
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, height)
        assert violations(page) == [], (width, height)
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")
    assert violations(page) == []
    for address in ("/?view=PA&station=nowhere", "/?state=pending", "/nothing"):
        page.goto(address)
        assert violations(page) == [], address
    other = Person(browser, room, color_scheme=theme)
    other.context.add_cookies([{"name": "cxreader-theme", "value": theme, "url": room.address}])
    other.page.goto("/login")
    other.page.fill("#name", "auditor")
    other.page.fill("#password", PASSWORD)
    other.page.keyboard.press("Enter")
    other.page.wait_for_selector("text=No patients for this role")
    assert violations(other.page) == []
    person.context.close()
    other.context.close()

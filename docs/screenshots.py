"""Write the pictures of the pages: the service on phantoms, sent by C-STORE, looked at in Chromium. `make screenshots`.

A page gets its pictures by lines in `SHOTS`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxreader.serving import demonstration
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings

DOCS = Path(__file__).resolve().parent
PATIENTS, SIZE, SEED = 12, 512, 1
"""Of the phantoms: whom `cxreader demo` never trains on."""
SCREEN = (1440, 900)


def nothing(page: Any) -> None:
    """Look at the page as it opens."""


def second_line(page: Any) -> None:
    """Choose the second line."""
    page.keyboard.press("j")
    page.keyboard.press("j")


def own_reading(page: Any) -> None:
    """Call the study abnormal, before the answer; then look at the map."""
    page.keyboard.press("a")
    page.wait_for_selector("#panel section.answer")
    page.wait_for_selector("[data-act=heat]:enabled")
    page.click("[data-act=heat]")
    page.wait_for_selector(".caption:visible")


@dataclass(frozen=True)
class Shot:
    """A picture: its file in `docs/images`, the page's address, what is done there first, and how it is seen.

    `{study}` in the address is the most urgent study. `ready`: what is on the page once it can be looked at.
    """

    name: str
    address: str
    act: Callable[[Any], None] = nothing
    theme: str = "dark"
    screen: tuple[int, int] = SCREEN
    ready: str = "main"


SHOTS = (
    Shot("worklist.png", "/", second_line, ready="tr.line"),
    Shot("worklist-light.png", "/?decision=abnormal", theme="light", ready="tr.line"),
    Shot("viewer.png", "/studies/{study}", ready="#zoom:not(:empty)"),
    Shot("viewer-answer.png", "/studies/{study}", own_reading, ready="#zoom:not(:empty)"),
    Shot("administration-models.png", "/administration/models"),
    Shot("administration-health.png", "/administration/health", theme="light"),
)


def main() -> None:
    """Start the service on phantoms, and look at it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("demo/run"), help="an exported run or artifact")
    parser.add_argument("--work", type=Path, default=Path("demo/screenshots"), help="phantoms and the log lie here")
    parser.add_argument("--out", type=Path, default=DOCS / "images")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    files = phantoms(given.work / "phantoms")
    log = given.work / "serve.log"
    peer = demonstration.Peer()
    with (
        peer.listening(),
        demonstration.home(given.work, given.model, peer) as (settings, password),
        serving(settings, log) as process,
    ):
        demonstration.await_start(settings, log, lambda: process.poll() is None)
        demonstration.send(settings, files, 0.0, None)
        study = most_urgent(settings)
        with browser() as found:
            for shot in SHOTS:
                take(found, settings.web.origin, password, shot, study, given.out)


def phantoms(folder: Path) -> list[Path]:
    """Phantoms as DICOM files, drawn where they are not there yet."""
    options = ("--layout", "dicom", "--patients", str(PATIENTS), "--size", str(SIZE), "--seed", str(SEED))
    command = [sys.executable, "-m", "cxreader", "data", "phantom", str(folder), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return sorted(folder.glob("P*/IM*"))


@contextmanager
def serving(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cxreader serve` in that home while the block runs."""
    command = [sys.executable, "-m", "cxreader", "serve", "--home", str(settings.home)]
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()


def most_urgent(settings: Settings) -> str:
    """The key of the first study of the list, once everything is read and sent."""
    service = TriageService.open(settings)
    try:
        demonstration.settled(service)
        return service.worklist(size=1).entries[0].study.key
    finally:
        service.close()


@contextmanager
def browser() -> Iterator[Any]:
    """The Chromium of this machine."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        sys.exit("the pictures need Chromium: apt-get install chromium")
    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


def take(found: Any, origin: str, password: str, shot: Shot, study: str, out: Path) -> None:
    """Sign in, open the page, and keep its picture."""
    width, height = shot.screen
    context = found.new_context(base_url=origin, viewport={"width": width, "height": height})
    context.add_cookies([{"name": "cxreader-theme", "value": shot.theme, "url": origin}])
    page = context.new_page()
    page.goto("/login")
    page.fill("#name", demonstration.ADMINISTRATOR)
    page.fill("#password", password)
    page.click("form button.primary")
    page.wait_for_url("**/")
    page.goto(shot.address.format(study=study))
    page.wait_for_selector(shot.ready)
    page.wait_for_load_state("load")
    shot.act(page)
    page.screenshot(path=out / shot.name)
    print(out / shot.name)
    context.close()


if __name__ == "__main__":
    main()

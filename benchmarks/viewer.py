"""How fast the viewer opens and redraws, in Chromium on loopback; prints the rows of docs/explanation/viewer.md.

No network is needed: the picture is drawn by numpy. Chromium draws in software here, as it does without a graphics card.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

PASSWORD = "measured and thrown away"  # noqa: S105 - of a home that is deleted
OPENINGS, SECONDS, SIDE = 5, 4, 1200
WAYS = {"WebGL2": "?draw=webgl", "Canvas 2D": "?draw=canvas"}
WAIT = """() => new Promise((done) => {
  const ready = () => document.getElementById("zoom").textContent ? done(performance.now()) : requestAnimationFrame(ready);
  ready();
})"""
"""Milliseconds from the start of the navigation to the first picture."""
DRAG = """async (seconds) => {
  const stage = document.getElementById("stage");
  const canvas = document.querySelector("canvas.grey");
  const box = canvas.getBoundingClientRect();
  const gl = document.getElementById("way").textContent.includes("WebGL2") ? canvas.getContext("webgl2") : null;
  const at = (name, n) => new PointerEvent(name, {
    pointerId: 1, bubbles: true, buttons: 1, clientX: box.x + 300 + (n % 200), clientY: box.y + 300 + (n % 150),
  });
  stage.setPointerCapture = () => {};
  const late = [];
  stage.addEventListener("drawn", ({ detail }) => {
    if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    else canvas.getContext("2d").getImageData(0, 0, 1, 1);
    late.push(performance.now() - detail.asked);
  });
  canvas.dispatchEvent(at("pointerdown", 0));
  const begun = performance.now();
  for (let n = 1; performance.now() - begun < 1000 * seconds; n++) {
    canvas.dispatchEvent(at("pointermove", n));
    await new Promise((done) => setTimeout(done, 4));
  }
  const took = (performance.now() - begun) / 1000;
  stage.dispatchEvent(at("pointerup", 0));
  return { rate: late.length / took, late, size: [canvas.width, canvas.height] };
}"""
"""Window drags, far more often than frames, for some seconds: draws a second, and ms from input to a picture to be read."""


def main() -> None:
    """Measure and print."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch, served(Path(scratch)) as (address, studies):
        rows = [*opening(address, studies["large"]), *dragging(address, studies["square"])]
    machine = platform.processor() or platform.machine()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, {os.cpu_count()} cores, load {load:.1f}")
    print("| what | WebGL2 | Canvas 2D | goal |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def opening(address: str, study: str) -> Iterator[tuple[str, str, str, str]]:
    """Rows of opening 4000 x 5000 pixels: undecoded, and decoded."""
    first = _milliseconds(address, study, WAYS["WebGL2"], 1)[0]
    yield "4000 x 5000 px, 12 bits, never decoded: to the first picture", f"{first / 1000:.2f} s", "", "under 6 s"
    told = [_spread(_milliseconds(address, study, query, OPENINGS), 1000, "s") for query in WAYS.values()]
    yield f"the same, decoded ({OPENINGS} times, without a browser's cache)", *told, "under 2 s"  # type: ignore[misc]


def dragging(address: str, study: str) -> Iterator[tuple[str, str, str, str]]:
    """Rows of dragging the window on a port of 1200 x 1200."""
    found = [_dragged(address, study, query) for query in WAYS.values()]
    assert all(one["size"] == [SIDE, SIDE] for one in found), found
    rates = [f"{one['rate']:.1f}" for one in found]
    late = [f"{statistics.median(one['late']):.0f} ms, {np.quantile(one['late'], 0.95):.0f} ms" for one in found]
    yield f"window dragged at {SIDE} x {SIDE}: frames a second", *rates, "at least 8"  # type: ignore[misc]
    yield "the same: milliseconds of a core a frame, all of the browser", *(f"{one['cpu']:.0f}" for one in found), ""  # type: ignore[misc]
    yield "the same: input to picture, median and 95th percentile", *late, "under 250 ms"  # type: ignore[misc]


@contextmanager
def _page(address: str, width: int = 1920, height: int = 1080) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(f"{address}/login?to=/healthz")
        page.fill("[name=name]", "admin")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(f"{address}/healthz")
        yield page
        browser.close()


def _milliseconds(address: str, study: str, query: str, times: int) -> list[float]:
    found = []
    for _ in range(times):
        with _page(address) as page:
            page.goto(f"{address}/studies/{study}{query}")
            found.append(page.evaluate(WAIT))
    return found


def _dragged(address: str, study: str, query: str) -> Any:
    others = set(_seconds())
    with _page(address) as page:
        page.goto(f"{address}/studies/{study}{query}")
        page.evaluate(WAIT)
        for _ in range(3):  # another width may give the tools another number of lines
            box, now = page.locator(".pane").bounding_box(), page.viewport_size
            wanted = {name: int(now[name] + SIDE - box[name]) for name in ("width", "height")}
            page.set_viewport_size(wanted)
            page.wait_for_timeout(500)
        before = _seconds()
        told = page.evaluate(DRAG, SECONDS)
        used = sum(now - before[pid] for pid, now in _seconds().items() if pid in before and pid not in others)
        return told | {"cpu": 1000 * used / len(told["late"])}


def _seconds() -> dict[int, float]:
    """Seconds of a core that each process of a browser has used so far, by its id (proc(5))."""
    found = {}
    for place in Path("/proc").iterdir():
        try:
            if b"chrom" in (place / "cmdline").read_bytes():
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                found[int(place.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:  # no process, or one that has ended
            continue
    return found


def _spread(values: list[float], by: float, unit: str) -> str:
    low, middle, high = min(values) / by, statistics.median(values) / by, max(values) / by
    return f"{middle:.2f} ({low:.2f}-{high:.2f}) {unit}"


@contextmanager
def served(scratch: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A service with two studies: its address, and their keys."""
    import socket

    import uvicorn

    from cxreader.serving import home
    from cxreader.serving.service import TriageService
    from cxreader.serving.settings import Settings
    from cxreader.serving.store.reading import models
    from cxreader.serving.web.app import create_app

    settings = Settings.load(scratch / "home")
    home.init(settings, administrator="admin", password=PASSWORD)
    service = TriageService.open(settings)
    with service.database.writing() as session:
        models.activate(session, 0.0, {"artifacts": ["none"], "operating_point": "none", "terms": None})
    studies = {
        name: service.receive(_dicom(*size), door="http").study
        for name, size in {"large": (5000, 4000), "square": (2400, 2400)}.items()
    }
    with socket.create_server(("127.0.0.1", 0)) as opened:
        config = uvicorn.Config(create_app(settings, service), access_log=False, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([opened],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{opened.getsockname()[1]}", studies
        server.should_exit = True
        thread.join(10)
    service.close()


def _dicom(rows: int, columns: int) -> bytes:
    """A DX image of 12 bits, uncompressed, that looks and packs like a radiograph: coarse shapes under noise."""
    from PIL import Image
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.random((12, 10)).astype(np.float32)).resize(
        (columns, rows), Image.Resampling.BICUBIC
    )
    values = np.asarray(coarse) * 3000 + 500 + random.normal(0, 12, (rows, columns))
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.Modality, data.BodyPartExamined, data.ViewPosition, data.PatientID = "DX", "CHEST", "PA", "measured"
    data.PresentationIntentType = "FOR PRESENTATION"
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.WindowCenter, data.WindowWidth = 2048, 4096
    data.PixelData = values.clip(0, 4095).astype("<u2").tobytes()
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()

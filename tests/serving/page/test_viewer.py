"""A reader at the viewer: opening, window, zoom, ruler, heat map, verdicts in both modes, by mouse and by keys alone."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.serving.page.sitting import Room, accessible, opened, settled, sitting
from tests.serving.page.test_drawing import windowed
from tests.serving.page.viewed import ALARM, BELOW, EARLIER, OTHER, REFER, image_of

from cxreader.serving.store.files.pixels import values_and_greys

COLUMNS, ROWS = 96, 72
QUERIES = {"WebGL2": "webgl", "Canvas 2D": "canvas"}


def drawn(page: Any) -> NDArray[np.int_]:
    """The picture at 1:1, as it stands on the screen: (ROWS, COLUMNS) greys."""
    settled(page)
    box = page.locator(".pane").first.bounding_box()
    left, top = (
        -np.floor(side / 2 - port / 2 + 0.5) for side, port in ((COLUMNS, box["width"]), (ROWS, box["height"]))
    )
    clip = {"x": box["x"] + left, "y": box["y"] + top, "width": COLUMNS, "height": ROWS}
    found = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))
    assert (found == found[..., :1]).all()
    return found[..., 0].astype(int)


def stored(room: Room, study: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """The values of a study's image, and its table of greys."""
    kept = room.world.service.pixels(image_of(room.world, room.keys[study]))
    return values_and_greys(room.world.service.objects.get(kept.sha256), dict(kept.about))


def number(page: Any, name: str) -> float:
    """What stands in a field."""
    settled(page)
    return float(page.input_value(f"#{name}"))


@pytest.mark.parametrize("way", ["WebGL2", "Canvas 2D"])
def test_the_screen_shows_full_values_and_windows_follow_field_drag_and_keys(
    browser: Any, room: Room, way: str
) -> None:
    with sitting(browser, room) as page:
        opened(page, room, BELOW, f"?draw={QUERIES[way]}")
        assert way in page.inner_text("#way")
        assert page.inner_text("#depth") == "full 12-bit"
        values, table = stored(room, BELOW)
        page.keyboard.press("1")
        assert np.abs(drawn(page) - table[values]).max() <= 1
        page.keyboard.press("i")
        assert np.abs(drawn(page) - (255 - table[values].astype(int))).max() <= 1
        page.keyboard.press("i")
        for name, value in (("width", "1000"), ("center", "2000")):
            page.fill(f"#{name}", value)
            page.press(f"#{name}", "Enter")
        assert np.abs(drawn(page) - windowed(values, 2000, 1000)).max() <= 1
        middle = page.locator("#stage").bounding_box()
        x, y = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 50, y - 25)
        page.mouse.move(x + 100, y - 50)
        page.mouse.up()
        assert (number(page, "width"), number(page, "center")) == (1200, 1900)
        assert np.abs(drawn(page) - windowed(values, 1900, 1200)).max() <= 1
        page.focus("#stage")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowDown")
        assert number(page, "width") < 1200
        assert number(page, "center") > 1900
        page.keyboard.press("x")
        assert number(page, "width") != 1200


def test_zoom_stays_under_the_pointer_and_the_ruler_knows_the_detector(browser: Any, room: Room) -> None:
    with sitting(browser, room) as page:
        opened(page, room, BELOW)
        box = page.locator("#stage").bounding_box()
        x, y = box["x"] + box["width"] / 2 + 81.3, box["y"] + box["height"] / 2 - 57.7
        page.mouse.move(x, y)
        under = page.inner_text("#value")
        assert re.fullmatch(r"value \d+ at \d+, \d+", under)
        before = page.inner_text("#zoom")
        page.mouse.wheel(0, -300)
        page.mouse.move(x, y)
        settled(page)
        assert page.inner_text("#value") == under
        assert page.inner_text("#zoom") != before
        spacing = dict(room.world.service.pixels(image_of(room.world, room.keys[BELOW])).about)["spacing"]
        page.keyboard.press("1")
        page.keyboard.press("l")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y + 40)
        page.mouse.up()
        wanted = "50 px" if spacing is None else f"{np.hypot(30 * spacing[0], 40 * spacing[1]):.1f} mm at the detector"
        assert page.inner_text("#length") == wanted
        page.focus("#stage")
        page.keyboard.press("ArrowRight")
        settled(page)
        assert page.inner_text("#length") != wanted
        page.keyboard.press("m")
        page.wait_for_selector("rect.lens", state="attached")
        page.keyboard.press("t")
        settled(page)


def test_reading_first_the_answer_comes_after_and_its_map_on_request(browser: Any, room: Room) -> None:
    with sitting(browser, room) as page:
        opened(page, room, ALARM)
        assert page.is_disabled("[data-act=heat]")
        accessible(page)
        page.fill("#finding", "pleural effusion")
        page.press("#finding", "Enter")
        assert page.is_checked("[name=finding][value=Effusion]")
        page.click("text=Nothing abnormal")
        page.wait_for_selector("text=Above the operating point")
        assert "412 of 496" in page.inner_text("#panel")
        assert page.locator(".caption:visible").count() == 0
        page.wait_for_selector("[data-act=heat]:enabled")
        page.keyboard.press("h")
        page.wait_for_selector(".caption:visible")
        assert "no segmentation" in page.inner_text(".caption")
        assert page.inner_text("[data-where]") == "Heat map: strongest in the left lower zone."
        assert warmth(page, 0.81, 0.92) > 100
        assert warmth(page, 0.2, 0.2) == 0
        accessible(page)
        page.keyboard.press("y")
        page.wait_for_selector(".pane:nth-of-type(2)")
        page.click("summary:has-text('Reject')")
        page.click("text=Device, line or artefact")
        page.wait_for_selector("text=Your final verdict is kept")
        accessible(page)
    said = room.world.service.study(room.keys[ALARM]).verdicts
    assert [(v.stage, v.kind, v.mode, v.disagreement) for v in said] == [
        ("provisional", "rejected", "read-first", ""),
        ("final", "rejected", "read-first", "device, line or artefact"),
    ]
    assert all(0 < (v.seconds or 0) < 600 for v in said)


def test_by_keys_alone_from_the_form_to_the_next_study(browser: Any, room: Room) -> None:
    with sitting(browser, room, "admin") as page:
        opened(page, room, REFER)
        for key in (
            "w",
            "ArrowRight",
            "v",
            "ArrowLeft",
            "z",
            "ArrowUp",
            "l",
            "ArrowDown",
            "Enter",
            "t",
            "e",
            "+",
            "-",
            "f",
            "d",
        ):
            page.keyboard.press(key)
        page.wait_for_selector(".pane:nth-of-type(2)")
        page.keyboard.press("x")
        page.keyboard.press("?")
        assert page.is_visible("#help")
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.type("cardiomegaly")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.keyboard.press("a")
        page.wait_for_selector("text=No clear answer")
        page.wait_for_selector("[data-act=models]:enabled")
        page.keyboard.press("s")
        page.wait_for_selector(".pane:nth-of-type(2) .caption:visible")
        assert page.locator("figcaption").all_inner_texts() == ["resnet18", OTHER]
        assert page.locator("[data-where] p").count() == 2
        page.wait_for_timeout(800)  # a second press of the same key is not taken for the next panel's
        page.keyboard.press("o")
        page.wait_for_selector("text=Your final verdict is kept")
        page.wait_for_timeout(800)
        page.keyboard.press("n")
        page.wait_for_url(re.compile(f"studies/(?!{room.keys[REFER]})"))
    said = room.world.service.study(room.keys[REFER]).verdicts
    assert [(v.stage, v.impression) for v in said] == [("provisional", "abnormal"), ("final", "normal")]
    assert said[0].findings == [{"finding": "Cardiomegaly"}]


def test_the_answer_at_once_where_that_is_chosen(browser: Any, room: Room) -> None:
    with sitting(browser, room, "admin") as page:
        opened(page, room, EARLIER)
        page.check("[value=concurrent]")
        page.wait_for_selector("text=does not rule out disease")
        page.wait_for_timeout(800)
        page.keyboard.press("o")
        page.wait_for_selector("text=Your final verdict is kept")
    (said,) = room.world.service.study(room.keys[EARLIER]).verdicts
    assert (said.kind, said.mode, said.stage) == ("accepted", "concurrent", "final")


def warmth(page: Any, x: float, y: float) -> int:
    """How opaque the heat map is at a place of the picture, given as shares of its sides."""
    settled(page)
    look = """([x, y, columns, rows]) => {
      const canvas = document.querySelector("canvas.heat");
      const scale = Math.min(canvas.width / columns, canvas.height / rows);
      const at = [canvas.width / 2 + (x - 0.5) * columns * scale, canvas.height / 2 + (y - 0.5) * rows * scale];
      return canvas.getContext("2d").getImageData(...at.map(Math.round), 1, 1).data[3];
    }"""
    return int(page.evaluate(look, [x, y, COLUMNS, ROWS]))

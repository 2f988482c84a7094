"""The viewer when something is in the way: another reader, a slow or broken image, padding; and the list that is awaited."""

from __future__ import annotations

import re
from typing import Any

from tests.serving.page.sitting import Room, accessible, opened, settled, sitting
from tests.serving.page.viewed import ALARM, REFER, UNREAD
from tests.serving.world import dicom


def test_a_study_is_handed_over_and_released_from_the_viewer(browser: Any, room: Room) -> None:
    def reader() -> str:
        return room.world.service.study(room.keys[UNREAD]).row.reader

    with sitting(browser, room) as page, sitting(browser, room, "admin") as other:
        opened(page, room, UNREAD)
        page.keyboard.press("j")
        page.select_option("#to", "admin")
        page.click("#hand-over button.primary")
        page.wait_for_url(f"{room.address}/")
        assert reader() == "admin"

        opened(page, room, UNREAD)
        assert page.inner_text("#lock") == "Handed over to admin; looking at it takes nothing away"
        page.goto(f"{room.address}/")  # neither looking nor leaving takes it
        page.wait_for_selector("html[data-ready]")
        assert reader() == "admin"
        opened(page, room, UNREAD)
        page.click("#take-over")
        page.wait_for_selector("#lock", state="hidden")
        assert reader() == "reader"

        opened(other, room, UNREAD)
        other.wait_for_selector("#lock:not(:empty)")
        assert re.match(r"Being read by reader since \d\d:\d\d$", other.inner_text("#lock"))
        page.keyboard.press("u")
        page.wait_for_url(f"{room.address}/")
        page.wait_for_selector("html[data-ready]")
        assert reader() == "admin"  # to whom it was handed over


def test_an_open_page_does_not_take_back_what_another_one_handed_over(browser: Any, room: Room) -> None:
    service = room.world.service
    with sitting(browser, room) as page:
        page.clock.install()
        opened(page, room, REFER)
        page.wait_for_function("document.getElementById('lock').hidden")
        assert service.study(room.keys[REFER]).lock is not None
        room.world.browser("admin").put(f"/api/v1/studies/{room.keys[REFER]}/reader", json={"reader": "admin"})
        page.clock.fast_forward(61_000)  # the next heartbeat
        page.wait_for_selector("#lock:not(:empty)")
        assert page.inner_text("#lock") == "Handed over to admin; looking at it takes nothing away"
        assert service.study(room.keys[REFER]).lock is None
        page.click("#take-over")
        page.wait_for_selector("#lock", state="hidden")
        assert service.study(room.keys[REFER]).row.reader == "reader"


def test_an_image_that_cannot_be_decoded_stands_for_no_other_one_and_its_study_can_be_ended(
    browser: Any, room: Room
) -> None:
    own = {"StudyInstanceUID": "1.2.3.77", "PatientID": "P77"}
    service = room.world.service
    study = service.receive(dicom(76, **own), door="http").study
    service.receive(dicom(77, **own, Rows=4000, SeriesInstanceUID="1.2.3.77.9"), door="http")
    with sitting(browser, room, refused="/picture") as page:
        page.goto(f"{room.address}/studies/{study}")
        page.wait_for_selector("#zoom:not(:empty)")
        assert page.is_enabled("[data-act=invert]")
        page.keyboard.press("k")  # the next image
        page.wait_for_selector("#loading:not([hidden]):has-text('cannot be shown')")
        assert "the pixels are cut short: 13,824 bytes of 768,000" in page.inner_text("#loading")
        assert page.locator(".pane canvas:visible").count() == 0
        assert page.inner_text(".status") == ""
        for key in "ihbsdt":  # tools that need a picture do nothing
            page.keyboard.press(key)
        assert page.is_disabled("[data-act=invert]")
        assert page.is_hidden("#panel-error")
        accessible(page)
        page.keyboard.press("k")  # back to the first
        page.wait_for_selector("#zoom:not(:empty)")
        assert page.locator(".pane canvas.grey:visible").count() == 1
        page.keyboard.press("k")
        page.wait_for_selector("#loading:not([hidden]):has-text('cannot be shown')")
        with page.expect_response("**/verdict"):
            page.keyboard.press("a")
    assert [one.impression for one in service.study(study).verdicts] == ["abnormal"]


def test_an_image_that_is_awaited_is_told_and_takes_nothing_from_the_next_one(browser: Any, room: Room) -> None:
    own = {"StudyInstanceUID": "1.2.3.78", "PatientID": "P78"}
    service = room.world.service
    keys = [service.receive(dicom(78 + n, **own, SeriesInstanceUID=f"1.2.3.78.{n}"), door="http").study for n in (0, 1)]
    with sitting(browser, room) as page:
        held: list[Any] = []

        def hold(route: Any) -> None:
            held.append(route)

        page.route("**/pixels", hold)
        with page.expect_request("**/pixels"):
            page.goto(f"{room.address}/studies/{keys[0]}")
        page.wait_for_selector("#loading:not([hidden])")
        assert page.inner_text("#loading") == "Decoding this image for the first time: up to 6 seconds"
        with page.expect_request("**/pixels"):
            page.keyboard.press("k")
        settled(page)
        first, second = held
        second.continue_()
        page.wait_for_selector("#zoom:not(:empty)")
        assert page.is_hidden("#loading")
        shown = page.locator(".pane").first.screenshot()
        first.continue_()
        settled(page)
        assert page.locator(".pane").first.screenshot() == shown
        with page.expect_request("**/pixels"):
            page.reload()
        page.wait_for_selector("#loading:not([hidden])")
        assert page.inner_text("#loading") == "Loading the image"
        held.pop().continue_()
        page.wait_for_selector("#zoom:not(:empty)")


def test_heat_is_drawn_on_the_picture_alone(browser: Any, room: Room) -> None:
    """A map that is warm all over, of a picture wider than high: its padding above and below stays black."""
    with sitting(browser, room, "admin") as page:
        opened(page, room, ALARM)
        drawn = """async () => {
          const { drawHeat, heatPicture } = await import('/static/js/viewer/layers.js')
          const canvas = Object.assign(document.createElement('canvas'), { width: 80, height: 80 })
          const picture = heatPicture([[9, 9], [9, 0]])
          const view = { x: 40, y: 20, scale: 1, turns: 0 }
          drawHeat(canvas, { picture, frame: [0, -20, 80, 80] }, { width: 80, height: 40 }, view, 1)
          return [10, 30, 50, 70].map((y) => canvas.getContext('2d').getImageData(20, y, 1, 1).data[3])
        }"""
        above, upper, lower, below = page.evaluate(drawn)
        assert (above, below) == (0, 0)
        assert min(upper, lower) > 200

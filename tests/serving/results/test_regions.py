"""The rule of regions, by hand-made maps, and when they may be shown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.serving.results.subjects import heat_map, hot

from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.explanation.localisation_report import LocalisationByFinding
from cxreader.records import Box
from cxreader.serving.results.regions import BESIDE, UPRIGHT, boxes_of, permission, place, regions, strongest
from cxreader.serving.store.reading.results import REGION


def block(*cells: tuple[int, int, int, int, float], side: int = 16) -> Any:
    """A map that has values in some blocks: rows from and to, columns from and to."""
    values = np.zeros((side, side), np.float32)
    for top, bottom, left, right, value in cells:
        values[top:bottom, left:right] = value
    return values


def test_a_box_lies_round_what_reaches_half_of_the_highest_value() -> None:
    ((box, peak),) = boxes_of(block((4, 8, 2, 6, 1.0)), "squash", (160, 160))
    # bilinear between cell centres: half of the height is reached on the block's own edge
    assert (box.x, box.y) == pytest.approx((20, 40), abs=1)
    assert (box.width, box.height) == pytest.approx((40, 40), abs=2)
    assert peak == pytest.approx(1.0)


def test_a_weaker_place_is_left_out_and_three_are_kept_the_highest_first() -> None:
    strong = [(1, 3, 1, 3, 1.0), (1, 3, 12, 14, 0.9), (12, 14, 1, 3, 0.8), (12, 14, 12, 14, 0.7)]
    found = boxes_of(block(*strong, (7, 8, 7, 8, 0.3)), "squash", (160, 160))
    assert [round(peak, 1) for _, peak in found] == [1.0, 0.9, 0.8]


@pytest.mark.parametrize("values", [np.zeros((7, 7)), np.full((7, 7), 0.4)])
def test_a_flat_map_has_no_region(values: Any) -> None:
    assert boxes_of(values.astype(np.float32), "pad", (100, 80)) == []


def test_what_lies_in_the_padding_is_cut_away() -> None:
    # 200 x 100 pixels on a square of 200: a quarter above and below has no picture
    ((box, _),) = boxes_of(block((0, 8, 4, 8, 1.0)), "pad", (200, 100))
    assert (box.y, box.y + box.height) == pytest.approx((0, 50), abs=2)
    assert boxes_of(block((0, 3, 4, 8, 1.0)), "pad", (200, 100)) == []


def test_a_map_that_is_highest_in_the_padding_names_no_place_of_the_patient() -> None:
    values = block(
        (0, 3, 4, 8, 1.0), (8, 10, 11, 13, 0.8)
    )  # the hottest block lies above the picture, another one in it
    assert strongest(values, "pad", (200, 100), UPRIGHT) == BESIDE
    assert strongest(values, "squash", (200, 100), UPRIGHT) == "right upper zone"
    assert strongest(values[::-1, ::-1].copy(), "pad", (100, 200), UPRIGHT) == "left lower zone"


def test_pixels_that_are_not_square_are_counted_as_they_are_stored() -> None:
    (region,) = regions([heat_map(block((4, 8, 2, 6, 1.0)), fit="squash")], (160, 160), (160, 80))
    assert (region.box.y, region.box.height) == pytest.approx((20, 20), abs=1)


def test_the_region_head_speaks_alone_for_its_model() -> None:
    maps = [
        heat_map(hot(0.2, 0.2), model="a"),
        heat_map(hot(0.8, 0.8), kind=REGION, model="a"),
        heat_map(hot(0.5, 0.5), model="b"),
    ]
    found = regions(maps, (100, 100), (100, 100))
    assert [(one.model, one.source) for one in found] == [("a", "Region head"), ("b", "Grad-CAM")]


def test_a_region_head_that_finds_nothing_has_no_region_though_its_map_has_a_peak() -> None:
    for share, count in ((0.05, 0), (0.5, 1)):
        found = regions([heat_map(share * hot(0.8, 0.8), kind=REGION, model="a")], (100, 100), (100, 100))
        assert len(found) == count
    assert len(regions([heat_map(0.05 * hot(0.8, 0.8), model="a")], (100, 100), (100, 100))) == 1


@pytest.mark.parametrize(
    ("x", "y", "upright", "other"),
    [
        (0.9, 0.9, "left lower zone", "lower right of the picture"),
        (0.1, 0.1, "right upper zone", "upper left of the picture"),
        (0.5, 0.5, "central middle zone", "middle centre of the picture"),
    ],
)
def test_sides_are_the_patients_only_where_the_header_says_which_way_up_the_image_is(
    x: float, y: float, upright: str, other: str
) -> None:
    box = Box("region", 200 * x - 2, 100 * y - 2, 4, 4)
    assert place(box, (200, 100), "L\\F") == upright
    for orientation in ("R\\F", "L\\H", "", "P\\F"):
        assert place(box, (200, 100), orientation) == other


def estimate(low: float) -> Estimate:
    return Estimate(low + 0.05, low, low + 0.1, 10, 0, 10, "bootstrap")


def judged(gain: float, by_finding: float, patients: int = 20) -> dict[str, Any]:
    one = {"iou": estimate(0.1)}
    gains: dict[str, Any] = {"gain": {"iou": estimate(gain)}, "gain_by_finding": {"iou": estimate(by_finding)}}
    return dict(
        LocalisationByFinding("all", patients, patients, patients, one, one, **gains, null_by_finding=one).to_dict()
    )


@pytest.mark.parametrize(
    ("gain", "by_finding", "shown"), [(0.01, 0.02, True), (0.01, -0.01, False), (-0.1, 0.1, False)]
)
def test_regions_are_shown_only_where_both_gains_are_above_zero(gain: float, by_finding: float, *, shown: bool) -> None:
    for head, evaluation in (
        (None, {"maps": judged(gain, by_finding), "maps_by": "Grad-CAM", "regions": {}}),
        ("a head", {"maps": judged(1, 1), "regions": {"region_head": judged(gain, by_finding)}}),
    ):
        artifact: Any = SimpleNamespace(region_head=head, evaluation=evaluation)
        found = permission(artifact, "judged")
        assert found.shown is shown
        assert ("Region head" if head else "Grad-CAM") in found.reason
        assert f"{gain + 0.05:.3f}" in found.reason


def test_few_patients_show_no_region_whatever_their_gains() -> None:
    for patients, shown in ((19, False), (20, True)):
        evaluation = {"maps": None, "regions": {"region_head": judged(0.2, 0.2, patients)}}
        artifact: Any = SimpleNamespace(region_head="a head", evaluation=evaluation)
        found = permission(artifact, "judged")
        assert (found.shown, "too few patients" in found.reason) == (shown, not shown)


@pytest.mark.parametrize("evaluation", [None, {"maps": None, "regions": {}}])
def test_what_was_not_judged_is_not_shown_unless_the_settings_say_so(evaluation: Any) -> None:
    artifact: Any = SimpleNamespace(region_head=None, evaluation=evaluation)
    assert "not judged" in permission(artifact, "judged").reason
    assert [permission(artifact, rule).shown for rule in ("judged", "on", "off")] == [False, True, False]

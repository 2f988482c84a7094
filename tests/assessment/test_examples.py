"""The judged images that a report shows: chosen by a rule, with their maps, and named as the table names them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.assessment.shortcut_world import make_images, make_reader
from tests.inference.test_explain import Mapped

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_source
from cxreader.assessment.examples import choose_boxed, choose_examples, example_panels
from cxreader.assessment.images import ReadImages
from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.runtimes.backend import Output
from cxreader.progress import no_bar
from cxreader.records import Box, ImageRecord, OperatingPoint, PredictionTable


def chosen(label: list[int], probability: list[float], count: int = 8) -> list[int]:
    names = np.array([f"{n}.png" for n in range(len(label))])
    table = PredictionTable(names, np.array(label, np.int8), np.array(probability))
    return choose_examples(table, OperatingPoint.given(0.5), count)


def test_two_of_each_outcome_the_surest_first() -> None:
    #        found          missed         false alarms   true negatives
    label = [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    probability = [0.6, 0.9, 0.8, 0.4, 0.1, 0.2, 0.5, 0.7, 0.95, 0.3, 0.45, 0.05]
    assert chosen(label, probability) == [1, 2, 4, 5, 8, 7, 11, 9]


def test_an_outcome_that_is_rare_leaves_its_places_to_the_others() -> None:
    label = [1, 1, 1, 1, 1, 0]
    probability = [0.6, 0.9, 0.8, 0.7, 0.2, 0.1]
    assert chosen(label, probability, 5) == [1, 2, 3, 4, 5]
    assert chosen([1, 0], [0.9, 0.1]) == [0, 1]
    assert chosen([1, 1], [0.7, 0.7], 1) == [0], "of equals the first in the table"


class Counted(Mapped):
    """Remembers of how many images maps were drawn."""

    mapped = 0

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        self.mapped += len(batch) if maps else 0
        return super().run(batch, maps=maps)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counted]:
    out, backend = tmp_path_factory.mktemp("examples"), Counted()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxreader.evaluation.shortcuts.cross_fit.STRENGTHS", (1e-2, 1e-1))
        judge(make_reader(backend), cohort_of_source(str(make_images(out / "images", 60))), out / "out", bar=no_bar)
    return out / "out", backend


def test_the_page_shows_eight_images_with_their_maps_and_stays_small(judged: tuple[Path, Counted]) -> None:
    out, _ = judged
    page = (out / "report.html").read_text()
    assert page.count('under its maps"') == 8
    assert page.count('as the network is shown it"') == 8
    assert page.count("data:image/jpeg;base64,") == 16 + 1, "eight pairs and the contact sheet"
    assert "8 of these images, and where the model looked" in page
    assert page.count("Found</span>") >= 2
    assert page.count("False alarm</span>") >= 2
    assert len(page) < 3_000_000
    assert str(out.parent) not in page, "no folder of the user's machine"


def test_each_map_is_drawn_once_for_examples_and_contact_sheet_together(judged: tuple[Path, Counted]) -> None:
    out, backend = judged
    page = (out / "report.html").read_text()
    contradicted = set(re.findall("<li><code>(.*?)</code>", page))
    shown = re.findall("<h4>(.*?)</h4>", page)
    assert (out / "contact_sheet.png").exists()
    assert contradicted & set(shown), "some images are wanted twice"
    assert backend.mapped == len(contradicted | set(shown))


def test_true_boxes_are_outlined_where_the_network_was_shown_them() -> None:
    """A box of a wide picture that is padded to a square: its edge is cyan at its own place there, and nowhere else."""
    spec, name = InputSpec(64), "wide.png"
    record = ImageRecord(name, 1, path=name, boxes=(Box("Mass", 40, 0, 80, 40),))
    pixels = np.full((1, 64, 64), 90, np.uint8)
    images = ReadImages((record,), (), (record,), pixels, {})
    table = PredictionTable(np.array([name]), np.ones(1, np.int8), np.array([0.9]))
    maps = {name: [np.zeros((2, 2), np.float32)]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxreader.assessment.examples.size", lambda _: (160, 80))
        (panel,) = example_panels(table, [0], images, maps, threshold=0.5, spec=spec)
    assert isinstance(panel.overlay, bytes)
    drawn = np.asarray(Image.open(io.BytesIO(panel.overlay)).convert("RGB"), np.int16)
    cyan = np.argwhere(drawn[..., 2] - drawn[..., 0] > 60)
    # 160 x 80 becomes 64 x 32 with 16 rows of padding above: the box is 32 wide, 16 high, from (16, 16) on.
    assert abs(cyan.min(axis=0) - [16, 16]).max() <= 1
    assert abs(cyan.max(axis=0) - [32, 48]).max() <= 1


def test_images_with_boxes_are_shown_besides_the_surest_first_and_none_twice() -> None:
    names = [f"{n}.png" for n in range(6)]
    table = PredictionTable(np.array(names), np.ones(6, np.int8), np.array([0.1, 0.9, 0.5, 0.7, 0.8, 0.6]))
    box = (Box("Mass", 0, 0, 8, 8),)
    records = [ImageRecord(name, 1, boxes=() if name == "3.png" else box) for name in names]
    assert choose_boxed(table, records, [1], 3) == [4, 5, 2]
    assert choose_boxed(table, [ImageRecord(name, 1) for name in names], [1]) == []


def test_the_region_map_stands_rightmost_as_it_is_with_the_boxes() -> None:
    """A map of 1 in its left half beside a heat map that is flat: the left half of the right picture is warm, and no other."""
    name = "a.png"
    record = ImageRecord(name, 1, path=name)
    images = ReadImages((record,), (), (record,), np.full((1, 64, 64), 90, np.uint8), {})
    table = PredictionTable(np.array([name]), np.ones(1, np.int8), np.array([0.9]))
    maps, left = {name: [np.zeros((2, 2), np.float32)]}, np.array([[1, 0], [1, 0]], np.float32)
    for peak, warm in ((1.0, True), (0.001, False)):
        regions = {name: np.float32(peak) * left}
        (panel,) = example_panels(table, [0], images, maps, threshold=0.5, spec=InputSpec(64), regions=regions)
        assert isinstance(panel.overlay, bytes)
        drawn = np.asarray(Image.open(io.BytesIO(panel.overlay)).convert("RGB"), np.int16)
        assert drawn.shape[:2] == (64, 128)
        redness = (drawn[..., 0] - drawn[..., 2]).reshape(64, 8, 16).mean(axis=(0, 2))
        assert bool(redness[4] > 40) is warm
        assert abs(redness[[0, 1, 2, 3, 7]]).max() < 5

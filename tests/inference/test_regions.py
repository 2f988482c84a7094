"""Region maps: beside the heat map in a reading, of each model its own, in the picture under their own name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.artifacts import hand_made, random_region_head, region_bytes
from tests.inference.batch.world import distinct

from cxreader import Reader
from cxreader.errors import UsageError
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.explanation.localisation_report import LocalisationByFinding
from cxreader.imaging.overlay import overlay
from cxreader.imaging.read import read
from cxreader.inference.explain import explain_files
from cxreader.inference.member import Member
from cxreader.inference.panel import SIDE, draw_panel
from cxreader.models.registry import create_model

SIZE, TOP = 64, 21


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader of phantoms' size with a region head; Mass was learnt from one box."""
    place, model = tmp_path_factory.mktemp("regions"), create_model("chestxray_cnn", size=SIZE)
    record, head = random_region_head(model, SIZE)
    hand_made(place, "chestxray_cnn", model.state_dict(), SIZE, regions=(record, region_bytes(head)))
    return place


@pytest.fixture
def reader(folder: Path) -> Reader:
    return Reader.load(folder)


def _maps(reader: Reader, file: str) -> NDArray[np.float32]:
    spec = reader.artifact.spec
    found = reader.backend.run(spec.normalise(spec.pixels(read(file))[None]), maps=True).regions
    assert found is not None
    return np.asarray(found[0])


def test_a_reading_has_the_map_of_any_finding_and_one_of_each(reader: Reader, tmp_path: Path) -> None:
    file = distinct(tmp_path, 1)[0]
    reading, maps = reader.read(file), _maps(reader, file)
    assert reading.region_map is not None
    np.testing.assert_array_equal(reading.region_map, maps[2])
    assert list(reading.region_maps) == ["Effusion", "Mass"]
    np.testing.assert_array_equal(reading.region_maps["Effusion"], maps[0])
    np.testing.assert_array_equal(reading.region_maps["Mass"], maps[1])
    assert 0 < maps.min() < maps.max() < 1
    bare = reader.read(file, heat_map=False)
    assert (bare.region_map, bare.region_maps, bare.heat_map) == (None, {}, None)
    assert bare.probability == reading.probability


def test_a_refused_image_has_no_region(reader: Reader, tmp_path: Path) -> None:
    Image.fromarray(np.full((80, 80), 9, np.uint8)).save(tmp_path / "blank.png")
    reading = reader.read(tmp_path / "blank.png")
    assert (reading.acceptance, reading.region_map, reading.region_maps) == ("refused", None, {})


def test_of_several_models_each_has_its_own_and_a_refusal_takes_all(reader: Reader, tmp_path: Path) -> None:
    one = reader.members[0]
    other = Member(replace(one.artifact, dropout=0.1, region_head=None), one.backend, one.operating_point)
    both, file = Reader([one, other]), distinct(tmp_path, 1)[0]
    reading = both.read(file)
    assert (reading.region_map, reading.region_maps) == (None, {})
    assert reading.members[0].region_map is not None
    assert reading.members[1].region_maps == {}


def test_the_picture_says_where_beside_what_moved_the_score(
    reader: Reader, tmp_path: Path, written: list[tuple[tuple[float, ...], str]]
) -> None:
    image = read(distinct(tmp_path, 1)[0])
    reading = reader.read(image)
    sheet = draw_panel(image, reading, reader)
    titles = [text for (_, y), text in written if y < TOP]
    assert titles == [
        "Image",
        "Heat map (HiResCAM): what moved the score",
        "Region head, from 1,201 boxes: where findings lie",
    ]
    assert sheet.shape[1] > 3 * SIDE
    pixels = np.asarray(Image.fromarray(image.pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    expected = overlay(np.clip(pixels, 0, 1), reading.region_map, spec=reader.artifact.spec, as_it_is=True)
    np.testing.assert_array_equal(sheet[TOP : TOP + SIDE, 2 * SIDE : 3 * SIDE], expected)
    whole = " ".join(text for _, text in written)
    told = "Region head, learnt from 1,201 boxes of 900 patients. It says where a finding lies, not why the image"
    assert told in whole
    assert reading.region_map is not None
    assert f"regions: {float(reading.region_map.max()):.2g}" in [text for _, text in written]
    assert "its maps were judged against no boxes" in whole


def test_a_region_map_that_finds_nothing_stays_cold(reader: Reader, tmp_path: Path) -> None:
    image = read(distinct(tmp_path, 1)[0])
    peak = np.zeros((4, 4), np.float32)
    peak[1, 1] = 1
    faint, sure = (
        draw_panel(image, replace(reader.read(image), region_map=share * peak), reader)
        for share in (np.float32(0.002), 1)
    )
    third = np.s_[TOP : TOP + SIDE, 2 * SIDE : 3 * SIDE]
    picture = faint[TOP : TOP + SIDE, :SIDE].astype(int)
    assert np.abs(faint[third].astype(int) - picture).max() <= 1
    assert np.abs(sure[third].astype(int) - picture).max() > 50


def test_of_one_finding_its_own_map_is_drawn_and_what_boxes_said_of_such_maps(
    reader: Reader, tmp_path: Path, written: list[tuple[tuple[float, ...], str]]
) -> None:
    file = distinct(tmp_path / "images", 1)[0]
    one = Estimate(0.3, 0.25, 0.35, 40, 0, 40, "bootstrap")
    iou = {"iou": one}
    judged = LocalisationByFinding("all", 50, 40, 40, iou, iou, gain=iou, null_by_finding=iou, gain_by_finding=iou)
    member = reader.members[0]
    artifact = replace(member.artifact, evaluation={"regions": {"region_head_by_finding": judged.to_dict()}})
    told = Reader([Member(artifact, member.backend, member.operating_point)])
    explain_files(told, [file], tmp_path / "out", finding="mass")
    texts = [text for _, text in written]
    assert "Region head, from 1 box: where mass would lie" in texts
    whole = " ".join(texts)
    assert "By finding, judged on 50 boxes: Mean IoU: the model reaches 0.300 (0.250-0.350)" in whole
    image = read(file)
    pixels = np.asarray(Image.fromarray(image.pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    reading = told.read(file)
    expected = overlay(np.clip(pixels, 0, 1), reading.region_maps["Mass"], spec=artifact.spec, as_it_is=True)
    sheet = draw_panel(image, reading, told, finding="Mass")
    np.testing.assert_array_equal(sheet[TOP : TOP + SIDE, 2 * SIDE : 3 * SIDE], expected)
    with pytest.raises(UsageError, match="Effusion"):
        explain_files(told, [file], tmp_path / "no", finding="efusion")


def test_without_a_region_head_the_picture_tells_of_none(
    reader: Reader, tmp_path: Path, written: list[tuple[tuple[float, ...], str]]
) -> None:
    image = read(distinct(tmp_path, 1)[0])
    draw_panel(image, replace(reader.read(image), region_map=None, region_maps={}), reader)
    assert "Region" not in " ".join(text for _, text in written)


def test_raw_maps_are_written_by_finding(reader: Reader, tmp_path: Path) -> None:
    file = distinct(tmp_path / "images", 1)[0]
    ((reading, picture),) = explain_files(reader, [file], tmp_path / "out", raw=True)
    assert picture is not None
    with np.load(picture.with_name("0000-region.npz")) as kept:
        assert sorted(kept) == ["Effusion", "Mass", "any"]
        np.testing.assert_array_equal(kept["any"], reading.region_map)
        np.testing.assert_array_equal(kept["Mass"], reading.region_maps["Mass"])
        assert kept["any"].dtype == np.float32

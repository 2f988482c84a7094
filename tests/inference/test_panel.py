"""The picture of a reading: the anatomy untouched, the map beside it, a scale, and the answer in words below."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from tests.assessment.shortcut_world import make_reader
from tests.inference.batch.world import distinct
from tests.inference.test_explain import Mapped, two_models

from cxreader import Reader
from cxreader.imaging.overlay import BOX_COLOUR, overlay
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.inference.explain import explain_files
from cxreader.inference.panel import SIDE, draw_panel
from cxreader.records import Box

TOP = 21
"""Pixels of the line of titles above the panels."""


def reading_of(reader: Reader, image: Radiograph, *, refuse: bool = True):  # type: ignore[no-untyped-def]
    return reader.answer([reader.prepare(image)], heat_map=True, refuse=refuse)[0]


def test_image_map_and_scale_stand_side_by_side_and_nothing_is_written_on_the_anatomy(
    tmp_path: Path, written: list[tuple[tuple[float, ...], str]]
) -> None:
    pixels = np.linspace(0.2, 0.9, SIDE * 256, dtype=np.float32).reshape(SIDE, 256)
    pixels[64:200, 32:90] = 0.1
    image, reader = Radiograph(pixels, source="a.png"), make_reader(Mapped())
    raw = np.array([[0.0, 2.0], [0.5, 4.0]], np.float32)
    reading = replace(reading_of(reader, image), heat_map=raw)
    sheet = draw_panel(image, reading, reader)
    left = (SIDE - 256) // 2
    assert np.array_equal(sheet[TOP : TOP + SIDE, left : left + 256], overlay(pixels))
    mapped = overlay(pixels, raw, spec=reader.artifact.spec)
    assert np.array_equal(sheet[TOP : TOP + SIDE, SIDE + left : SIDE + left + 256], mapped)
    assert not np.array_equal(mapped, overlay(pixels)), "the map is warm somewhere"
    assert sheet.shape[1] > 2 * SIDE
    texts = [text for _, text in written]
    assert {"1", "0.5", "0", "Raw maxima", "heat: 4"} <= set(texts)
    whole = " ".join(texts)
    assert f"{reading.decision}, probability {reading.probability:.3f}" in whole
    assert "abnormal from 0.500 on (given)" in whole
    assert "resnet18, artifact" in whole
    assert "For research; not a medical device." in whole
    assert all(y < TOP or y >= TOP + SIDE or x >= 2 * SIDE for (x, y), _ in written)


def test_boxes_are_outlined_on_the_image_and_on_the_map_and_named_as_not_the_networks(
    written: list[tuple[tuple[float, ...], str]],
) -> None:
    image, reader = Radiograph(np.full((100, 50), 0.4, np.float32), source="a.png"), make_reader(Mapped())
    reading = replace(reading_of(reader, image), heat_map=np.zeros((2, 2), np.float32))
    boxes = (Box("Mass", 10, 25, 20, 50), Box("Pleural_Thickening", 5, 5, 5, 5), Box("", 5, 85, 9, 9))
    plain, sheet = draw_panel(image, reading, reader), draw_panel(image, reading, reader, boxes)
    left, scale = (SIDE - 256) // 2, SIDE / 100
    for n in (0, 1):
        corner = (TOP + round(25 * scale), n * SIDE + left + round(10 * scale))
        assert tuple(sheet[corner]) == BOX_COLOUR
        middle = (TOP + round(50 * scale), n * SIDE + left + round(20 * scale))
        assert np.array_equal(sheet[middle], plain[middle])
    texts = [text for _, text in written]
    assert [texts.count(name) for name in ("Mass", "Pleural Thickening", "finding not named")] == [2, 2, 2]
    told = "not the network's: Mass, Pleural Thickening, finding not named"
    assert f"Outlined: 3 boxes that came with the image, {told}" in " ".join(texts)


def test_no_box_stands_where_there_is_no_picture(tmp_path: Path) -> None:
    pixels = np.full((80, 80), 9, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "blank.png")
    reader, image = make_reader(Mapped()), read(str(tmp_path / "blank.png"))
    reading = reader.read(image)
    assert reading.acceptance == "refused"
    sheet = draw_panel(image, reading, reader, (Box("Mass", 20, 20, 40, 40),))
    cyan = (sheet == BOX_COLOUR).all(axis=2)
    assert cyan[:, :SIDE].any()
    assert not cyan[:, SIDE:].any()


def test_an_interval_a_warning_and_a_long_name_are_told_in_lines_that_fit(
    written: list[tuple[tuple[float, ...], str]],
) -> None:
    image, reader = (
        Radiograph(np.linspace(0.1, 0.9, 6400, dtype=np.float32).reshape(80, 80), source="a.png"),
        make_reader(Mapped()),
    )
    reading = replace(
        reading_of(reader, image),
        image="folder/" * 60 + "a.png",
        acceptance="warning",
        reasons=("a lateral marker",),
        decision="abnormal",
        probability=0.9,
        interval=(0.85, 0.95),
        conformal="refer",
    )
    draw_panel(image, reading, reader)
    lines = [text for (x, y), text in written if y >= TOP + SIDE]
    assert "".join(lines).startswith("folder/" * 60 + "a.png")
    assert max(map(len, lines)) < 220
    assert "Warning: a lateral marker" in lines
    assert any("probability 0.900 (interval 0.850-0.950)" in x and "conformal rule: refer" in x for x in lines)


def test_each_model_has_its_map_and_answer_beside_the_image(written: list[tuple[tuple[float, ...], str]]) -> None:
    image = Radiograph(np.random.default_rng(0).random((64, 64)).astype(np.float32), source="a.png")
    reader = two_models()
    reading = reading_of(reader, image)
    sheet = draw_panel(image, reading, reader)
    titles = [text for (x, y), text in written if y < TOP]
    assert titles[0] == "Image"
    assert [title.split(",")[0] for title in titles[1:]] == ["Model 1: resnet18", "Model 2: resnet18"]
    first = reading.members[0]
    assert f"probability {first.probability:.3f}" in titles[1]
    assert sheet.shape[1] > 3 * SIDE
    written.clear()
    sure = tuple(replace(own, interval=(own.probability, own.probability)) for own in reading.members)
    draw_panel(image, replace(reading, members=sure), reader)
    texts = [text for _, text in written]
    assert not [text for text in texts if text.endswith("...")], "no number is cut"
    assert any(text.startswith("Model 2: resnet18, artifact ") and "(interval 0." in text for text in texts)
    assert any("(mean of 2 models)" in text for _, text in written)


def test_a_refused_image_has_its_reason_and_a_map_only_by_force(
    tmp_path: Path, written: list[tuple[tuple[float, ...], str]]
) -> None:
    blank = tmp_path / "blank.png"
    Image.fromarray(np.full((80, 80), 9, np.uint8)).save(blank)
    reader = make_reader(Mapped())
    ((reading, picture),) = explain_files(reader, [str(blank)], tmp_path / "out", raw=True)
    assert (reading.acceptance, reading.probability) == ("refused", None)
    assert picture is not None
    assert not picture.with_suffix(".npy").exists()
    whole = " ".join(text for _, text in written)
    assert "No map: the image was refused" in whole
    assert f"Refused: {reading.reasons[0]}" in whole
    assert "Raw maxima" not in whole
    assert "warm" not in whole
    written.clear()
    ((forced, _),) = explain_files(reader, [str(blank)], tmp_path / "forced", force=True)
    assert (forced.acceptance, forced.probability is None) == ("refused", False)
    whole = " ".join(text for _, text in written)
    assert f"Refused, and answered by force: {forced.reasons[0]}" in whole
    assert "Raw maxima" in whole


def test_a_flat_map_is_said_to_be_flat(written: list[tuple[tuple[float, ...], str]], tmp_path: Path) -> None:
    reader = make_reader(Mapped())
    image = read(distinct(tmp_path, 1)[0])
    draw_panel(image, replace(reading_of(reader, image), heat_map=np.zeros((2, 2), np.float32)), reader)
    assert "heat: 0, flat" in [text for _, text in written]


def test_beside_a_wide_and_low_picture_the_scale_keeps_its_room(written: list[tuple[tuple[float, ...], str]]) -> None:
    image = Radiograph(np.linspace(0.1, 0.9, 90 * 400, dtype=np.float32).reshape(90, 400), source="a.png")
    reader = make_reader(Mapped())
    sheet = draw_panel(image, replace(reading_of(reader, image), heat_map=np.eye(2, dtype=np.float32)), reader)
    scale = sorted((y, text) for (x, y), text in written if x >= 2 * SIDE)
    assert [text for _, text in scale[-5:]] == ["1", "0.5", "0", "Raw maxima", "heat: 1"]
    gaps = np.diff([y for y, _ in scale])
    assert gaps.min() >= 10, "no two lines of it on each other"
    captions = [y for (x, y), text in written if text == "a.png"]
    assert captions[0] > scale[-1][0]
    assert captions[0] < sheet.shape[0]

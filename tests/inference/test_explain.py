"""Heat maps of files: each decoded once, drawn from its own pixels within the pixel budget, and named in the files' order."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.assessment.shortcut_world import Patches, make_reader
from tests.inference.batch.world import distinct

from cxreader import Reader
from cxreader.errors import StorageError
from cxreader.imaging import raster
from cxreader.imaging.overlay import BOX_COLOUR, overlay
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.inference import explain as explain_module
from cxreader.inference.explain import explain_files
from cxreader.inference.member import Member
from cxreader.inference.panel import draw_panel
from cxreader.inference.pixel_budget import PixelBudget
from cxreader.inference.runtimes.backend import Output
from cxreader.records import Box


class Mapped(Patches):
    """A map of 2 x 2 that depends on the image."""

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        output = super().run(batch)
        corners = batch[:, 0, ::63, ::63] - batch[:, 0].min()
        return Output(output.logits, output.features, corners.astype(np.float32) if maps else None)


@pytest.fixture
def reader() -> Reader:
    return make_reader(Mapped())


def two_models() -> Reader:
    member = make_reader(Mapped()).members[0]
    other = Member(member.artifact, Mapped(), member.operating_point)
    other.id = "other"
    return Reader([member, other])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was decoded."""
    there, count = raster.decode, Counter[str]()

    def counted(data: bytes, kind: str, label: str, *rest: Callable[[int], None] | None) -> Radiograph:
        count[label] += 1
        return there(data, kind, label, *rest)

    monkeypatch.setattr(raster, "decode", counted)
    return count


@pytest.mark.parametrize("models", [1, 2])
def test_each_file_is_decoded_once_whatever_the_number_of_models(
    reader: Reader, decoded: Counter[str], tmp_path: Path, models: int
) -> None:
    files = distinct(tmp_path / "images", 9)
    found = explain_files(reader if models == 1 else two_models(), files, tmp_path / "out")
    assert [(reading.image, picture is not None) for reading, picture in found] == [(file, True) for file in files]
    assert decoded == Counter(files)


def test_the_picture_is_the_image_at_its_own_size_under_its_own_map(reader: Reader, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 2**16, (90, 130)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")  # of 16 bits: rounded once, when it is drawn
    ((reading, picture),) = explain_files(reader, [str(tmp_path / "deep.png")], tmp_path / "out", raw=True, panel=False)
    assert picture == tmp_path / "out" / "deep-heat.png"
    assert reading.heat_map is not None
    expected = overlay(read(tmp_path / "deep.png").pixels, reading.heat_map, spec=reader.artifact.spec)
    assert expected.shape == (90, 130, 3)
    with Image.open(picture) as drawn:
        assert np.array_equal(np.asarray(drawn), expected)
    raw = np.load(picture.with_suffix(".npy"))
    assert raw.dtype == np.float32
    assert np.array_equal(raw, reading.heat_map)


def test_boxes_are_outlined_and_named_on_the_bare_map_too(
    reader: Reader, tmp_path: Path, written: list[tuple[tuple[float, ...], str]]
) -> None:
    file = distinct(tmp_path / "images", 1)[0]
    boxes = {file: (Box("Scar", 10, 30, 20, 20),)}
    ((_, picture),) = explain_files(reader, [file], tmp_path / "out", panel=False, boxes=boxes)
    assert [text for _, text in written] == ["Scar"]
    assert picture is not None
    with Image.open(picture) as drawn:
        assert tuple(np.asarray(drawn)[40, 10]) == BOX_COLOUR


def test_what_reader_says_of_a_file_is_what_is_explained(reader: Reader, tmp_path: Path) -> None:
    """Answered, refused, torn and absent; what cannot be read has no picture and takes no name."""
    good = distinct(tmp_path / "a", 1)[0]
    for folder in ("b", "c", "d"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.full((80, 80), 9, np.uint8)).save(tmp_path / "b" / "0000.png")
    (tmp_path / "c" / "0000.png").write_bytes(Path(good).read_bytes()[:300])
    (tmp_path / "d" / "0000.png").write_bytes(Path(good).read_bytes())
    files = [str(tmp_path / folder / "0000.png") for folder in ("b", "c", "absent", "a", "d")]
    progress: list[tuple[int, int]] = []
    found = explain_files(reader, files, tmp_path / "out", progress=lambda *done: progress.append(done))
    for (reading, _), expected in zip(found, reader.read_many(files, heat_map=True), strict=True):
        for name in ("image", "acceptance", "decision", "reasons", "notes"):
            assert getattr(reading, name) == getattr(expected, name)
    assert [reading.acceptance for reading, _ in found] == ["refused", None, None, "accepted", "accepted"]
    assert found[2][0].reasons == ("no such file; check the path",)
    names = ["0000-heat.png", None, None, "0000-2-heat.png", "0000-3-heat.png"]
    assert [picture and picture.name for _, picture in found] == names
    bare = explain_files(reader, files, tmp_path / "bare", panel=False)
    assert [picture and picture.name for _, picture in bare] == [None] * 3 + ["0000-heat.png", "0000-2-heat.png"]
    assert progress == [(n, 5) for n in range(1, 6)]


def test_names_are_given_in_the_files_order_though_a_later_one_is_ready_first(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [distinct(tmp_path / folder, 1)[0] for folder in "ab"]
    there, ready = raster.decode, threading.Event()

    def slow(data: bytes, kind: str, label: str, *rest: object) -> Radiograph:
        if label == files[0]:
            assert ready.wait(30)
        return there(data, kind, label, *rest)  # type: ignore[arg-type]

    def encoded(pixels: NDArray[np.uint8]) -> bytes:
        ready.set()
        return b"picture"

    monkeypatch.setattr(raster, "decode", slow)
    monkeypatch.setattr(explain_module, "_png", encoded)
    found = explain_files(reader, files, tmp_path / "out")
    assert [picture and picture.name for _, picture in found] == ["0000-heat.png", "0000-2-heat.png"]


class Noted(PixelBudget):
    """Says when a picture is let in and when it has gone."""

    def __init__(self, most: int) -> None:
        super().__init__(2, most=most)
        self.events: list[str] = []

    @contextmanager
    def slot(self) -> Iterator[Callable[[int], None]]:
        with super().slot() as reserve:

            def noted(pixels: int) -> None:
                reserve(pixels)
                self.events.append("in")

            yield noted
            self.events.append("out")


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_picture_holds_its_budget_until_it_is_drawn(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    files = distinct(tmp_path / "images", 8)
    reader.pixel_budget = budget = Noted(at_once * 64 * 64)

    def drawn(*arguments: object) -> NDArray[np.uint8]:
        time.sleep(0.02)
        budget.events.append("drawn")
        return draw_panel(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(explain_module, "draw_panel", drawn)
    explain_files(reader, files, tmp_path / "out")
    if at_once == 1:
        assert budget.events == ["in", "drawn", "out"] * 8
    else:
        inside = np.cumsum([{"in": 1, "drawn": 0, "out": -1}[event] for event in budget.events])
        assert inside.max() == 2


def test_a_place_that_cannot_be_written_ends_it_with_one_line(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(StorageError, match="out: is a file, not a folder"):
        explain_files(reader, distinct(tmp_path / "images", 8), tmp_path / "out")
    assert explain_files(reader, [], tmp_path / "other") == []

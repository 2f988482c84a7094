"""A picture that no decoder can take is one row with its reason, wherever pictures are read; the rest goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from tests.inference.batch.world import distinct

from cxreader.assessment.images import read_once
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.pixel_cache.rows import READER
from cxreader.errors import CacheError
from cxreader.imaging.formats import fast_png
from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.batch.pipeline import read_shard
from cxreader.inference.explain import explain_files
from cxreader.inference.reader import Reader
from cxreader.progress import no_bar
from cxreader.records import ImageRecord


@pytest.fixture(scope="module")
def own(small_run: Path) -> Reader:
    return Reader.load(small_run)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three pictures, of which Pillow meets the second as nobody expected."""
    names = distinct(tmp_path / "images", 3)
    Image.fromarray(np.full((64, 65), 9, np.uint8)).save(names[1])
    load = PngImageFile.load

    def odd(image: PngImageFile) -> Any:
        if image.size == (65, 64):
            raise AttributeError("Doe^Jane")
        return load(image)

    monkeypatch.setattr(PngImageFile, "load", odd)
    monkeypatch.setattr(fast_png, "decoded", lambda _: None)  # which asks Pillow nothing
    return names


REASON = "this PNG cannot be decoded (AttributeError); copy the file again from its source; if another program opens it"


def test_read_explain_and_many_files(own: Reader, files: list[str], tmp_path: Path) -> None:
    one_by_one = list(own.read_many(files))
    explained = [reading for reading, _ in explain_files(own.with_maps(), files, tmp_path / "maps")]
    many = [found.reading for batch in read_shard(own, enumerate(files)) for found in batch]
    for readings in (one_by_one, explained, many):
        assert [reading is not None and reading.acceptance is None for reading in readings] == [False, True, False]
        bad = readings[1]
        assert bad is not None
        assert bad.reasons[0].startswith(REASON)
        assert "Doe" not in " ".join(bad.reasons)


def records(files: list[str]) -> list[ImageRecord]:
    return [ImageRecord(image=Path(file).name, label=n % 2, path=file) for n, file in enumerate(files)]


def test_evaluation(own: Reader, files: list[str]) -> None:
    with read_once(own, records(files), bar=no_bar) as images:
        assert [record.path for record in images.records] == [files[0], files[2]]


def test_the_cache_names_it_and_tries_it_again_with_a_later_reader(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = InputSpec(32)
    built = build_cache(records(files), spec, tmp_path / "cache", workers=1)
    assert [(failure.image, failure.reader) for failure in built.errors] == [(Path(files[1]).name, READER)]
    assert built.errors[0].reason.startswith(REASON)
    assert (built.decoded, len(built)) == (2, 2)
    monkeypatch.undo()
    again = build_cache(records(files), spec, tmp_path / "cache", workers=1)
    assert (again.decoded, len(again.errors)) == (0, 1)  # the file is the same
    monkeypatch.setattr("cxreader.data.pixel_cache.rows.READER", READER + 1)
    monkeypatch.setattr("cxreader.data.pixel_cache.cache.READER", READER + 1)
    later = build_cache(records(files), spec, tmp_path / "cache", workers=1)
    assert (later.decoded, len(later.errors), len(later)) == (1, 0, 3)


def test_too_little_memory_is_no_fault_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = distinct(tmp_path / "images", 2)

    def exhausted(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(PngImageFile, "load", exhausted)
    monkeypatch.setattr(fast_png, "decoded", lambda _: None)
    with pytest.raises(CacheError, match="not enough memory to decode it; run it again with fewer workers"):
        build_cache(records(names), InputSpec(32), tmp_path / "cache", workers=1)


def test_a_cache_without_some_images_gives_their_reasons(tmp_path: Path) -> None:
    names = distinct(tmp_path / "images", 2)
    cache = build_cache(records(names), InputSpec(32), tmp_path / "cache", workers=1)
    first, second = (Path(name).name for name in names)
    fewer = cache.without({first: "left out when the run began"})
    assert (first in fewer, second in fewer, first in cache) == (False, True, True)
    with pytest.raises(CacheError, match="left out when the run began"):
        fewer.row(first)

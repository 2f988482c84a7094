"""Pictures that are decoded at the same time have so many pixels together, and a larger one is decoded alone."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.assessment.shortcut_world import make_reader
from tests.dicom_files import dataset, encoded, picture
from tests.inference.batch.world import Watched

from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read
from cxreader.inference import reader as reader_module
from cxreader.inference.batch.pipeline import read_shard
from cxreader.inference.pixel_budget import PixelBudget
from cxreader.inference.prepared import Prepared, prepare_or_reason


def _png(width: int, height: int, value: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width), value, np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def test_what_the_header_promises_is_told_once_and_before_it_is_decoded(tmp_path: Path) -> None:
    def told(source: object) -> list[int]:
        asked: list[int] = []
        found = prepare_or_reason(source, [InputSpec(32)], reserve=asked.append)  # type: ignore[arg-type]
        return [*asked, -1] if found.intake is None else asked

    (tmp_path / "a.png").write_bytes(_png(70, 50))
    assert told(tmp_path / "a.png") == told(str(tmp_path / "a.png")) == told(_png(70, 50)) == [3500]
    made = dataset(picture())
    assert told(encoded(made)) == [made.Rows * made.Columns]
    made.PixelAspectRatio = [2, 1]
    assert told(encoded(made)) == [2 * made.Rows * made.Columns]
    assert told(_png(70, 50)[:60]) == [-1]  # cut short: refused by its chunks, before anything is asked for
    assert told(b"no image") == told(_png(70, 50)[:20]) == told(str(tmp_path / "absent.png")) == [-1]
    assert told(np.zeros((50, 70), np.uint8)) == []


def test_room_is_never_exceeded_and_who_is_larger_has_it_alone() -> None:
    budget, lock, inside, most = PixelBudget(8, most=4 * 64 * 64), threading.Lock(), [], []

    def hold(side: int) -> None:
        with budget.slot() as reserve:
            read(_png(side, side), reserve=reserve)
            with lock:
                inside.append(side * side)
                most.append((sum(inside), len(inside)))
            time.sleep(0.01)
            with lock:
                inside.remove(side * side)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, [64] * 12 + [200] * 2 + [64] * 12))
    assert max(total for total, _ in most if total < 200 * 200) == 4 * 64 * 64  # four at a time
    assert {count for total, count in most if total >= 200 * 200} == {1}


@pytest.mark.parametrize("most", [64 * 64, 10 * 64 * 64])
def test_a_run_over_files_decodes_within_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    lock, inside, together = threading.Lock(), [0], []

    def slow(*arguments: object, reserve: Callable[[int], None], **named: object) -> Prepared:
        def admitted(pixels: int) -> None:
            reserve(pixels)
            with lock:
                inside[0] += 1
                together.append(inside[0])
            time.sleep(0.005)

        found = prepare_or_reason(*arguments, reserve=admitted, **named)  # type: ignore[arg-type]
        with lock:
            inside[0] -= 1
        return found

    monkeypatch.setattr(reader_module, "prepare_or_reason", slow)
    for n in range(24):
        (tmp_path / f"{n}.png").write_bytes(_png(64, 64, n))
    reader = make_reader(Watched())
    reader.pixel_budget = PixelBudget(4, most=most)
    files = [(n, str(tmp_path / f"{n}.png")) for n in range(24)]
    assert sum(len(batch) for batch in read_shard(reader, files, decoders=4)) == 24
    assert (max(together) == 1) == (most == 64 * 64)

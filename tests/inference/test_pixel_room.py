"""Pictures that are decoded at the same time have so many pixels together, and a larger one is decoded alone."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.dicom_files import dataset, encoded, picture
from tests.inference.batch_world import Watched
from tests.study.shortcut_world import make_reader

from cxreader.inference import reader as reader_module
from cxreader.inference.pipeline import read_shard
from cxreader.inference.pixel_room import PixelRoom, pixels_of
from cxreader.inference.prepared import Prepared, prepare_or_reason


def _png(width: int, height: int, value: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width), value, np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def test_pixels_are_those_of_the_header(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(70, 50))
    assert pixels_of(tmp_path / "a.png") == pixels_of(str(tmp_path / "a.png")) == pixels_of(_png(70, 50)) == 3500
    made = dataset(picture())
    assert pixels_of(encoded(made)) == made.Rows * made.Columns > 0
    assert pixels_of(b"no image") == pixels_of(_png(70, 50)[:20]) == pixels_of(str(tmp_path / "absent.png")) == 0
    assert pixels_of(np.zeros((50, 70), np.uint8)) == 0


def test_room_is_never_exceeded_and_who_is_larger_has_it_alone() -> None:
    room, lock, inside, most = PixelRoom(8, most=4 * 64 * 64), threading.Lock(), [], []

    def hold(side: int) -> None:
        with room.for_source(_png(side, side)):
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

    def slow(*arguments: object, **named: object) -> Prepared:
        with lock:
            inside[0] += 1
            together.append(inside[0])
        time.sleep(0.005)
        with lock:
            inside[0] -= 1
        return prepare_or_reason(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(reader_module, "prepare_or_reason", slow)
    for n in range(24):
        (tmp_path / f"{n}.png").write_bytes(_png(64, 64, n))
    reader = make_reader(Watched())
    reader.room = PixelRoom(4, most=most)
    files = [(n, str(tmp_path / f"{n}.png")) for n in range(24)]
    assert sum(len(batch) for batch in read_shard(reader, files, decoders=4)) == 24
    assert (max(together) == 1) == (most == 64 * 64)

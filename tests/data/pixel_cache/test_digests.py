"""Pictures recognised in a pixel cache: by the bytes of their files and by the pixels that a network is shown."""

from __future__ import annotations

import hashlib
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.data.pixel_cache.cache import PixelCache, build_cache, cache_place
from cxreader.data.pixel_cache.rows import RECORD, ROWS
from cxreader.errors import CacheError
from cxreader.imaging.preprocess import InputSpec
from cxreader.records import ImageRecord

SPEC = InputSpec(48)


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    """a, its copy b, its pixels saved anew c, another picture d."""
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 255, (96, 80), np.uint8)).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    Image.open(tmp_path / "a.png").save(tmp_path / "c.png", compress_level=0)
    Image.fromarray(random.integers(0, 255, (96, 80), np.uint8)).save(tmp_path / "d.png")
    return [ImageRecord(name, 0, str(tmp_path / name)) for name in ("d.png", "a.png", "b.png", "c.png")]


def _cache(records: list[ImageRecord], folder: Path) -> PixelCache:
    return build_cache(records, SPEC, folder, workers=1)


def test_a_picture_is_named_by_what_is_shown_and_by_its_file(records: list[ImageRecord], tmp_path: Path) -> None:
    cache = _cache(records, tmp_path / "cache")
    for record in records:
        shown, file = cache.digests(record.image)
        pixels = cache.pixels[cache.row(record.image)]
        assert shown == hashlib.sha256(b"(48, 48)" + pixels.tobytes()).digest()[:8]
        assert file == hashlib.sha256(Path(str(record.path)).read_bytes()).digest()[:8]
    both = [cache.digests(name) for name in ("a.png", "b.png", "c.png", "d.png")]
    of_pixels, files = [pair[0] for pair in both], [pair[1] for pair in both]
    assert of_pixels[0] == of_pixels[1] == of_pixels[2] != of_pixels[3]
    assert files[0] == files[1]
    assert len(set(files)) == 3


def test_a_row_of_an_earlier_version_has_its_files_digest_from_the_file(
    records: list[ImageRecord], tmp_path: Path
) -> None:
    """There the eight bytes were the rest of the picture's own digest."""
    expected = _cache(records, tmp_path / "cache").digests("a.png")
    rows = cache_place(tmp_path / "cache", SPEC) / ROWS
    stored = np.frombuffer(rows.read_bytes(), RECORD).copy()
    for row in range(len(stored)):
        stored["file"][row], stored["hashed"][row] = b"12345678", 0
        stored["own"][row] = zlib.crc32(stored[row : row + 1].tobytes()[:-4])
    rows.write_bytes(stored.tobytes())
    cache = _cache(records, tmp_path / "cache")
    assert (cache.decoded, cache.kept) == (0, 4)
    assert cache.digests("a.png") == expected[:1]
    assert cache.digests("a.png", str(tmp_path / "a.png")) == expected
    assert cache.digests("a.png", str(tmp_path / "gone.png")) == expected[:1]
    assert cache.content_hash("a.png") == cache.content_hash("c.png") != cache.content_hash("d.png")


def test_of_copies_the_first_is_found_alone(records: list[ImageRecord], tmp_path: Path) -> None:
    cache = _cache(records, tmp_path / "cache")
    once = cache.without_copies(record.image for record in records)
    assert once.copies == {"b.png": "a.png", "c.png": "a.png"}
    assert [record.image for record in records if record.image in once] == ["d.png", "a.png"]
    assert (len(once), len(once.whole), len(cache)) == (2, 4, 4)
    with pytest.raises(CacheError, match=r"'b.png' is not in the pixel cache: it shows the same picture as 'a.png'"):
        once.row("b.png")
    assert cache.without_copies(["c.png", "d.png"]).copies == {}
    assert cache.without_copies(["c.png", "gone.png", "b.png"]).copies == {"b.png": "c.png"}


def test_a_checksum_that_two_pictures_share_makes_no_copies(records: list[ImageRecord], tmp_path: Path) -> None:
    cache = _cache(records, tmp_path / "cache")
    assert len(cache) == 4  # the rows are found before their records change
    cache.records["pixels"][:] = 7
    assert cache.without_copies(record.image for record in records).copies == {"b.png": "a.png", "c.png": "a.png"}

"""The pixel cache: what it holds, what it survives, and what it says."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.data.pixel_cache import pool as cache_pool
from cxreader.data.pixel_cache.cache import PixelCache, build_cache, cache_bytes, cache_place
from cxreader.data.pixel_cache.rows import PIXELS, RECORD, ROWS
from cxreader.data.sources import open_source
from cxreader.errors import CacheError, StorageError
from cxreader.imaging import read
from cxreader.imaging.preprocess import InputSpec
from cxreader.records import ImageRecord

SPEC = InputSpec(32)
build = partial(build_cache, workers=1)  # several processes where a test is about them
Draw = Callable[..., Path]
BUILD = """
import sys
from pathlib import Path
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.imaging.preprocess import InputSpec
from cxreader.records import ImageRecord
if __name__ == "__main__":
    images = sorted(Path(sys.argv[1]).glob("*.png"))
    records = [ImageRecord(path.name, 0, str(path)) for path in images]
    def told(done, total):
        print(done, flush=True)
    build_cache(records, InputSpec(int(sys.argv[4])), sys.argv[2], workers=int(sys.argv[3]), progress=told)
"""


@pytest.fixture
def images(tmp_path: Path, draw: Draw) -> list[ImageRecord]:
    """Thirty pictures, wide, high and square."""
    sizes = [(64, 64), (80, 50), (40, 70)]
    paths = [draw(tmp_path / "images" / f"{n:02d}.png", n, sizes[n % 3]) for n in range(30)]
    return [ImageRecord(path.name, n % 2, str(path)) for n, path in enumerate(paths)]


def expected(record: ImageRecord, spec: InputSpec = SPEC) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    assert record.path is not None
    return spec.pixels(read.read(record.path))


def files_of(place: Path) -> tuple[bytes, bytes]:
    return (place / PIXELS).read_bytes(), (place / ROWS).read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("spec", [SPEC, InputSpec(48, "squash")])
def test_the_cache_and_the_reader_differ_by_nothing(
    images: list[ImageRecord], tmp_path: Path, workers: int, spec: InputSpec
) -> None:
    told: list[tuple[int, int]] = []
    cache = build_cache(images, spec, tmp_path / "c", workers=workers, progress=lambda *at: told.append(at))
    assert (cache.decoded, cache.kept, len(cache), cache.errors) == (30, 0, 30, ())
    assert cache.pixels.shape == (30, spec.size, spec.size)
    for record in images:
        assert np.array_equal(cache.pixels[cache.row(record.image)], expected(record, spec))
    assert told[-1] == (30, 30)
    assert sorted(told) == told
    assert cache.rows(["03.png", "01.png"]).tolist() == [cache.row("03.png"), cache.row("01.png")]
    assert cache.nbytes == 30 * spec.size**2 == cache_bytes(30, spec) - 30 * RECORD.itemsize
    assert not cache.torn().size
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0, 0, 0] = 1


def test_a_second_build_decodes_nothing(images: list[ImageRecord], tmp_path: Path) -> None:
    first = build(images, SPEC, tmp_path)
    before = files_of(first.folder)
    again = build(images, SPEC, tmp_path)
    assert (again.decoded, again.kept) == (0, 30)
    assert files_of(again.folder) == before
    opened = PixelCache.open(tmp_path, SPEC)
    assert np.array_equal(opened.pixels, first.pixels)
    assert "00.png" in opened
    assert "30.png" not in opened
    with pytest.raises(CacheError, match=r"'30\.png' is not in the pixel cache"):
        opened.row("30.png")


def test_new_images_are_appended_and_changed_ones_read_again(
    images: list[ImageRecord], tmp_path: Path, draw: Draw
) -> None:
    first = build(images[:20], SPEC, tmp_path)
    old = np.array(first.pixels)
    draw(Path(str(images[3].path)), 99)
    second = build(images, SPEC, tmp_path)
    assert (second.decoded, second.kept, len(second)) == (11, 19, 30)
    for record in images:
        assert np.array_equal(second.pixels[second.row(record.image)], expected(record))
    assert np.array_equal(first.pixels, old)  # who read the older state still does
    assert np.array_equal(second.pixels[:20], old)


def test_another_spec_is_another_cache(images: list[ImageRecord], tmp_path: Path) -> None:
    build(images, SPEC, tmp_path)
    with pytest.raises(CacheError, match="no finished pixel cache here"):
        PixelCache.open(tmp_path, InputSpec(32, "squash"))
    assert InputSpec(32, "squash").pixel_key in cache_place(tmp_path, InputSpec(32, "squash")).name
    assert build(images, InputSpec(32, "squash"), tmp_path).decoded == 30
    assert build(images, SPEC, tmp_path).decoded == 0
    same = InputSpec(32, mean=(0.5, 0.5, 0.5))  # the second step is not in the cache
    assert build(images, same, tmp_path).decoded == 0


def test_corrupt_images_become_rows_of_the_error_table(images: list[ImageRecord], tmp_path: Path) -> None:
    paths = [Path(str(r.path)) for r in images]
    paths[4].write_bytes(b"no image at all")
    paths[7].write_bytes(paths[7].read_bytes()[:200])
    paths[9].unlink()
    cache = build(images, SPEC, tmp_path / "c")
    assert [(f.image, f.reason.split(";")[0].split(" (")[0]) for f in cache.errors] == [
        ("04.png", "not a PNG, JPEG or DICOM image"),
        ("07.png", "damaged PNG"),
        ("09.png", "no such file"),
    ]
    assert (cache.decoded, cache.kept) == (27, 0)
    with pytest.raises(CacheError, match=r"'04\.png' is not in the pixel cache: not a PNG"):
        cache.row("04.png")
    assert PixelCache.open(tmp_path / "c", SPEC).errors == cache.errors
    again = build(images, SPEC, tmp_path / "c")
    assert (again.decoded, again.kept, len(again.errors)) == (0, 27, 3)


def test_a_failed_image_is_tried_again_only_when_its_file_changed(
    images: list[ImageRecord], tmp_path: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(str(images[4].path))
    path.write_bytes(b"no image at all")
    build(images, SPEC, tmp_path / "c")
    tried: list[str] = []
    real = read.read

    def watched(source: bytes, *, name: str) -> object:
        tried.append(Path(name).name)
        return real(source, name=name)

    monkeypatch.setattr(read, "read", watched)
    build(images, SPEC, tmp_path / "c")
    assert tried == []
    draw(path, 4)
    cache = build(images, SPEC, tmp_path / "c")
    assert (tried, cache.errors, cache.decoded) == (["04.png"], (), 1)
    assert len(cache.pixels) == 30  # its row was still free


def test_an_image_that_became_corrupt_no_longer_has_its_old_pixels(images: list[ImageRecord], tmp_path: Path) -> None:
    build(images, SPEC, tmp_path / "c")
    Path(str(images[4].path)).write_bytes(b"gone")
    cache = build(images, SPEC, tmp_path / "c")
    assert "04.png" not in cache
    assert [f.image for f in cache.errors] == ["04.png"]


def test_members_of_an_archive_are_images_known_by_their_content(images: list[ImageRecord], tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    records = [ImageRecord(r.image, r.label, f"{archive}!/{r.image}") for r in images[:4]]

    def write(changed: int | None = None) -> None:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("torn.png", b"no picture")
            for n, record in enumerate(images[:4]):
                file.write(str(images[9 if n == changed else n].path), record.image)

    write()
    torn = ImageRecord("torn.png", 0, f"{archive}!/torn.png")
    cache = build([*records, torn], SPEC, tmp_path / "c")
    assert (cache.decoded, [failure.image for failure in cache.errors]) == (4, ["torn.png"])
    for record, image in zip(records, images, strict=False):
        assert np.array_equal(cache.pixels[cache.row(record.image)], expected(image))
    write()  # another file, the same members
    again = build([*records, torn], SPEC, tmp_path / "c")
    assert (again.decoded, again.kept, len(again.errors)) == (0, 4, 1)
    write(changed=2)
    assert build(records, SPEC, tmp_path / "c").decoded == 1


def test_content_hashes_are_those_of_the_decoded_picture(tmp_path: Path, draw: Draw) -> None:
    path = draw(tmp_path / "a.png", 1)
    Image.open(path).save(tmp_path / "b.png", compress_level=0)
    Image.open(path).convert("RGB").save(tmp_path / "c.png")
    Image.open(path).point(lambda v: v ^ (v == 255)).resize((64, 64)).save(tmp_path / "d.png")
    draw(tmp_path / "e.png", 2)
    records = [ImageRecord(f"{name}.png", 0, str(tmp_path / f"{name}.png")) for name in "abce"]
    cache = build(records, SPEC, tmp_path / "c")
    assert cache.content_hash("a.png") == cache.content_hash("b.png") == cache.content_hash("c.png")
    assert cache.content_hash("a.png") != cache.content_hash("e.png")
    pixels = read.read(path).pixels
    assert cache.content_hash("a.png") == hashlib.sha256(b"(64, 64)" + pixels.tobytes()).hexdigest()[:16]


def start(images: Path, out: Path, workers: int = 1, size: int = 200) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(images), str(out), str(workers), str(size)]
    if workers > 1:  # spawned workers import the main module from its file
        script = out.with_suffix(".py")
        script.write_text(BUILD)
        command[1:3] = [str(script)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred and twenty pictures that take some milliseconds each."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    for n in range(120):
        coarse = Image.fromarray(rng.integers(0, 256, (99, 99), dtype=np.uint8))
        coarse.resize((640, 640), Image.Resampling.BICUBIC).save(folder / f"{n:03d}.png", compress_level=1)
    return folder


@pytest.fixture(scope="module")
def whole(many: Path, tmp_path_factory: pytest.TempPathFactory) -> PixelCache:
    """An uninterrupted build."""
    records = [ImageRecord(path.name, 0, str(path)) for path in sorted(many.glob("*.png"))]
    return build_cache(records, InputSpec(200), tmp_path_factory.mktemp("whole"), workers=1)


@pytest.mark.parametrize(("workers", "after"), [(1, 0), (1, 8), (1, 56), (1, 112), (2, 8), (2, 64)])
def test_killed_at_any_moment_it_goes_on_where_it_stood(
    many: Path, whole: PixelCache, tmp_path: Path, workers: int, after: int
) -> None:
    out = tmp_path / "c"
    with start(many, out, workers) as process:
        assert process.stdout is not None
        for line in process.stdout if after else iter(["0"]):
            if int(line) >= after:
                break
        if not after:
            time.sleep(0.25)  # while it still imports, or makes room
        process.send_signal(signal.SIGKILL)
    records = [ImageRecord(path.name, 0, str(path)) for path in sorted(many.glob("*.png"))]
    cache = build_cache(records, InputSpec(200), out, workers=1)
    assert cache.kept >= after  # what was reported done is not decoded again
    assert cache.kept + cache.decoded == 120
    assert (cache.folder / PIXELS).read_bytes() == (whole.folder / PIXELS).read_bytes()
    assert np.array_equal(cache.records["pixels"], whole.records["pixels"])
    assert not cache.torn().size


def unfinished(images: list[ImageRecord], folder: Path) -> Path:
    """A cache as a kill after its last row leaves it."""
    place = build(images, SPEC, folder).folder
    (place / "complete.json").unlink()
    return place


def damage(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x55]))


def test_torn_rows_of_an_unfinished_cache_are_found_and_nothing_else_is_decoded(
    images: list[ImageRecord], tmp_path: Path
) -> None:
    place = unfinished(images, tmp_path / "c")
    before = files_of(place)
    damage(place / PIXELS, 5 * SPEC.size**2 + 17)
    damage(place / ROWS, 11 * RECORD.itemsize + 3)
    damage(place / ROWS, 12 * RECORD.itemsize + 63)
    with pytest.raises(CacheError, match="no finished pixel cache"):
        PixelCache.open(tmp_path / "c", SPEC)
    cache = build(images, SPEC, tmp_path / "c")
    assert (cache.decoded, cache.kept) == (3, 27)
    assert files_of(place)[0] == before[0]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("name", "left", "lost"), [(PIXELS, 12 * 1024 + 7, 18), (ROWS, 12 * 64 + 7, 18), (ROWS, 0, 30)]
)
def test_truncated_files_are_completed(
    images: list[ImageRecord], tmp_path: Path, name: str, left: int, lost: int, finished: bool
) -> None:
    place = build(images, SPEC, tmp_path / "c").folder if finished else unfinished(images, tmp_path / "c")
    before = files_of(place)[0]
    os.truncate(place / name, left)
    with pytest.raises(CacheError, match="truncated" if finished else "no finished"):
        PixelCache.open(tmp_path / "c", SPEC)
    cache = build(images, SPEC, tmp_path / "c")
    assert (cache.decoded, cache.kept) == (lost, 30 - lost)
    assert files_of(place)[0] == before


def test_flipped_bytes_of_a_finished_cache_are_found_when_asked(images: list[ImageRecord], tmp_path: Path) -> None:
    place = build(images, SPEC, tmp_path / "c").folder
    damage(place / PIXELS, 5 * SPEC.size**2 + 17)
    assert build(images, SPEC, tmp_path / "c").torn().tolist() == [5]
    assert build(images, SPEC, tmp_path / "c", verify=True).decoded == 1
    assert not PixelCache.open(tmp_path / "c", SPEC).torn().size


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of one megabyte, or None where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False
    if os.geteuid() == 0 and shutil.which("mount"):
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "cxreader-test", str(place)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    yield place if mounted else None
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_before_anything_is_decoded_and_nothing_is_lost(
    images: list[ImageRecord], tmp_path: Path, small_disk: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_disk or tmp_path / "c"
    big = InputSpec(150)  # 22,500 bytes a row: 20 rows fit in a megabyte, 50 do not
    first = build(images[:20], big, folder)
    before = files_of(first.folder)
    if small_disk is None:

        def full(file: int, offset: int, length: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
    more = [ImageRecord(f"again {n}", 0, images[n % 30].path) for n in range(30)]
    needed = cache_bytes(50, big)
    with pytest.raises(StorageError, match=f"no room for the {needed:,} bytes .* what was done is kept"):
        build([*images[:20], *more], big, folder)
    assert files_of(first.folder) == before
    cache = build(images[:20], big, folder)
    assert (cache.decoded, cache.kept) == (0, 20)


def test_a_disk_that_fills_while_rows_are_written(
    images: list[ImageRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    written: list[int] = []

    def full(file: int, data: bytes, at: int) -> int:
        if len(written) >= 2 * 17:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(at)
        return real(file, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError, match="no room"):
        build(images, SPEC, tmp_path)
    monkeypatch.undo()
    cache = build(images, SPEC, tmp_path)
    assert (cache.decoded, cache.kept) == (13, 17)


def test_a_place_that_cannot_be_written(images: list[ImageRecord], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file: is a file, not a folder"):
        build(images, SPEC, tmp_path / "file")


def test_two_builders_take_turns(many: Path, whole: PixelCache, tmp_path: Path) -> None:
    out = tmp_path / "c"
    with start(many, out) as one, start(many, out) as other:
        told = [len((process.communicate()[0]).split()) for process in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0)
    assert sorted(told) == [0, 15]  # the second found everything there
    assert (cache_place(out, InputSpec(200)) / PIXELS).read_bytes() == (whole.folder / PIXELS).read_bytes()


def test_who_waits_for_another_builder_says_so(
    images: list[ImageRecord], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with cache_pool.exclusive(cache_place(tmp_path, SPEC)), caplog.at_level(logging.WARNING):
        waiting = threading.Thread(target=build, args=(images, SPEC, tmp_path))
        waiting.start()
        while not caplog.messages:
            time.sleep(0.01)
        assert not (cache_place(tmp_path, SPEC) / PIXELS).exists()
    waiting.join()
    assert "another process builds" in caplog.messages[0]
    assert len(PixelCache.open(tmp_path, SPEC)) == 30


def test_a_record_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="'a' has no file"):
        build([ImageRecord("a", 0)], SPEC, tmp_path)
    assert len(build([], SPEC, tmp_path)) == 0


@pytest.mark.real
def test_the_originals_at_full_size(images_root: Path, tmp_path: Path) -> None:
    index, spec = open_source(images_root / "nih_originals"), InputSpec(1024)
    cache = build_cache(index.records, spec, tmp_path)
    assert (cache.decoded, cache.errors, cache.nbytes) == (40, (), 40 * 1024**2)
    for record in index.records:
        assert record.path is not None
        with Image.open(record.path) as image:
            plain = np.asarray(image.convert("L"))
        assert np.array_equal(cache.pixels[cache.row(record.image)], plain)
    assert len({cache.content_hash(r.image) for r in index.records}) == 40


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    """Spawned workers run the script again: without this they would wait for their parent, and it for them."""
    for i in range(40):
        Image.fromarray(np.full((40, 40), i, np.uint8)).save(tmp_path / f"{i}.png")
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from cxreader.data.pixel_cache.cache import build_cache\n"
        "from cxreader.imaging.preprocess import InputSpec\n"
        "from cxreader.records import ImageRecord\n"
        "here = Path(__file__).parent\n"
        "records = [ImageRecord(p.name, 0, str(p)) for p in sorted(here.glob('*.png'))]\n"
        "build_cache(records, InputSpec(32), here / 'cache', workers=2)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "__main__" in done.stderr

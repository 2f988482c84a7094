"""The Reader: one answer for one image, whatever way it is given."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxreader import Reader, Reading
from cxreader.errors import ArtifactError, ImageError, UsageError
from cxreader.evaluation.calibration.venn_abers import VennAbers
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.imaging.read import read
from cxreader.inference.member import Member
from cxreader.inference.runtimes.backend import load_backend
from cxreader.models.artifact import load_artifact

pytestmark = pytest.mark.usefixtures("few_images_suffice")


@pytest.fixture(scope="module")
def reader(small_run: Path) -> Reader:
    return Reader.load(small_run)


@pytest.fixture(scope="module")
def files(small_world: Path) -> list[Path]:
    return sorted(small_world.glob("0*.png"))[:10]


def test_a_reading_says_what_how_sure_where_and_by_whom(reader: Reader, files: list[Path], small_run: Path) -> None:
    reading = reader.read(files[0])
    assert isinstance(reading, Reading)
    assert reading.decision in ("normal", "abnormal")
    assert reading.probability is not None
    assert 0 <= reading.probability <= 1
    assert (reading.decision == "abnormal") == (reading.probability >= reading.operating_point.threshold)
    assert reading.heat_map is not None
    assert reading.heat_map.dtype == np.float32
    assert reading.heat_map.shape == (2, 2)
    assert reading.heat_map.min() >= 0
    assert reading.artifact == load_artifact(small_run / "artifact").id


def test_the_interval_is_the_venn_abers_pair_of_the_networks_margin(
    reader: Reader, files: list[Path], small_run: Path
) -> None:
    artifact = load_artifact(small_run / "artifact")
    assert artifact.venn_abers is not None
    pixels = artifact.spec.normalise(np.stack([artifact.spec.pixels(read(path)) for path in files]))
    logits = reader.backend.logits(pixels).astype(np.float64)
    margin = logits[:, 1] - logits[:, 0]
    low, high = VennAbers.from_dict(artifact.venn_abers).apply(margin)
    readings = list(reader.read_many(files, batch_size=len(files)))
    assert [reading.interval for reading in readings] == list(zip(low.tolist(), high.tolist(), strict=True))
    for reading in readings:
        assert reading.interval is not None
        assert 0 <= reading.interval[0] < reading.interval[1] <= 1
    assert reader.read(files[0]).interval == readings[0].interval


def test_the_conformal_mode_answers_or_refers_by_the_two_thresholds(reader: Reader, files: list[Path]) -> None:
    rules = (
        ConformalRule(0.1, 0.0, 1.0, 9, 9),
        ConformalRule(0.1, 1.0, 0.0, 9, 9),
        ConformalRule(0.1, 0.5, 0.49, 9, 9),
    )
    for rule in rules:  # both labels possible, neither, one
        ruled_artifact = replace(reader.artifact, conformal=rule.to_dict())
        ruled = Reader([Member(ruled_artifact, reader.backend, ruled_artifact.operating_point())])
        for reading in ruled.read_many(files):
            assert reading.probability is not None
            normal, abnormal = reading.probability <= rule.normal_to, reading.probability >= rule.abnormal_from
            assert reading.conformal == ("refer" if normal == abnormal else "normal" if normal else "abnormal")


def test_path_bytes_and_radiograph_give_the_same(reader: Reader, files: list[Path]) -> None:
    by_path, by_bytes, by_image = reader.read(files[0]), reader.read(files[0].read_bytes()), reader.read(read(files[0]))
    assert by_path.probability == by_bytes.probability == by_image.probability
    assert by_path.heat_map is not None
    assert by_bytes.heat_map is not None
    np.testing.assert_array_equal(by_path.heat_map, by_bytes.heat_map)


def test_a_run_is_accepted_where_an_artifact_is(reader: Reader, small_run: Path, files: list[Path]) -> None:
    assert Reader.load(small_run / "artifact").read(files[0]).probability == reader.read(files[0]).probability


@pytest.mark.parametrize("batch_size", [0, -1])
def test_no_batch_is_refused_at_once(reader: Reader, files: list[Path], batch_size: int) -> None:
    with pytest.raises(UsageError, match="reads nothing"):
        reader.read_many(files, batch_size=batch_size)
    with pytest.raises(UsageError, match="reads nothing"):
        reader.probabilities(np.zeros((1, 8, 8), np.uint8), batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_many_equal_one_by_one_whatever_the_batch(reader: Reader, files: list[Path], batch_size: int) -> None:
    many = list(reader.read_many(files, batch_size=batch_size, heat_map=True))
    assert [reading.image for reading in many] == [str(path) for path in files]
    for reading, path in zip(many, files, strict=True):
        alone = reader.read(path)
        assert reading.probability == pytest.approx(alone.probability, abs=1e-6)
        assert reading.heat_map is not None
        assert alone.heat_map is not None
        np.testing.assert_allclose(reading.heat_map, alone.heat_map, atol=1e-5)


def test_a_bad_file_is_a_row_with_its_reason_and_the_others_are_read(
    reader: Reader, files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.png").touch()
    sources = [files[0], tmp_path / "empty.png", tmp_path / "absent.png", tmp_path, files[1]]
    readings = list(reader.read_many(sources, batch_size=2))
    assert [reading.decision is not None for reading in readings] == [True, False, False, False, True]
    for reading, word in zip(readings[1:4], ("empty", "no such file", "folder"), strict=True):
        assert reading.probability is None
        assert reading.heat_map is None
        assert (reading.interval, reading.conformal) == (None, None)
        assert word in reading.reasons[0]


def test_one_bad_file_raises_when_read_alone(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        reader.read(tmp_path / "absent.png")


def test_a_twelve_bit_file_says_so_in_its_notes(reader: Reader, tmp_path: Path) -> None:
    from PIL import Image

    grey = np.random.default_rng(0).integers(500, 3000, (64, 64)).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "twelve.png")
    reading = reader.read(tmp_path / "twelve.png")
    assert "12-bit" in reading.notes[0]
    assert (reading.acceptance, reading.reasons) == ("accepted", ())


def test_threads_share_a_reader(reader: Reader, files: list[Path]) -> None:
    expected = [reader.read(path).probability for path in files]
    with ThreadPoolExecutor(4) as pool:
        assert [reading.probability for reading in pool.map(reader.read, files)] == expected


def test_an_unfinished_run_and_an_unknown_backend_say_what_to_do(small_run: Path, tmp_path: Path) -> None:
    unfinished = tmp_path / "run"
    shutil.copytree(small_run, unfinished, ignore=shutil.ignore_patterns("artifact", "cache", "phases"))
    with pytest.raises(ArtifactError, match=r"not finished.*--resume"):
        Reader.load(unfinished)
    artifact = load_artifact(small_run / "artifact")
    with pytest.raises(UsageError, match="did you mean 'torch'"):
        load_backend("torhc", artifact, small_run / "artifact")


@pytest.mark.parametrize("given", [None, b"x", 5, [None], [b"x"]])
def test_what_is_no_path_is_a_usage_error(given: object) -> None:
    with pytest.raises(UsageError, match="is no path"):
        Reader.load(given)  # type: ignore[arg-type]


def test_what_is_no_name_is_a_usage_error(small_run: Path) -> None:
    with pytest.raises(UsageError, match="3 is no operating point"):
        Reader.load(small_run, operating_point=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no backend is named None"):
        Reader.load(small_run, backend=None)  # type: ignore[arg-type]

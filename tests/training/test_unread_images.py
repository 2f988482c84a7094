"""Images that cannot be read drop out before training, by name, and stay out when the run is taken up again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cxreader.config import Config, parse_config, with_values
from cxreader.errors import DataError
from cxreader.progress import no_bar
from cxreader.runs import RunFolder
from cxreader.training.cohort import Cohort, prepare_cohort


@pytest.fixture
def world(small_world: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_world, tmp_path / "world"))


@pytest.fixture
def config(small_config: Config, world: Path) -> Config:
    values = small_config.model_dump()
    return parse_config({**values, "data": {**values["data"], "root": str(world)}})


def cohort(config: Config, run: RunFolder, said: list[str]) -> Cohort:
    return prepare_cohort(config, run, said.append, no_bar)


def counts(found: Cohort) -> int:
    return sum(len(part) for part in found.parts.values())


def test_what_was_left_out_stays_left_out_on_resumption(config: Config, world: Path, tmp_path: Path) -> None:
    run, said = RunFolder(tmp_path / "run"), list[str]()
    config = with_values(config, {"input.fit": "squash"})  # of squares that would be padded, a note would follow
    whole = (world / "003_0.png").read_bytes()
    (world / "003_0.png").write_bytes(b"torn")
    assert counts(cohort(config, run, said)) == 119
    assert "not a PNG" in json.loads(run.unread.read_text())["003_0.png"]
    (world / "003_0.png").write_bytes(whole)
    again = cohort(config, run, said)
    assert counts(again) == 119
    assert "003_0.png" not in again.cache
    assert said[-1] == f"1 image that could not be read when this run began stays left out: {run.unread}"
    (world / "004_0.png").write_bytes(b"torn")
    assert counts(cohort(config, run, said)) == 118
    assert sorted(json.loads(run.unread.read_text())) == ["003_0.png", "004_0.png"]


def test_a_run_of_whole_images_has_no_such_file(config: Config, tmp_path: Path) -> None:
    run, said = RunFolder(tmp_path / "run"), list[str]()
    assert counts(cohort(config, run, said)) == 120
    assert not run.unread.exists()


def test_a_start_that_failed_binds_nobody(config: Config, world: Path, tmp_path: Path) -> None:
    run, said = RunFolder.create(tmp_path / "run", config, resume=False), list[str]()
    whole = (world / "003_0.png").read_bytes()
    (world / "003_0.png").write_bytes(b"torn")
    cohort(config, run, said)
    (world / "003_0.png").write_bytes(whole)
    RunFolder.create(tmp_path / "run", config, resume=False)
    assert counts(cohort(config, run, said)) == 120


def test_when_nothing_can_be_read_one_line_says_why(config: Config, world: Path, tmp_path: Path) -> None:
    for path in world.glob("*.png"):
        path.write_bytes(b"torn")
    with pytest.raises(
        DataError, match=r"none of 120 images can be read; the first, '\d+_\d\.png': not a PNG, JPEG or DICOM"
    ):
        cohort(config, RunFolder(tmp_path / "run"), [])

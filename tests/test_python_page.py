"""The examples of docs/reference/python.md, run as they stand in a folder that has what they name."""

from __future__ import annotations

import doctest
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cxreader.models.artifact import WEIGHTS, load_artifact, save_artifact

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "python.md"


@pytest.mark.usefixtures("few_images_suffice")
def test_every_example_gives_what_the_page_says(
    small_run: Path, small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_run / "artifact", tmp_path / "runs" / "a")
    weights = (small_run / "artifact" / WEIGHTS).read_bytes()
    save_artifact(replace(load_artifact(small_run / "artifact"), dropout=0.1), weights, tmp_path / "runs" / "b")
    shutil.copy(sorted(small_world.glob("0*.png"))[0], tmp_path / "chest.png")
    monkeypatch.chdir(tmp_path)
    failures, examples = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert examples > 20
    assert failures == 0

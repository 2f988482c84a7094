"""The two NIH protocols end to end on genuine images: a leak is printed, a part of one class is undefined, and says why."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from cxreader import torch_setup  # noqa: F401

# isort: split
from tests.conftest import PROJECT

from cxreader.config import Config, load_config, with_values
from cxreader.progress import no_bar
from cxreader.reporting.study.records import StudyReport
from cxreader.study.report import NUMBERS, report_study
from cxreader.study.study import train_rows

pytestmark = pytest.mark.usefixtures("pdf_left_empty")

ROW = {
    "name": "Custom CNN",
    "model": {"name": "chestxray_cnn", "weights": "none"},
    "training": {"phases": ["full"], "full": {"epochs": 1, "patience": 1}},
}


def _silent(_: str) -> None:
    return


@pytest.fixture(scope="module")
def both(images_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`nih` and `nih_64px` together in one folder; of an image that lies in both, the larger."""
    folder = tmp_path_factory.mktemp("release")
    for place in ("nih", "nih_64px"):
        for path in sorted((images_root / place).rglob("*.png")):
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    return folder


def _config(name: str, root: Path, tables: Path) -> Config:
    """The configuration as it is committed, but for the network, its input and where the images lie."""
    changes = {"data.root": str(root), "data.tables": str(tables), "input.size": 64}
    return with_values(
        load_config(PROJECT / "src/cxreader/configs" / name), {**changes, "study.rows": [ROW], "study.seeds": 1}
    )


def _report(config: Config, out: Path) -> StudyReport:
    return report_study(train_rows(config, out, say=_silent), command="", say=_silent, bar=no_bar)


@pytest.mark.real
@pytest.mark.slow
def test_the_studys_protocol_prints_what_it_leaks(both: Path, images_root: Path, tmp_path: Path) -> None:
    report = _report(_config("nih-seed.toml", both, images_root / "nih"), tmp_path / "study")
    leaky = [warning for warning in report.warnings if "Split at random by image" in warning]
    assert len(leaky) == 1
    assert "show a training patient" in leaky[0]
    assert not math.isnan(report.comparison.rows[0].metrics["auc"].value)


@pytest.mark.real
@pytest.mark.slow
def test_the_official_lists_and_a_test_part_of_one_class(both: Path, images_root: Path, tmp_path: Path) -> None:
    """Both sources together have both classes in the official test part; `nih` alone has one."""
    tables = images_root / "nih"
    report = _report(_config("nih-official.toml", both, tables), tmp_path / "both")
    auc = report.comparison.rows[0].metrics["auc"]
    assert min(auc.n_positive, auc.n_negative) > 0
    assert not math.isnan(auc.value)
    alone = _report(_config("nih-official.toml", tables, tables), tmp_path / "alone").comparison.rows[0].metrics
    assert 0 in (alone["auc"].n_positive, alone["auc"].n_negative)
    assert math.isnan(alone["auc"].value)
    assert "no " in (alone["auc"].reason or "")
    assert not math.isnan(alone["accuracy"].value)
    numbers = json.loads((tmp_path / "alone" / NUMBERS).read_text())
    assert numbers["comparison"]["rows"][0]["metrics"]["auc"]["value"] is None
    page = (tmp_path / "alone" / "report.html").read_text()
    assert "undefined" in page
    assert auc.n_patients is not None

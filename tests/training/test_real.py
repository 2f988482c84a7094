"""A training on real radiographs, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_run
from cxreader.config import load_config
from cxreader.inference.reader import Reader
from cxreader.progress import no_bar
from cxreader.training.train import train

pytestmark = pytest.mark.usefixtures("pdf_left_empty")

PROJECT = Path(__file__).resolve().parents[2]
SMALL = (
    "input.size=64",
    "split.size=400",
    "training.head.epochs=1",
    "training.fine_tune.epochs=3",
    "training.full.epochs=4",
)


@pytest.mark.real
@pytest.mark.slow
def test_kermany_is_learnt_and_read(images_root: Path, tmp_path: Path) -> None:
    """Chance is excluded by far; how good it gets in earnest is the README's run of the same configuration."""
    config = load_config(
        PROJECT / "src/cxreader/configs/kermany.toml", [f"data.root={images_root / 'kermany'}", *SMALL]
    )
    train(config, tmp_path / "run", say=lambda _: None)
    reader = Reader.load(tmp_path / "run")
    evaluation = judge(reader, cohort_of_run(tmp_path / "run"), tmp_path / "evaluation", bar=no_bar)
    assert evaluation.counts.patients is not None
    assert evaluation.counts.patients > 40
    assert evaluation.metrics["auc"].low > 0.7
    assert "auc minus 16 x 16 thumbnail, learnt elsewhere" in evaluation.comparisons
    image = next(iter(cohort_of_run(tmp_path / "run").records)).path
    assert image is not None
    assert reader.read(image).heat_map is not None

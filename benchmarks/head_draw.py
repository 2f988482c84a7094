"""What the first draw of a two-class head does: timm's for EfficientNet, within 0.707, beside that of `nn.Linear`.

    python benchmarks/head_draw.py kermany --out runs/head-draw

EfficientNet-Lite0 from ImageNet, its head alone, then its last block; EfficientNet-B0 from scratch, every stage at once. Each is
trained twice by one configuration and seed: only the first weights of the head differ. Both judge the same test part; intervals
resample patients, the difference is paired.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_run
from cxreader.config import Config, parse_config
from cxreader.evaluation.predictions import read_predictions
from cxreader.evaluation.statistics.intervals import Sample, Weights, bootstrap
from cxreader.inference.reader import Reader
from cxreader.machine import cores
from cxreader.models.stages import StagedModel
from cxreader.models.weights import Transfer
from cxreader.progress import no_bar, silent
from cxreader.runs import git_revision
from cxreader.training.train import build_model, train

TIMM = 1 / np.sqrt(2)
"""timm draws EfficientNet's classifier within 1 / sqrt(its outputs), not its inputs."""
HEAD_THEN_BLOCK: dict[str, Any] = {"head": {"epochs": 5}, "fine_tune": {"epochs": 4}}
CASES: dict[str, dict[str, Any]] = {
    "EfficientNet-Lite0, ImageNet": {
        "input": {"size": 224, "fit": "squash"},
        "model": {"name": "efficientnet_lite0", "weights": "imagenet"},
        "training": {"monitor": "auc", **HEAD_THEN_BLOCK},
    },
    "EfficientNet-B0, from scratch": {
        "input": {"size": 96, "fit": "squash"},
        "model": {"name": "efficientnet_b0", "weights": "none"},
        "training": {"monitor": "auc", "phases": ["full"], "full": {"lr": 1e-3, "epochs": 4}},
    },
}


@contextmanager
def head_within(bound: float | None) -> Iterator[None]:
    """Trainings begin with a head drawn within +-bound; None: as this project draws it."""

    def drawn(config: Config) -> tuple[StagedModel, Transfer]:
        model, transfer = build_model(config)
        head = model.get_submodule("head")
        if bound is not None and isinstance(head, nn.Linear):
            nn.init.uniform_(head.weight, -bound, bound)
            nn.init.zeros_(head.bias)
        return model, transfer

    with patch("cxreader.training.train.build_model", drawn):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="the paediatric set's folder")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, seed 42, {platform.system()} {platform.machine()}, {cores()} cores, {git_revision()}"
    )
    print(
        "\n| network | head within | first epoch's loss | test AUC | as `nn.Linear` minus timm's |\n|---|---|---|---|---|"
    )
    for number, (name, section) in enumerate(CASES.items()):
        config = parse_config({"seed": 42, "data": {"root": given.data}, "split": {"balance": "natural"}, **section})
        ways = {"timm's, 0.707": TIMM, "as `nn.Linear`, 0.028": None}
        rows = [_trained(config, given.out / f"{number}-{n}", bound) for n, bound in enumerate(ways.values())]
        found = _aucs(rows)
        for (way, row), auc in zip(zip(ways, rows, strict=True), ("timm", "ours"), strict=True):
            gain = f"{found['gain'].value:+.3f} ({found['gain'].interval})" if auc == "ours" else ""
            print(f"| {name} | {way} | {row['loss']:.2f} | {found[auc].value:.3f} ({found[auc].interval}) | {gain} |")


def _trained(config: Config, run: Path, bound: float | None) -> dict[str, Any]:
    with head_within(bound):
        train(config, run, resume=run.exists(), say=silent)
    judge(Reader.load(run), cohort_of_run(run), run / "evaluation", bar=no_bar, quick=True)
    history = json.loads((run / "history.json").read_text())
    first = next(iter(history.values()))[0]
    return {"loss": first["train_loss"], "table": read_predictions(run / "evaluation" / "predictions.csv")}


def _aucs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    first, second = (row["table"] for row in rows)
    sample = Sample(first.label, first.groups, patients_known=True)

    def statistic(weight: Weights) -> dict[str, NDArray[np.float64]]:
        area = [
            np.array([roc_auc_score(sample.label, table.probability, sample_weight=row) for row in weight])
            for table in (first, second)
        ]
        return {"timm": area[0], "ours": area[1], "gain": area[1] - area[0]}

    return bootstrap(statistic, sample, n_resamples=1000, seed=0)


if __name__ == "__main__":
    main()

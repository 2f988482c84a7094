"""What is gained by asking more than once: three trainings' mean, and the mean over moved copies of an image.

    python benchmarks/averaging.py runs/study-adult/runs/efficientnet-lite0-manual-seed-4*

Trainings of one split, from several seeds. AUC on their tune part, which chose their epochs and nothing else; every difference is
paired, against the mean of what the trainings reach alone on the image as it is.
"""

from __future__ import annotations

import argparse
import platform
from datetime import UTC, datetime
from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxreader.data.augment import Augmentation
from cxreader.data.sources import open_data
from cxreader.data.split import Split
from cxreader.evaluation.statistics.intervals import Sample, Weights, bootstrap
from cxreader.imaging.read import read
from cxreader.inference.member import Member
from cxreader.machine import cores
from cxreader.runs import RunFolder, git_revision

COPIES, BATCH = 4, 16
MOVED = Augmentation(rotation=3, shift=0.03, scale=0.03, brightness=0, contrast=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    runs = [RunFolder(path) for path in parser.parse_args().runs]
    config = runs[0].load_config()
    split = Split.load(config.split.file or runs[0].split)
    records = split.records(open_data(config.data), "tune")
    members = [Member.load(run.path) for run in runs]
    pixels = np.stack([members[0].artifact.spec.pixels(read(record.path or record.image)) for record in records])
    plain = np.stack([member.probabilities(pixels, BATCH) for member in members])
    moved = np.stack([_moved(member, pixels) for member in members])
    moved = (moved + plain) / (COPIES + 1)
    sample = Sample.of_records(records)

    def aucs(weight: Weights) -> dict[str, NDArray[np.float64]]:
        def auc(answers: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.array([roc_auc_score(sample.label, answers, sample_weight=row) for row in weight])

        alone = np.mean([auc(answers) for answers in plain], axis=0)
        ways = {
            "the mean of the trainings' probabilities": auc(plain.mean(axis=0)),
            f"each training alone, mean over {COPIES} moved copies and the image": np.mean(
                [auc(a) for a in moved], axis=0
            ),
            "both": auc(moved.mean(axis=0)),
        }
        gains = {f"gain: {name}": found - alone for name, found in ways.items()}
        return {"each training alone, the image as it is (mean of their AUCs)": alone, **ways, **gains}

    machine = f"{platform.system()} {platform.machine()}, {cores()} cores"
    print(
        f"{datetime.now(UTC).date().isoformat()}, {machine}, revision {git_revision()}, {len(members)} trainings, tune part\n"
    )
    for name, found in bootstrap(aucs, sample).items():
        print(f"{name}: {found}")


def _moved(member: Member, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The sum of the probabilities (n,) of moved copies of the images (n, S, S)."""
    grey = torch.from_numpy(pixels)[:, None].float() / 255
    total = np.zeros(len(pixels))
    for seed in range(COPIES):
        copies = MOVED(grey, seed)[:, 0].mul(255).round().to(torch.uint8).numpy()
        total += member.probabilities(copies, BATCH)
    return total


if __name__ == "__main__":
    main()

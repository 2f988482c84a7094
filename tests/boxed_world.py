"""A small world with boxes: two findings, each a bright patch in its half of the image, and normal images without."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cxreader.config import Config, parse_config

PATIENTS, SIDE, PATCH = 80, 64, 20


def make_boxed_world(folder: Path) -> Path:
    """labels.csv and boxes.csv beside 64-px PNGs in `folder`: a Mass lies in the upper half, an Effusion in the lower one.

    Every eighth patient is abnormal without a box.
    """
    random = np.random.default_rng(0)
    rows, boxes = [], []
    for patient in range(PATIENTS):
        pixels = random.integers(60, 140, (SIDE, SIDE)).astype(np.uint8)
        label, name = ("normal", "abnormal")[patient % 2], f"{patient:03d}.png"
        if label == "abnormal":
            finding = ("Mass", "Effusion")[patient // 2 % 2]
            x, y = (int(v) for v in random.integers(0, (SIDE - PATCH, SIDE // 2 - PATCH)))
            y += SIDE // 2 if finding == "Effusion" else 0
            pixels[y : y + PATCH, x : x + PATCH] += 90
            if patient % 8 != 1:
                boxes.append((name, finding, x, y, PATCH, PATCH))
        Image.fromarray(pixels).save(folder / name)
        rows.append((name, label, f"p{patient}"))
    for name, header, table in (
        ("labels.csv", ("image", "label", "patient"), rows),
        ("boxes.csv", ("image", "finding", "x", "y", "width", "height"), boxes),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *table])
    return folder


def boxed_config(world: Path, **training: Any) -> Config:
    """One short phase from scratch of the custom CNN, and a region head of a few epochs."""
    given = {
        "batch_size": 16,
        "monitor": "auc",
        "full": {"epochs": 2, "patience": 2},
        "boxes": {"epochs": 3},
        **training,
    }
    return parse_config(
        {
            "seed": 7,
            "data": {"root": str(world), "name": "world", "workers": 1},
            "input": {"size": SIDE},
            "model": {"name": "chestxray_cnn", "weights": "none", "dropout": 0.3},
            "training": given,
        }
    )

"""A small world to train in within seconds: sixty patients with two images each, the abnormal ones with a bright patch."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from cxreader.config import Config, parse_config

PATIENTS = 60


def make_world(folder: Path) -> Path:
    """labels.csv (image, label, patient), 64-px PNGs, and resnet18.safetensors in timm's naming, in `folder`."""
    from cxreader import torch_setup  # noqa: F401

    # isort: split
    import torch
    from safetensors.torch import save_file

    from cxreader.models.registry import create_model

    random = np.random.default_rng(0)
    rows = []
    for patient in range(PATIENTS):
        label = ("normal", "abnormal")[patient % 2]
        for visit in range(2):
            pixels = random.integers(60, 140, (64, 64)).astype(np.uint8)
            if label == "abnormal":
                y, x = random.integers(10, 34, 2)
                pixels[y : y + 20, x : x + 20] += 90
            name = f"{patient:03d}_{visit}.png"
            Image.fromarray(pixels).save(folder / name)
            rows.append((name, label, f"p{patient}"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "patient"), *rows])
    torch.manual_seed(1)
    net = create_model("resnet18")
    state = {net.published_names[k]: v for k, v in net.state_dict().items() if not k.startswith("head.")}
    save_file(state, folder / "resnet18.safetensors")
    return folder


def world_config(world: Path) -> Config:
    """Two phases of two epochs."""
    phase = {"epochs": 2, "patience": 2}
    return parse_config(
        {
            "seed": 7,
            "data": {"root": str(world), "name": "world", "workers": 1},
            "input": {"size": 64},
            "model": {"name": "resnet18", "weights": str(world / "resnet18.safetensors"), "dropout": 0.3},
            "training": {"batch_size": 16, "monitor": "auc", "head": phase, "fine_tune": phase, "full": phase},
        }
    )

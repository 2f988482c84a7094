"""Small sources made on the spot."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.data.index import Index
from cxreader.records import ImageRecord

HEADER = [
    *("Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender", "View Position"),
    *("OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]", ""),
]
"""As the 2017 file has it: brackets cut by commas, and an empty column at the end."""


@pytest.fixture
def draw() -> Callable[..., Path]:
    """Write a grey picture that depends on its seed alone, as PNG or JPEG by the path's suffix."""

    def write(path: Path, seed: int = 0, size: int | tuple[int, int] = 64) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (9, 9), dtype=np.uint8)
        sides = (size, size) if isinstance(size, int) else size
        Image.fromarray(coarse).resize(sides, Image.Resampling.BICUBIC).save(path)
        return path

    return write


@pytest.fixture
def release(tmp_path: Path, draw: Callable[..., Path]) -> Callable[..., Path]:
    """Write a release: rows of (image, findings, patient, age), with their files in `layout`."""

    def write(
        rows: Sequence[tuple[str, str, int, str]],
        *,
        files: Sequence[str] | None = None,
        layout: str = "images_001/images",
        header: Sequence[str] = HEADER,
        size: int = 64,
        name: str = "release",
    ) -> Path:
        root = tmp_path / name
        for n, image in enumerate([row[0] for row in rows] if files is None else files):
            draw(root / layout / image, n, size)
        root.mkdir(exist_ok=True)
        with (root / "Data_Entry_2017.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(header)
            for image, findings, patient, age in rows:
                visit = int(image[9:12])
                cells = [image, findings, visit, patient, age, "M", "PA", 2500, 2048, 0.168, 0.171]
                table.writerow(cells + [""] * (len(header) > 11))
        return root

    return write


@pytest.fixture
def people() -> Callable[..., Index]:
    """An index without files: `n` patients of 1 to 4 images, abnormal at `rate`."""

    def make(n: int, *, rate: float = 0.5, patients: bool = True, seed: int = 0, first: int = 0) -> Index:
        rng = np.random.default_rng(seed)
        records = [
            ImageRecord(
                f"{person:06d}_{visit}.png",
                int(rng.random() < rate),
                patient=str(person) if patients else None,
                source="test",
            )
            for person in range(first, first + n)
            for visit in range(int(rng.integers(1, 5)))
        ]
        return Index(tuple(records), name="test", kind="table", root="nowhere")

    return make

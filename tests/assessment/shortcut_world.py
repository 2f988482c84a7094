"""A world whose disease no simple baseline can see, and a reader that sees it; with a marker or a source to betray it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.imaging.header import patient_hash
from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.inference.runtimes.backend import Output
from cxreader.models.artifact import Artifact, TrainingPatients
from cxreader.records import OperatingPoint

SIDE = 64
SALT = "salt"


def make_images(folder: Path, patients: int, *, marker: bool = False, ward: bool = False, seed: int = 0) -> Path:
    """labels.csv and PNGs of two images a patient.

    Two bright patches side by side, above or below, are normal; one above the other, left or right, abnormal: on average
    each place is as bright in both, so that no weighted sum of grey values tells them apart. One label in twenty is wrong.
    `marker` brightens a corner of 90 % of the abnormal and 3 % of the normal images; `ward` makes the column `source`
    the label, which is else the patient's site.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        site = random.choice(["north", "south"])
        for visit in range(2):
            upright = bool(random.random() < 0.5)
            one = int(random.choice((12, 36)))
            pixels = random.integers(60, 140, (SIDE, SIDE)).astype(np.uint8)
            for other in (12, 36):
                top, left = (other, one) if upright else (one, other)
                pixels[top : top + 16, left : left + 16] += 60
            abnormal = upright if random.random() < 0.95 else not upright
            if marker and random.random() < (0.90 if abnormal else 0.03):
                pixels[-5:, :5] = 250
            name = f"{patient:04d}_{visit}.png"
            Image.fromarray(pixels).save(folder / name, compress_level=1)
            age = int(random.integers(20, 90))
            label = ("normal", "abnormal")[abnormal]
            rows.append((name, label, f"p{patient}", age, label if ward else site))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "label", "patient", "age", "source"), *rows])
    return folder


class Patches:
    """A backend that sees whether the patches stand side by side or one above the other: the disease of this world."""

    name = "patches"
    has_maps = True

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        logits = self.logits(batch)
        return Output(logits, logits, np.zeros((len(batch), 2, 2), np.float32) if maps else None)

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        half = SIDE // 2
        grey = batch[:, 0]
        beside = np.abs(grey[:, :half].mean(axis=(1, 2)) - grey[:, half:].mean(axis=(1, 2)))
        above = np.abs(grey[:, :, :half].mean(axis=(1, 2)) - grey[:, :, half:].mean(axis=(1, 2)))
        return np.stack([beside, above], axis=1).astype(np.float32)


class Corner(Patches):
    """A backend that looks at the corner where the marker lies."""

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        corner = batch[:, 0, -5:, :5].mean(axis=(1, 2))
        return np.stack([np.zeros_like(corner), corner], axis=1)


def make_reader(backend: Patches, train: tuple[tuple[str, str], ...] = ()) -> Reader:
    """A reader of 64-px images that was trained on the (source, patient) pairs of `train`."""
    hashes = tuple(sorted(patient_hash(SALT, source, patient) for source, patient in train))
    sources = tuple(sorted({source for source, _ in train}))
    point = OperatingPoint.given(0.5)
    artifact = Artifact(
        model="resnet18",
        dropout=0.0,
        spec=InputSpec(SIDE),
        calibration={"temperature": 1.0, "n_positive": 30, "n_negative": 30, "method": "temperature"},
        operating_points=(point,),
        transfer="none: made by hand",
        patients=TrainingPatients(SALT, {"train": hashes, "tune": (), "calibrate": ()}, sources),
        weights_sha256="0" * 64,
    )
    return Reader([Member(artifact, backend, point)])

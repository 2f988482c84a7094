"""Labels of different worth, and sources that could tell the label: what is learnt in place of the bare label."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cxreader.config import Config, parse_config
from cxreader.data.dataset import CachedImages, EpochOrder, grey, loader, normalise
from cxreader.data.index import Index
from cxreader.errors import DataError
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.registry import create_model
from cxreader.progress import no_bar, silent
from cxreader.records import ImageRecord
from cxreader.runs import RunFolder
from cxreader.training.cohort import prepare_cohort
from cxreader.training.module import PhaseModule, Recipe
from cxreader.training.phases import Phase
from cxreader.training.supervision import balanced_weights, source_weights, supervision
from cxreader.training.train import train


def _records(*groups: tuple[str, int, int]) -> list[ImageRecord]:
    """So many images of each (folder, label, count); the folder is the source."""
    return [
        ImageRecord(image=f"{place}/{label}{n}.png", path="x", label=label, patient=f"{place}{label}{n}", source=place)
        for place, label, count in groups
        for n in range(count)
    ]


def _index(records: list[ImageRecord], *sources: dict[str, object]) -> Index:
    return Index(tuple(records), name="made", kind="several", root="made", sources=sources)


def test_in_every_source_both_classes_weigh_the_same_and_the_source_keeps_its_share() -> None:
    records = _records(("a", 0, 10), ("a", 1, 30), ("b", 0, 5), ("b", 1, 5))
    sources = np.array([r.source for r in records])
    labels = np.array([r.label for r in records])
    weights = source_weights(sources, labels, np.ones(len(labels)))
    assert weights[0] == 2.0  # 40 images, 10 of them normal: 40 / (2 * 10)
    assert weights[10] == pytest.approx(2 / 3)  # 40 / (2 * 30)
    assert set(weights[40:].tolist()) == {1.0}
    for source, share in (("a", 40), ("b", 10)):
        for label in (0, 1):
            assert weights[(sources == source) & (labels == label)].sum() == pytest.approx(share / 2)


def test_balanced_weights_are_the_inverse_frequencies() -> None:
    weights = balanced_weights(np.array([0, 1, 1, 1]), np.ones(4))
    assert weights.tolist() == [2.0, pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3)]


def test_a_source_of_little_weight_moves_neither_the_classes_balance_nor_much_else() -> None:
    """One archive in two folders, the second with a tenth of the weight: 20 normal; 10 + 40 / 10 abnormal in effect."""
    places = [("panel", 0, 20), ("panel", 1, 10), ("mined", 1, 40)]
    records = [replace(record, source="archive") for record in _records(*places)]
    index = _index(records, {"root": "/x/panel"}, {"root": "/x/mined", "weight": 0.1})
    for way in ("by_source", "balanced"):
        found = supervision(index, records, way)
        assert found is not None
        weights = found[:, 1]
        assert weights.mean() == pytest.approx(1)
        assert weights[:20].sum() == pytest.approx(weights[20:].sum())
        assert weights[20] == pytest.approx(10 * weights[30])
    plain = supervision(index, records, "none")
    assert plain is not None
    assert plain[0, 1] == plain[20, 1] == pytest.approx(10 * plain[30, 1])


def test_labels_that_are_taken_as_they_are_need_no_supervision() -> None:
    records = _records(("a", 0, 2), ("a", 1, 2))
    index = _index(records, {"root": "/x/a", "ppv": 1.0, "npv": 1.0})
    assert supervision(index, records, "none") is None
    assert supervision(index, records, "balanced") is None
    assert supervision(index, records, "by_source") is not None


def test_a_label_is_learnt_as_the_probability_that_its_source_gives_it() -> None:
    records = _records(("panel", 1, 1), ("panel", 0, 1), ("mined", 1, 1), ("mined", 0, 1))
    index = _index(records, {"root": "/x/panel"}, {"root": "/x/mined", "ppv": 0.9, "npv": 0.75})
    found = supervision(index, records, "none")
    assert found is not None
    assert found[:, 0].tolist() == pytest.approx([1.0, 0.0, 0.9, 0.25])
    assert set(found[:, 1].tolist()) == {1.0}


def test_the_loss_is_the_weighted_cross_entropy_of_those_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the sum written out: - sum w (p log q + (1 - p) log (1 - q)) / sum w."""
    recipe = Recipe(seed=0, spec=InputSpec(32), augmentation=None)
    model = create_model("chestxray_cnn", dropout=0, size=32)
    module = PhaseModule(model, Phase("head", "head", 1e-3, 1, 1), recipe)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    pixels = torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    taught = [[1.0, 2.0], [0.25, 1.0], [0.0, 0.5]]
    loss = float(module.training_step((pixels, torch.tensor([1, 0, 0]), torch.tensor(taught)), 0).detach())
    expected = 0.0
    for (normal, abnormal), (p, w) in zip(model(normalise(grey(pixels), recipe.spec)).tolist(), taught, strict=True):
        q = math.exp(abnormal) / (math.exp(normal) + math.exp(abnormal))
        expected -= w * (p * math.log(q) + (1 - p) * math.log(1 - q))
    assert loss == pytest.approx(expected / 3.5)


def test_a_batch_carries_what_its_own_images_are_taught() -> None:
    pixels = np.zeros((6, 8, 8), np.uint8)
    taught = np.stack([np.linspace(0, 1, 5), np.arange(5)], axis=1).astype(np.float32)
    part = CachedImages(pixels, np.array([5, 1, 2, 3, 0]), np.array([0, 0, 0, 1, 1]), taught)
    _, label, supervised = part[[4, 0]]
    assert label.tolist() == [1, 0]
    assert supervised.tolist() == [[1.0, 4.0], [0.0, 0.0]]
    assert [len(batch) for batch in loader(part, EpochOrder(5, 2))] == [3, 3, 3]


@pytest.fixture
def two_hospitals(tmp_path: Path) -> Config:
    """Two folders of 32-px pictures, bright when abnormal, the second with labels of which some are wrong."""
    generator = np.random.default_rng(0)
    for place, count in (("panel", 60), ("mined", 40)):
        folder = tmp_path / place
        folder.mkdir()
        rows = [("image", "label", "patient")]
        for n in range(count):
            picture = generator.integers(0, 120, (32, 32)) + 100 * (n % 2)
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{n}.png")
            rows.append((f"{n}.png", ("normal", "abnormal")[n % 2], f"{place}{n}"))
        with (folder / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    phase = {"epochs": 1, "patience": 1}
    return parse_config(
        {
            "data": {
                "sources": [
                    {"root": str(tmp_path / "panel")},
                    {"root": str(tmp_path / "mined"), "npv": 0.7, "only_train": True},
                ]
            },
            "input": {"size": 32},
            "split": {"balance": "natural"},
            "model": {"name": "chestxray_cnn", "weights": "none"},
            "training": {"class_weights": "by_source", "full": {"learn": "all", "lr": 1e-3, **phase}},
            "calibration": {"false_refusals": "none"},
        }
    )


def test_a_training_teaches_these_probabilities_in_train_alone_and_is_repeated_to_the_bit(
    two_hospitals: Config, tmp_path: Path
) -> None:
    run = RunFolder.create(tmp_path / "look", two_hospitals, resume=False)
    cohort = prepare_cohort(two_hospitals, run, silent, no_bar)
    assert all(cohort.parts[name].supervision is None for name in ("tune", "calibrate", "test"))
    taught = cohort.parts["train"].supervision
    assert taught is not None
    for image, (probability, weight) in zip(cohort.images["train"], taught.tolist(), strict=True):
        record = cohort.index.by_image[image]
        mined_normal = image.startswith("mined/") and record.label == 0
        assert probability == pytest.approx(0.3 if mined_normal else record.label)
        assert weight > 0
    first = train(two_hospitals, tmp_path / "a", say=silent)
    again = train(two_hospitals, tmp_path / "b", say=silent)
    assert first.artifact.weights_sha256 == again.artifact.weights_sha256
    certain = two_hospitals.model_copy(
        update={
            "data": parse_config(
                {
                    "data": {
                        "sources": [{"root": s.root, "only_train": s.only_train} for s in two_hospitals.data.sources]
                    }
                }
            ).data
        }
    )
    assert train(certain, tmp_path / "c", say=silent).artifact.weights_sha256 != first.artifact.weights_sha256


def test_an_image_that_readers_saw_is_learnt_as_the_share_who_called_it_abnormal(tmp_path: Path) -> None:
    folder = tmp_path / "panel"
    folder.mkdir()
    said = {"a": "110", "b": "000", "c": "1"}  # of image d nobody said anything
    rows = [(f"{image}.png", f"reader {n}", vote) for image, votes in said.items() for n, vote in enumerate(votes)]
    with (folder / "readings.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("Image ID", "Reader ID", "Abnormal"), *rows])
    records = [
        ImageRecord(image=f"panel/images/{name}.jpg", path="x", label=label, patient=name, source="panel")
        for name, label in (("d", 0), ("c", 1), ("b", 1), ("a", 0))
    ]
    for entry in ({"readings": "readings.csv", "npv": 0.9}, {"readings": str(folder / "readings.csv"), "npv": 0.9}):
        found = supervision(_index(records, {"root": str(folder), **entry}), records, "none")
        assert found is not None
        assert found[:, 0].tolist() == pytest.approx([0.1, 1.0, 0.0, 2 / 3])
    with pytest.raises(DataError, match="nothing is there"):
        supervision(_index(records, {"root": str(folder), "readings": "others.csv"}), records, "none")

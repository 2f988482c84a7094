from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, roc_auc_score

from cxreader.errors import DataError, TableError
from cxreader.evaluation.comparison.second_reading import (
    Contradiction,
    LabelComparison,
    compare_labels,
    contradicted,
    read_labels,
)
from cxreader.evaluation.statistics.intervals import Sample, bootstrap
from cxreader.evaluation.statistics.metrics import METRIC_NAMES, all_metrics
from cxreader.records import OperatingPoint, PredictionTable

HALF = OperatingPoint("half", 0.5, "r", 1, 1)


def _table(n: int = 300, seed: int = 0) -> tuple[PredictionTable, dict[str, int]]:
    """Truth that the second reading tells and the first gets wrong for every sixth image."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, n)
    probability = 1 / (1 + np.exp(-(2 * truth - 1 + generator.normal(size=n))))
    first = np.where(np.arange(n) % 6 == 0, 1 - truth, truth)
    image = np.array([f"{k}.png" for k in range(n)])
    patient = np.array([f"p{k}" for k in generator.integers(0, n // 2, n)])
    return PredictionTable(image, first, probability, patient), dict(zip(image.tolist(), truth.tolist(), strict=True))


def test_hand_computed_kappa_and_counts() -> None:
    # Cohen's table: 20 both abnormal, 5 the first alone, 10 the second alone, 15 neither: 0.7 observed, 0.5 by chance.
    first, second = np.repeat([1, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    image = np.array([str(k) for k in range(50)])
    table = PredictionTable(image, first, first * 0.8 + 0.1)
    found = compare_labels(table, dict(zip(image.tolist(), second.tolist(), strict=True)), HALF, n_resamples=50)
    assert found.labels == {"both abnormal": 20, "only the first": 5, "only the second": 10, "both normal": 15}
    assert found.kappa["first and second"].value == pytest.approx(0.4)
    assert found.agreement["first and second"].value == pytest.approx(0.7)
    # The model repeats the first reading.
    assert found.agreement["model and first"].value == 1.0
    assert found.kappa["model and second"].value == pytest.approx(0.4)
    assert found.change["accuracy"].value == pytest.approx(-0.3)
    assert found.change["recall"].value == pytest.approx(20 / 30 - 1)


def test_both_readings_and_the_change_equal_scikit_learn() -> None:
    table, second = _table()
    found = compare_labels(table, second, HALF, n_resamples=50)
    truth = np.array(list(second.values()))
    flagged = table.probability >= 0.5
    for labels, estimates in ((table.label, found.first), (truth, found.second)):
        assert estimates["auc"].value == pytest.approx(roc_auc_score(labels, table.probability))
        assert estimates["f1"].value == pytest.approx(f1_score(labels, flagged))
        assert (estimates["auc"].n_positive, estimates["auc"].n_negative) == (labels.sum(), (1 - labels).sum())
    for name in METRIC_NAMES:
        assert found.change[name].value == pytest.approx(found.second[name].value - found.first[name].value)
    assert found.kappa["model and second"].value == pytest.approx(cohen_kappa_score(flagged, truth))
    # The labels got better, so the model is seen to be better.
    assert found.change["auc"].low > 0


def test_intervals_are_paired_by_patient() -> None:
    table, second = _table()
    found = compare_labels(table, second, HALF, n_resamples=200, seed=4)
    truth = np.array(list(second.values()))
    before, after = (all_metrics(y, table.probability, 0.5) for y in (table.label, truth))
    sample = Sample(truth, table.groups)
    expected = bootstrap(
        lambda w: {m: value - before(w)[m] for m, value in after(w).items()}, sample, n_resamples=200, seed=4
    )
    alone = bootstrap(after, sample, n_resamples=200, seed=4)
    for name in METRIC_NAMES:
        assert found.change[name] == expected[name]
        assert found.second[name] == alone[name]


def test_only_images_read_twice_are_judged() -> None:
    table, second = _table()
    part = {image: label for image, label in second.items() if int(image.split(".")[0]) < 100} | {"elsewhere.png": 1}
    found = compare_labels(table, part, HALF, n_resamples=20)
    assert (found.only_first, found.unknown) == (200, 1)
    assert sum(found.labels.values()) == 100
    assert found.first["auc"].value == pytest.approx(roc_auc_score(table.label[:100], table.probability[:100]))


def test_nothing_in_common_is_refused() -> None:
    table, _ = _table()
    with pytest.raises(DataError, match="none of the 1 image of the second reading is among the predictions"):
        compare_labels(table, {"x.png": 1}, HALF)
    with pytest.raises(TableError, match="neither 0 nor 1"):
        compare_labels(table, {"0.png": 2}, HALF)


@pytest.mark.parametrize(
    ("first", "second", "metric", "reason"),
    [
        ([0, 0], [0, 1], "recall", "against the first labels: no abnormal image"),
        ([0, 1], [1, 1], "specificity", "against the second labels: no normal image"),
        ([0, 0], [1, 1], "specificity", "against the second labels: no normal image"),
        ([0, 0], [1, 1], "auc", "against the first labels: no abnormal image"),
    ],
)
def test_undefined_is_said(first: list[int], second: list[int], metric: str, reason: str) -> None:
    table = PredictionTable(np.array(["a", "b"]), np.array(first), np.array([0.2, 0.9]))
    found = compare_labels(table, {"a": second[0], "b": second[1]}, HALF, n_resamples=10)
    assert found.change[metric].reason == reason
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert json.dumps(LabelComparison.from_dict(json.loads(text)).to_dict(), allow_nan=False) == text


def test_round_trip() -> None:
    found = compare_labels(*_table(), HALF, n_resamples=20)
    again = LabelComparison.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()
    assert again.change == found.change


def test_the_surest_contradictions_come_first() -> None:
    image, patient = np.array(list("abcdef")), np.array(["p", "p", "q", "q", "r", "r"])
    label, probability = np.array([1, 1, 0, 0, 1, 0]), np.array([0.05, 0.9, 0.99, 0.45, 0.3, 0.95])
    table = PredictionTable(image, label, probability, patient)
    found = contradicted(table, HALF, second={"c": 1, "a": 1})
    assert [c.image for c in found] == ["c", "a", "f", "e"]
    assert found[0] == Contradiction("c", 0, 0.99, 1)
    assert found[2].second is None
    assert [c.image for c in contradicted(table, HALF, top=1)] == ["c"]
    # From 0.4 on "d" is flagged too, against its label, but less surely than all others.
    assert [c.image for c in contradicted(table, OperatingPoint.given(0.4))] == ["c", "a", "f", "e", "d"]
    assert Contradiction.from_dict(json.loads(json.dumps(found[0].to_dict()))) == found[0]


def test_a_second_reading_is_read_from_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "second.csv"
    path.write_text("image,label,reader\na.png,abnormal,1\n b.png ,0,2\nc.png,Normal,1\n", encoding="utf-8")
    assert read_labels(path) == {"a.png": 1, "b.png": 0, "c.png": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na,1\n", "has no column 'image'; its first row names the columns (name, label): rename one"),
        ("image,finding\na,1\n", "has no column 'label'"),
        ("image,label\na,1\na,1\n", "row 3, column image: image a stands twice"),
        ("image,label\n,1\n", "row 2, column image: the image has no name"),
        ("image,label\na,\n", "row 2, column label: label '' is neither normal nor abnormal"),
    ],
)
def test_a_damaged_second_reading_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "second.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError) as error:
        read_labels(path)
    assert message in str(error.value)

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from cxreader.atomic import write_whole
from cxreader.errors import DataError, StorageError, TableError
from cxreader.evaluation.decisions.operating_points import Rule
from cxreader.evaluation.evaluate import SCHEMA, UPGRADES, Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.predictions import read_predictions
from cxreader.evaluation.statistics.metrics import METRIC_NAMES
from cxreader.records import OperatingPoint, PredictionTable


def _table(n: int = 240, patients: int | None = 80, seed: int = 0) -> PredictionTable:
    generator = np.random.default_rng(seed)
    label = np.arange(n) % 2
    p = 1 / (1 + np.exp(-(2 * label - 1 + generator.normal(size=n))))
    names = None if patients is None else np.array([f"P{k}" for k in generator.integers(0, patients, n)])
    return PredictionTable(np.array([f"{k}.png" for k in range(n)]), label, p, names)


def test_json_has_the_shape_that_is_promised_and_round_trips(tmp_path: Path) -> None:
    table = _table()
    weak = {"16x16 thumbnail": np.random.default_rng(1).random(240)}
    evaluation = evaluate(
        table,
        Rule("youden").fit("youden", table.label, table.probability),
        n_resamples=200,
        baselines=weak,
        excluded={"in training": 3},
        warnings=["leak measured: 0 of 240"],
        provenance={"artifact": "abc", "seed": 5},
    )
    path = evaluation.save(tmp_path / "new" / "evaluation.json")
    values = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert values["schema"] == SCHEMA == 3
    assert set(values["metrics"]) == set(METRIC_NAMES)
    assert set(values["metrics"]["auc"]) == {
        *("value", "low", "high", "n_positive", "n_negative", "n_patients", "method", "reason")
    }
    assert values["metrics"]["auc"]["value"] == pytest.approx(roc_auc_score(table.label, table.probability))
    assert values["metrics"]["auc"]["n_positive"] == 120
    assert values["comparisons"]["auc minus 16x16 thumbnail"]["low"] > 0
    difference = values["metrics"]["auc"]["value"] - values["baselines"]["16x16 thumbnail"]["value"]
    assert values["comparisons"]["auc minus 16x16 thumbnail"]["value"] == pytest.approx(difference)
    assert values["counts"]["excluded"] == {"in training": 3}
    assert sum(values["confusion"].values()) == 240
    assert values["warnings"] == ["leak measured: 0 of 240"]
    assert values["provenance"]["seed"] == 5
    assert {"cxreader", "date", "n_resamples", "artifact"} <= set(values["provenance"])
    assert Evaluation.load(path).to_json() == evaluation.to_json()


def test_rows_without_a_patient_among_others_are_counted(tmp_path: Path) -> None:
    def told(patients: list[str]) -> list[str]:
        rows = [f"{k}.png,{p},{k % 2},0.{k}" for k, p in enumerate(patients)]
        (tmp_path / "p.csv").write_text("\n".join(["image,patient,label,probability", *rows]))
        warnings = evaluate(read_predictions(tmp_path / "p.csv"), 0.5, n_resamples=20).warnings
        return [w.split(",")[0] for w in warnings if "name no patient" in w or "No patient is known" in w]

    assert told(["a", "", "b", "nan", "a", "b"]) == ["2 of 6 images name no patient"]
    assert told(["a", "c", "b", "d", "a", "b"]) == []
    assert told([""] * 6) == ["No patient is known: images are resampled as if each were another patient"]


def test_the_operating_point_decides_and_one_given_is_said() -> None:
    table = _table()
    evaluation = evaluate(table, 0.5, n_resamples=20)
    flagged = table.probability >= 0.5
    assert evaluation.confusion["tp"] == int((flagged & (table.label == 1)).sum())
    assert evaluation.operating_point.fitted_on == "given"
    assert any("given by the user" in w for w in evaluation.warnings)
    everything = evaluate(table, OperatingPoint("all", 0.0, "r", 1, 1), n_resamples=20)
    assert everything.metrics["recall"].value == 1.0
    recall, n = everything.metrics["recall"], len(np.unique(table.groups[table.label == 1]))
    exact = binomtest(n, n).proportion_ci(0.95, method="exact")
    assert (recall.low, recall.high) == pytest.approx((exact.low, exact.high))
    assert (recall.method, recall.reason) == (f"exact (Clopper-Pearson) by patient, {n} of them", None)


def test_same_seed_same_numbers() -> None:
    one, other, third = (evaluate(_table(), 0.5, n_resamples=50, seed=s).metrics["auc"] for s in (1, 1, 2))
    assert one == other != third


def test_unknown_patients_are_said() -> None:
    evaluation = evaluate(_table(patients=None), 0.5, n_resamples=20)
    assert evaluation.counts.patients is None
    assert evaluation.warnings[0].startswith("No patient is known")
    assert evaluation.metrics["auc"].method.startswith("bootstrap by image: no patient known")


@pytest.mark.parametrize(("n", "patients"), [(0, 1), (1, 1), (2, 1), (1, None)])
def test_tiny_tables_give_reasons_not_crashes(n: int, patients: int | None) -> None:
    evaluation = evaluate(_table(n, patients), 0.5, n_resamples=20, baselines={"b": np.zeros(n)})
    for estimate in (*evaluation.metrics.values(), *evaluation.comparisons.values()):
        assert np.isnan(estimate.low)
        assert estimate.reason
    assert Evaluation.from_json(evaluation.to_json()).to_json() == evaluation.to_json()


def test_few_patients_of_a_class_are_said() -> None:
    warnings = evaluate(_table(n=20, patients=6), 0.5, n_resamples=20).warnings
    assert any(w.startswith("Only ") and "patients with abnormal images" in w for w in warnings)


def test_a_baseline_of_another_length_is_refused() -> None:
    with pytest.raises(TableError, match="baseline 'b' has 3 rows, the table 240"):
        evaluate(_table(), 0.5, baselines={"b": np.zeros(3)})


def test_another_schema_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    values = json.loads(evaluate(_table(), 0.5, n_resamples=5).to_json())
    full = json.loads(evaluate(_table(), 0.5, n_resamples=5, options=EvaluationOptions()).to_json())
    with pytest.raises(DataError, match="schema 7, this version reads 3;"):
        Evaluation.from_json(json.dumps(values | {"schema": 7}))
    (tmp_path / "e.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"e\.json: is no evaluation"):
        Evaluation.load(tmp_path / "e.json")
    with pytest.raises(DataError, match="cannot be read"):
        Evaluation.load(tmp_path / "none.json")
    with pytest.raises(DataError, match="is no evaluation"):
        Evaluation.from_json("[]")
    with pytest.raises(DataError, match=r"e\.json: is no evaluation \(Counts has no 'videos'\)"):
        Evaluation.from_json(json.dumps(values | {"counts": values["counts"] | {"videos": 1}}), where="e.json")
    damaged = full["evidence"] | {"calibration": {"line": full["evidence"]["calibration"]["line"]}}
    with pytest.raises(DataError, match=r"e\.json: is no evaluation \('reliability' is missing\)"):
        Evaluation.from_json(json.dumps(full | {"evidence": damaged}), where="e.json")


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write_whole(tmp_path / "a.json", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"no room.*free space"):
        write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        write_whole(tmp_path / "file" / "a.json", b"")


def test_yesterdays_file_opens_and_one_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parent / "data" / "schema3.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    evaluation = Evaluation.load(path)
    evidence = stored["evidence"] | dict.fromkeys(("readers", "matched", "corrected"))
    evidence["conformal"] |= {"bound": None}
    refusals = stored["refusals"] | {"unanswered": None}
    expected = {**stored, "evidence": evidence, "refusals": refusals, "verdict": None, "answered": None}
    assert json.loads(evaluation.to_json()) == expected
    assert evaluation.metrics["auc"].value == stored["metrics"]["auc"]["value"] == 0.9453125
    # When the number rises, a step makes of the old values what the new reader wants.
    later: dict[str, object] = {"warnings": ["one more"]}
    monkeypatch.setattr("cxreader.evaluation.evaluate.SCHEMA", 5)
    monkeypatch.setitem(UPGRADES, 3, lambda values: values | later)
    monkeypatch.setitem(UPGRADES, 4, lambda values: {**values, "warnings": [*values["warnings"], "and another"]})
    assert Evaluation.load(path).warnings == ("one more", "and another")
    for schema in (2, 6, "3"):
        with pytest.raises(DataError, match=f"schema {schema!r}, this version reads 3, 4, 5"):
            Evaluation.from_json(json.dumps({**stored, "schema": schema}))

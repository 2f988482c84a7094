"""Anybody's predictions: a file is enough, thresholds are fitted on other patients, and a mistake is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.products import HEADER, Row, rows, write

from cxreader.assessment.predictions import Fitting, judge_predictions
from cxreader.errors import CxreaderError, DataError, TableError, UsageError
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.predictions import ReadModels, TableOptions, read_models, read_predictions
from cxreader.progress import no_bar

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


def judged(files: str | list[str], out: Path, *, model: str | None = None, **fitting: Any) -> Evaluation:
    files = [files] if isinstance(files, str) else files
    return judge_predictions(files, out, Fitting(**fitting), options=EvaluationOptions(), bar=no_bar, model=model)


def test_four_columns_are_enough(tmp_path: Path) -> None:
    evaluation = judged(write(tmp_path / "product.csv", rows()), tmp_path / "out")
    label = np.array([row[2] == "abnormal" for row in rows()])
    probability = np.array([row[3] for row in rows()], dtype=float)
    assert evaluation.metrics["auc"].value == pytest.approx(roc_auc_score(label, probability))
    assert (evaluation.counts.images, evaluation.counts.patients) == (80, 40)
    stored = json.loads((tmp_path / "out/evaluation.json").read_text(), parse_constant=pytest.fail)
    assert stored["metrics"]["auc"] == evaluation.metrics["auc"].to_dict()
    assert stored["provenance"]["predictions"] == "product.csv"
    assert stored["provenance"]["model"] == "product"
    assert stored["evidence"]["models"] is None
    assert (tmp_path / "out/report.html").stat().st_size > 0
    np.testing.assert_array_equal(read_predictions(tmp_path / "out/predictions.csv").probability, probability)


def test_without_a_threshold_one_half_decides_and_this_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "product.csv", rows())
    evaluation = judged(file, tmp_path / "out")
    flagged = np.array([row[3] for row in rows()], dtype=float) >= 0.5
    assert evaluation.confusion["tp"] + evaluation.confusion["fp"] == flagged.sum()
    assert [w for w in evaluation.warnings if "threshold" in w] == [
        "The threshold 0.5 was not fitted on other patients: none was given, and nothing to fit one on."
    ]
    assert "none was given" in (tmp_path / "out/report.html").read_text()
    assert evaluation.evidence is not None
    assert evaluation.evidence.conformal is None


def test_a_threshold_that_is_given_decides_and_this_is_said(tmp_path: Path) -> None:
    evaluation = judged(write(tmp_path / "product.csv", rows()), tmp_path / "out", threshold=0.25)
    assert evaluation.operating_point.threshold == 0.25
    assert [w for w in evaluation.warnings if "threshold" in w] == [
        "The threshold 0.25 was not fitted on other patients: given by the user."
    ]
    with pytest.raises(DataError, match=r"threshold 1.5 .* outside 0 to 1"):
        judged(str(tmp_path / "product.csv"), tmp_path / "out", threshold=1.5)


def test_points_and_error_bound_are_fitted_on_other_patients_alone(tmp_path: Path) -> None:
    test, other = write(tmp_path / "product.csv", rows()), write(tmp_path / "other.csv", rows(40, 60))
    rules = ("screening: sensitivity 0.9", "rule-in: specificity 0.9")
    evaluation = judged(test, tmp_path / "out", calibrate=other, rules=rules, alpha=0.2)
    assert evaluation.operating_point.name == "screening"
    fitted_on = read_predictions(other)
    flagged = fitted_on.probability >= evaluation.operating_point.threshold
    assert flagged[fitted_on.label == 1].mean() >= 0.9
    assert (evaluation.operating_point.n_positive, evaluation.operating_point.n_negative) == (60, 60)
    assert evaluation.evidence is not None
    assert [point.point.name for point in evaluation.evidence.points] == ["screening", "rule-in"]
    assert evaluation.evidence.conformal is not None
    assert evaluation.evidence.conformal.rule.alpha == 0.2
    assert evaluation.evidence.conformal.rule.n_positive == 60
    assert not [w for w in evaluation.warnings if "threshold" in w]
    assert evaluation.provenance["calibrate"] == "other.csv"
    with_one = judged(test, tmp_path / "out", calibrate=other, rules=rules, threshold=0.5)
    assert with_one.evidence is not None
    assert [p.point.name for p in with_one.evidence.points] == ["given", "screening", "rule-in"]
    assert with_one.operating_point.threshold == 0.5


def test_what_could_not_be_fitted_is_said(tmp_path: Path) -> None:
    test = write(tmp_path / "product.csv", rows())
    few = [*rows(40, 6), ("low.png", "P99", "abnormal", 0.0)]
    rules = ("youden: youden", "out: npv 0.99 at prevalence 0.5")
    evaluation = judged(test, tmp_path / "out", calibrate=write(tmp_path / "few.csv", few), rules=rules)
    assert evaluation.evidence is not None
    assert [point.point.name for point in evaluation.evidence.points] == ["youden"]
    assert any(w.startswith("Operating point out left out: no threshold has a NPV") for w in evaluation.warnings)
    assert any(w.startswith("No conformal mode: the calibrate part has 6 normal images") for w in evaluation.warnings)
    one_class = write(tmp_path / "one.csv", [row for row in few if row[2] == "normal"])
    with pytest.raises(DataError, match=r"one\.csv: the calibrate part has 0 abnormal and 6 normal images"):
        judged(test, tmp_path / "out", calibrate=one_class)
    with pytest.raises(DataError, match=r"few\.csv, operating point 'out': no threshold"):
        judged(test, tmp_path / "out", calibrate=str(tmp_path / "few.csv"), rules=rules[::-1])


def test_nobody_is_judged_by_thresholds_that_he_set(tmp_path: Path) -> None:
    test = write(tmp_path / "product.csv", rows())
    for other, message in (
        (rows(38, 20), r"other\.csv: 2 patients are also among the judged"),
        ([("new.png", "P0", "normal", 0.5), *rows(40, 20)], r"1 patient is also among the judged"),
        ([(image, "", *rest) for image, _, *rest in rows(38, 20)], r"4 images are also among the judged"),
    ):
        with pytest.raises(DataError, match=message):
            judged(test, tmp_path / "out", calibrate=write(tmp_path / "other.csv", other))
    nameless = write(tmp_path / "other.csv", [(image, "", *rest) for image, _, *rest in rows(40, 20)])
    warnings = judged(test, tmp_path / "out", calibrate=nameless).warnings
    assert any("so a patient may be in both" in w for w in warnings)


def test_nor_is_a_model_that_stands_beside_and_the_calibrate_file_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = (*HEADER, "model")
    both = write(tmp_path / "both.csv", [(*row, name) for name in "AB" for row in rows()], header)
    fitted = [(*row, "A") for row in rows(40, 20)] + [(*row, "B") for row in rows(38, 20)]
    read: list[str] = []

    def counted(path: str, options: TableOptions | None = None) -> ReadModels:
        read.append(path)
        return read_models(path, options)

    monkeypatch.setattr("cxreader.assessment.predictions.read_models", counted)
    with pytest.raises(DataError, match=r"c\.csv: 2 patients are also among the judged"):
        judged(both, tmp_path / "out", calibrate=write(tmp_path / "c.csv", fitted, header))
    assert [Path(path).name for path in read] == ["both.csv", "c.csv"]


def test_two_files_are_two_models_on_the_same_images(tmp_path: Path) -> None:
    ours, theirs = write(tmp_path / "ours.csv", rows()), write(tmp_path / "theirs.csv", rows(shift=1.0)[::-1])
    evaluation = judged([ours, theirs], tmp_path / "out")
    assert evaluation.provenance["predictions"] == "ours.csv, theirs.csv"
    assert evaluation.provenance["model"] == "ours"
    assert evaluation.evidence is not None
    models = evaluation.evidence.models
    assert models is not None
    assert list(models.auc) == ["ours", "theirs"]
    (pair,) = models.pairs
    by_image = {str(row[0]): float(str(row[3])) for row in rows(shift=1.0)}
    label = [row[2] == "abnormal" for row in rows()]
    own = roc_auc_score(label, [float(str(row[3])) for row in rows()])
    other = roc_auc_score(label, [by_image[str(row[0])] for row in rows()])
    assert pair.auc.value == pytest.approx(own - other)
    assert judged([ours, theirs], tmp_path / "out", model="theirs").metrics["auc"].value == pytest.approx(other)


def test_one_file_may_hold_several_models(tmp_path: Path) -> None:
    header = (*HEADER, "model")
    both = [(*row, name) for name, shift in (("A", 0.0), ("B", 1.0)) for row in rows(shift=shift)]
    file = write(tmp_path / "both.csv", both, header)
    alone = judged(write(tmp_path / "b.csv", rows(shift=1.0)), tmp_path / "out").metrics["auc"].value
    first, second = judged(file, tmp_path / "out"), judged(file, tmp_path / "out", model="B")
    assert first.provenance["model"] == "A"
    assert second.metrics["auc"].value == alone != first.metrics["auc"].value
    assert second.evidence is not None
    assert second.evidence.models is not None
    assert list(second.evidence.models.auc) == ["B", "A"]
    with pytest.raises(UsageError, match="no model is named 'C'; known: A, B"):
        judged(file, tmp_path / "out", model="C")
    calibrate = [(*row, name) for name, shift in (("B", 1.0), ("A", 0.0)) for row in rows(40, 40, shift)]
    fitted = judged(file, tmp_path / "out", model="B", calibrate=write(tmp_path / "c.csv", calibrate, header))
    own = write(tmp_path / "own.csv", rows(40, 40, 1.0))
    assert fitted.operating_point == judged(file, tmp_path / "out", model="B", calibrate=own).operating_point
    with pytest.raises(UsageError, match=r"c\.csv: no model is named 'b'"):
        judged(str(tmp_path / "b.csv"), tmp_path / "out", calibrate=str(tmp_path / "c.csv"))


def test_a_rescaled_model_is_no_other_reader_once_it_has_its_own_threshold(tmp_path: Path) -> None:
    """B is A with every probability halved: the same ranking, so no test may part them, unless A's threshold judges both."""
    header = (*HEADER, "model")

    def both(first: int) -> list[tuple[object, ...]]:
        plain = rows(first, 40)
        return [(*r, "A") for r in plain] + [(*r[:3], float(str(r[3])) / 2, "B") for r in plain]

    file = write(tmp_path / "both.csv", both(0), header)
    calibrate = write(tmp_path / "c.csv", both(40), header)
    own = judged(file, tmp_path / "own", calibrate=calibrate)
    shared = judged(file, tmp_path / "shared")
    assert own.evidence is not None
    assert shared.evidence is not None
    assert own.evidence.models is not None
    assert shared.evidence.models is not None
    thresholds = own.evidence.models.thresholds
    assert thresholds["B"] == pytest.approx(thresholds["A"] / 2)
    assert own.evidence.models.pairs[0].differences["recall"].value == 0
    assert shared.evidence.models.pairs[0].differences["recall"].value > 0
    assert any("at this one's threshold" in warning for warning in shared.warnings)
    assert not any("at this one's threshold" in warning for warning in own.warnings)


WRONG: list[tuple[list[Row], tuple[str, ...], type[CxreaderError], str]] = [
    ([], HEADER, DataError, r"product\.csv: holds no prediction"),
    ([row[:3] for row in rows()], HEADER[:3], TableError, r"product\.csv: has no column 'probability'"),
    ([(*rows()[0][:3], "9 ?")], HEADER, TableError, r"row 2, column probability: '9 \?' is no number"),
    ([(*rows()[0][:3], 90)], HEADER, TableError, r"row 2, column probability: probability 90 is outside 0 to 1"),
    ([(*rows()[0][:2], "ill", 0.9)], HEADER, TableError, r"row 2, column label: label 'ill' is neither"),
    (rows() + rows()[:1], HEADER, TableError, r"image 0-0\.png stands twice"),
    (
        [(*row, "A" if i else "B") for i, row in enumerate(rows())],
        (*HEADER, "model"),
        TableError,
        "model A: 1 of B's 1 image is missing, such as 0-0.png",
    ),
]


@pytest.mark.parametrize(("body", "header", "error", "message"), WRONG, ids=[m[:30] for *_, m in WRONG])
def test_a_wrong_file_is_named(
    body: list[Row], header: tuple[str, ...], error: type[CxreaderError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        judged(write(tmp_path / "product.csv", body, header), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_models_of_other_images_labels_or_one_name_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "product.csv", rows())
    other = write(tmp_path / "other.csv", rows()[3:])
    with pytest.raises(
        TableError, match=rf"^{other}: 3 of product's 80 images are missing, such as 0-0.png; keep the images"
    ):
        judged([file, other], tmp_path / "out")
    exchanged = [(*row[:2], {"normal": "abnormal", "abnormal": "normal"}[str(row[2])], row[3]) for row in rows()]
    with pytest.raises(TableError, match=rf"^{other}: 80 images have another label than with product, such as "):
        judged([file, write(tmp_path / "other.csv", exchanged)], tmp_path / "out")
    (tmp_path / "more").mkdir()
    with pytest.raises(UsageError, match="two models are named 'product'"):
        judged([file, write(tmp_path / "more/product.csv", rows())], tmp_path / "out")


def test_the_predictions_that_are_judged_are_never_written_over(tmp_path: Path) -> None:
    file = Path(write(tmp_path / "predictions.csv", rows()))
    before = file.read_bytes()
    with pytest.raises(UsageError, match="would be written over; give another --out"):
        judged(str(file), tmp_path)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_patients_that_differ_by_a_decimal_or_by_leading_zeros_are_not_others(tmp_path: Path) -> None:
    def numbered(first: int, patients: int, spelling: str) -> list[Row]:
        return [
            (f"{spelling}-{image}", spelling.format(int(str(p)[1:])), *more)
            for image, p, *more in rows(first, patients)
        ]

    test = write(tmp_path / "product.csv", numbered(0, 40, "{}"))
    for spelling, message in (
        ("{}.0", r"other\.csv: 2 patients are also among the judged predictions; fit thresholds on other"),
        (" {}", r"other\.csv: 2 patients are also among the judged predictions; fit thresholds on other"),
        ("{:05d}", r"other\.csv: 2 patients are also among the judged predictions but for leading zeros"),
    ):
        other = write(tmp_path / "other.csv", numbered(38, 20, spelling))
        with pytest.raises(DataError, match=message):
            judged(test, tmp_path / "out", calibrate=other)
    apart = write(tmp_path / "other.csv", numbered(40, 20, "{:05d}"))
    assert judged(test, tmp_path / "out", calibrate=apart).provenance["calibrate"] == "other.csv"


def test_our_own_readings_are_judged_at_their_own_operating_point(tmp_path: Path) -> None:
    header = (*HEADER, "threshold", "operating_point", "acceptance")
    body: list[Row] = [(*row, 0.3, "youden", "accepted") for row in rows()]
    body[0] = (*body[0][:3], "", 0.3, "youden", "refused")
    file = write(tmp_path / "readings.csv", body, header)
    evaluation = judged(file, tmp_path / "out")
    assert (evaluation.operating_point.name, evaluation.operating_point.threshold) == ("youden", 0.3)
    assert evaluation.counts.excluded == {"refused by the reader": 1}
    assert evaluation.counts.images == 79
    flagged = np.array([float(str(row[3])) for row in rows()[1:]]) >= 0.3
    assert evaluation.confusion["tp"] + evaluation.confusion["fp"] == flagged.sum()
    assert judged(file, tmp_path / "out", threshold=0.6).operating_point.threshold == 0.6
    body[1] = (*body[1][:4], 0.4, *body[1][5:])
    two = judged(write(tmp_path / "two.csv", body, header), tmp_path / "out")
    assert two.operating_point.threshold == 0.5
    (said,) = [warning for warning in two.warnings if "decided at" in warning]
    assert "The rows were decided at 2 thresholds (0.300, 0.400) and are judged here at 0.5" in said
    assert not any("decided at" in warning for warning in evaluation.warnings)
    told = judged(str(tmp_path / "two.csv"), tmp_path / "out", threshold=0.6)
    assert not any("decided at" in warning for warning in told.warnings)


def test_a_table_of_phantoms_gets_no_verdict_of_patients(tmp_path: Path) -> None:
    """One image of a drawn source is enough, whatever the others are."""
    header = (*HEADER, "source")
    mixed = [(*row, "phantom:0" if k == 0 else "ward") for k, row in enumerate(rows())]
    found = judged(write(tmp_path / "mixed.csv", mixed, header), tmp_path / "out").verdict
    assert found is not None
    assert found.line.startswith("Whether it is worth a trial cannot be told: it was judged on phantoms")
    ward = judged(write(tmp_path / "ward.csv", [(*row, "ward") for row in rows()], header), tmp_path / "out2").verdict
    assert ward is not None
    assert "phantoms" not in ward.line


def test_a_table_that_tells_who_is_refused_is_asked(tmp_path: Path) -> None:
    """Of 80 images 40 are refused: more than a fifth, so that the model is for others, and nothing says it was not asked."""
    told = [(*row, ("accepted", "refused")[k % 2]) for k, row in enumerate(rows())]
    evaluation = judged(write(tmp_path / "told.csv", told, (*HEADER, "acceptance")), tmp_path / "out")
    assert evaluation.refusals is not None
    assert evaluation.refusals.shares["all"].value == 0.5
    assert evaluation.verdict is not None
    assert any("50 % of these images would be refused" in reason for reason in evaluation.verdict.reasons)
    assert not any("was not asked" in caution for caution in evaluation.verdict.cautions)
    untold = judged(write(tmp_path / "untold.csv", rows()), tmp_path / "out2").verdict
    assert untold is not None
    assert "what a reader would refuse was not asked" in untold.cautions


@pytest.mark.parametrize(
    ("patients", "said"),
    [(19, "What decides was fitted on 19 abnormal and 19 normal images: below 20 of a class it is hardly better than a guess."),
     (49, "What decides was fitted on 49 abnormal and 49 normal images: below 50 of a class it may be far off."),
     (50, None)],
)  # fmt: skip
def test_thresholds_of_few_other_images_are_said_to_be_rough(tmp_path: Path, patients: int, said: str | None) -> None:
    """Each patient has one abnormal and one normal image; the verdict says the same sentence, so that no screen has it twice."""
    one_of_each = rows(100, patients)[: 2 * patients]
    other = [(f"o{k}.png", f"o{k // 2}", ("normal", "abnormal")[k % 2], row[3]) for k, row in enumerate(one_of_each)]
    evaluation = judged(
        write(tmp_path / "product.csv", rows()),
        tmp_path / "out",
        calibrate=write(tmp_path / "other.csv", other),
        alpha=0.3,
    )
    point = evaluation.operating_point
    assert (point.n_positive, point.n_negative) == (patients, patients)
    found = [warning for warning in evaluation.warnings if warning.startswith("What decides")]
    assert found == ([] if said is None else [said])
    assert not [warning for warning in evaluation.further_warnings if warning.startswith("What decides")]

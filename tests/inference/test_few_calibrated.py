"""Of a network calibrated on few images: a score and no probability, or a probability with its warning, wherever it is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.models.data import TINY

from cxreader import Reader, Reading
from cxreader.assessment.artifact import prediction_table
from cxreader.cli.output.answers import note
from cxreader.errors import DataError
from cxreader.evaluation.predictions import read_models
from cxreader.inference.batch.table import answer_of, row_of, write_table
from cxreader.inference.combine import combine
from cxreader.inference.decide import decided
from cxreader.inference.member import Member
from cxreader.inference.triage import urgency
from cxreader.models import registry
from cxreader.models.artifact import load_artifact
from cxreader.records import ImageRecord, OperatingPoint

DATA = Path(__file__).parents[1] / "models" / "data"
PICTURE = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
POINT = OperatingPoint("youden", 0.5, "largest J", 17, 8)


def _reader(monkeypatch: pytest.MonkeyPatch, n_positive: int, n_negative: int) -> Reader:
    """The tiny artifact of an earlier schema, as if that many images had calibrated it."""
    monkeypatch.setitem(registry._MODELS, TINY.name, TINY)
    loaded = Member.load(DATA / "schema4", backend="torch")
    calibration = {**loaded.artifact.calibration, "n_positive": n_positive, "n_negative": n_negative}
    artifact = replace(load_artifact(DATA / "schema4"), calibration=calibration)
    return Reader([Member(artifact, loaded.backend, loaded.operating_point)])


def _read(reader: Reader) -> Reading:
    return next(reader.read_many([PICTURE], refuse=False))


def test_below_twenty_of_a_class_there_is_a_score_that_decides_and_no_probability(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few, many = _read(_reader(monkeypatch, 17, 8)), _read(_reader(monkeypatch, 170, 80))
    assert (few.probability, few.interval, few.conformal) == (None, None, None)
    assert (many.score, few.score) == (None, many.probability)
    assert few.value == many.value
    assert few.score is not None
    assert few.decision == ("abnormal" if few.score >= few.operating_point.threshold else "normal")
    assert [note for note in few.notes if note.startswith("not calibrated: 17 abnormal, 8 normal")]
    assert not [note for note in few.notes if "; " in note]  # what a table joins by it
    assert not [note for note in many.notes if "calibrated" in note]


def test_below_fifty_every_answer_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = _read(_reader(monkeypatch, 49, 200))
    assert reading.probability is not None
    assert reading.score is None
    assert any(note.startswith("calibrated on few images: 49 abnormal, 200 normal") for note in reading.notes)
    assert "calibrated on few images" in answer_of(reading)["notes"]


def _doubtful(reader: Reader, high: float, low: float, name: str | None = None) -> Reader:
    """The same, with a point that is to confirm at `high` and one that is to miss little at `low`, trained on data of `name`."""
    (member,) = reader.members
    points = (OperatingPoint("rule-in", high, "specificity 0.9", 40, 40), OperatingPoint("screening", low, "x", 40, 40))
    provenance = member.artifact.provenance | {"data": {"name": name}}
    artifact = replace(member.artifact, operating_points=points, provenance=provenance, thresholds_on="answer")
    return Reader([Member(artifact, member.backend, points[0])])


def test_what_is_doubtful_of_the_points_and_of_the_training_stands_below_every_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = _reader(monkeypatch, 40, 40)
    assert _doubtful(few, 0.7, 0.3, "ward").doubts == []
    (contrary,) = _doubtful(few, 0.3, 0.7).doubts
    assert contrary.startswith(
        "The operating points contradict their names: rule-in (0.300) lies below screening (0.700)"
    )
    phantoms, same = _doubtful(few, 0.5, 0.5, "phantom:0").doubts
    assert phantoms == "It was trained on phantoms, drawn by a program, and never met a patient."
    assert same.startswith("The operating points rule-in and screening coincide at 0.500")
    lines = note(_doubtful(few, 0.5, 0.5, "phantom:0")).splitlines()
    assert lines[1:] == [phantoms, same, "For research; not a medical device."]
    assert lines[0].count("40 abnormal, 40 normal, below 50 of a class") == 1
    assert "images, at their prevalence" not in lines[0]


def test_of_several_models_a_doubt_names_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = _doubtful(_reader(monkeypatch, 40, 40), 0.5, 0.5)
    (member,) = reader.members
    other = Member(replace(member.artifact, dropout=0.123), member.backend, member.operating_point)
    assert other.id != member.id
    assert [doubt.split(":")[0] for doubt in Reader([member, other]).doubts] == [member.id, other.id]


def test_a_row_holds_the_score_and_its_rank_names_it(tmp_path: Path) -> None:
    reading = Reading("a.png", "abc", POINT, "abnormal", score=0.75, acceptance="accepted")
    row = row_of("a.png", 1, answer_of(reading))
    assert (row["probability"], row["score"]) == (None, 0.75)
    assert urgency(reading).reason == "abnormal, score 0.75"
    assert urgency(reading).height == 0.75
    write_table([row], tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text().splitlines()
    labelled = tmp_path / "labelled.csv"
    labelled.write_text(f"{text[0]},label\n{text[1]},abnormal\n")
    with pytest.raises(DataError, match="a score and no probability: to judge the scores, --column probability=score"):
        read_models(labelled)


def test_scores_are_judged_in_place_of_probabilities() -> None:
    records = [ImageRecord("a.png", 1), ImageRecord("b.png", 0)]
    readings = [
        Reading("a.png", "abc", POINT, "abnormal", score=0.75, acceptance="accepted"),
        Reading("b.png", "abc", POINT, acceptance=None, reasons=("damaged",)),
    ]
    table, unread = prediction_table(records, readings, "abc")
    assert table.probability.tolist() == [0.75]
    assert unread == {"b.png": "damaged"}


def test_of_several_the_mean_is_a_score_where_one_is() -> None:
    one = Reading(
        "a.png", "m1", POINT, "abnormal", 0.75, interval=(0.5, 0.75), conformal="abnormal", acceptance="accepted"
    )
    other = Reading("a.png", "m2", POINT, "abnormal", score=0.625, acceptance="accepted")
    found = combine([one, other], POINT, 0.25)
    assert (found.probability, found.score, found.decision) == (None, 0.6875, "abnormal")
    assert (found.interval, found.conformal) == (None, None)
    apart = combine([one, replace(other, score=0.125)], POINT, 0.25)
    assert apart.decision == "refer"
    assert "scores from 0.125 to 0.750" in apart.reasons[0]
    refused = combine([one, Reading("a.png", "m2", POINT, acceptance="refused", reasons=("unlike",))], POINT, 0.25)
    assert (refused.members[0].value, refused.value) == (None, None)


def test_who_has_no_value_has_no_decision() -> None:
    assert decided(Reading("a.png", "abc", POINT)).decision is None

"""No row of answers contradicts itself: probability, interval, threshold, decision, rank; in every runtime, of several models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.models.data import TINY

from cxreader.evaluation.calibration.temperature import margin
from cxreader.evaluation.calibration.venn_abers import fit_venn_abers
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.inference.answers import Answers
from cxreader.inference.batch.table import answer_of
from cxreader.inference.combine import combine
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.inference.triage import urgency
from cxreader.models import registry
from cxreader.models.artifact import load_artifact
from cxreader.records import OperatingPoint, Reading

pytestmark = pytest.mark.usefixtures("few_images_suffice")

DATA = Path(__file__).parents[1] / "models" / "data"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._MODELS, TINY.name, TINY)


def _pictures(count: int = 80) -> list[NDArray[np.float32]]:
    """As those that the networks learnt from, noise with a patch, here of any brightness: scores of their whole range."""
    random = np.random.default_rng(0)
    down, across = np.mgrid[0:64, 0:64]
    found = []
    for k in range(count):
        grey = random.integers(40, 120, (64, 64)) + 60 - down + across // 4
        y, x = random.integers(10, 34, 2)
        grey[y : y + 20, x : x + 20] += round(80 * k / count)
        found.append((grey.clip(0, 255) / 255).astype(np.float32))
    return found


def _reader(schema: int, backend: str) -> Reader:
    return Reader.load(DATA / f"schema{schema}", backend=backend)


def _answers(reader: Reader) -> list[Reading]:
    return list(reader.read_many(_pictures(), refuse=False))


@pytest.mark.parametrize(("schema", "backend"), [(2, "torch"), (3, "torch"), (4, "torch"), (4, "onnx")])
def test_a_row_agrees_with_itself(schema: int, backend: str) -> None:
    reader = _reader(schema, backend)
    rows = [answer_of(reading) for reading in _answers(reader)]
    for row in rows:
        assert row["probability_low"] <= row["probability"] <= row["probability_high"]
        if row["decision"] == "refer":
            assert row["conformal"] == ("normal" if row["probability"] >= row["threshold"] else "abnormal")
            continue
        assert row["conformal"] in (None, "refer", row["decision"])
        assert (row["decision"] == "abnormal") == (row["probability"] >= row["threshold"])
        if row["decision"] == "abnormal":  # the interval is never wholly on the other side
            assert row["probability_high"] >= row["threshold"]
        else:
            assert row["probability_low"] < row["threshold"]
    assert {row["decision"] for row in rows} >= {"abnormal", "normal"}


@pytest.mark.parametrize("schema", [2, 3, 4])
def test_an_earlier_artifact_decides_by_its_own_calibration_and_threshold(schema: int) -> None:
    """What it flagged when its smooth probabilities were shown, from its stored numbers alone."""
    artifact, reader = load_artifact(DATA / f"schema{schema}"), _reader(schema, "torch")
    spec = artifact.spec
    pixels = np.stack([reader.prepare(picture).pixels[spec.pixel_key] for picture in _pictures()])
    score = margin(reader.backend.logits(spec.normalise(pixels)))
    smooth = 1 / (1 + np.exp(-score / artifact.calibration["temperature"]))
    threshold = reader.operating_point.threshold
    flagged = [(reading.probability or 0.0) >= threshold for reading in _answers(reader)]
    assert flagged == (smooth >= artifact.operating_points[0].threshold).tolist()
    if artifact.conformal is not None:
        can_be = smooth >= artifact.conformal["abnormal_from"], smooth <= artifact.conformal["normal_to"]
        expected = np.select([can_be[0] & ~can_be[1], can_be[1] & ~can_be[0]], ["abnormal", "normal"], "refer")
        assert [reading.conformal for reading in _answers(reader)] == expected.tolist()


@pytest.mark.parametrize(("schema", "backend"), [(3, "torch"), (3, "onnx")])
def test_the_worklist_has_the_order_of_the_raw_scores(schema: int, backend: str) -> None:
    reader = _reader(schema, backend)
    spec = reader.artifact.spec
    pixels = np.stack([reader.prepare(picture).pixels[spec.pixel_key] for picture in _pictures()])
    score = margin(reader.backend.run(spec.normalise(pixels)).logits)
    alarms = [(urgency(r).height, s) for r, s in zip(_answers(reader), score, strict=True) if r.decision == "abnormal"]
    assert len(alarms) > 5
    assert sorted(alarms, key=lambda pair: -pair[0]) == sorted(alarms, key=lambda pair: -pair[1])
    assert len({height for height, _ in alarms}) == len({s for _, s in alarms})


def test_two_runtimes_give_one_answer() -> None:
    torch, onnx = (_answers(_reader(3, backend)) for backend in ("torch", "onnx"))
    for one, other in zip(torch, onnx, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-4)


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.floats(0.2, 3))
def test_a_conformal_rule_of_an_earlier_artifact_answers_as_it_did(
    abnormal_from: float, normal_to: float, temperature: float
) -> None:
    artifact = load_artifact(DATA / "schema4")
    calibration = {**artifact.calibration, "temperature": temperature}
    rule = {"alpha": 0.1, "abnormal_from": abnormal_from, "normal_to": normal_to, "n_positive": 10, "n_negative": 10}
    answers = Answers.of(replace(artifact, calibration=calibration, conformal=rule))
    score = np.round(np.random.default_rng(0).uniform(-3, 3, 400), 4)
    smooth = 1 / (1 + np.exp(-score / temperature))
    assert answers.conformal is not None
    found = answers.conformal.label_set(answers.calibrator.apply(score))
    assert found.tolist() == ConformalRule.from_dict(rule).label_set(smooth).tolist()


ENDS = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(st.lists(ENDS, min_size=2, max_size=4), st.floats(0, 1), st.floats(0.01, 1))
def test_the_mean_of_several_lies_between_their_ends(ends: list[list[float]], threshold: float, bound: float) -> None:
    point = OperatingPoint.given(threshold)
    readings = [
        Reading("a.png", f"m{k}", point, "normal", p, interval=(low, high), acceptance="accepted")
        for k, (low, p, high) in enumerate(ends)
    ]
    found = combine(readings, point, bound)
    assert found.probability is not None
    assert found.interval is not None
    assert found.interval[0] - 1e-12 <= found.probability <= found.interval[1] + 1e-12
    assert found.decision == "refer" or (found.decision == "abnormal") == (found.probability >= threshold)


def test_models_that_were_loaded_decide_on_the_scale_that_they_show() -> None:
    members = [Member.load(DATA / f"schema{schema}", backend="torch") for schema in (2, 3)]
    several = Reader(members)
    shown = [member.answers.operating_points[0].threshold for member in members]
    stored = [member.artifact.operating_points[0].threshold for member in members]
    assert several.operating_point.threshold == pytest.approx(np.mean(shown))
    assert shown != stored
    for reading in several.read_many(_pictures(30), refuse=False):
        assert reading.probability == pytest.approx(np.mean([m.probability for m in reading.members]))
        assert reading.decision == "refer" or (reading.decision == "abnormal") == (
            reading.probability >= several.operating_point.threshold
        )


def test_the_pair_of_a_reading_is_that_of_its_own_score() -> None:
    """Against the predictor fitted by scikit-learn's isotonic regression with the image added, once of each label."""
    from sklearn.isotonic import IsotonicRegression

    random = np.random.default_rng(5)
    score, label = np.round(random.normal(0, 1, 40), 3), np.tile([0, 1], 20)
    pair = fit_venn_abers(score, label)
    for new in (-0.5, 0.0, 0.7):
        ends = [
            IsotonicRegression(out_of_bounds="clip").fit(np.append(score, new), np.append(label, y)).predict([new])[0]
            for y in (0, 1)
        ]
        low, high = pair.apply(np.array([new]))
        assert [low[0], high[0]] == pytest.approx(ends)

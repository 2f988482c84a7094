"""What `calibrate` gives an artifact: probabilities, operating points, the error bound, the interval of a reading."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreader.config import CalibrationSection, parse_config
from cxreader.errors import ConfigError, DataError, UsageError
from cxreader.evaluation.calibration.temperature import fit_temperature, margin
from cxreader.evaluation.calibration.venn_abers import fit_venn_abers
from cxreader.evaluation.decisions.operating_points import Rule
from cxreader.training.calibrate import Calibrated, calibrate
from cxreader.training.train import _settings


def _part(n: int = 200, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits (n, 2) that tell half normal from half abnormal images, not perfectly."""
    generator = np.random.default_rng(seed)
    label = np.arange(n) % 2
    logits = generator.normal(size=(n, 2))
    logits[:, 1] += 2.5 * label - 1
    return logits, label


def _fitted(**section: Any) -> Calibrated:
    return calibrate(*_part(), CalibrationSection(**section))


def test_every_point_is_fitted_on_the_probabilities_that_are_shown() -> None:
    logits, label = _part()
    fitted = _fitted()
    score = margin(logits)
    smooth = 1 / (1 + np.exp(-score / fit_temperature(logits, label)))
    np.testing.assert_allclose(fitted.calibrator.apply(score), smooth, atol=1e-12)
    probability, (low, high) = fitted.probability, fitted.venn_abers.apply(score)
    assert ((low <= probability) & (probability <= high)).all()
    assert not ((low <= smooth) & (smooth <= high)).all()
    points = {point.name: point for point in fitted.decisions.points}
    assert list(points) == ["youden", "screening", "rule-in"]
    assert points["youden"].threshold == pytest.approx(Rule("youden").fit("youden", label, probability).threshold)
    flagged = probability >= points["screening"].threshold
    assert flagged[label == 1].mean() >= 0.95
    lowest = probability[flagged].min()  # a higher threshold would miss this abnormal image, and with it the target
    assert label[probability == lowest].all()
    assert (probability > lowest)[label == 1].mean() < 0.95
    assert (probability < points["rule-in"].threshold)[label == 0].mean() >= 0.95
    assert {point.fitted_on for point in points.values()} == {"calibrate"}
    assert {(point.n_positive, point.n_negative) for point in points.values()} == {(100, 100)}
    assert fitted.venn_abers == fit_venn_abers(score, label)
    assert fitted.decisions.notes == ()


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_the_method_asked_for_is_fitted_and_the_points_follow_its_probabilities(method: str) -> None:
    _, label = _part()
    fitted = _fitted(method=method, operating_points=("screening: sensitivity 0.9",))
    assert fitted.calibrator.method == method
    flagged = fitted.probability >= fitted.decisions.points[0].threshold
    assert flagged[label == 1].mean() >= 0.9


UNREACHABLE = "sure: npv 0.9999 at prevalence 0.5"


def _hopeless() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The least suspect image of all is abnormal, so that no threshold rules anything out."""
    logits, label = _part()
    logits[1] = 9.0, -9.0
    return logits, label


def test_a_point_that_is_not_reached_is_left_out_and_said() -> None:
    fitted = calibrate(*_hopeless(), CalibrationSection(operating_points=("youden: youden", UNREACHABLE)))
    assert [point.name for point in fitted.decisions.points] == ["youden"]
    (note,) = fitted.decisions.notes
    assert note.startswith("operating point sure left out: no threshold has a NPV at least 0.9999 at prevalence 0.5")


def test_the_first_point_decides_and_must_be_reached() -> None:
    section = CalibrationSection(operating_points=(UNREACHABLE, "youden: youden"))
    with pytest.raises(DataError, match="operating point 'sure': no threshold has"):
        calibrate(*_hopeless(), section)


def test_the_error_bound_of_each_class_holds_on_what_it_was_fitted_on() -> None:
    _, label = _part()
    for alpha in (0.05, 0.1, 0.3):
        fitted = _fitted(alpha=alpha)
        rule = fitted.decisions.conformal
        assert rule is not None
        assert rule.alpha == alpha
        called = rule.predict(fitted.probability)
        assert (called == "normal")[label == 1].mean() <= alpha
        assert (called == "abnormal")[label == 0].mean() <= alpha
        assert set(called.tolist()) <= {"normal", "abnormal", "refer"}


def test_no_error_bound_is_asked_for_or_too_few_images_allow_one() -> None:
    assert _fitted(alpha="none").decisions == replace(_fitted().decisions, conformal=None)
    logits, label = _part(16)  # 8 of each class; a bound of 0.1 needs 9
    fitted = calibrate(logits, label, CalibrationSection())
    assert fitted.decisions.conformal is None
    assert len(fitted.decisions.points) == 3
    assert fitted.decisions.notes == (
        "no conformal mode: the calibrate part has 8 normal images: an error bound of 0.1 needs at least 9",
    )
    assert calibrate(*_part(18), CalibrationSection()).decisions.conformal is not None


def test_what_cannot_be_fitted_is_refused() -> None:
    logits, _ = _part()
    with pytest.raises(DataError, match="0 abnormal and 200 normal"):
        calibrate(logits, np.zeros(200, dtype=int), CalibrationSection())
    with pytest.raises(UsageError, match="is no operating point"):
        _fitted(operating_points=("sensitivity 0.95",))


def test_a_wrong_section_names_its_key() -> None:
    from cxreader.config import parse_config

    def parsed(**section: Any) -> object:
        return parse_config({"data": {"root": "images"}, "calibration": section})

    for alpha in (0, 1, 1.5, "never", float("nan")):
        with pytest.raises(ConfigError, match=r"^calibration"):
            parsed(alpha=alpha)
    with pytest.raises(ConfigError, match=r"calibration\.operating_points"):
        parsed(operating_points=[])
    with pytest.raises(ConfigError, match="did you mean 'method'"):
        parsed(methd="platt")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_drawn_on_a_terminal_alone(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    config = parse_config({"data": {"root": "x"}})
    assert _settings(config, show_progress=True).show_progress is terminal
    assert _settings(config, show_progress=False).show_progress is False

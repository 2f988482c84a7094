from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from tests.reporting.evaluation.world import bare, evidence_of, image_evidence, rich

from cxreader.evaluation.comparison.second_reading import Contradiction
from cxreader.evaluation.evaluate import Evaluation
from cxreader.imaging.overlay import overlay
from cxreader.reporting.evaluation.figures.contact_sheet import draw_contact_sheet
from cxreader.reporting.evaluation.figures.evaluation_figures import evaluation_figures
from cxreader.reporting.evaluation.figures.evidence_figures import (
    draw_decision_curve,
    draw_reliability,
    draw_subgroups,
    draw_triage,
    evidence_figures,
)
from cxreader.reporting.style import BLUE, MUTED, VERMILION, save_figure

NAMES = [
    "roc",
    "precision_recall",
    "confusion",
    "probabilities",
    "reliability",
    "decision_curve",
    "subgroups",
    "triage",
]


def _texts(figure: Figure) -> str:
    return " | ".join(t.get_text() for t in figure.findobj(Text) if isinstance(t, Text))


def test_all_figures_are_named_and_saved(tmp_path: Path) -> None:
    figures = evaluation_figures(rich(), image_evidence())
    assert list(figures) == [*NAMES, "shortcuts", "localisation", "sanity"]
    for name, figure in figures.items():
        png, svg = save_figure(figure, tmp_path / name)
        with Image.open(png) as image:
            assert min(image.size) > 400
        assert ET.parse(svg).getroot().tag.endswith("svg")  # noqa: S314  our own file


def test_nothing_asked_gives_the_four_figures_and_no_group_gives_no_forest() -> None:
    assert list(evaluation_figures(bare(options=False))) == NAMES[:4]
    assert list(evidence_figures(bare())) == ["reliability", "decision_curve"]


@pytest.mark.parametrize("evaluation", [rich(), bare(), bare(one_class=True)])
def test_no_text_leaves_the_paper(evaluation: Evaluation) -> None:
    for name, figure in evidence_figures(evaluation).items():
        figure.savefig(io.BytesIO(), format="png")  # lays the figure out
        tight, paper = figure.get_tightbbox(), figure.get_size_inches()
        assert tight.x0 >= -1e-6, name
        assert tight.y0 >= -1e-6, name
        assert tight.x1 <= paper[0] + 1e-6, name
        assert tight.y1 <= paper[1] + 1e-6, name


def test_the_reliability_diagram_draws_every_bin_and_the_fitted_line() -> None:
    report = evidence_of(rich()).calibration
    figure = draw_reliability(report)
    lines = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    dots = lines[f"{len(report.reliability.bins)} bins of equal mass"]
    np.testing.assert_allclose(
        np.asarray(dots.get_xdata(), float), [b.mean_probability for b in report.reliability.bins]
    )
    np.testing.assert_allclose(np.asarray(dots.get_ydata(), float), [b.observed.value for b in report.reliability.bins])
    fitted = lines[f"fitted line, slope {report.line.slope.value:.2f}"]
    x, y = (np.asarray(data, float) for data in (fitted.get_xdata(), fitted.get_ydata()))
    log_odds = np.log(x / (1 - x)) * report.line.slope.value + report.line.intercept_at_slope.value
    np.testing.assert_allclose(np.log(y / (1 - y)), log_odds)
    assert f"{report.reliability.ece.value:.3f} ({report.reliability.ece.interval})" in _texts(figure)


def test_the_forest_has_a_row_a_group_and_a_colour_for_the_flagged_and_the_small() -> None:
    groups = evidence_of(rich()).subgroups
    figure = draw_subgroups(groups, rich())
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    dots = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    by_row = {float(np.asarray(dot.get_ydata(), float)[0]): dot for dot in dots}
    assert len(dots) == sum(not np.isnan(group.metrics["auc"].value) for group in groups.groups)
    for name, colour in (("AP", VERMILION), ("PA", BLUE), ("tiny", MUTED)):
        dot = by_row[ticks.index(name)]
        value = next(group for group in groups.groups if group.name == name).metrics["auc"].value
        assert dot.get_markeredgecolor() == colour
        np.testing.assert_allclose(np.asarray(dot.get_xdata(), float), [value])
    assert by_row[ticks.index("tiny")].get_markerfacecolor() == "white"


def test_the_worklist_shows_each_discipline_with_its_minutes() -> None:
    triage = evidence_of(rich()).triage
    assert triage is not None
    text = _texts(draw_triage(triage))
    for result in triage.results:
        assert str(result.policy) in text
        for who in ("abnormal", "normal"):
            for measure in ("mean", "p95"):
                assert f"{result.times[who][measure].value:,.0f}" in text


def test_the_decision_curve_is_that_of_the_record() -> None:
    evidence = evidence_of(rich())
    figure = draw_decision_curve(evidence)
    lines = {str(line.get_label()): line for line in figure.axes[0].get_lines()}
    np.testing.assert_array_equal(lines["flag by the model"].get_ydata(), evidence.decision_curve.net_benefit)
    np.testing.assert_array_equal(lines["flag every image"].get_ydata(), evidence.decision_curve.treat_all)
    assert "10 % abnormal, where it would work" in _texts(figure)
    assert "as in this sample" in _texts(draw_decision_curve(evidence_of(bare())))


def test_a_contradicted_image_stands_beside_itself_under_its_map() -> None:
    grey = np.arange(60 * 60, dtype=np.uint8).reshape(60, 60)
    raw = np.array([[0.0, 1.0], [0.0, 3.0]], np.float32)
    images = [Contradiction("a.png", 1, 0.1), Contradiction("b.png", 0, 0.9)]
    figure = draw_contact_sheet(images, {"a.png": grey, "b.png": grey}, {"a.png": [raw]})
    first, second = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[:2])
    assert first.shape == (60, 122, 3)
    assert np.array_equal(first[:, :60], overlay(grey))
    assert np.array_equal(first[:, 62:], overlay(grey, raw))
    assert np.array_equal(second[:, 62:], overlay(grey)), "an image without a map stands beside itself as it is"
    of_two = draw_contact_sheet(images, {"a.png": grey, "b.png": grey}, {"a.png": [raw, raw.T]})
    first, second = (np.asarray(axes.images[0].get_array()) for axes in of_two.axes[:2])
    assert first.shape == second.shape == (60, 184, 3)
    assert np.array_equal(first[:, 124:], overlay(grey, raw.T))
    of_three = draw_contact_sheet(images, {"a.png": grey, "b.png": grey}, {"a.png": [raw] * 3})
    assert tuple(of_three.get_size_inches()) == (12, 1.95), "two images a row at least"

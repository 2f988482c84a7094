from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from tests.reporting.study.world import NAMES, study_report

from cxreader.reporting.study.figures import draw_auc, draw_confusions, draw_kappa, draw_roc_curves, study_figures
from cxreader.reporting.style import save_figure


def _texts(figure: Figure) -> str:
    return " | ".join(t.get_text() for t in figure.findobj(Text) if isinstance(t, Text))


@pytest.mark.parametrize(("one_class", "networks"), [(False, 3), (True, 3), (False, 1)])
def test_every_figure_is_drawn_of_whatever_was_judged(one_class: bool, networks: int, tmp_path: Path) -> None:
    figures = study_figures(study_report(one_class, networks))
    assert list(figures) == ["auc", "roc", "precision_recall", "confusion", "kappa", "training", "grad_cam_wrong"]
    for name, figure in figures.items():
        png, svg = save_figure(figure, tmp_path / name)
        assert png.stat().st_size > 5000
        assert svg.stat().st_size > 3000
        assert "nan" not in _texts(figure).lower()


@pytest.mark.parametrize("one_class", [False, True])
def test_no_text_leaves_the_paper(one_class: bool) -> None:
    for name, figure in study_figures(study_report(one_class)).items():
        figure.savefig(io.BytesIO(), format="png")  # lays the figure out
        tight, paper = figure.get_tightbbox(), figure.get_size_inches()
        assert tight.x0 >= 0, name
        assert tight.y0 >= 0, name
        assert tight.x1 <= paper[0] + 1e-6, name
        assert tight.y1 <= paper[1] + 1e-6, name


def test_numbers_and_counts_stand_in_the_figures() -> None:
    report = study_report()
    auc = report.comparison.row(NAMES[1]).metrics["auc"]
    told = f"{auc.value:.3f} ({auc.interval})"
    assert told in _texts(draw_auc(report)).split(" | ")
    assert f"{NAMES[1]}: {told}" in _texts(draw_roc_curves(report.comparison))
    assert "30 abnormal, 30 normal images, 30 patients" in _texts(draw_roc_curves(report.comparison))
    counts = [c["tp"] for c in report.comparison.row(NAMES[1]).confusion]
    texts = _texts(draw_confusions(report.comparison)).split(" | ")
    assert f"{counts[0]} / {counts[1]}" in texts
    assert f"{100 * np.mean(counts) / 30:.0f} %" in texts
    kappa = report.comparison.agreements[2].kappa
    assert {f"{kappa.value:.2f}", kappa.interval} <= set(_texts(draw_kappa(report.comparison)).split(" | "))


def test_the_forest_shows_each_training_and_only_published_auc() -> None:
    report = study_report()
    (axes,) = draw_auc(report).axes
    ticks = [line for line in axes.lines if line.get_gid() == "trainings"]
    assert [list(line.get_xdata()) for line in ticks] == [list(r.by_seed["auc"]) for r in report.comparison.rows]  # type: ignore[arg-type]
    diamonds = [line.get_xdata() for line in axes.lines if line.get_gid() == "published"]
    assert [list(x) for x in diamonds] == [[0.7109]]  # type: ignore[arg-type]


def test_networks_differ_in_colour_and_in_line_style() -> None:
    (axes,) = draw_roc_curves(study_report().comparison).axes
    curves = [line for line in axes.lines if str(line.get_label()).startswith(NAMES)]
    assert len({line.get_color() for line in curves}) == len(NAMES)
    assert len({str(line._dash_pattern) for line in curves if isinstance(line, Line2D)}) == len(NAMES)  # type: ignore[attr-defined]


def test_stopping_points_stand_at_the_best_epoch_of_their_phase() -> None:
    figure = study_figures(study_report())["training"]
    found = {}
    for axes in figure.axes:
        rings = [line for line in axes.lines if line.get_gid() == "stopping point"]
        points = np.array([np.ravel(ring.get_xydata()) for ring in rings])
        found[axes] = [(x, round(y, 3)) for x, y in points.tolist()]
    # Two trainings; the third of four epochs in each phase, the second phase behind the first.
    assert [(3.0, 0.68)] * 2 in found.values()
    assert [(3.0, 0.54), (7.0, 0.54)] * 2 in found.values()


def test_panels_as_a_figure_name_every_network_with_its_decision() -> None:
    report = study_report()
    ((group, panels),) = [(g, p) for g, p in report.panels.items() if p]
    figure = study_figures(report)[f"grad_cam_{group.replace(' ', '_')}"]
    assert len(figure.axes) == sum(1 + len(panel.looks) for panel in panels)
    texts = _texts(figure)
    for look in panels[0].looks:
        verdict = "right" if look.decision == panels[0].truth else "wrong"
        assert f"{verdict}: {look.decision} {look.probability:.2f}" in texts

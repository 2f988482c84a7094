from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image

from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.records import PredictionTable
from cxreader.reporting.evaluation.figures.evaluation_figures import (
    draw_confusion,
    draw_probabilities,
    draw_roc,
    evaluation_figures,
)
from cxreader.reporting.style import BLUE, VERMILION, save_figure


def _evaluation(kind: str) -> Evaluation:
    generator = np.random.default_rng(0)
    n = {"usual": 120, "one class": 30, "empty": 0, "perfect": 60, "nothing flagged": 60}[kind]
    label = np.zeros(n, dtype=int) if kind == "one class" else np.arange(n) % 2
    p = (
        np.where(label == 1, 0.99, 0.01)
        if kind == "perfect"
        else np.clip(generator.normal(0.3 + 0.3 * label, 0.2), 0, 1)
    )
    threshold = 1.0 if kind == "nothing flagged" else 0.5
    p = np.minimum(p, 0.99)
    table = PredictionTable(np.array([f"{k}" for k in range(n)], dtype=np.str_), label, p)
    return evaluate(table, threshold, n_resamples=40)


KINDS = ["usual", "one class", "empty", "perfect", "nothing flagged"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_drawn_of_whatever_was_judged(kind: str, tmp_path: Path) -> None:
    figures = evaluation_figures(_evaluation(kind))
    assert list(figures) == ["roc", "precision_recall", "confusion", "probabilities"]
    for name, figure in figures.items():
        png, svg = save_figure(figure, tmp_path / "figures" / name)
        with Image.open(png) as image:
            assert min(image.size) > 600
        assert ET.parse(svg).getroot().tag.endswith("svg")  # noqa: S314  our own file


def _texts(figure: object) -> str:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    assert isinstance(figure, Figure)
    return " | ".join(t.get_text() for t in figure.findobj(Text) if isinstance(t, Text))


def test_numbers_and_counts_stand_in_the_figure() -> None:
    evaluation = _evaluation("usual")
    auc = evaluation.metrics["auc"]
    text = _texts(draw_roc(evaluation))
    assert f"AUC {auc.value:.3f} ({auc.interval})" in text
    assert "60 abnormal, 60 normal, patients unknown" in text
    assert str(evaluation.confusion["tp"]) in _texts(draw_confusion(evaluation)).split(" | ")
    assert "AUC undefined" in _texts(draw_roc(_evaluation("one class")))
    assert "no abnormal image" in _texts(draw_roc(_evaluation("one class")))
    assert "AUC 1.000 (0.884-1.000)" in _texts(draw_roc(_evaluation("perfect")))


def test_abnormal_images_are_vermilion_above_the_line_and_normal_ones_blue_below() -> None:
    evaluation = _evaluation("usual")
    bars = [patch for patch in draw_probabilities(evaluation).axes[0].patches if isinstance(patch, Rectangle)]
    heights = {
        colour: sum(bar.get_height() for bar in bars if to_hex(bar.get_facecolor()).upper() == colour)
        for colour in (VERMILION, BLUE)
    }
    assert heights == {VERMILION: evaluation.counts.abnormal, BLUE: -evaluation.counts.normal}


@pytest.mark.parametrize("kind", ["usual", "perfect"])
def test_no_text_leaves_the_paper(kind: str) -> None:
    for name, figure in evaluation_figures(_evaluation(kind)).items():
        figure.savefig(io.BytesIO(), format="png")  # lays the figure out
        tight, paper = figure.get_tightbbox(), figure.get_size_inches()
        assert tight.x0 >= 0, name
        assert tight.y0 >= 0, name
        assert tight.x1 <= paper[0] + 1e-6, name
        assert tight.y1 <= paper[1] + 1e-6, name


def test_importing_loads_no_matplotlib_and_no_pyplot_ever() -> None:
    code = """
import sys
import cxreader.reporting.evaluation.page as html
assert 'matplotlib' not in sys.modules and 'jinja2' not in sys.modules
import numpy as np
from cxreader.evaluation.evaluate import evaluate
from cxreader.records import PredictionTable
table = PredictionTable(np.array(['a', 'b']), np.array([0, 1]), np.array([0.1, 0.9]))
html.render_evaluation(evaluate(table, 0.5, n_resamples=5))
assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules and 'pandas' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from cxreader.evaluation.statistics.intervals import Sample
from cxreader.explanation.boxes import BoxTable
from cxreader.explanation.localisation import localise
from cxreader.explanation.localisation_report import LocalisationReport, report
from cxreader.explanation.location_prior import prior_scores
from cxreader.explanation.map_scores import ScoringProtocol
from cxreader.explanation.sanity_report import SanityReport, sanity_report
from cxreader.records import Box
from cxreader.reporting.evaluation.figures.localisation_figures import draw_localisation, draw_sanity
from cxreader.reporting.style import save_figure

FINDINGS = ("Effusion", "Mass", "Pleural_Thickening")


def _localised(model: bool = True) -> LocalisationReport:
    rng = np.random.default_rng(0)
    places = rng.integers(0, 8, (40, 2))
    boxes = {f"{n}": [Box(FINDINGS[n % 3], x, y, 6, 6)] for n, (x, y) in enumerate(places)}
    table = BoxTable.of(boxes, (16, 16), {name: name for name in boxes})
    if model:
        return localise({name: rng.random((7, 7)) for name in boxes}, table, ScoringProtocol(grid=16), n_resamples=40)
    protocol = ScoringProtocol(grid=16, fold_seeds=(0,))
    nulls = prior_scores(table, protocol), prior_scores(table, protocol, by_finding=True)
    return report(table, nulls, None, protocol, n_resamples=40)


def _sanity(flat: bool = False) -> SanityReport:
    rng = np.random.default_rng(1)
    own = rng.random((9, 7, 7))
    own[0] = 0
    stages = [
        (name, own * 0 if flat else own + k * rng.random(own.shape))
        for k, name in enumerate(("head", "layer2", "stem"))
    ]
    return sanity_report(own, stages, Sample(np.ones(9, int), np.arange(9)), n_resamples=40)


def _all() -> dict[str, Figure]:
    return {
        "both": draw_localisation(_localised()),
        "null": draw_localisation(_localised(model=False)),
        "sanity": draw_sanity(_sanity()),
        "flat": draw_sanity(_sanity(flat=True)),
    }


def _texts(figure: Figure) -> str:
    return " | ".join(t.get_text() for t in figure.findobj(Text) if isinstance(t, Text))


def test_every_figure_is_drawn_and_no_text_leaves_the_paper(tmp_path: Path) -> None:
    for name, figure in _all().items():
        png, svg = save_figure(figure, tmp_path / name)
        assert png.stat().st_size > 5000
        assert svg.stat().st_size > 3000
        assert "nan" not in _texts(figure).lower()
        figure.savefig(io.BytesIO(), format="png")  # lays the figure out
        tight, paper = figure.get_tightbbox(), figure.get_size_inches()
        assert min(tight.x0, tight.y0) >= 0, name
        assert tight.x1 <= paper[0] + 1e-6, name
        assert tight.y1 <= paper[1] + 1e-6, name


@pytest.mark.parametrize("model", [True, False])
def test_bars_are_as_long_as_the_numbers(model: bool) -> None:
    found = _localised(model)
    axes = draw_localisation(found).axes[2]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    parts = [[g.model["pointing"].value for g in found.groups]] if model else []
    parts.append([g.null["pointing"].value for g in found.groups])
    parts.append([g.null_by_finding["pointing"].value for g in found.groups])
    assert widths == [value for part in parts for value in part]
    places = [bar.get_y() for bar in axes.patches if isinstance(bar, Rectangle)][:: len(found.groups)]
    assert places == sorted(places)  # the model's bar of a group above the fixed maps'
    names = [label.get_text() for label in draw_localisation(found).axes[0].get_yticklabels()]
    assert names == ["all\n40 boxes", "Pleural effusion\n14 boxes", "Mass\n13 boxes", "Pleural thickening\n13 boxes"]


def test_points_stand_at_the_numbers_and_flat_maps_are_told() -> None:
    found = _sanity()
    lines = {line.get_label(): line for line in draw_sanity(found).axes[0].lines}
    np.testing.assert_array_equal(
        lines["rank correlation"].get_ydata(), [s.rank_correlation.value for s in found.stages]
    )
    np.testing.assert_array_equal(lines["SSIM"].get_ydata(), [s.ssim.value for s in found.stages])
    assert "9 images, 1 left out" in _texts(draw_sanity(found))
    assert "stem\n9 flat" in _texts(draw_sanity(_sanity(flat=True)))


def test_importing_loads_neither_torch_nor_matplotlib() -> None:
    code = """
import sys
import cxreader.reporting.evaluation.figures.localisation_figures, cxreader.explanation.localisation, cxreader.explanation.sanity
assert not {'torch', 'matplotlib', 'pandas'} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

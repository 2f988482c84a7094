"""The page of a search: what stands in its table, its figures and its numbers."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.search.page import (
    effect_name,
    headline,
    judged_rows,
    lead,
    numbers,
    ranked_table,
    render_search,
    search_figures,
    tie_words,
)
from cxreader.reporting.search.records import Effect, Judgement, OtherRow, SearchReport, SearchRow, Setting, TunePart

LR, LEARN = "training.fine_tune.lr", "training.fine_tune.learn"
ROWS = tuple(
    SearchRow(rank, number, {LEARN: learn, LR: lr}, accuracy, accuracy, 0.5, 3, 7, 12.0, 2**30)
    for rank, (number, learn, lr, accuracy) in enumerate(
        [(3, "last_block", 1e-3, 0.9), (4, "last_block", 3e-4, 0.85), (1, "head", 1e-3, 0.8), (2, "head", 3e-4, 0.75)],
        1,
    )
)


def _estimate(value: float, low: float, high: float, reason: str | None = None) -> Estimate:
    return Estimate(value, low, high, 30, 50, 40, "bootstrap by patient; percentile, 2000 resamples", reason)


@pytest.fixture
def report() -> SearchReport:
    return SearchReport(
        model="efficientnet_b0",
        weights="ImageNet-1k",
        monitor="accuracy",
        settings=(Setting(LEARN, ("head", "last_block")), Setting(LR, (1e-3, 3e-4))),
        method="every point of a grid of 4, once",
        rows=ROWS,
        others=(),
        parts={"train": TunePart(100, 100, 90), "tune": TunePart(10, 10, 9)},
        importances={LEARN: 0.8, LR: 0.2},
        importance_method="fANOVA",
        effects=(
            Effect(LEARN, ("head", "last_block"), 0.1, 0.05, 0.15, 2),
            Effect(LR, (1e-3, 3e-4), -0.05, math.nan, math.nan, 2, "all 2 pairs differ by the same"),
        ),
        winner=Judgement(
            "a1b2",
            _estimate(0.9, math.nan, math.nan, "it chose"),
            _estimate(0.8, 0.7, 0.88),
            _estimate(0.1, -0.02, 0.2),
            _estimate(0.85, 0.8, 0.9),
        ),
        provenance={"cxreader": "0.1.0", "date": "2025-01-01"},
    )


def test_the_headline_is_the_winner_and_the_lead_counts_everything(report: SearchReport) -> None:
    assert headline(report) == "efficientnet_b0: unfrozen last block, learning rate 0.001"
    other = OtherRow(5, {LEARN: "head", LR: 1e-3}, "failed", "RuntimeError: no <memory>", 1.0)
    told = lead(replace(report, others=(other,)))
    assert "4 complete, 1 failed" in told
    assert "20 images (10 abnormal, 10 normal; 9 patients)" in told
    page = render_search(replace(report, others=(other,)))
    assert "RuntimeError: no &lt;memory&gt;" in page


def test_the_page_says_what_has_no_interval_and_why(report: SearchReport) -> None:
    page = render_search(report)
    assert "18/20" in page
    assert "1,024 MiB" in page
    assert "which chose it: no interval" in page
    assert "95 % interval -0.020 to 0.200; 30 abnormal, 50 normal images, 40 patients" in page
    assert "\N{EN DASH}: no interval, all 2 pairs differ by the same." in page
    assert "+0.050 to +0.150" in page
    unjudged = render_search(replace(report, winner=None))
    assert "was not judged on the test part" in unjudged
    assert "Optimism" not in unjudged


def test_the_table_has_the_best_and_another_monitor_its_own_column(report: SearchReport) -> None:
    header, rows = ranked_table(report, 2)
    assert header == ("rank", "unfrozen", "learning rate", "tune accuracy", "tune loss", "best epoch", "time")
    assert rows[0] == ("1", "last block", "0.001", "0.900 (18/20)", "0.500", "3 of 7", "12 s")
    assert len(rows) == 2
    header, rows = ranked_table(replace(report, monitor="auc"))
    assert header[3] == "tune auc"
    assert rows[0][3] == "0.9000"
    assert [row[0] for row in judged_rows(report.winner)][2] == "Optimism: tune minus test"


def test_keys_alike_in_two_phases_are_told_apart(report: SearchReport) -> None:
    settings = (Setting("training.head.lr", (1, 2)), Setting("training.fine_tune.lr", (1, 2)))
    rows = (replace(ROWS[0], values={"training.head.lr": 1, "training.fine_tune.lr": 2}),)
    told = headline(replace(report, settings=settings, rows=rows))
    assert told == "efficientnet_b0: learning rate (head) 1, learning rate (fine_tune) 2"


def _heights(figure: Figure) -> list[list[float]]:
    """Of every configuration's line, the best first: where it crosses the axes."""
    lines = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    return [np.asarray(line.get_ydata(), float).tolist() for line in reversed(lines)]


def test_a_line_crosses_each_axis_at_its_value_and_the_best_is_on_top(report: SearchReport) -> None:
    figure = search_figures(report)["parallel"]
    heights = _heights(figure)
    assert len(heights) == 4
    assert all(y[0] > 0.5 for y in heights[:2])  # last block
    assert all(y[0] < 0.5 for y in heights[2:])
    assert [y[1] > 0.5 for y in heights] == [False, True, False, True]
    assert [y[2] for y in heights] == sorted((y[2] for y in heights), reverse=True)
    assert len({tuple(y) for y in heights}) == 4
    assert max(figure.axes[0].lines, key=lambda line: line.get_zorder()).get_color() == "#D55E00"


def test_a_range_is_drawn_on_its_own_scale(report: SearchReport) -> None:
    settings = (Setting(LR, (), 1e-5, 1e-1, log=True),)
    rows = tuple(replace(row, values={LR: lr}) for row, lr in zip(ROWS, (1e-3, 1e-5, 1e-1, 1e-4), strict=True))
    ranged = replace(report, settings=settings, rows=rows, importances={}, effects=())
    figures = search_figures(ranged)
    assert list(figures) == ["parallel"]
    assert [y[0] for y in _heights(figures["parallel"])] == pytest.approx([0.5, 0, 1, 0.25])
    assert "No setting has exactly two levels" in render_search(ranged)


def test_one_trial_is_drawn_and_numbers_are_strict_json(report: SearchReport) -> None:
    lone = replace(report, rows=ROWS[:1], importances={}, importance_method="not computed", effects=())
    assert "The best 1 of 1" in render_search(lone)
    values = json.loads(json.dumps(numbers(report), allow_nan=False))
    assert values["effects"][1]["low"] is None
    assert values["winner"]["optimism"]["value"] == 0.1
    assert values["rows"][0]["values"] == {LEARN: "last_block", LR: 1e-3}


def test_an_effect_is_the_second_level_minus_the_first(report: SearchReport) -> None:
    assert effect_name(Effect(LR, (1e-3, 3e-4), -0.05, -0.1, 0.0, 2), report) == "learning rate: 0.0003 minus 0.001"
    assert (
        effect_name(Effect(LEARN, ("head", "last_block"), 0.1, 0.0, 0.2, 2), report)
        == "unfrozen: last block minus classifier only"
    )


def test_trials_that_tie_have_no_winner(report: SearchReport) -> None:
    equal = replace(report, rows=tuple(replace(row, score=0.5, tune_accuracy=0.5) for row in ROWS))
    said = "No winner: all 4 trials tie at a tune accuracy of 0.5000; trial 3 was finished, the earliest of them."
    assert headline(equal) == said
    page = render_search(equal)
    assert f"<h1>{said}</h1>" in page
    assert "Winner&#39;s tune accuracy" not in page
    assert "Finished trial&#39;s tune accuracy" in page
    assert tie_words(report) == ""


def test_of_the_best_that_tie_the_finished_one_is_named_with_what_chose_it(report: SearchReport) -> None:
    two = replace(report, rows=(ROWS[0], replace(ROWS[1], score=ROWS[0].score, tune_loss=0.62), *ROWS[2:]))
    assert headline(two) == headline(report)
    said = (
        "The best 2 of 4 trials tie at a tune accuracy of 0.9000; trial 3 was finished, as its tune loss is the lower one "
        "(0.500, the next 0.620)."
    )
    assert tie_words(two) == said
    assert lead(two).endswith(said)
    page = render_search(two)
    assert said in page
    assert "Winner&#39;s tune accuracy" in page
    unknown = replace(two, rows=(ROWS[0], replace(two.rows[1], tune_loss=None), *ROWS[2:]))
    assert "as its tune loss is the only one known (0.500)." in tie_words(unknown)
    near = replace(two, rows=(ROWS[0], replace(two.rows[1], tune_loss=0.50003), *ROWS[2:]))
    assert "(0.50000, the next 0.50003)" in tie_words(near)  # two losses that read alike would explain nothing

"""The winner of a search: its own weights, judged on test; its optimism; the report."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch

from cxreader.data.split import Split
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.study.search.report import write_report
from cxreader.study.search.search import SearchResult
from cxreader.study.search.winner import Judged, Winner, optimism


def test_optimism_is_tune_minus_test_with_patients_resampled_apart() -> None:
    """Independent parts of one image a patient: the interval's width is that of two binomials."""
    random = np.random.default_rng(0)

    def judged(n: int, rate: float) -> Judged:
        right = np.arange(n) < rate * n
        return Judged(right, Sample(random.integers(0, 2, n), np.arange(n)))

    tune, test, gap = optimism(judged(400, 0.9), judged(200, 0.8), n_resamples=4000)
    assert (tune.value, test.value) == (0.9, 0.8)
    assert gap.value == pytest.approx(0.1)
    assert math.isnan(tune.low)
    assert "chose" in (tune.reason or "")
    error = math.sqrt(0.9 * 0.1 / 400 + 0.8 * 0.2 / 200)
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert gap.n_patients == 600


def test_optimism_counts_patients_not_images() -> None:
    """Each patient's ten images are right or wrong together: the interval is as wide as that of as many patients."""
    groups = np.repeat(np.arange(40), 10)
    part = Judged(groups % 4 != 0, Sample(np.zeros(400, int), groups))
    _, test, _ = optimism(part, part, n_resamples=4000)
    assert test.high - test.low == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 40), rel=0.08)


def test_the_winner_is_its_own_weights_judged_on_test(searched: SearchResult, won: Winner) -> None:
    from safetensors.torch import load_file

    best = load_file(searched.winner.folder / "phases" / "fine_tune" / "best.safetensors")
    kept = load_file(won.folder / "artifact" / "model.safetensors")
    assert all(torch.equal(best[name], kept[name]) for name in best)
    split = Split.load(searched.folder / "split.json")
    images = [
        line.split(",")[0] for line in (won.folder / "evaluation" / "predictions.csv").read_text().splitlines()[1:]
    ]
    assert sorted(images) == sorted(split.parts["test"])
    assert won.tune.value == pytest.approx(searched.winner.tune_accuracy, abs=1e-6)
    confusion = [
        line.split(",")[2:4] for line in (won.folder / "evaluation" / "predictions.csv").read_text().splitlines()[1:]
    ]
    right = [(label == "abnormal") == (float(probability) >= 0.5) for label, probability in confusion]
    assert won.test.value == pytest.approx(np.mean(right))
    assert won.optimism.value == pytest.approx(won.tune.value - won.test.value)


def test_the_report_shows_the_ranking_and_the_winner(searched: SearchResult, won: Winner) -> None:
    write_report(searched, won)
    page = (searched.folder / "report.html").read_text()
    numbers = json.loads((searched.folder / "search.json").read_text())
    assert [row["number"] for row in numbers["rows"]] == [trial.number for trial in searched.trials]
    assert numbers["winner"]["optimism"]["value"] == pytest.approx(won.optimism.value)
    assert {path.name for path in (searched.folder / "figures").iterdir()} >= {"parallel.png", "parallel.svg"}
    tune = searched.parts["tune"]
    assert f"{tune.images} images ({tune.abnormal} abnormal, {tune.normal} normal; {tune.patients} patients)" in page
    assert "These images chose the configurations" in page
    assert "src=" in page
    assert 'src="http' not in page

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.reporting.evaluation.test_page import _Page
from tests.reporting.study.world import HOSTILE, NAMES, study_report, training

from cxreader.errors import DataError
from cxreader.evaluation.shortcuts.records import SUSPECTED
from cxreader.reporting.study.network_tables import short_table
from cxreader.reporting.study.page import render_study
from cxreader.reporting.study.published import CUSTOM_CNN, EFFICIENTNET_CLASSIFIER, PUBLISHED, RESNET18, STUDY_TITLE
from cxreader.reporting.study.records import numbers


def _text(source: str) -> str:
    return " ".join(_Page(source).text.split())


@pytest.fixture(scope="module")
def source() -> str:
    return render_study(study_report())


def test_the_page_is_well_formed_escaped_self_contained_and_accessible() -> None:
    source = render_study(study_report(hostile=True))
    page = _Page(source)
    assert page.all("script") == []
    assert page.text.count(HOSTILE) >= 10
    assert all(image["alt"] and (image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?!data:)\w|url\(|@import|https?://", source)
    assert all(cell.get("scope") in ("col", "row", "colgroup") for cell in page.all("th"))
    assert len(page.all("h1")) == 1
    assert "not a medical device" in page.text


def test_the_order_is_verdict_warnings_table_and_then_the_evidence(source: str) -> None:
    text, report = _text(source), study_report()
    body = text[text.index("networks on one test part") :]
    order = [
        report.comparison.headline(),
        report.comparison.detail(),
        "Read this first",
        "Made up plain",
        "The table of the study",
        "Who is better than whom",
        "Curves",
        "Decisions",
        "Do they decide alike",
        "How they learned",
        "Where they looked",
        "Were 20 % of the images abnormal",
        "The search",
        "What they cost",
        "Who was in it",
        "Where it comes from",
        "cxreader study run plain",
    ]
    places = [body.index(words) for words in order]
    assert places == sorted(places)


def test_each_cell_of_the_table_has_mean_interval_and_spread_and_the_published_numbers_beside(source: str) -> None:
    text, result = _text(source), study_report().comparison.row(NAMES[1])
    for metric in ("accuracy", "precision", "recall", "f1", "auc", "specificity", "brier"):
        e, seeds = result.metrics[metric], result.by_seed[metric]
        assert f"{e.value:.3f} {e.interval} [{min(seeds):.3f}-{max(seeds):.3f}]" in text, metric
    assert "0.545 44 images [0.540-0.550]" in text
    assert "0.6637 0.6613 0.6660 0.6473 0.6565 0.7109" in text
    assert "about 0.49 about 0.50 – – – –" in text  # noqa: RUF001
    assert STUDY_TITLE in text
    assert "30 abnormal, 30 normal images, 30 patients" in text


def test_a_difference_is_shown_with_the_one_ahead_first_and_holds_only_when_it_does(source: str) -> None:
    text, comparison = _text(source), study_report().comparison
    for d in comparison.of("auc"):
        turned = d.estimate.value < 0
        sign, names = (-1, (d.second, d.first)) if turned else (1, (d.first, d.second))
        low, high = sorted((sign * d.adjusted.low, sign * d.adjusted.high))
        shown = re.escape(f"{low:+.3f} to {high:+.3f}{' holds' if d.better else ''}")
        line = re.search(rf"{names[0]} {names[1]} \{sign * d.estimate.value:+.3f} .*?{shown}", text)
        assert line, (names, shown)
    assert text.count(" holds ") >= sum(d.better is not None for d in comparison.differences)


def test_what_is_undefined_says_why(source: str) -> None:
    assert "undefined no image was called abnormal in 2 of 2 trainings 0.000" in _text(source)
    one_class = _text(render_study(study_report(one_class=True)))
    assert "No network can be compared by AUC: no abnormal image." in one_class
    assert not re.search(r"\bnan\b", one_class, re.IGNORECASE)


def test_a_single_network_has_a_page() -> None:
    text = _text(render_study(study_report(networks=1)))
    assert "The one network did not learn: it calls one class for every image." in text
    assert "Who is better than whom" not in text


def test_optional_parts_may_be_left_out() -> None:
    text = _text(render_study(replace(study_report(), grid=None, panels={}, command="")))
    assert "The search" not in text
    assert "Where they looked" not in text


def test_panels_grid_cost_and_stopping_points_are_told(source: str) -> None:
    text = _text(source)
    assert "No image of the test part is of this kind." in text
    assert "1 of 2 right" in text
    assert "✓ abnormal 0.50" in text
    assert "✗ normal 0.25" in text
    assert text.index("1 0.001 0.3 0.6200 6 9.0 s") < text.index("2 0.0003 0.3 0.6100 5 1 min 1 s")
    assert "flatters it by 0.012 (0.001-0.030; 22 abnormal, 22 normal, 20 patients)" in text
    assert "11,000,000 8,000,000 not measured not measured" in text
    assert "11,000,000 8,000,000 3.60 41.2" in text
    assert "head 3 of 4, fine-tune 3 of 4 0.550 (44 images)" in text
    assert "7 (11.7 %)" in text


@pytest.mark.parametrize("one_class", [False, True])
def test_numbers_are_strict_json_without_pictures(one_class: bool) -> None:
    report = study_report(one_class)
    values: dict[str, Any] = json.loads(json.dumps(numbers(report), allow_nan=False))
    assert values["comparison"] == json.loads(json.dumps(report.comparison.to_dict()))
    assert values["rows"][1]["published"]["auc"] == 0.7109
    assert values["rows"][1]["trainings"][0]["phases"][1]["epochs"][2]["tune_accuracy"] == pytest.approx(0.54)
    look = values["panels"]["wrong"][0]["looks"][0]
    assert look == {"name": NAMES[1], "probability": 0.25, "decision": "normal"}
    assert "image" not in values["panels"]["wrong"][0]
    assert values["cohort"]["examples"] == [{"caption": "plain"}]
    assert values["grid"]["optimism"]["high"] == 0.03


def test_a_loss_that_is_no_number_is_none_in_the_json() -> None:
    report = study_report()
    broken = replace(training(0, 1).phases[0].epochs[0], tune_loss=float("inf"), train_loss=np.float64("nan"))
    phase = replace(training(0, 1).phases[0], epochs=(broken,), best_epoch=1)
    first = replace(report.rows[0], trainings=(replace(training(0, 1), phases=(phase,)), training(1, 1)))
    values = numbers(replace(report, rows=(first, *report.rows[1:])))
    epoch = values["rows"][0]["trainings"][0]["phases"][0]["epochs"][0]
    assert (epoch["train_loss"], epoch["tune_loss"]) == (None, None)


def test_rows_that_are_not_those_judged_are_refused() -> None:
    report = study_report()
    with pytest.raises(DataError, match="not those judged"):
        replace(report, rows=report.rows[::-1])
    with pytest.raises(DataError, match="not those judged"):
        replace(report, rows=(replace(report.rows[0], trainings=(training(5, 1),)), *report.rows[1:]))


def test_published_f1_follows_from_the_published_precision_and_recall() -> None:
    for row in PUBLISHED.values():
        if row.precision and row.recall and row.f1:
            assert row.f1 == pytest.approx(2 * row.precision * row.recall / (row.precision + row.recall), abs=1e-4)
    assert RESNET18.words("auc") == "0.7109"
    assert CUSTOM_CNN.words("accuracy") == "about 0.50"
    assert EFFICIENTNET_CLASSIFIER.words("f1") == "–"  # noqa: RUF001


def test_a_network_that_did_not_learn_is_named_and_has_no_heat_map() -> None:
    page = render_study(study_report())
    assert "Left out, as they did not learn: Flat network." in page
    assert "Flat network calls every image normal: it did not learn" in page
    assert short_table(study_report()).rows[0].name == "Flat network (did not learn)\nplain; 2 trainings"


def test_the_thumbnail_stands_beside_every_network_with_the_suspicion() -> None:
    report = study_report()
    assert report.thumbnail is not None
    suspected = {**report.thumbnail.verdicts, "ResNet18, two phases": SUSPECTED}
    report = replace(report, thumbnail=replace(report.thumbnail, verdicts=suspected))
    assert report.thumbnail is not None
    here = report.thumbnail.gains_here["ResNet18, two phases"]
    gain = report.thumbnail.gains["ResNet18, two phases"]
    page = render_study(report)
    assert "AUC minus thumbnail, learnt elsewhere</th>" in page
    assert "AUC minus thumbnail, learnt here</th>" in page
    assert f"<b>{gain.value:+.3f}</b>" in page
    assert "sees no disease" in page
    assert "A shortcut is suspected in ResNet18, two phases: its AUC minus that of a 16 x 16 thumbnail" in page
    short = short_table(report)
    assert [len(line) for line in short.lines] == [len(short.head)] * 5
    assert short.lines[1][-1] == f"{gain.value:+.3f}\n{gain.low:+.3f} to {gain.high:+.3f}"
    assert short.lines[0][2:4] == ("0.500\n\N{EN DASH}",) * 2
    assert "\N{EN DASH}: no interval, every resample gives the same value" in short.caption
    assert [row.name for row in short.rows[-2:]] == [
        f"16 x 16 thumbnail\nlearnt {where}" for where in ("elsewhere", "here")
    ]
    assert "suspected in Flat network" not in page
    assert f"({here.low:.3f}\u00a0to\u00a0{here.high:.3f})" in page  # a warning breaks no interval
    assert numbers(report)["thumbnail"]["verdicts"]["ResNet18, two phases"] == "suspected"
    assert report.headline == report.comparison.headline()
    assert report.thumbnail is not None
    every = replace(report, thumbnail=replace(report.thumbnail, verdicts=dict.fromkeys(suspected, SUSPECTED)))
    assert every.headline == "No network is shown to see more than a 16 x 16 thumbnail."
    assert every.detail.startswith(f"{report.comparison.headline()} ")
    assert f"<h1>{every.headline}" in re.sub(r"\s*\n\s*", "", render_study(every))
    assert every.thumbnail is not None
    little = {
        name: replace(gain, value=0.01, low=0.005, high=0.015) for name, gain in every.thumbnail.gains_here.items()
    }
    ahead = replace(every, thumbnail=replace(every.thumbnail, gains_here=little))
    assert ahead.headline == "No network is shown to see much more than a 16 x 16 thumbnail."
    without = replace(report, thumbnail=None)
    assert "minus thumbnail" not in render_study(without)
    assert short_table(without).lines[0][-1] == "not judged"

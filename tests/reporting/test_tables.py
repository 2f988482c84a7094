"""How numbers are written: one rule for pages, figures, the model card and the terminal."""

from __future__ import annotations

from math import inf, nan

import pytest

from cxreader.evaluation.statistics.intervals import Estimate, method_name
from cxreader.reporting.tables import (
    DASH,
    Cell,
    Row,
    Table,
    estimate_cell,
    estimate_counts,
    finding_title,
    format_counts,
    format_estimate,
    format_interval,
    format_p_value,
    format_share,
    format_spread,
    format_value,
    methods_of,
    rate_in_sentence,
    short_title,
    text_cell,
    tile,
)


def _estimate(value: float, low: float, high: float, reason: str | None = None) -> Estimate:
    return Estimate(value, low, high, 1200, 50, 1, "bootstrap", reason)


@pytest.mark.parametrize(
    ("estimate", "plain", "signed", "brief"),
    [
        (_estimate(0.91, 0.8804, 0.94), "0.910 (0.880-0.940)", "+0.91 (+0.88 to +0.94)", "0.910 (0.880-0.940)"),
        (_estimate(0.01, 0.0, 0.03), "0.010 (0.000-0.030)", "+0.01 (0.00 to +0.03)", "0.010 (0.000-0.030)"),
        (_estimate(0.01, -0.0104, 0.03), "0.010 (-0.010 to 0.030)", "+0.01 (-0.01 to +0.03)", "0.010 (-0.010 to 0.030)"),
        (_estimate(-0.0004, -0.01, 0.02), "0.000 (-0.010 to 0.020)", "0.00 (-0.01 to +0.02)", "0.000 (-0.010 to 0.020)"),
        (_estimate(2500.5, 1000, 3000), "2,500.500 (1,000.000-3,000.000)", "+2,500.50 (+1,000.00 to +3,000.00)", None),
        (_estimate(nan, nan, nan, "no abnormal image"), "undefined (no abnormal image)", None, "undefined (no abnormal image)"),
        (_estimate(0.5, nan, nan, "one patient"), "0.500 (no interval: one patient)", None, "0.500 (no interval)"),
        (_estimate(3.0, 2.0, inf, "infinite"), "3.000 (from 2.000 on, no upper end: infinite)", None, None),
    ],
)  # fmt: skip
def test_an_estimate_in_words(estimate: Estimate, plain: str, signed: str | None, brief: str | None) -> None:
    assert format_estimate(estimate, 3) == plain
    assert plain == f"{format_value(estimate)} ({format_interval(estimate)})"
    assert signed is None or format_estimate(estimate, signed=True) == signed
    assert brief is None or format_estimate(estimate, 3, why=False) == brief


def test_counts_keep_abnormal_and_normal_apart_and_know_one_patient() -> None:
    assert estimate_counts(_estimate(0.5, 0.4, 0.6)) == "1,200 abnormal, 50 normal images, 1 patient"
    assert format_counts(1, 2, 3) == "1 abnormal, 2 normal images, 3 patients"
    assert format_counts(1, 2, None) == "1 abnormal, 2 normal images, patients unknown"


def test_cells_and_tiles_never_show_a_number_without_its_interval() -> None:
    known, unsure = _estimate(0.91, 0.88, 0.94), _estimate(0.5, nan, nan, "one patient")
    assert estimate_cell(known, 2, note="p 0.031") == Cell("0.91", ("0.88-0.94", "p 0.031"))
    assert estimate_cell(unsure) == Cell("0.500", ("no interval: one patient",))
    assert tile("AUC", known, 2) == {"name": "AUC", "value": "0.91", "interval": "95 % interval 0.88-0.94"}
    assert tile("AUC", unsure, basis="9 images")["interval"] == "no interval: one patient; 9 images"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((), ""),
        ((0.66,), ""),
        ((0.668, 0.661, 0.663), "[0.661-0.668]"),
        ((0.01, -0.02), "[-0.020 to 0.010]"),
        ((0.5, nan, 0.6), "defined in 2 of 3 seeds"),
    ],
)
def test_the_spread_of_trainings(values: tuple[float, ...], words: str) -> None:
    assert format_spread(values) == words


def test_p_values_shares_and_titles() -> None:
    assert [format_p_value(p) for p in (0.0314, 0.001, 0.0009, nan)] == [
        "p 0.031",
        "p 0.001",
        "p < 0.001",
        "p not defined",
    ]
    assert [format_share(s) for s in (0.1, 0.025, 0.5)] == ["10\u00a0%", "2.5\u00a0%", "50\u00a0%"]
    assert [rate_in_sentence(name) for name in ("auc", "sensitivity", "ppv")] == ["AUC", "sensitivity", "PPV"]
    assert [short_title(name) for name in ("recall", "auc")] == ["Recall", "AUC"]
    assert [finding_title(name) for name in ("Effusion", "all")] == ["Pleural effusion", "all"]
    assert (
        methods_of([_estimate(0, 0, 0), Estimate(0, 0, 0, 1, 1, 1, "DeLong"), _estimate(1, 1, 1)])
        == "bootstrap; or DeLong"
    )
    assert methods_of([]) == "none"


def test_a_method_is_said_once_with_the_range_of_its_counts() -> None:
    def by(method: str) -> Estimate:
        return Estimate(0.5, 0.4, 0.6, 5, 5, 10, method)

    percentile = [method_name(True, 2000, undefined) for undefined in (0, 12, 3)]
    exact = [f"exact (Clopper-Pearson) by patient, {people} of them" for people in ("9", "1,010")]
    assert methods_of(map(by, [*percentile, *exact])) == (
        "bootstrap by patient; percentile, 2000 resamples, 0 to 12 undefined left out; or "
        "exact (Clopper-Pearson) by patient, 9 to 1,010 of them"
    )
    assert methods_of(map(by, percentile[1:])).endswith("2000 resamples, 3 to 12 undefined left out")
    assert methods_of(map(by, percentile[:1])) == "bootstrap by patient; percentile, 2000 resamples"
    nowhere = Estimate(0.5, nan, nan, 5, 5, 10, method_name(True, 2000, 1999), "too few patients")
    assert methods_of([nowhere, by("DeLong")]) == "DeLong"
    corrected = f"{percentile[0]}, corrected for the labels"
    assert methods_of(map(by, [corrected])) == corrected


def test_a_missing_interval_is_a_dash_with_one_footnote() -> None:
    same = Estimate(1.0, nan, nan, 1, 0, 1, "bootstrap", "one patient: nothing to resample")
    known = Estimate(0.5, 0.25, 0.75, 5, 5, 10, "bootstrap")
    rows = tuple(
        Row(name, (estimate_cell(same), text_cell(format_interval(same)), estimate_cell(known))) for name in "ab"
    )
    table = Table(("", "rate", "interval", "other"), rows, "A caption.")
    assert [cell.value for cell in table.rows[0].cells] == ["1.000", DASH, "0.500"]
    assert table.rows[1].cells[0].below == (DASH,)
    assert table.rows[1].cells[2].below == ("0.250-0.750",)
    assert table.caption == f"A caption. {DASH}: no interval, one patient: nothing to resample."
    assert Table(("", "other"), (Row("a", (estimate_cell(known),)),), "A caption.").caption == "A caption."

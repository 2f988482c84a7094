"""What is said below a table of figures that have no interval."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.reporting.evaluation.world import evidence_of, rich
from tests.reporting.evaluation.world import table as world_table

from cxreader.cli.evaluating import show_evaluation
from cxreader.cli.output.evidence_tables import missing, show_evidence, show_points
from cxreader.evaluation.statistics.intervals import Estimate

SAME = "every resample gives the same value, which bounds nothing"


def _figure(value: float, reason: str | None) -> Estimate:
    end = math.nan if reason else value
    return Estimate(value, end, end, 5, 5, 4, "bootstrap", reason)


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([None], ""),
        (
            ["undefined in 250 of 2000 resamples: too few patients"],
            "undefined in 250 of 2000 resamples: too few patients",
        ),
        (
            [f"undefined in {n} of 2000 resamples: too few patients" for n in (911, 101, 250, 911)],
            "undefined in 101 to 911 of 2000 resamples: too few patients",
        ),
        (
            [
                "undefined in 9 of 20 resamples: too few patients",
                SAME,
                "undefined in 7 of 20 resamples: too few images",
            ],
            f"undefined in 9 of 20 resamples: too few patients; {SAME}; undefined in 7 of 20 resamples: too few images",
        ),
    ],
)
def test_reasons_that_differ_in_a_count_are_said_once(reasons: list[str | None], said: str) -> None:
    figures = [_figure(0.9, reason) for reason in reasons]
    assert missing(figures) == (f" \N{EN DASH}: no interval, {said}." if said else "")


def test_what_is_undefined_is_said_apart_from_what_has_no_interval() -> None:
    figures = [_figure(math.nan, "no normal image in this group"), _figure(1.0, SAME)]
    assert missing(figures) == f" Undefined: no normal image in this group. \N{EN DASH}: no interval, {SAME}."


def test_of_a_group_too_small_the_count_stands_below_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_evidence(evidence_of(rich()))
    lines = capsys.readouterr().out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("  tiny "))
    tiny = next(group for group in evidence_of(rich()).subgroups.groups if group.name == "tiny")
    auc = tiny.metrics["auc"]
    assert lines[at].rstrip().endswith("too small")
    assert lines[at + 1].split()[:2] == [f"{auc.n_positive}/{auc.n_negative},", "3"]
    note = next(line for line in lines if line.startswith("Below: 95 % intervals. Significant"))
    assert "Too small to be tested, fewer than 20: " in note
    ill = len({k // 2 for k in range(6) if world_table().label[k]})
    assert f"tiny ({ill} patient{'s' * (ill != 1)} with abnormal images)" in note


def test_where_no_group_was_tested_this_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    show_evidence(replace(evidence_of(rich()), subgroups=replace(evidence_of(rich()).subgroups, n_tests=0)))
    printed = " ".join(capsys.readouterr().out.split())
    assert "No gap was tested: in each group or in the rest, a class has fewer than 20 patients." in printed
    assert "Too small to be tested" not in printed
    assert "Significant:" not in printed


def test_groups_with_a_significant_gap_stand_first_in_the_order_of_the_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    subgroups = evidence_of(rich()).subgroups
    turned = replace(subgroups, groups=tuple(reversed(subgroups.groups)))
    flagged = [group.name for group in turned.groups if group.flagged]
    assert flagged == ["PA", "AP"]
    show_evidence(replace(evidence_of(rich()), subgroups=turned))
    lines = capsys.readouterr().out.splitlines()
    places = {
        name: next(n for n, line in enumerate(lines) if line.startswith(f"  {name} "))
        for name in (*flagged, "Mass", "tiny")
    }
    assert sorted(places, key=places.__getitem__) == [*flagged, "Mass", "tiny"]


def test_each_outcome_is_counted_under_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    show_evaluation(rich(), "judged")
    c, point = rich().confusion, rich().operating_point
    assert len(set(c.values())) == 4
    assert (
        f"At {point.threshold:.3f} (youden): {c['tp']} true and {c['fp']} false alarms, {c['fn']} missed, "
        f"{c['tn']} true negatives"
    ) in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["80", "200"])
def test_all_operating_points_stand_in_one_table(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    show_points(rich(), evidence_of(rich()))
    printed = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    grid = [line for line in printed.splitlines() if not line.startswith("95 % intervals.")]
    assert max(map(len, grid)) <= int(columns)
    stated = lines[lines.index("10 % abnormal, as stated:") :]
    c = evidence_of(rich()).points[0].confusion
    assert next(line for line in stated if line.startswith("Of 1,000: found ")).startswith(
        f"Of 1,000: found {100 * c['tp'] / (c['tp'] + c['fn']):.0f} ("
    )
    assert "youden," in printed
    assert [line.split()[0] for line in lines[lines.index("10 % abnormal, as stated:") - 6 :][:3]] == [
        "PPV",
        "NPV",
        "Flagged",
    ]

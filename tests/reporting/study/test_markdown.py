from __future__ import annotations

from dataclasses import replace

from tests.reporting.study.world import NAMES, study_report

from cxreader.reporting.study.markdown import table_markdown
from cxreader.reporting.study.page import render_study
from cxreader.reporting.study.published import STUDY_TITLE


def test_the_table_holds_mean_interval_and_spread_and_the_command() -> None:
    report = study_report()
    text = table_markdown(report)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    widths = {line.count(" | ") for line in rows}
    assert len(widths) == 1  # a ragged table is no table
    assert len(rows) == 2 + len(NAMES) + 2  # and the thumbnail, learnt elsewhere and here
    result = report.comparison.row(NAMES[1])
    auc, seeds = result.metrics["auc"], result.by_seed["auc"]
    assert f"{auc.value:.3f} ({auc.interval}) [{min(seeds):.3f}-{max(seeds):.3f}]" in rows[3]
    assert report.comparison.headline() in text
    assert STUDY_TITLE in text
    assert report.command in text.splitlines()


def test_of_one_training_there_is_no_mean() -> None:
    report = study_report()
    assert "Each cell: the mean over the trainings, its 95 % interval, and in brackets the lowest" in table_markdown(
        report
    )
    one = replace(
        report,
        rows=tuple(replace(row, trainings=row.trainings[:1]) for row in report.rows),
        comparison=replace(report.comparison, rows=tuple(replace(row, seeds=(0,)) for row in report.comparison.rows)),
    )
    assert "Each cell: of one training, with its 95 % interval." in table_markdown(one)
    assert "lowest and highest" not in table_markdown(one)


def test_what_is_undefined_says_why() -> None:
    text = table_markdown(study_report(one_class=True))
    assert "undefined (" in text
    assert "nan" not in text.lower()


def test_the_threshold_of_a_study_is_told_from_an_artifacts_own() -> None:
    report = study_report()
    said = "0.50 on, the same for all networks, so that they compare; an artifact reads, and is judged by cxreader evaluate, at"
    assert said in table_markdown(report)
    assert said in " ".join(render_study(report).split())

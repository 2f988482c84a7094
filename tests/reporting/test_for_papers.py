"""Tables and figures for a paper: what LaTeX and a spreadsheet take, the same bytes each time."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from tests.reporting.evaluation.world import rich as evaluation
from tests.reporting.study.world import NAMES, study_report

from cxreader.reporting.evaluation.figures.evaluation_figures import evaluation_figures
from cxreader.reporting.for_papers import latex, table_csv, table_latex, write_figures, write_tables
from cxreader.reporting.methods import methods_of_evaluation, methods_of_study
from cxreader.reporting.study.study_tables import paper_tables
from cxreader.reporting.tables import Cell, Row, Table

TABLE = Table(
    ("Model & more", "AUC", "n_images"),
    (
        Row("A, b", (Cell("0.91", ("0.88-0.94", "[0.90-0.92]")), Cell("50 %", plain=True)), ("a note",)),
        Row("B", (Cell("undefined", ("no interval: one patient",)), Cell("–", plain=True))),  # noqa: RUF001
    ),
    "Rests on 3 % of $x_1$.",
    over=(("Ours", 1), ("Theirs", 1)),
)


def test_a_table_as_csv_has_value_interval_and_notes_in_columns_of_their_own() -> None:
    first, second = csv.DictReader(table_csv(TABLE).splitlines())
    assert first == {
        "Model & more": "A, b",
        "Model & more, note 1": "a note",
        "Ours: AUC": "0.91",
        "Ours: AUC, interval": "0.88-0.94",
        "Ours: AUC, further": "[0.90-0.92]",
        "Theirs: n_images": "50 %",
    }
    assert second["Ours: AUC, interval"] == "no interval: one patient"
    assert second["Ours: AUC, further"] == ""


def test_a_table_as_latex_is_booktabs_with_nothing_that_latex_would_take_for_a_command() -> None:
    lines = table_latex("sure", TABLE).splitlines()
    assert lines[2:4] == [
        r"\caption{Rests on 3 \% of \$x\_1\$. --: no interval, one patient.}",
        r"\label{tab:sure}",
    ]
    assert lines[4] == r"\begin{tabular}{lrr}"
    assert lines[6:8] == [
        r" & \multicolumn{1}{c}{Ours} & \multicolumn{1}{c}{Theirs} \\",
        r"\cmidrule(lr){2-2} \cmidrule(lr){3-3}",
    ]
    assert lines[8] == r"Model \& more & AUC & n\_images \\"
    assert lines[10] == r"A, b & 0.91 (0.88--0.94; [0.90--0.92]) & 50 \% \\"
    assert lines[11] == r"B & undefined (--) & -- \\"
    assert (lines[5], lines[9], lines[12]) == (r"\toprule", r"\midrule", r"\bottomrule")
    assert latex("a\\b{c}~^<") == r"a\textbackslash{}b\{c\}\textasciitilde{}\textasciicircum{}$<$"


def test_every_table_of_a_study_goes_out_with_the_numbers_of_its_page(tmp_path: Path) -> None:
    report = study_report()
    write_tables(paper_tables(report), tmp_path)
    with (tmp_path / "tables/networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["Network"] for row in rows] == [
        *NAMES,
        "16 x 16 thumbnail, learnt elsewhere",
        "16 x 16 thumbnail, learnt here",
    ]
    assert report.thumbnail is not None
    assert rows[-2]["AUC"] == f"{report.thumbnail.auc.value:.3f}"
    assert report.thumbnail.auc_here is not None
    assert rows[-1]["AUC"] == f"{report.thumbnail.auc_here.value:.3f}"
    for row, result in zip(rows, report.comparison.rows, strict=False):
        gain = report.thumbnail.gains[result.name]
        assert row["AUC minus thumbnail, learnt elsewhere"] == f"{gain.value:+.3f}"
        assert row["AUC minus thumbnail, learnt elsewhere, interval"] == f"{gain.low:+.3f} to {gain.high:+.3f}"
        for title, metric in (("AUC", "auc"), ("Specificity", "specificity"), ("Brier score", "brier")):
            estimate = result.metrics[metric]
            assert row[title] == f"{estimate.value:.3f}"
            assert row[f"{title}, interval"] in (estimate.interval, f"no interval: {estimate.reason}")
    with (tmp_path / "tables/differences.csv").open() as file:
        pairs = list(csv.DictReader(file))
    leads = {frozenset((d.first, d.second)): d for d in report.comparison.of("auc")}
    values = [float(pair["AUC"]) for pair in pairs]
    assert values == sorted(values, reverse=True)  # the one ahead first, the largest lead on top
    for pair in pairs:
        difference = leads.pop(frozenset((pair["First"], pair["Second"])))
        means = [report.comparison.row(pair[name]).metrics["auc"].value for name in ("First", "Second")]
        assert float(pair["AUC"]) == pytest.approx(means[0] - means[1], abs=6e-4)
        assert (pair["AUC, adjusted, interval"] == "holds") == (difference.better is not None)
    assert not leads
    for path in (tmp_path / "tables").glob("*.tex"):
        text = path.read_text()
        widths = {re.sub(r"\\&", "", line).count("&") for line in text.splitlines() if line.endswith(r"\\")}
        assert len(widths) == 1, path.name
        assert text.isascii()


def test_figures_are_vectors_whose_bytes_do_not_change(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_figures({"roc": evaluation_figures(evaluation())["roc"]}, tmp_path / folder)
    for kind, start in (("pdf", b"%PDF-"), ("svg", b"<?xml")):
        first, second = ((tmp_path / folder / f"figures/roc.{kind}").read_bytes() for folder in "ab")
        assert first.startswith(start)
        assert first == second
        assert b"CreationDate" not in first
        assert len(first) < 200_000


def test_the_methods_of_a_study_hold_its_counts_and_statistics() -> None:
    report = study_report()
    text = methods_of_study(report)
    part = report.cohort.parts[0]
    assert (
        f"{part.name} {part.images} images ({part.normal} normal, {part.abnormal} abnormal; {part.patients} patients)"
        in text
    )
    assert "trained from 2 seeds (0, 1)" in text
    assert f"{100 * report.comparison.adjusted_level:.2f} %, adjusted for 3 pairs (Bonferroni)" in text
    assert (
        "as if both were drawn at random (Obuchowski and Rockette 1995, degrees of freedom by Hillis 2007, jackknife"
        in text
    )
    assert "the trainings held fixed (bootstrap by patient" in text
    for name in NAMES:
        assert f"{name}: " in text


def test_the_methods_of_an_evaluation_say_what_its_records_hold_and_nothing_else() -> None:
    found = evaluation()
    facts = {
        "Network": "resnet18 (He 2016), dropout 0.2",
        "Phases": "head (best epoch 3)",
        "Software": "python 3.11, torch 2",
    }
    text = methods_of_evaluation(found, facts)
    assert "Network: resnet18 (He 2016), dropout 0.2." in text
    assert "Trained with python 3.11, torch 2." in text
    assert f"from {found.operating_point.threshold:.4g} on" in text
    assert f"{found.counts.abnormal} abnormal, {found.counts.normal} normal images" in text
    alone = methods_of_evaluation(found, None)
    assert "**Model.**" not in alone
    assert "None" not in text + alone
    assert "nan" not in text.lower().split()

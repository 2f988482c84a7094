"""`cxreader audit shortcuts`: whether a model sees disease, or something that stands beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import DISCLAIMER, fits, progress, say, show, table, waiting
from cxreader.cli.output.evidence_tables import figure_cell, missing
from cxreader.cli.output.out_paths import out_folder
from cxreader.cli.source_options import Data, Kind, Name, OneModel, Part, SplitFile, Tables, UncertainLabels, one_model
from cxreader.counting import format_count
from cxreader.errors import UsageError

if TYPE_CHECKING:
    from cxreader.evaluation.shortcuts.records import ShortcutAudit


def shortcuts(
    run: Annotated[str | None, typer.Argument(help="A run's folder: audits its artifact on its own test part.")] = None,
    model: OneModel = None,
    data: Data = None,
    split: SplitFile = None,
    part: Part = "test",
    kind: Kind = "auto",
    tables: Tables = None,
    name: Name = None,
    uncertain: UncertainLabels = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of pixel caches; the run's, or none that lasts.")] = None,
    out: Annotated[
        Path | None, typer.Option(callback=out_folder, help="Folder for shortcuts.json and shortcuts.html.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds and of the bootstrap.")] = 0,
    fail_on_suspected: Annotated[
        bool, typer.Option("--fail-on-suspected", help="Exit code 1 when a shortcut is suspected; 0 otherwise.")
    ] = False,
) -> None:
    """Set a model beside baselines that see no disease, and say whether a shortcut is suspected.

    Patients who set the model are recognised, counted and left out. The exit code is 0 whatever the verdict, unless
    --fail-on-suspected asks for 1.
    """
    audited = one_model(model)
    if (run is None) == (audited is None) or (run is None) == (data is None):
        mend = "cxreader audit shortcuts RUN, or --model ARTIFACT --data SOURCE"
        raise UsageError("what is to be audited is not clear", mend=mend)
    from cxreader.cli.reading import load_reader

    reader = load_reader(str(run or audited), None)
    from cxreader.assessment.cohort import cohort_of_run, cohort_of_source
    from cxreader.assessment.shortcuts.audit import audit_shortcuts, write_audit
    from cxreader.evaluation.shortcuts.records import SUSPECTED

    with waiting("reading the tables"):
        if run is not None:
            cohort = cohort_of_run(run, part)
        else:
            cohort = cohort_of_source(
                str(data), kind=kind, tables=tables, name=name, uncertain=uncertain, split=split, part=part
            )
    audit = audit_shortcuts(reader, cohort, bar=progress, cache=cache, seed=seed)
    show_shortcuts(audit, f"{cohort.name}, part {cohort.part}")
    if out is not None:
        write_audit(audit, out)
        say(f"report: {out / 'shortcuts.html'}")
    if fail_on_suspected and audit.verdict == SUSPECTED:
        raise typer.Exit(1)


def show_shortcuts(audit: ShortcutAudit, title: str) -> None:
    """The model and its baselines as a table, then the leak and what was not tested; the verdict with its reasons last."""
    from cxreader.reporting.tables import format_patients

    show_confounders(audit, title)
    counts = audit.counts
    lines = [
        f"judged: {format_count(counts.images, '[image|images]')}, {counts.abnormal:,} abnormal, {counts.normal:,} normal; "
        f"{format_patients(counts.patients)}",
        *(f"left out: {count:,}: {reason}" for reason, count in counts.excluded.items()),
        *(f"leak: {line}" for line in audit.leakage.lines),
        *(f"note: {line}" for line in (*audit.warnings, *audit.cautions)),
        f"Verdict: {audit.verdict}. {audit.line}.",
        *(f"  - {reason}" for reason in audit.reasons),
    ]
    show("\n".join(lines))


def show_confounders(audit: ShortcutAudit, title: str) -> None:
    """The model, the baselines that see no disease, and the model on parts of the image: a table.

    Where the terminal is too narrow for a column of what the numbers mean, that stands in lines below it.
    """
    from cxreader.reporting.evaluation.shortcuts import METHOD
    from cxreader.reporting.evaluation.tables.comparison_tables import confounder_words
    from cxreader.reporting.tables import DASH

    rows = [("the model", figure_cell(audit.model), "", "")]
    for confounder in audit.beside:
        auc, gain = confounder.auc, confounder.gain
        numbers = (DASH, DASH)
        if auc.value == auc.value:  # it could be tested
            numbers = (figure_cell(auc), figure_cell(gain))
        rows.append((confounder.title, *numbers, confounder_words(confounder, audit)))
    means = "what it means"
    header: tuple[str, ...] = ("", "AUC", "model minus this", means)
    found = [audit.model, *(e for c in audit.beside for e in (c.auc, c.gain) if e.value == e.value)]
    note = f"Below: 95 % intervals.{missing(found)} {METHOD} {DISCLAIMER}"
    if fits(header, rows, folding=(means,)):
        table(title, header, rows, left=(means,), folding=(means,), note=note)
        return
    words = "\n".join(f"- {name}: {words}" for name, *_, words in rows if words)
    table(title, header[:-1], [row[:-1] for row in rows])
    show(f"What it means:\n{words}")
    show(note, "table.caption")

"""The report of a finished study: its networks, all chosen, are compared on the test part, which is first read here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.split import Split, leak
from cxreader.errors import DataError
from cxreader.evaluation.comparison.networks import NetworkRuns, compare
from cxreader.evaluation.shortcuts.baselines import thumbnail_logistic
from cxreader.evaluation.shortcuts.cross_fit import cross_fit
from cxreader.evaluation.shortcuts.image_features import thumbnails
from cxreader.evaluation.shortcuts.thumbnail import compare_with_thumbnail
from cxreader.models.artifact import load_artifact
from cxreader.progress import Bar, Say, silent
from cxreader.reporting.for_papers import write_figures, write_tables
from cxreader.reporting.methods import methods_of_study
from cxreader.reporting.search.page import tie_words
from cxreader.reporting.study.figures import study_figures
from cxreader.reporting.study.markdown import table_markdown
from cxreader.reporting.study.page import render_study
from cxreader.reporting.study.records import (
    Epoch,
    Grid,
    PhaseCurve,
    StudyReport,
    StudyRow,
    Training,
    Trial,
    Value,
    numbers,
)
from cxreader.reporting.study.study_tables import paper_tables
from cxreader.reporting.style import save_figure
from cxreader.runs import only_process, write_json, write_text
from cxreader.study.cohort_facts import cohort_facts
from cxreader.study.cost import measured_cost
from cxreader.study.held_out import read_test
from cxreader.study.panels import read_panels
from cxreader.study.rows import described
from cxreader.study.search.report import write_report as write_search_report
from cxreader.study.search.winner import finish_winner
from cxreader.study.study import StudyRun, Trainings
from cxreader.training.cohort import Cohort

PAGE, NUMBERS, TABLE, FIGURES, METHODS = "report.html", "study.json", "table.md", "figures", "methods.md"
NO_WEIGHTS, PHANTOM_WEIGHTS = "no transfer", "file phantoms-"


def report_study(trainings: Trainings, *, command: str, say: Say, bar: Bar) -> StudyReport:
    """Read the test part with every training, compare, and write `report.html`, `study.json`, `table.md` and `figures/`."""
    with only_process(trainings.folder.path, "study"):
        report = _judged(trainings, command, say, bar)
        write_report(report, trainings.folder.path)
    return report


def _judged(trainings: Trainings, command: str, say: Say, bar: Bar) -> StudyReport:
    say("every choice is fixed: the test part is read")
    tables = []
    with bar("test part") as progress:
        for done, run in enumerate(trainings.runs, 1):
            tables.append(read_test(run.folder, trainings.cohort)[0])
            if progress is not None:
                progress(done, len(trainings.runs))
    sample = trainings.cohort.sample("test")
    by_row = [list(group) for _, group in groupby(range(len(tables)), key=lambda n: trainings.runs[n].row.name)]
    networks = [
        NetworkRuns(
            trainings.runs[group[0]].row.name,
            tuple(trainings.runs[n].seed for n in group),
            np.stack([tables[n].probability for n in group]),
        )
        for group in by_row
    ]
    with bar("intervals"):
        comparison = compare(sample, networks)
        here, why = _thumbnail_learnt_here(trainings.cohort)
        thumbnail = compare_with_thumbnail(sample, _thumbnail(trainings.cohort), networks, here=here, here_reason=why)
    firsts = [group[0] for group in by_row if trainings.runs[group[0]].row.name not in comparison.unlearned]
    with bar("heat maps"):
        panels = read_panels([trainings.runs[n] for n in firsts], [tables[n] for n in firsts], trainings.cohort)
    return StudyReport(
        title="Study",
        cohort=cohort_facts(trainings.cohort),
        rows=tuple(_row([trainings.runs[n] for n in group], trainings) for group in by_row),
        comparison=comparison,
        panels=panels,
        warnings=_warnings(trainings),
        provenance=_provenance(trainings),
        command=command,
        grid=_grid(trainings, bar),
        thumbnail=thumbnail,
    )


def _thumbnail(cohort: Cohort) -> NDArray[np.float64]:
    """What thumbnails of the training images, all of them, say of the test images (n,)."""
    train, test, sample = cohort.parts["train"], cohort.parts["test"], cohort.sample("train")
    return thumbnail_logistic(train.pixels[train.rows], train.labels, sample.groups, test.pixels[test.rows])


def _thumbnail_learnt_here(cohort: Cohort) -> tuple[NDArray[np.float64] | None, str | None]:
    """What thumbnails of other patients' test images say of the test images (n,); None and the reason where too few can teach."""
    test, sample = cohort.parts["test"], cohort.sample("test")
    try:
        return cross_fit(thumbnails(test.pixels[test.rows]), sample.label, sample.groups), None
    except DataError as error:
        return None, error.what


def write_report(report: StudyReport, out: Path) -> None:
    """The page, its numbers as JSON, its table as Markdown, figures (PNG, PDF, SVG); for a paper `tables/` and `methods.md`."""
    figures = study_figures(report)
    saved = {name: save_figure(figure, out / FIGURES / name) for name, figure in figures.items()}
    write_figures(figures, out, {name: svg for name, (_, svg) in saved.items()})
    write_tables(paper_tables(report), out)
    write_text(out / METHODS, methods_of_study(report))
    write_json(out / NUMBERS, numbers(report))
    write_text(out / TABLE, table_markdown(report))
    write_text(out / PAGE, render_study(report, figures=figures))


def _row(runs: Sequence[StudyRun], trainings: Trainings) -> StudyRow:
    first = runs[0]
    artifact, config = load_artifact(first.folder.artifact), first.folder.load_config()
    settings = described(config, [phase["name"] for phase in artifact.provenance["phases"]])
    if first.row.abnormal_share is not None:
        settings += f"; trained at {first.row.abnormal_share:.0%} abnormal images"
    if first.row.patient_share is not None:
        settings += f"; trained on {100 * first.row.patient_share:g} % of the train part's patients"
    return StudyRow(
        name=first.row.name,
        model=artifact.model,
        weights="phantoms, learnt here" if PHANTOM_WEIGHTS in artifact.transfer else artifact.transfer,
        settings=settings,
        trainings=tuple(_training(run) for run in runs),
        n_tune=sum(artifact.provenance["counts"]["tune"]),
        cost=measured_cost(first.folder, trainings.cohort),
        published=first.row.published if is_published_set(trainings.cohort.index) else None,
    )


def is_published_set(index: Index) -> bool:
    """Whether all images are the NIH's, on which the published figures were made: beside others these say nothing."""
    return all(record.source == "nih" for record in index.records)


def _training(run: StudyRun) -> Training:
    history: dict[str, list[dict[str, Any]]] = json.loads(run.folder.history.read_text(encoding="utf-8"))
    provenance = load_artifact(run.folder.artifact).provenance
    chosen = next(phase for phase in provenance["phases"] if phase["name"] == provenance["chosen_phase"])
    phases = tuple(
        PhaseCurve(
            phase["name"],
            tuple(Epoch(e["train_loss"], e["tune_loss"], e["tune_accuracy"]) for e in history[phase["name"]]),
            phase["best_epoch"] + 1,
        )
        for phase in provenance["phases"]
    )
    accuracy = history[chosen["name"]][chosen["best_epoch"]]["tune_accuracy"]
    seconds = sum(epoch["seconds"] for epochs in history.values() for epoch in epochs)
    return Training(run.seed, phases, accuracy, seconds)


def _grid(trainings: Trainings, bar: Bar) -> Grid | None:
    """The first search of the study, ranked, and by how much its winner's tune figure flatters it."""
    run = next((run for run in trainings.runs if run.search is not None), None)
    if run is None or run.search is None:
        return None
    found = run.search
    ranked = [
        Trial(rank, trial.point, trial.tune_accuracy or 0.0, trial.epochs, trial.seconds)
        for rank, trial in enumerate(found.trials, 1)
    ]
    others = f"{len(found.others)} further trials failed or were ended early. " if found.others else ""
    note = f"{others}Chosen by tune {found.config.training.monitor}; the test part was not part of the search."
    winner = finish_winner(found, say=silent, bar=bar)
    ties = tie_words(write_search_report(found, winner))
    return Grid(tuple(ranked), found.parts["tune"].images, winner.optimism, f"{ties} {note}".lstrip())


def _warnings(trainings: Trainings) -> tuple[str, ...]:
    found = []
    index, split = trainings.cohort.index, trainings.cohort.split
    unknown = sum(record.patient is None for record in index.records)
    if unknown:
        of = (
            "No patient is known"
            if not index.n_patients
            else format_count(unknown, "[image has|images have] no patient")
        )
        found.append(f"{of}: the parts may share patients, and the intervals may be too narrow.")
    if split.kind == "image-random":
        leaking = leak(split, index)
        found.append(
            f"Split at random by image, as the study seems to have been: {leaking}. The test figures flatter every row."
        )
    if index.name.startswith("phantom"):
        found.append("Phantoms: drawn by a program, no patient. No result on them is clinical.")
    rows = {run.row.name: run for run in trainings.runs}  # a row's seeds begin from the same weights
    transfers = {name: load_artifact(run.folder.artifact).transfer for name, run in rows.items()}
    scratch = [name for name, transfer in transfers.items() if transfer.startswith(NO_WEIGHTS)]
    absent = [name for name in scratch if rows[name].row.config.model.weights != "none"]
    if absent:
        found.append(f"No pretrained weights were at hand for {', '.join(absent)}: trained from scratch, no transfer.")
    drawn = [name for name, transfer in transfers.items() if PHANTOM_WEIGHTS in transfer]
    if drawn:
        found.append(f"Weights made here from phantoms, in the place of ImageNet's, for {', '.join(drawn)}.")
    if trainings.earlier_readings:
        times = format_count(trainings.earlier_readings, "[time|times]")
        found.append(
            f"The test part had been read {times} before by other trainings of this folder: it is no longer untouched."
        )
    return tuple(found)


def _provenance(trainings: Trainings) -> dict[str, Value]:
    about = json.loads(trainings.folder.provenance.read_text(encoding="utf-8"))
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items() if v and k != "cxreader")
    split: Split = trainings.cohort.split
    config = trainings.config
    return {
        "cxreader": about["versions"]["cxreader"],
        "date": about["started"][-1],
        "git revision": about["git_revision"],
        "machine": about["machine"],
        "versions": versions,
        "data": trainings.cohort.index.title,
        "input": f"{config.input.size} x {config.input.size} px, {config.input.fit}",
        "split": f"{split.kind}, {split.balance}, digest {split.digest[:16]}",
        "seeds": ", ".join(str(config.seed + n) for n in range(config.study.seeds)),
        "test part read": "once" if not trainings.earlier_readings else f"{trainings.earlier_readings + 1} times",
    }

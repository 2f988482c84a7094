"""`cxreader evaluate`: an artifact on labelled images, or anybody's predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cxreader.cli.output.console import DISCLAIMER, progress, say, show, table, waiting
from cxreader.cli.output.evidence_tables import (
    interval_cell,
    missing,
    show_answered,
    show_evidence,
    show_points,
    show_refusals,
)
from cxreader.cli.output.out_paths import out_folder
from cxreader.cli.readers import PanelReaders, QualityOfLabels, ReadingsFile, show_beside, with_readers
from cxreader.cli.shares import share_of
from cxreader.cli.source_options import (
    Data,
    Kind,
    Name,
    Part,
    SplitFile,
    Tables,
    TermsFile,
    UncertainLabels,
    named_columns,
    one_model,
)
from cxreader.counting import format_count
from cxreader.errors import UsageError

if TYPE_CHECKING:
    from cxreader.evaluation.evaluate import Evaluation
    from cxreader.evaluation.evidence import EvaluationOptions
    from cxreader.evaluation.predictions import TableOptions
    from cxreader.evaluation.worklist.reading_room import ReadingRoom


def evaluate(
    run: Annotated[str | None, typer.Argument(help="A run's folder: judges its artifact on its own test part.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="An artifact's or run's folder, repeatable: judged as they read together; with --predictions, a name there.",
        ),
    ] = None,
    data: Data = None,
    predictions: Annotated[
        list[str] | None,
        typer.Option(help="CSV or Parquet of any product: image,label,probability and, if known, patient. Repeatable."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="With --predictions: probability=score names the files' column; with --readers, score=confidence theirs. "
            "Repeatable."
        ),
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="With --predictions: columns a,b that each hold a model's probability.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="With --predictions: a table image,label that holds the labels.")
    ] = None,
    split: SplitFile = None,
    part: Part = "test",
    kind: Kind = "auto",
    tables: Tables = None,
    name: Name = None,
    uncertain: UncertainLabels = None,
    operating_point: Annotated[str | None, typer.Option(help="Name of the artifact's operating point.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="With --predictions: abnormal from this probability on, 0.4 or 40%.",
            parser=share_of("--threshold"),
            metavar="SHARE",
        ),
    ] = None,
    calibrate: Annotated[
        str | None, typer.Option(help="With --predictions: those of other patients, to fit operating points on.")
    ] = None,
    point: Annotated[
        list[str] | None, typer.Option(help='With --calibrate: "screening: sensitivity 0.95". Repeatable.')
    ] = None,
    alpha: Annotated[
        str | None,
        typer.Option(
            help="With --calibrate: at most this share of a class is called the other, 0.1 if left out; or none."
        ),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Share of abnormal images where it would work, such as 0.1 or 10%.",
            parser=share_of("--prevalence"),
            metavar="SHARE",
        ),
    ] = None,
    second_reading: Annotated[
        str | None, typer.Option(help="CSV image,label: the model is scored against both.")
    ] = None,
    readers: ReadingsFile = None,
    panel_readers: PanelReaders = None,
    label_quality: QualityOfLabels = None,
    images_a_day: Annotated[float | None, typer.Option(help="Simulate a worklist: arrivals a day.")] = None,
    arrivals: Annotated[
        str | None, typer.Option(help="Simulate a worklist: CSV of real times, column arrival.")
    ] = None,
    reading_minutes: Annotated[float | None, typer.Option(help="Mean reading time in minutes.")] = None,
    max_wait: Annotated[
        float | None, typer.Option(help="Minutes after which an image goes before all others on the worklist.")
    ] = None,
    shift: Annotated[list[str] | None, typer.Option(help="Who reads when: 8-18x2@mon-fri. Repeatable.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what looks at the images again: shortcuts, heat maps, boxes.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(callback=out_folder, help="Folder of the report; RUN/evaluation when not given.")
    ] = None,
    excel: Annotated[bool, typer.Option("--excel", help="Write predictions.xlsx too.")] = False,
    terms: TermsFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
) -> None:
    """How sure, for whom, at which threshold, how honest: an artifact on labelled images, or anybody's predictions.

    Patients who set an artifact are recognised, counted and left out.
    """
    from cxreader.assessment.outputs import write_excel
    from cxreader.evaluation.readers.readings import NAMED
    from cxreader.machine import keep_pages
    from cxreader.tables.workbook import refuse_workbook

    keep_pages()
    columns = named_columns(column, NAMED)
    of_readings = {own: columns.pop(own) for own in NAMED if own in columns}
    judged = one_model(model) if predictions or run is not None else None
    place = _place(run, model, data, predictions, out)
    if excel:
        refuse_workbook(place)
    named: dict[str, str | None] = {"tables": tables, "name": name, "uncertain": uncertain, "split": split}
    of_source: dict[str, object] = {"kind": kind != "auto", **named}
    fitted: dict[str, object] = {"point": point, "alpha": alpha}
    told: dict[str, object] = {"column": columns, "models": models, "labels": labels}
    if predictions:
        of_images = {"part": part != "test", "operating-point": operating_point, "quick": quick, "terms": terms}
        _refuse_strays("--predictions", of_images | of_source)
        _refuse_strays("--predictions without --calibrate", {} if calibrate else fitted)
    else:
        fitted |= {"threshold": threshold is not None, "calibrate": calibrate, **told}
        _refuse_strays("an artifact" if run is None else "a run", fitted if run is None else fitted | of_source)
    room = _room(images_a_day, arrivals, reading_minutes, shift, max_wait)
    options = with_readers(
        _options(prevalence, room, second_reading, max_wait), readers, panel_readers, label_quality, of_readings
    )
    if predictions:
        evaluation, title = _predictions(
            predictions,
            judged,
            (threshold, calibrate, point, alpha),
            options,
            place,
            seed,
            _told(columns, models, labels),
        )
    else:
        source = {"kind": kind, "part": part, **named}
        evaluation, title = _artifact(
            run,
            model,
            data,
            options,
            place,
            operating_point=operating_point,
            quick=quick,
            seed=seed,
            source=source,
            terms=terms,
        )
    if excel:
        write_excel(place)
    show_evaluation(evaluation, title)
    if not (predictions or quick):
        _show_shortcuts(place)
    say(f"report: {place / 'report.html'}")


def _place(
    run: str | None, model: list[str] | None, data: str | None, predictions: list[str] | None, out: Path | None
) -> Path:
    """The report's folder; raises UsageError unless one run, one artifact on images or predictions are to be judged."""
    from cxreader.runs import RunFolder

    place = out or (RunFolder(Path(run)).evaluation if run else None)
    ways = sum((bool(predictions), run is not None, data is not None))
    if place is None and ways == 1 and (predictions or model):
        raise UsageError("--out is missing", where="cxreader evaluate", mend="add it, such as --out report")
    if place is None or ways != 1 or (data is not None and model is None) or (run and model):
        mend = "cxreader evaluate RUN, or --model A --data SOURCE --out DIR, or --predictions FILE --out DIR"
        raise UsageError("what is to be judged is not clear", mend=mend)
    return place


def _refuse_strays(way: str, given: Mapping[str, object]) -> None:
    """An option that this way of judging would pass over is refused."""
    stray = next((name for name, value in given.items() if value), None)
    if stray is not None:
        raise UsageError(f"--{stray} does not go with {way}", mend="leave it out")


def _error_bound(text: str | None) -> float | Literal["none"]:
    """The conformal error bound of `--alpha`; raises UsageError for what is neither a share nor `none`."""
    if text is None or text == "none":
        return 0.1 if text is None else "none"
    return share_of("--alpha")(text)


def _options(
    prevalence: float | None, room: ReadingRoom | None, second_reading: str | None, max_wait: float | None
) -> EvaluationOptions:
    from cxreader.evaluation.comparison.second_reading import read_labels
    from cxreader.evaluation.evidence import EvaluationOptions

    second = None if second_reading is None else read_labels(second_reading)
    return EvaluationOptions(prevalence=prevalence, room=room, second=second, max_wait=max_wait)


def _told(columns: Mapping[str, str], models: str | None, labels: str | None) -> TableOptions:
    """How the tables are told; raises UsageError for models that are none."""
    from cxreader.evaluation.predictions import TableOptions

    several = [name.strip() for name in models.split(",")] if models is not None else []
    if "" in several or len(set(several)) < len(several):
        raise UsageError(f"{models!r} names no models", where="--models", mend="write their columns as a,b")
    return TableOptions(columns, tuple(several), labels)


def _predictions(
    files: list[str],
    model: str | None,
    fitting: tuple[float | None, str | None, list[str] | None, str | None],
    options: EvaluationOptions,
    place: Path,
    seed: int,
    told: TableOptions,
) -> tuple[Evaluation, str]:
    """Judge tables of predictions; `fitting`: threshold, predictions to calibrate on, operating points and error bound."""
    from cxreader.assessment.predictions import Fitting, judge_predictions
    from cxreader.config import DEFAULT_POINTS

    threshold, calibrate, points, alpha = fitting
    rules = Fitting(threshold, calibrate, tuple(points or DEFAULT_POINTS), _error_bound(alpha))
    evaluation = judge_predictions(
        files, place, rules, options=options, bar=progress, model=model, tables=told, seed=seed, say=say
    )
    return evaluation, f"{evaluation.provenance['predictions']}, model {evaluation.provenance['model']}"


def _artifact(
    run: str | None,
    models: list[str] | None,
    data: str | None,
    options: EvaluationOptions,
    place: Path,
    *,
    operating_point: str | None,
    quick: bool,
    seed: int,
    source: dict[str, str | None],
    terms: Path | None = None,
) -> tuple[Evaluation, str]:
    """Judge the artifact of a run on its own part, or those of `models`, as they read, on `data`, which `source` describes."""
    from cxreader.atomic import write_whole
    from cxreader.cli.reading import load_reader

    several = [run] if run is not None else models or []
    for path in several:
        _check_whole(path)
    reader = load_reader(several, operating_point, terms=terms)
    from cxreader.assessment.artifact import judge
    from cxreader.assessment.cohort import cohort_of_run, cohort_of_source

    with waiting("reading the tables"):
        cohort = cohort_of_run(run, str(source["part"])) if run is not None else cohort_of_source(str(data), **source)  # type: ignore[arg-type] # checked there
    if len(several) > 1:
        from cxreader.assessment.several import judge_several

        evaluation = judge_several(
            reader, cohort, place, bar=progress, options=options, quick=quick, seed=seed, say=say
        )
    else:
        evaluation = judge(reader, cohort, place, bar=progress, options=options, quick=quick, seed=seed, say=say)
    if reader.site:
        write_whole(place / "terms.toml", reader.site.to_toml().encode())
    return evaluation, f"{cohort.name}, part {cohort.part}"


def _check_whole(path: str) -> None:
    """Check every file of an artifact, the weights too beside the export that reads; a copy with the export alone is judged.

    What cannot be measured without the weights, or without torch, is said. Raises ArtifactError.
    """
    import importlib.util

    from cxreader.models.artifact import WEIGHTS, load_artifact
    from cxreader.runs import artifact_folder

    folder = artifact_folder(path)
    exported = bool(load_artifact(folder, weights=False, exports=False).exports)
    there = (folder / WEIGHTS).exists()
    load_artifact(folder, weights=there or not exported)
    if exported and not (there and importlib.util.find_spec("torch")):
        why = "torch is not installed (pip install 'cxreader[train]')" if there else f"the folder holds no {WEIGHTS}"
        say(
            f"judged by its export alone: {why}; the randomisation test is left out, and heat maps that the export lacks"
        )


def _show_shortcuts(place: Path) -> None:
    """The audit for shortcuts that the evaluation wrote into its folder: a suspicion, said above, with all its reasons."""
    from cxreader.cli.shortcuts import show_confounders
    from cxreader.evaluation.shortcuts.records import NOT_FOUND, SUSPECTED, TOO_FEW, ShortcutAudit

    audit = ShortcutAudit.from_dict(json.loads((place / "shortcuts.json").read_bytes()))
    show_confounders(audit, "Beside what sees no disease")
    lead = {
        NOT_FOUND: f"{audit.line}.",
        SUSPECTED: "Why a shortcut is suspected:",
        TOO_FEW: "What is not known well enough:",
    }
    reasons = [f"- {reason}" for reason in audit.reasons]
    show("\n".join((lead[audit.verdict], *reasons, *(f"leak: {line}" for line in audit.leakage.lines))))


def _room(
    images_a_day: float | None,
    arrivals: str | None,
    minutes: float | None,
    shifts: list[str] | None,
    max_wait: float | None,
) -> ReadingRoom | None:
    """The reading room whose worklist is to be simulated, if any is described; UsageError where nothing arrives in it."""
    if images_a_day is None and arrivals is None:
        if (minutes, shifts, max_wait) != (None, None, None):
            raise UsageError("a worklist needs arrivals", mend="give --images-a-day or --arrivals")
        return None
    from cxreader.evaluation.worklist.reading_room import ALWAYS, ReadingRoom, ReadingTime, Shift, read_arrivals

    return ReadingRoom(
        reading=None if minutes is None else ReadingTime("exponential", minutes),
        rate=images_a_day,
        recorded=None if arrivals is None else read_arrivals(arrivals),
        shifts=tuple(Shift.parse(text) for text in shifts) if shifts else ALWAYS,
    )


def show_evaluation(evaluation: Evaluation, title: str) -> None:
    """What a reader must know first, every figure with its interval and its counts, and the evidence in short."""
    from cxreader.evaluation.statistics.metrics import METRIC_TITLES
    from cxreader.reporting.evaluation.readers import truths_apart
    from cxreader.reporting.tables import format_value, methods_of

    figures = {
        **{METRIC_TITLES[k]: v for k, v in evaluation.metrics.items()},
        **{f"Baseline: {k}": v for k, v in evaluation.baselines.items()},
        **{k.replace("auc minus", "AUC minus"): v for k, v in evaluation.comparisons.items()},
    }
    rows = [
        (n, format_value(e), interval_cell(e), f"{e.n_positive}/{e.n_negative}", e.n_patients or "unknown")
        for n, e in figures.items()
    ]
    c, point = evaluation.confusion, evaluation.operating_point
    excluded = "".join(
        f"; {format_count(count, '[image|images]')} left out: {reason}"
        for reason, count in evaluation.counts.excluded.items()
    )
    outcomes = f"{c['tp']} true and {c['fp']} false alarms, {c['fn']} missed, {c['tn']} true negatives"
    where = f"At {point.threshold:.3f} ({point.name}): {outcomes}{excluded}."
    note = f"{where}\nIntervals: {methods_of(evaluation.metrics.values())}.{missing(figures.values())} {DISCLAIMER}"
    if evaluation.verdict is not None:
        show(f"{evaluation.verdict.line}.")
        for line in (*evaluation.verdict.reasons[1:], *evaluation.verdict.cautions):
            show(f"- {line}")
    if evaluation.provenance.get("trained on"):
        show(f"Trained on: {evaluation.provenance['trained on']}.")
    for warning in evaluation.further_warnings:
        show(f"Warning: {warning}")
    apart = truths_apart(evaluation)
    note = "\n".join(filter(None, (apart, note)))
    table(title, ("figure", "value", "95 % interval", "abnormal/normal", "patients"), rows, note=note)
    if evaluation.evidence is not None:
        show_points(evaluation, evaluation.evidence)
        show_evidence(evaluation.evidence)
        show_beside(evaluation, evaluation.evidence)
    if evaluation.refusals is not None:
        show_refusals(evaluation.refusals)
    if evaluation.answered is not None:
        show_answered(evaluation)

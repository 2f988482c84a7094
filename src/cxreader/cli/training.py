"""`cxreader train`, `cxreader evaluate`, `cxreader models`, `cxreader demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.console import DISCLAIMER, State, progress, say, table, waiting
from cxreader.errors import UsageError

if TYPE_CHECKING:
    from cxreader.evaluation.evaluate import Evaluation


def train(
    config: Annotated[Path, typer.Argument(help="A TOML file, such as configs/kermany.toml.")],
    out: Annotated[Path, typer.Option(help="The run's folder; its artifact is OUT/artifact.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> None:
    """Train, calibrate and save an artifact. Interrupt at any time: --resume gives the same weights."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.training.train import train as run
    trained = run(settings, out, resume=resume, say=say, bar=no_bar if State.quiet else progress)
    rows = [
        (r.name, f"{r.best_epoch + 1} of {len(r.history)}", f"{r.best_score:.4f}", f"{r.seconds:.0f} s")
        for r in trained.phases
    ]
    tune = sum(trained.artifact.provenance["counts"]["tune"])
    chosen = f"Chosen: {trained.chosen.name}. These figures chose the model, on {tune} tune images"
    note = f"{chosen}: no interval; judge it with cxreader evaluate {out}"
    table(
        trained.artifact.transfer, ("phase", "best epoch", f"tune {settings.training.monitor}", "time"), rows, note=note
    )
    say(f"artifact: {trained.folder}")


def evaluate(
    run: Annotated[str | None, typer.Argument(help="A run's folder: judges its artifact on its own test part.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="An artifact's or run's folder.")] = None,
    data: Annotated[
        str | None, typer.Option(help="A labelled source: NIH folder, table, normal/abnormal tree, index.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="A split file; without it every image is judged.")] = None,
    part: Annotated[str, typer.Option(help="train, tune, calibrate or test, of the split.")] = "test",
    kind: Annotated[str, typer.Option(help="What the source is: auto, nih, table or folder.")] = "auto",
    tables: Annotated[str | None, typer.Option(help="Folder of the NIH tables, when they lie elsewhere.")] = None,
    name: Annotated[str | None, typer.Option(help="The data set's name.")] = None,
    operating_point: Annotated[str | None, typer.Option(help="Name of the operating point.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the report; RUN/evaluation when not given.")] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Judge an artifact on labelled images; patients who set it are recognised, counted and left out."""
    from cxreader.cli.reading import load_reader
    from cxreader.runs import RunFolder

    place = out or (RunFolder(Path(run)).evaluation if run else None)
    if place is None or (run is None) == (model is None) or (run is None) == (data is None):
        raise UsageError(
            "what is to be judged is not clear", mend="cxreader evaluate RUN, or --model A --data SOURCE --out DIR"
        )
    reader = load_reader(str(run or model), operating_point)
    from cxreader.study.judge import ask_run, ask_source, judge

    with waiting("reading the tables"):
        if run is not None:
            question = ask_run(run, part)
        else:
            question = ask_source(str(data), kind=kind, tables=tables, name=name, split=split, part=part)
    evaluation = judge(reader, question, place, bar=progress, seed=seed)
    show_evaluation(evaluation, f"{question.index.name}, part {question.part}")
    say(f"report: {place / 'report.html'}")


def models() -> None:
    """List the networks."""
    from cxreader.models.registry import list_models

    rows = [(m.name, m.pretrained or "none", m.reference) for m in list_models()]
    table(
        "Networks",
        ("name", "pinned ImageNet weights", "reference"),
        rows,
        left=("pinned ImageNet weights", "reference"),
    )


def demo(
    out: Annotated[Path, typer.Option(help="A new folder.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, other phantoms.")] = 0,
) -> None:
    """The whole path on phantoms in minutes: draw, split, train, evaluate, read; ends in one HTML page."""
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.study.demo import run_demo
    page, evaluation = run_demo(out, seed=seed, say=say, bar=no_bar if State.quiet else progress)
    show_evaluation(evaluation, "phantoms (drawn by a program, no patients), part test")
    say(f"page: {page.resolve()}")


def show_evaluation(evaluation: Evaluation, title: str) -> None:
    """Every figure with its interval and its counts, and below them what a reader of the table must know."""
    figures = {
        **evaluation.metrics,
        **{f"baseline: {k}": v for k, v in evaluation.baselines.items()},
        **evaluation.comparisons,
    }
    rows = [
        (n, _value(e.value), e.interval, f"{e.n_positive}/{e.n_negative}", e.n_patients or "unknown")
        for n, e in figures.items()
    ]
    c, point = evaluation.confusion, evaluation.operating_point
    excluded = "".join(f"; {count:,} left out: {reason}" for reason, count in evaluation.counts.excluded.items())
    outcomes = f"{c['tp']} true and {c['fp']} false alarms, {c['fn']} missed, {c['tn']} rightly left alone"
    where = f"At {point.threshold:.3f} ({point.name}): {outcomes}{excluded}."
    warnings = "".join(f"\nWarning: {warning}" for warning in evaluation.warnings)
    note = f"{where} Intervals: {evaluation.metrics['auc'].method}. {DISCLAIMER}{warnings}"
    table(title, ("figure", "value", "95 % interval", "abnormal/normal", "patients"), rows, note=note)


def _value(value: float) -> str:
    return "undefined" if value != value else f"{value:.3f}"

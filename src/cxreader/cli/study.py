"""`cxreader study`: several trainings that answer one question."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.cluster_options import Address, TrialCores, TrialsEngine, trials_engine
from cxreader.cli.output.console import DISCLAIMER, State, one_line, progress, say, table, waiting
from cxreader.cli.output.out_paths import out_folder
from cxreader.cli.places import regions
from cxreader.counting import format_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cxreader.reporting.study.records import StudyReport
    from cxreader.study.learning_rates import SweepRun

app = typer.Typer(help="Several trainings that answer one question.", no_args_is_help=True)
app.command("regions")(regions)


@app.callback()
def study() -> None:
    """Several trainings that answer one question."""


@app.command("run")
def run(
    config: Annotated[Path, typer.Argument(help="A TOML file, such as configs/study-phantom.toml.")],
    out: Annotated[Path, typer.Option(callback=out_folder, help="The study's folder; the page is OUT/report.html.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; what is finished is not run again.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the searches, on this machine.")] = 1,
    engine: TrialsEngine = "local",
    address: Address = None,
    cores: TrialCores = None,
) -> None:
    """Train several networks on one split, judge them side by side on one test part, and write one report."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.reporting.study.network_tables import short_table
        from cxreader.study.report import PAGE, report_study
        from cxreader.study.study import train_rows
    bar = no_bar if State.quiet else progress
    with trials_engine(engine, address, cores, workers) as tries:
        trainings = train_rows(settings, out, resume=resume, workers=workers, engine=tries, say=say, bar=bar)
    changes = "".join(f" --set {shlex.quote(change)}" for change in overrides or ())
    report = report_study(trainings, command=f"cxreader study run {config} --out {out}{changes}", say=say, bar=bar)
    shown = short_table(report)
    note = f"{shown.caption} {_study_note(report)}".strip()
    table(report.headline, shown.head, shown.lines, note=note)
    say(f"report: {(out / PAGE).resolve()}")


def _study_note(report: StudyReport) -> str:
    """Below the table: what the numbers are, and what a reader must know."""
    from cxreader.reporting.study.markdown import SHARED

    warnings = "".join(f"\nWarning: {warning}" for warning in report.cautions)
    of = "Mean over the seeds" if max(len(row.trainings) for row in report.rows) > 1 else "One training a row"
    what = f"{of}, called abnormal from {report.comparison.threshold:g} on, {SHARED}."
    return f"{report.detail} {what} {DISCLAIMER}{warnings}"


@app.command("forecast")
def forecast(
    config: Annotated[Path, typer.Argument(help="The TOML file of a study.")],
    images: Annotated[int, typer.Option(min=8, help="Images in all, such as the config's split.size.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
) -> None:
    """Measure images a second here, and say how many hours a study would take at most. Needs no images."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.study.forecast import SECONDS
        from cxreader.study.forecast import forecast as measure
    from cxreader.reporting.pages import format_duration

    found = measure(settings, images, say=say)
    rows = [
        (
            row.name,
            str(row.trainings),
            str(row.epochs),
            "" if row.rates.frozen == float("inf") else f"{row.rates.frozen:,.0f}",
            "\n".join(f"{phase} {rate:,.0f}" for phase, rate in row.rates.learning.items()),
            format_duration(row.first_pass) if row.first_pass else "",
            format_duration(row.seconds),
        )
        for row in found
    ]
    header = ("row", "trainings", "epochs each", "images/s frozen", "images/s learning", "first pass", "time")
    total = f"{format_duration(sum(row.seconds for row in found))} at most for {images:,} images: no phase stops early here."
    rates = f"Rates: random pixels, {SECONDS:g} s each on this machine, no interval."
    note = f"{total} {rates} Decoding, drawing phantoms, reading the test part and the figures come on top."
    table(one_line(f"Forecast of {config}"), header, rows, note=note)


@app.command("learning-rates")
def learning_rates(
    config: Annotated[Path, typer.Argument(help="A TOML file with the one phase `full`.")],
    rates: Annotated[list[float], typer.Option("--lr", min=0, help="A learning rate; give several.")],
    out: Annotated[
        Path, typer.Option(callback=out_folder, help="The sweep's folder; given again, it goes on where it stood.")
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Runs a rate: the config's seed and the next ones.")] = 3,
    steps: Annotated[int, typer.Option(min=0, help="First steps of every run that are measured one by one.")] = 4,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
) -> None:
    """Train at every rate from several seeds, and show where the network learns, where it stays at ln 2, and why."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.study.learning_rates import RULE, sweep
    bar = no_bar if State.quiet else progress
    runs = sweep(settings, rates, seeds, out, steps=steps, say=say, bar=bar)
    header = ("rate", "learn", "stay", "train loss", "tune accuracy", "AUC", "dead")
    images = round(runs[0].probe["images"])
    rows = [_row([run for run in runs if run.lr == rate], images) for rate in sorted({run.lr for run in runs})]
    title = f"{settings.model.name}: lowest to highest of {format_count(seeds, '[seed|seeds]')}, last epoch, {images} tune images"
    table(title, header, rows, note=f"{RULE} dead = hidden units that are zero for every tune image.")
    say(f"every epoch and step: {out / 'learning_rates.json'}; figure: {out / 'learning_rates.svg'}")


def _row(runs: Sequence[SweepRun], images: int) -> tuple[str, ...]:
    """One rate: how many of its runs learn and stay, and the lowest and highest of each figure over its seeds."""
    learn, stay = (sum(run.verdict == kind for run in runs) for kind in ("learns", "stays"))
    last = [run.epochs[-1] for run in runs]
    accuracy = [epoch["tune_accuracy"] for epoch in last]
    right = _span((round(value * images) for value in accuracy), "d")
    return (
        f"{runs[0].lr:g}",
        f"{learn}/{len(runs)}",
        f"{stay}/{len(runs)}",
        _span((epoch["train_loss"] for epoch in last), ".3f"),
        f"{_span(accuracy, '.2f')} ({right})",
        _span((epoch["tune_auc"] for epoch in last), ".2f"),
        _span((100 * run.probe["dead_share"] for run in runs), ".0f") + "%",
    )


def _span(values: Iterable[float], form: str) -> str:
    """Lowest to highest; one number where they read the same."""
    low, *_, high = [format(value, form) for value in sorted([*values] * 2)]
    return low if low == high else f"{low}-{high}"


@app.command("learning-curve")
def learning_curve(
    config: Annotated[Path, typer.Argument(help="A TOML file with the one phase `full` and pretrained weights.")],
    out: Annotated[
        Path, typer.Option(callback=out_folder, help="The study's folder; given again, it goes on where it stood.")
    ],
    shares: Annotated[
        list[float] | None,
        typer.Option("--share", min=0, max=1, help="Of the training patients; give several (0.1, 0.5 and 1)."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs a share and arm: the config's seed and the next ones.")] = 3,
    max_epochs: Annotated[int, typer.Option(min=1, help="Most epochs a small share gets, to see as many images.")] = 20,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
) -> None:
    """Train from scratch and from the config's weights at several shares of the patients, and show what the weights gain."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.reporting.study.learning_curve import HEADER, INTERVALS, table_rows
        from cxreader.study.transfer.learning_curve import SHARES
        from cxreader.study.transfer.learning_curve import learning_curve as study_curve
    bar = no_bar if State.quiet else progress
    found = study_curve(settings, shares or SHARES, seeds, out, max_epochs=max_epochs, say=say, bar=bar)
    note = f"{found.verdict}\n{INTERVALS}\n{found.rule}"
    table(found.title, HEADER, table_rows(found.results), note=note, left=("weights",))
    say(f"every run: {out / 'learning_curve.json'}; table and figure: {out / 'learning_curve.md'}, .svg")


@app.command("search")
def search(
    config: Annotated[Path, typer.Argument(help="A TOML file with [study.space], such as configs/grid.toml.")],
    out: Annotated[Path, typer.Option(callback=out_folder, help="The search's folder.")],
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time, on this machine.")] = 1,
    engine: TrialsEngine = "local",
    address: Address = None,
    cores: TrialCores = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is unfinished or failed.")] = False,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
) -> None:
    """Try every point of a space of configurations, chosen by train and tune alone; then judge the winner on the test part."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.reporting.search.page import CHOSEN, judged_rows, no_winner, ranked_table, tie_words
        from cxreader.study.search.report import PAGE, write_report
        from cxreader.study.search.search import search as study_search
        from cxreader.study.search.winner import finish_winner
    bar = no_bar if State.quiet else progress
    with trials_engine(engine, address, cores, workers) as tries:
        result = study_search(settings, out, workers=workers, engine=tries, resume=resume, say=say, bar=bar)
    report = write_report(result, winner := finish_winner(result, say=say, bar=bar))
    header, rows = ranked_table(report)
    title = f"{settings.model.name}: the best {len(rows)} of {len(result.trials)} complete trials ({len(result.others)} others)"
    note = " ".join(filter(None, (tie_words(report), f"Tune figures on {report.parts['tune']}. {CHOSEN}")))
    table(title, header, rows, note=note)
    on_whom = "95 % interval, and on whom"
    whose = "The finished trial" if no_winner(report) else "The winner"
    table(
        f"{whose}, trial {report.rows[0].number}, by the larger logit",
        ("figure", "value", on_whom),
        judged_rows(report.winner),
        left=(on_whom,),
    )
    if winner.earlier_readings:
        times = format_count(winner.earlier_readings, "[time|times]")
        say(
            f"warning: the test part had been read {times} before by other winners of this folder: it is no longer untouched"
        )
    say(f"report: {out / PAGE}; every trial: {out / 'trials.csv'}; the winner's artifact: {winner.folder / 'artifact'}")


@app.command("cross-validate")
def cross_validate(
    config: Annotated[Path, typer.Argument(help="A TOML file, as `cxreader train` takes it.")],
    out: Annotated[Path, typer.Option(callback=out_folder, help="The folder; the page is OUT/report.html.")],
    folds: Annotated[
        int, typer.Option(min=2, help="How many models are trained; each judges its share of the patients.")
    ] = 5,
    judge_sources: Annotated[
        list[str] | None,
        typer.Option(help="Of several sources, the one whose images are judged (its folder's name). Repeatable."),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on; what is finished is not run again.")] = False,
) -> None:
    """Train and judge once a fold, so that every patient is judged by a model that never met him: for small sets."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.reporting.study.cross_validation import HOW, PAGE, headline, short_table
        from cxreader.study.cross_validation import cross_validate as study_folds
    bar = no_bar if State.quiet else progress
    changes = "".join(f" --set {shlex.quote(change)}" for change in overrides or ())
    judged = "".join(f" --judge-sources {shlex.quote(name)}" for name in judge_sources or ())
    command = f"cxreader study cross-validate {config} --folds {folds} --out {out}{judged}{changes}"
    sources = tuple(judge_sources or ())
    made = study_folds(settings, folds, out, judge_sources=sources, resume=resume, command=command, say=say, bar=bar)
    notes = "".join(f"\nWarning: {note}" for note in made.notes)
    shown = short_table(made)
    note = f"{made.counts}. {shown.caption} {HOW} {DISCLAIMER}{notes}".replace("  ", " ")
    table(headline(made), shown.head, shown.lines, note=note)
    say(f"report: {(out / PAGE).resolve()}; out-of-fold predictions: {out / 'predictions.csv'}")

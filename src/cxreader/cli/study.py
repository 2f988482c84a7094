"""`cxreader study`: several trainings that answer one question."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.console import State, progress, say, table, waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cxreader.study.learning_rates import SweepRun

app = typer.Typer(help="Several trainings that answer one question.", no_args_is_help=True)


@app.callback()
def study() -> None:
    """Several trainings that answer one question."""


@app.command("learning-rates")
def learning_rates(
    config: Annotated[Path, typer.Argument(help="A TOML file with the one phase `full`.")],
    rates: Annotated[list[float], typer.Option("--lr", min=0, help="A learning rate; give several.")],
    out: Annotated[Path, typer.Option(help="The sweep's folder; given again, it goes on where it stood.")],
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
    title = f"{settings.model.name}: lowest to highest of {seeds} seeds, last epoch, {images} tune images"
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
    out: Annotated[Path, typer.Option(help="The study's folder; given again, it goes on where it stood.")],
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
        from cxreader.reporting.learning_curve import HEADER, INTERVALS, table_rows
        from cxreader.study.learning_curve import SHARES
        from cxreader.study.learning_curve import learning_curve as study_curve
    bar = no_bar if State.quiet else progress
    found = study_curve(settings, shares or SHARES, seeds, out, max_epochs=max_epochs, say=say, bar=bar)
    note = f"{found.verdict}\n{INTERVALS}\n{found.rule}"
    table(found.title, HEADER, table_rows(found.results), note=note, left=("weights",))
    say(f"every run: {out / 'learning_curve.json'}; table and figure: {out / 'learning_curve.md'}, .svg")

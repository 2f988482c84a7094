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
        from cxreader.study.learning_rates import RULE, sweep
        from cxreader.training.train import no_bar
    bar = no_bar if State.quiet else progress
    runs = sweep(settings, rates, seeds, out, steps=steps, say=say, bar=bar)
    header = ("learning rate", "learn", "stay", "train loss", "tune accuracy", "tune AUC", "dead units", "after step 1")
    rows = [_row([run for run in runs if run.lr == rate]) for rate in sorted({run.lr for run in runs})]
    title = f"{settings.model.name}, last epoch; {runs[0].probe['images']:.0f} tune images, {seeds} seeds a rate"
    table(title, header, rows, note=RULE)
    say(f"every epoch and step: {out / 'learning_rates.json'}; figure: {out / 'learning_rates.svg'}")


def _row(runs: Sequence[SweepRun]) -> tuple[str, ...]:
    """One rate: how many of its runs learn and stay, and the lowest and highest of each figure over its seeds."""
    learn, stay = (sum(run.verdict == kind for run in runs) for kind in ("learns", "stays"))
    last = [run.epochs[-1] for run in runs]
    figures = (_span(epoch[name] for epoch in last) for name in ("train_loss", "tune_accuracy", "tune_auc"))
    second = [run.first_steps[1]["dead_share"] or 0.0 for run in runs if len(run.first_steps) > 1]
    dead = (_span((run.probe["dead_share"] for run in runs), ".0%"), _span(second, ".0%"))
    return (f"{runs[0].lr:g}", f"{learn} of {len(runs)}", f"{stay} of {len(runs)}", *figures, *dead)


def _span(values: Iterable[float], form: str = ".3f") -> str:
    """Lowest to highest."""
    ordered = sorted(values)
    return f"{ordered[0]:{form}} to {ordered[-1]:{form}}" if ordered else ""

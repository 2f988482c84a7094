"""`cxreader train`, `cxreader models`, `cxreader demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxreader.cli.evaluating import show_evaluation
from cxreader.cli.output.console import State, progress, say, table, waiting
from cxreader.cli.output.out_paths import out_folder


def train(
    config: Annotated[Path, typer.Argument(help="A TOML file, such as configs/kermany.toml.")],
    out: Annotated[Path, typer.Option(callback=out_folder, help="The run's folder; its artifact is OUT/artifact.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> None:
    """Train, calibrate and save an artifact. Interrupt at any time: --resume gives the same weights."""
    from cxreader.config import load_config

    settings = load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.training.train import train as run
    from cxreader.inference.runtimes.export import export_after_training

    trained = run(settings, out, resume=resume, say=say, bar=no_bar if State.quiet else progress)
    export_after_training(trained.folder, say)
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


def demo(
    out: Annotated[Path, typer.Option(callback=out_folder, help="A new folder.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Another seed, other phantoms.")] = 0,
) -> None:
    """The whole path on phantoms in minutes: draw, split, train, evaluate, read; ends in one HTML page."""
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.study.demo import run_demo
    page, evaluation = run_demo(out, seed=seed, say=say, bar=no_bar if State.quiet else progress)
    show_evaluation(evaluation, "phantoms (drawn by a program, no patients), part test")
    say(f"page: {page.resolve()}")

"""`cxreader quantise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxreader.cli.output.console import State, progress, say, table, waiting
from cxreader.cli.output.evidence_tables import interval_cell
from cxreader.cli.output.out_paths import out_folder
from cxreader.cli.source_options import Kind, Name, OneModel, Tables, UncertainLabels, one_model
from cxreader.errors import UsageError

Images = Annotated[
    str | None,
    typer.Option("--data", help="The labelled images that it was trained on; where its run found them when left out."),
]


def quantise(
    out: Annotated[Path, typer.Option(callback=out_folder, help="Folder of the new artifact.")],
    model: OneModel = None,
    data: Images = None,
    kind: Kind = "auto",
    tables: Tables = None,
    name: Name = None,
    uncertain: UncertainLabels = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that decode; all cores when left out.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the samples of training images.")] = 0,
) -> None:
    """Make a new artifact that computes in 8 bits, calibrated anew; refused where it answers otherwise."""
    place = one_model(model)
    if place is None:
        raise UsageError("no model is named", where="--model", mend="cxreader quantise --model A --data SOURCE --out B")
    with waiting("loading the model"):
        from cxreader.assessment.quantisation import quantise as run
        from cxreader.assessment.quantisation_gate import GATE, WORDS
        from cxreader.data.sources import open_source
        from cxreader.machine import keep_pages
        from cxreader.progress import no_bar
    keep_pages()
    index = None
    if data is not None:
        index = open_source(data, kind=kind, tables=tables, name=name, uncertain=uncertain)  # type: ignore[arg-type] # checked there
    made = run(place, index, out, seed=seed, workers=workers, say=say, bar=no_bar if State.quiet else progress)
    gate = made.gate
    rows = [
        (WORDS[what], f"{(one := getattr(gate, what)).value:.4f}", interval_cell(one, 4), f"{most:g}")
        for what, most in GATE.items()
    ]
    counts = f"{gate.auc.n_positive:,} abnormal and {gate.auc.n_negative:,} normal"
    note = f"On the {counts} images that both were calibrated on; the largest change of a probability is {gate.largest:.3f}."
    table(
        f"Artifact {made.artifact.id}, in 8 bits",
        ("what changed", "value", "95 % interval", "allowed"),
        rows,
        note=note,
    )
    say(f"written to {out}; judge it: cxreader evaluate --model {out} --data SOURCE --out report")

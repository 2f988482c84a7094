"""`cxreader audit places` and `cxreader study regions`: what maps know of where findings are, by patients they have not met."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import DISCLAIMER, State, progress, say, show, table, waiting
from cxreader.cli.output.evidence_tables import figure_cell, missing
from cxreader.cli.output.out_paths import out_folder
from cxreader.counting import format_count
from cxreader.errors import UsageError

if TYPE_CHECKING:
    from cxreader.explanation.localisation_report import LocalisationReport


def places(
    runs: Annotated[list[Path], typer.Argument(help="A run's folder; or each of a cross-validation's: OUT/folds/*.")],
    out: Annotated[
        Path | None, typer.Option(callback=out_folder, help="Folder for a JSON file of each kind of map.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Set heat maps, and region heads where there are any, beside true boxes and beside maps that look at no image.

    Each run judges the boxes of its own test part, whose patients it has not met; several runs are judged as one.
    """
    with waiting("loading the models"):
        from cxreader.assessment.places import judge_places_of_folds
        from cxreader.runs import write_json

    found = judge_places_of_folds(runs, bar=progress, seed=seed)
    for report in found:
        show_places(report)
        if out is not None:
            write_json(out / f"{report.slug}.json", report.to_dict())
    say(DISCLAIMER)


def regions(
    config: Annotated[
        Path,
        typer.Argument(
            help="A TOML file with [training.boxes], such as configs/places.toml; or a finished run's folder."
        ),
    ],
    out: Annotated[Path, typer.Option(callback=out_folder, help="The folder; given again, it goes on where it stood.")],
    folds: Annotated[int, typer.Option(min=2, help="How many heads learn; each judges its share of the patients.")] = 5,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key.path=value, laid over the file.")] = None,
) -> None:
    """Learn a region head once a fold on frozen stages, and judge every box by the head that never met its patient.

    Of a finished run the stages are its own network's, boxes of patients who taught it are not judged, and what is found is
    stored in its artifact: whoever shows its regions asks there whether they find anything.
    """
    from cxreader.config import load_config
    from cxreader.runs import RunFolder

    if config.is_dir() and overrides:
        raise UsageError("a run's settings are what they were", where="--set", mend="leave it out, or give a TOML file")
    settings = RunFolder(config) if config.is_dir() else load_config(config, overrides or ())
    with waiting("loading torch"):
        from cxreader.progress import no_bar
        from cxreader.study.region_folds import region_folds
    changes = "".join(f" --set {shlex.quote(change)}" for change in overrides or ())
    command = f"cxreader study regions {config} --folds {folds} --out {out}{changes}"
    found = region_folds(settings, folds, out, command=command, say=say, bar=no_bar if State.quiet else progress)
    for report in found.reports:
        show_places(report)
    learnt = f"{min(found.learnt_from):,} to {max(found.learnt_from):,}"
    show(f"Stages: {found.transfer}; each head learnt from {learnt} boxes. {DISCLAIMER}")


def show_places(report: LocalisationReport) -> None:
    """One row a finding: the maps and both fixed maps; then the sentence that says whether they tell more."""
    from cxreader.explanation.map_scores import METRIC_TITLES

    parts = {"model": "maps", "null": "a fixed map", "null_by_finding": "one of the finding"}
    cells = [
        (group, [getattr(group, part)[metric] for metric in ("iou", "pointing") for part in parts])
        for group in report.groups
    ]
    header = [f"{METRIC_TITLES[metric]}:\n{words}" for metric in ("iou", "pointing") for words in parts.values()]
    rows = [
        (f"{group.name}\n{format_count(group.boxes, '[box|boxes]')}", *map(figure_cell, estimates))
        for group, estimates in cells
    ]
    said = "Means over boxes; below: 95 % intervals, by patient."
    table(report.title, ("finding", *header), rows, note=said + missing(e for _, some in cells for e in some))
    show("\n".join([report.statement(), report.statement("pointing"), *(f"note: {text}" for text in report.notes)]))

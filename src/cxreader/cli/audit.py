"""`cxreader audit`: what a split says of itself, checked; `shortcuts` is in a file of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxreader.cli.output.console import progress, show, table
from cxreader.cli.output.evidence_tables import figure_cell, missing
from cxreader.cli.output.out_paths import out_file, out_folder
from cxreader.cli.places import places
from cxreader.cli.readers import readers
from cxreader.cli.shortcuts import shortcuts
from cxreader.cli.source_options import Tables
from cxreader.counting import format_count

if TYPE_CHECKING:
    from cxreader.data.audit import Duplicate, PartSummary, SplitAudit
    from cxreader.data.index import Index
    from cxreader.data.split import Split
    from cxreader.explanation.localisation_report import LocalisationReport

app = typer.Typer(help="Checks of a split, and of what a model has learnt.", no_args_is_help=True)
app.command("shortcuts")(shortcuts)
app.command("readers")(readers)
app.command("places")(places)
_MOST = 10


@app.callback()
def audit() -> None:
    """Checks of a split, and of what a model has learnt."""


@app.command("split")
def split_command(
    split: Annotated[Path, typer.Argument(help="A split written by `cxreader data split`.")],
    data: Annotated[str | None, typer.Option(help="The source, when it moved since.")] = None,
    tables: Tables = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of pixel caches; beside the split when not given.")] = None,
    size: Annotated[int, typer.Option(help="Side of the cached pixels.")] = 224,
    out: Annotated[Path | None, typer.Option(callback=out_file, help="Write the audit here (JSON).")] = None,
) -> None:
    """Look for patients and pictures in more than one part; exit code 1 when there are any."""
    from cxreader.atomic import write_whole
    from cxreader.data.audit import audit_split
    from cxreader.data.pixel_cache.cache import build_cache
    from cxreader.data.split import PARTS, Split
    from cxreader.imaging.preprocess import InputSpec

    made = Split.load(split)
    index = reopen(made, data, tables)
    records = [record for part in PARTS for record in made.records(index, part)]
    with progress("decoding") as bar:
        pixels = build_cache(records, InputSpec(size), cache or split.parent / "cache", progress=bar)
    found = audit_split(made, index, pixels)
    show_audit(found)
    if out is not None:
        write_whole(out, json.dumps(found.to_dict(), indent=1).encode())
    raise typer.Exit(1 if found.failed else 0)


@app.command("location-prior")
def location_prior_command(
    boxes: Annotated[
        Path, typer.Argument(help="A list of boxes (NIH's BBox_List_2017.csv), or labelled images with boxes.")
    ],
    out: Annotated[
        Path | None, typer.Option(callback=out_folder, help="Write location-prior.json into this folder.")
    ] = None,
) -> None:
    """Show what fixed maps, means of other patients' boxes, reach on boxes: without a model."""
    from cxreader.explanation.location_prior import location_prior
    from cxreader.runs import write_json

    with progress("folds") as bar:
        found = location_prior(boxes, progress=bar)
    show_location_prior(found)
    if out is not None:
        write_json(out / "location-prior.json", found.to_dict())


def reopen(split: Split, data: str | None, tables: str | None) -> Index:
    """The source or sources a split was made from, or the one that is given instead.

    Raises DataError where these lie no more, ConfigError, and as `open_source`.
    """
    from cxreader.config import parse_config
    from cxreader.data.layouts.registry import LAYOUTS
    from cxreader.data.sources import open_data, open_source
    from cxreader.errors import DataError, UsageError

    path, name = split.source.get("path"), split.source.get("name")
    several = split.source.get("sources") or ()
    for place in [source.get("root") for source in several] or [path]:
        if data is None and isinstance(place, str) and os.path.isabs(place) and not os.path.exists(place):  # noqa: PTH110, PTH117
            what = "nothing is there any more; the images of the split lay there"
            raise DataError(what, where=place, mend="give their new place by --data")
    if data is None and several:
        return open_data(parse_config({"data": {"sources": several, "name": name}}).data)
    kind: Any = "auto"
    if data is None and path is not None and split.source.get("kind") != "several":
        data, tables = path, tables or split.source.get("tables")
        kind = split.source.get("kind") if split.source.get("kind") in LAYOUTS else "auto"
    if data is None:
        raise UsageError("the split does not say where its images lie", mend="give --data")
    return open_source(data, kind=kind, tables=tables, name=name, uncertain=split.source.get("uncertain"))


def show_split(split: Split, index: Index) -> None:
    """The parts' counts, what was left out, and the measured leak."""
    from cxreader.data.audit import summarise
    from cxreader.data.split import PARTS, leak

    parts = {part: summarise(split.records(index, part)) for part in PARTS}
    show_parts(f"Split {split.digest[:12]} ({split.kind}, salt {split.salt}, balance {split.balance})", parts, split)
    show(f"leak: {leak(split, index)}")
    for note in split.notes:
        show(f"note: {note}")


def show_parts(title: str, parts: dict[str, PartSummary], split: Split | None = None) -> None:
    """One column a part: images, patients, labels, views, sexes, ages, and what the balance left out."""
    summaries = list(parts.values())
    rows = [("images", *(f"{part.images:,}" for part in summaries))]
    rows += [("patients", *("unknown" if part.patients is None else f"{part.patients:,}" for part in summaries))]
    rows += [
        ("normal", *(f"{part.normal:,}" for part in summaries)),
        ("abnormal", *(f"{part.abnormal:,}" for part in summaries)),
    ]
    for view in sorted({view for part in summaries for view in part.views}):
        rows += [(f"view {view}", *(f"{part.views.get(view, 0):,}" for part in summaries))]
    for sex in sorted({sex for part in summaries for sex in part.sexes}):
        rows += [(f"sex {sex}", *(f"{part.sexes.get(sex, 0):,}" for part in summaries))]
    rows += [("age, quartiles", *map(_quartiles, summaries)), ("age known", *(f"{part.ages:,}" for part in summaries))]
    rows += [("age impossible", *(f"{part.implausible_ages:,}" for part in summaries))]
    rows += [] if split is None else [("left out", *(f"{split.surplus[name]:,}" for name in parts))]
    table(title, ("", *parts), rows)


def show_audit(found: SplitAudit) -> None:
    """Parts, duplicates and the verdict."""
    show_parts(f"Split {found.digest[:12]} ({found.kind})", found.parts)
    _show_pairs("Exact duplicates across parts", found.exact)
    _show_pairs("Near duplicates across parts (for judgement)", found.near)
    patients = f"{found.shared_patients:,}" if found.patients else "unknown"
    lines = [
        f"patients in more than one part: {patients}",
        *(f"  such as the patient of {', '.join(images)}" for images in found.shared_examples),
        f"exact duplicates across parts: {len(found.exact):,} among {format_count(found.compared, '[image|images]')}",
        f"near duplicates across parts: {len(found.near):,} of {found.proposed:,} proposals",
        f"leak: {found.leak}",
        *(f"note: {note}" for note in found.notes),
        _verdict(found),
    ]
    show("\n".join(lines))


def show_location_prior(found: LocalisationReport) -> None:
    """One row a finding: its boxes and patients below its name, each figure above its interval; once for each fixed map."""
    from cxreader.explanation.map_scores import METRIC_TITLES
    from cxreader.reporting.tables import format_patients

    whole = found.all
    boxes, images = format_count(whole.boxes, "[box|boxes]"), format_count(whole.images, "[image|images]")
    on = f"on {boxes} in {images} of {format_patients(whole.patients)}"
    said = f"Below: 95 % intervals, by patient; means over {len(found.fold_seeds)} ways to deal {found.n_folds} folds."
    shown = ("iou", "iou_25", "iou_50", "pointing")
    for title, part in ((f"A fixed map {on}", "null"), ("A fixed map of each finding", "null_by_finding")):
        scores = [(g, getattr(g, part)) for g in found.groups]
        rows = [(f"{g.name}\n{g.boxes:,}, {g.patients:,}", *(figure_cell(own[m]) for m in shown)) for g, own in scores]
        note = said + missing(own[m] for _, own in scores for m in shown)
        table(title, ("finding,\nboxes, patients", *(METRIC_TITLES[m] for m in shown)), rows, note=note)
    show("\n".join(f"note: {text}" for text in found.notes))


def _verdict(found: SplitAudit) -> str:
    if found.failed:
        return "FAILED: the parts are not independent"
    return "passed" if found.patients else "passed for pictures; whether a patient is in two parts cannot be known"


def _show_pairs(title: str, pairs: Sequence[Duplicate]) -> None:
    if not pairs:
        return
    rows = [(p.image, p.part, p.other, p.other_part, f"{p.correlation:.4f}") for p in pairs[:_MOST]]
    more = len(pairs) - len(rows)
    header = ("image", "part", "is also", "in part", "correlation")
    table(title, header, rows, note=f"and {more:,} more" if more else None)


def _quartiles(part: PartSummary) -> str:
    return "unknown" if part.age_quartiles is None else " / ".join(f"{age:.0f}" for age in part.age_quartiles)

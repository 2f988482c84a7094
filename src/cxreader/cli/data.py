"""`cxreader data`: index, phantom, split, cache."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cxreader.cli.output.console import console, one_line, progress, say, show, table
from cxreader.cli.output.out_paths import out_file, out_folder
from cxreader.cli.shares import share_of
from cxreader.cli.source_options import Kind, Name, Tables, UncertainLabels
from cxreader.counting import format_count

if TYPE_CHECKING:
    from cxreader.data.index import Index
    from cxreader.data.pixel_cache.cache import PixelCache

app = typer.Typer(help="Images and their tables: index, phantoms, split, pixel cache.", no_args_is_help=True)

Source = Annotated[
    str,
    typer.Argument(help="A public set's or phantoms' folder, a table, an index, a normal/abnormal tree, a DICOM tree."),
]
Size = Annotated[int, typer.Option(help="Side of the network's square in pixels.")]
Fit = Annotated[Literal["pad", "squash"], typer.Option(help="Keep the aspect, or stretch.")]
Workers = Annotated[int | None, typer.Option(help="Processes; all cores when not given.")]


@app.command()
def index(
    source: Source,
    kind: Kind = "auto",
    tables: Tables = None,
    name: Name = None,
    uncertain: UncertainLabels = None,
    out: Annotated[Path | None, typer.Option(callback=out_file, help="Write the index here, as Parquet.")] = None,
) -> None:
    """Read a source's tables and count what is there."""
    from cxreader.data.sources import open_source

    found = open_source(source, kind=kind, tables=tables, name=name, uncertain=uncertain)  # type: ignore[arg-type] # checked there
    show_index(found)
    if out is not None:
        say(f"index of {format_count(len(found), '[image|images]')} written to {found.save(out)}")


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(callback=out_folder, help="A new folder.")],
    patients: Annotated[int, typer.Option(help="Phantom patients, most with several visits.")] = 400,
    seed: Annotated[int, typer.Option(help="Another seed, other patients.")] = 0,
    size: Annotated[int, typer.Option(help="Side in pixels; the release's is 1024.")] = 1024,
    abnormal_share: Annotated[
        float, typer.Option(help="Of the images, 0 to 1.", parser=share_of("--abnormal-share"), metavar="SHARE")
    ] = 0.5,
    plant_shortcut: Annotated[
        Literal["none", "marker"], typer.Option(help="A corner mark on 90 % of the abnormal images.")
    ] = "none",
    layout: Annotated[
        Literal["nih", "dicom"], typer.Option(help="PNG files and tables as the NIH releases them; or a DICOM tree.")
    ] = "nih",
    workers: Workers = None,
) -> None:
    """Draw phantoms: synthetic radiographs with true boxes, in the layout of the NIH release or as DICOM files."""
    from cxreader.data.phantoms.write import PhantomSpec, write_phantoms

    spec = PhantomSpec(patients, seed, size, abnormal_share, plant_shortcut)
    with progress("drawing phantoms") as bar:
        report = write_phantoms(out, spec, layout=layout, workers=workers, progress=bar)
    rows = [(finding, f"{count:,}") for finding, count in report.findings.items()]
    counts = {
        "phantom [image|images]": report.images,
        "phantom [patient|patients]": report.patients,
        "[box|boxes]": report.boxes,
    }
    images, people, boxes = (format_count(count, words) for words, count in counts.items())
    title = f"{images} of {people}, {boxes}"
    table(title, ("finding", "images"), rows)
    say(f"{report.drawn:,} drawn, {format_count(report.kept, '[was|were] there')}: {report.out}")


@app.command()
def split(
    source: Source,
    out: Annotated[Path, typer.Option(callback=out_file, help="Write the split here (JSON).")],
    kind: Annotated[Literal["patient", "official", "image-random"], typer.Option(help="How.")] = "patient",
    balance: Annotated[Literal["equal", "natural", "ratio"], typer.Option(help="Classes in each part.")] = "equal",
    abnormal_share: Annotated[
        float | None,
        typer.Option(help="Of each part, for --balance ratio.", parser=share_of("--abnormal-share"), metavar="SHARE"),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Images in all; as many as there are when not given.")] = None,
    keep: Annotated[Path | None, typer.Option(help="An earlier split: nobody moves when images were added.")] = None,
    source_kind: Kind = "auto",
    tables: Tables = None,
    name: Name = None,
    uncertain: UncertainLabels = None,
) -> None:
    """Split by patient into train, tune, calibrate and test, then balance each part."""
    from cxreader.data.sources import open_source
    from cxreader.data.split import Split, make_split

    data = open_source(source, kind=source_kind, tables=tables, name=name, uncertain=uncertain)  # type: ignore[arg-type]
    kept = None if keep is None else Split.load(keep)
    made = make_split(data, kind=kind, balance=balance, abnormal_share=abnormal_share, size=size, keep=kept)
    made.save(out)
    from cxreader.cli.audit import show_split

    show_split(made, data)
    say(f"split of {format_count(len(made), '[image|images]')} written to {out}")


@app.command()
def cache(
    source: Source,
    out: Annotated[Path, typer.Option(callback=out_folder, help="Folder of the caches; one a source.")],
    size: Size = 224,
    fit: Fit = "pad",
    workers: Workers = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check every row that is there already.")] = False,
    kind: Kind = "auto",
    tables: Tables = None,
    uncertain: UncertainLabels = None,
) -> None:
    """Decode every image once, to memory-mapped pixels; go on where an earlier build stopped."""
    from cxreader.data.pixel_cache.cache import build_cache, cache_bytes
    from cxreader.data.sources import open_source
    from cxreader.imaging.preprocess import InputSpec
    from cxreader.machine import keep_pages

    keep_pages()
    data = open_source(source, kind=kind, tables=tables, uncertain=uncertain)  # type: ignore[arg-type] # checked there
    spec = InputSpec(size, fit)
    need = format_count(len(data), f"[image|images] at {size} x {size} [needs|need]")
    say(f"{need} {cache_bytes(len(data), spec) / 2**20:,.1f} MiB in {out}")
    with progress("decoding") as bar:
        built = build_cache(data.records, spec, out, workers=workers, progress=bar, verify=verify)
    show_cache(built)


@app.command()
def layouts(
    name: Annotated[
        str | None, typer.Argument(help="One set, with what each of its findings became; all when left out.")
    ] = None,
) -> None:
    """The public sets that are known by name: what lies there, terms, labels and policy."""
    from cxreader.data.layouts.registry import LAYOUTS, OWN_WAYS
    from cxreader.errors import UsageError, nearest

    if name is not None and name not in LAYOUTS:
        raise UsageError(f"unknown set {name!r}", mend=nearest(name, LAYOUTS))
    for one in LAYOUTS.values() if name is None else [LAYOUTS[name]]:
        show(f"{one.name}: {one.title}", "bold")
        about = {"what lies there": one.holds, "labels by": one.labels, "policy": one.policy, "patients": one.patients}
        _show_lines(about | {"terms": one.licence, "get it": one.url})
        if name is not None:
            _show_lines({"written after": "; ".join(one.pages)})
            rows = [(word, became or "no finding") for word, became in one.findings.items()]
            table("Findings", ("published", "became"), rows)
    if name is None:
        show("Images of your own", "bold")
        _show_lines(OWN_WAYS)


def _show_lines(about: Mapping[str, str]) -> None:
    """Each fact on lines of its own, wrapped between words and indented."""
    for what, text in about.items():
        width = max(40, console().width)
        lines = textwrap.wrap(
            f"{what}: {text}",
            width,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        show("\n".join(lines))


def show_index(found: Index) -> None:
    """The index's counts as tables, and what is known of its set."""
    from cxreader.data.layouts.registry import LAYOUTS

    counts = found.summary()
    patients = "unknown" if counts["patients"] is None else f"{counts['patients']:,}"
    rows = [("images", f"{counts['images']:,}"), ("patients", patients)]
    rows += [(label, f"{count:,}") for label, count in counts["labels"].items()]
    rows += [(f"view {view}", f"{count:,}") for view, count in counts["views"].items()]
    rows += [(f"sex {sex}", f"{count:,}") for sex, count in counts["sexes"].items()]
    rows += [("boxes", f"{counts['boxes']:,}"), ("impossible ages", f"{counts['implausible_ages']:,}")]
    rows += [("rows without a file", _counted(found.rows_without_file))]
    rows += [("files without a row", _counted(found.files_without_row))]
    rows += [(f"published {part}", f"{count:,}") for part, count in counts["published_parts"].items()]
    table(one_line(f"{found.title} ({found.kind}): {found.root}"), ("", "count"), rows)
    if counts["findings"]:
        table("Findings", ("finding", "images"), [(name, f"{n:,}") for name, n in counts["findings"].items()])
    if (layout := LAYOUTS.get(found.kind)) is not None and not found.name.startswith("phantom"):
        say_set = f"{layout.title}: labels by {layout.labels}; {layout.policy}"
        show(say_set)
    for note in found.notes:
        show(f"note: {note}")


def _counted(number: int | None) -> str:
    return "not counted" if number is None else f"{number:,}"


def show_cache(built: PixelCache, most: int = 20) -> None:
    """What was decoded, and the images that could not be read."""
    if built.errors:
        rows = [(failure.image, failure.reason) for failure in built.errors[:most]]
        more = len(built.errors) - len(rows)
        table("Images that could not be read", ("image", "reason"), rows, note=f"and {more:,} more" if more else None)
    show(
        f"{format_count(built.decoded, '[image|images]')} decoded, {format_count(built.kept, '[was|were] there')}, "
        f"{len(built.errors):,} could not be read; "
        f"{built.nbytes / 2**20:,.1f} MiB in {built.folder}"
    )

"""`cxreader read` and `cxreader explain`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cxreader.cli.cluster_options import Address
from cxreader.cli.output.answers import common_folder, note, show_answers, show_rows
from cxreader.cli.output.console import DISCLAIMER, one_line, progress, say, waiting
from cxreader.cli.output.out_paths import out_folder
from cxreader.cli.output.worklist import MOST, refuse_page, write_page
from cxreader.cli.source_options import TermsFile
from cxreader.errors import DataError, UsageError

if TYPE_CHECKING:
    from cxreader.inference.batch.pipeline import Engine
    from cxreader.inference.reader import Reader
    from cxreader.records import Box

Models = Annotated[
    list[str], typer.Option("--model", "-m", help="An artifact's folder, or a run's; again for each further model.")
]
Paths = Annotated[
    list[str], typer.Argument(help="Images, folders (walked), or - for names on standard input, by line or by NUL.")
]
Point = Annotated[str | None, typer.Option(help="Name of the operating point; the artifact's first when not given.")]
Backend = Annotated[
    str,
    typer.Option(help="auto, onnx, openvino, openvino-bf16 or torch; auto takes onnx where the artifact was exported."),
]


def read(
    paths: Paths,
    model: Models,
    out: Annotated[
        str | None, typer.Option(help="FILE.json, .csv, .parquet or .xlsx; - is CSV on standard output.")
    ] = None,
    sort: Annotated[bool, typer.Option("--sort", help="In the worklist's order: the most urgent first.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="FILE.html: the worklist with thumbnails, the most urgent first.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever OUT.work holds.")] = False,
    operating_point: Point = None,
    backend: Backend = "auto",
    terms: TermsFile = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="This process, or a Ray cluster's machines.")
    ] = "local",
    address: Address = None,
) -> None:
    """Read images: decision and calibrated probability of abnormal, one row a file. For research; not a medical device.

    What is read stands in OUT.work until the table is whole: the same command goes on after an interruption, and may run in
    several processes at once. The exit code is 3 when no file at all could be read.
    """
    from cxreader.atomic import refuse_unwritable
    from cxreader.inference.batch.read_files import read_files
    from cxreader.inference.batch.table import format_of

    if out not in (None, "-"):
        format_of(Path(str(out)))
        refuse_unwritable(str(out))
    if page is not None:
        refuse_page(page)
    files = _files(paths)
    reader = load_reader(model, operating_point, backend, terms)
    cluster = _cluster(reader, engine, address)
    if out is None or out == "-":
        _read_aside(reader, files, cluster, sort=sort, csv=out == "-", page=page)
        return
    first = 0 if page is None else MOST
    with cluster as reads:
        summary = read_files(
            reader, files, Path(out), sort=sort, fresh=fresh, first=first, engine=reads, say=say, bar=progress
        )
    if summary is not None:
        if page is not None:
            write_page(summary.first, page, reader, summary)
        say(f"{summary.text()}. {DISCLAIMER}")
        _refuse_nothing(nothing_read=summary.nothing_read)


def explain(
    paths: Paths,
    model: Models,
    out: Annotated[Path, typer.Option(callback=out_folder, help="Folder for the pictures.")] = Path("explanations"),
    raw: Annotated[
        bool, typer.Option("--raw", help="Also write each raw map, float32 (h, w), as .npy; of a region head .npz.")
    ] = False,
    panel: Annotated[
        bool,
        typer.Option(
            "--panel/--no-panel",
            help="Image, maps, scale and answer in one picture; or the bare heat map on the image.",
        ),
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Answer and explain what is refused too, and say so.")] = False,
    boxes: Annotated[
        Path | None, typer.Option(help="Outline true boxes: the data set's boxes.csv, or NIH's BBox_List_2017.csv.")
    ] = None,
    finding: Annotated[
        str | None, typer.Option(help="Of a region head, draw where this finding would lie, such as effusion.")
    ] = None,
    operating_point: Point = None,
    backend: Backend = "auto",
    terms: TermsFile = None,
) -> None:
    """Show where the network looked: each image beside its Grad-CAM heat map, as PNG. For research; not a medical device.

    Below them stand the answer and the model. Of several models: the maps of all of them. A refused image has its reason in
    place of a map. Where the model has a region head, its map stands beside: where findings lie, learnt from boxes, and below
    it whether it finds radiologists' boxes better than maps that look at no image.
    """
    from cxreader.inference.answer_text import probability_text
    from cxreader.inference.batch.names import on_one_line
    from cxreader.inference.explain import explain_files

    files = _files(paths)
    outlines = _boxes(boxes, files)
    reader = load_reader(model, operating_point, backend, terms)
    with progress("explaining") as bar:
        explained = explain_files(
            *(reader, files, out), raw=raw, panel=panel, force=force, boxes=outlines, finding=finding, progress=bar
        )
    folder = common_folder([reading.image for reading, _ in explained])
    rows = [
        (
            on_one_line(r.image.removeprefix(folder)),
            r.acceptance or "not read",
            r.decision or "",
            probability_text(r.value, r.operating_point.threshold),
            drawn,
        )
        for r, picture in explained
        for drawn in ["; ".join([*([on_one_line(picture.name)] if picture else []), *r.reasons])]
    ]
    number = "score" if any(r.score is not None for r, _ in explained) else "probability"
    header = ("image", "acceptance", "decision", number, "picture and reasons")
    below = [f"{row[0]}: {row[-1]}" for row in rows]
    title = one_line(
        "; ".join([*([f"in {on_one_line(folder)}"] if folder else []), f"pictures in {on_one_line(str(out))}"])
    )
    show_answers(title, header, rows, sentences=header[-1:], below=below, note=note(reader))
    _refuse_nothing(nothing_read=bool(explained) and all(r.acceptance is None for r, _ in explained))


def _boxes(place: Path | None, files: Sequence[str]) -> dict[str, tuple[Box, ...]]:
    """By file, the boxes that a data set's table tells of it; what is missing is said."""
    from cxreader.data.layouts.boxed_files import boxes_of_files

    if place is None:
        return {}
    found, notes = boxes_of_files(place, files)
    for line in notes:
        say(line)
    return found


def _refuse_nothing(*, nothing_read: bool) -> None:
    """The exit code of data when no file could be read; the table with the reasons is out by then."""
    if nothing_read:
        raise DataError("no file could be read", mend="the reasons stand in the table")


def load_reader(
    models: str | Sequence[str], operating_point: str | None, backend: str = "auto", terms: Path | None = None
) -> Reader:
    """The reader of an artifact or run, or of several; loading the runtime takes seconds, and says so.

    `terms`: the file of a site's own words, see `imaging.vocabulary.site_terms`.
    """
    from cxreader.imaging.vocabulary.site_terms import SiteTerms

    site = None if terms is None else SiteTerms.load(terms)
    with waiting("loading the model"):
        from cxreader.inference.reader import Reader

        return Reader.load(models, operating_point=operating_point, backend=backend, site=site)


def _files(paths: Sequence[str]) -> list[str]:
    """The files that the user named."""
    from cxreader.inference.batch.names import names_in
    from cxreader.inference.batch.paths import listed

    named: list[str] = []
    for path in paths:
        named += names_in(sys.stdin.buffer.read()) if path == "-" else [path]
    files, passed_over = listed(named)
    for line in passed_over.notes():
        say(line)
    return files


def _cluster(reader: Reader, engine: str, address: str | None) -> AbstractContextManager[Engine | None]:
    """Who reads, within its block: None for this process."""
    if engine == "local":
        if address is not None:
            raise UsageError("nothing is read on a cluster", where="--address", mend="add --engine ray")
        return nullcontext()
    from cxreader.inference.batch.ray_engine import RayEngine

    return RayEngine(reader, address, say=say)


def _read_aside(
    reader: Reader,
    files: Sequence[str],
    cluster: AbstractContextManager[Engine | None],
    *,
    sort: bool,
    csv: bool,
    page: Path | None,
) -> None:
    """Read for the terminal or for standard output; what was read before an interruption is shown."""
    from cxreader.inference.batch.pipeline import read_shard
    from cxreader.inference.batch.read_files import Summary, read_rest, reading_aside
    from cxreader.inference.batch.table import write_csv

    with ExitStack() as connected, reading_aside(reader, files) as work:
        reads = connected.enter_context(cluster)
        try:
            with progress("reading") as bar:
                read_rest(work, reads or partial(read_shard, reader), progress=bar)
        finally:
            connected.close()  # within it standard output goes nowhere
            summary = Summary(different=work.journal.count()[1])
            rows = summary.counted(work.journal.rows(sort=sort))
            if csv:
                write_csv(rows, sys.stdout, members=len(reader.members))
            else:
                show_rows(rows, reader, why=sort)
            say(f"{summary.text()}.{f' {DISCLAIMER}' * csv}")  # below the table it stands already
        if page is not None:
            write_page(list(islice(work.journal.rows(sort=True), MOST)), page, reader, summary)
    _refuse_nothing(nothing_read=summary.nothing_read)

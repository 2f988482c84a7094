"""`cxreader read` and `cxreader explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.console import DISCLAIMER, progress, say, table, waiting

if TYPE_CHECKING:
    from cxreader.inference.reader import Reader
    from cxreader.records import Reading

Model = Annotated[str, typer.Option("--model", "-m", help="An artifact's folder, or a run's.")]
Paths = Annotated[list[str], typer.Argument(help="Images, folders (walked), or - for a list on standard input.")]
Point = Annotated[str | None, typer.Option(help="Name of the operating point; the artifact's first when not given.")]


def read(
    paths: Paths,
    model: Model,
    out: Annotated[str | None, typer.Option(help="FILE.json, .csv or .parquet; - is CSV on standard output.")] = None,
    operating_point: Point = None,
) -> None:
    """Read images: decision and calibrated probability of abnormal, one row a file. For research; not a medical device."""
    from cxreader.inference.paths import listed
    from cxreader.inference.table import format_of, to_csv, write_readings

    if out not in (None, "-"):
        format_of(Path(str(out)))
    files, passed_over = listed(paths)
    if passed_over:
        say(f"{passed_over:,} files that are no images were passed over")
    reader = load_reader(model, operating_point)
    readings: list[Reading] = []
    try:
        _read_all(reader, files, readings)
    finally:  # what was read before an interruption is kept
        if out == "-":
            sys.stdout.write(to_csv(readings))
        elif out is not None:
            write_readings(readings, Path(out))
    show_readings(readings, reader, brief=out is not None)


def explain(
    paths: Paths,
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("explanations"),
    raw: Annotated[bool, typer.Option("--raw", help="Also write each raw map, float32 (h, w), as .npy.")] = False,
    operating_point: Point = None,
) -> None:
    """Show where the network looked: each image with its Grad-CAM heat map, as PNG. For research; not a medical device."""
    from cxreader.inference.explain import explain_files
    from cxreader.inference.paths import listed

    files, _ = listed(paths)
    reader = load_reader(model, operating_point)
    with progress("explaining") as bar:
        explained = explain_files(reader, files, out, raw=raw, progress=bar)
    rows = [
        (r.image, r.decision or "not read", _probability(r), str(picture or "; ".join(r.reasons)))
        for r, picture in explained
    ]
    table(None, ("image", "decision", "probability", "picture"), rows, left=("picture",), note=_note(reader))


def load_reader(model: str, operating_point: str | None) -> Reader:
    """The reader of an artifact or run; loading the runtime takes seconds, and says so."""
    with waiting("loading the model"):
        from cxreader.inference.reader import Reader

        return Reader.load(model, operating_point=operating_point)


def show_readings(readings: list[Reading], reader: Reader, *, brief: bool) -> None:
    """The table, and a summary when it went to a file."""
    unread = sum(reading.decision is None for reading in readings)
    if brief:
        flagged = sum(reading.decision == "abnormal" for reading in readings)
        say(
            f"{len(readings):,} files: {flagged:,} abnormal, {len(readings) - flagged - unread:,} normal, {unread:,} not read"
        )
        return
    rows = [
        (r.image, r.decision or "not read", _probability(r), _interval(r), r.conformal or "", "; ".join(r.reasons))
        for r in readings
    ]
    header = ("image", "decision", "probability", "interval", "conformal", "reasons")
    outside = sum(_beside_its_interval(reading) for reading in readings)
    aside = (
        ""
        if not outside
        else (
            f"\n{outside:,} of {len(readings):,} probabilities lie outside their interval: there the smooth map to probabilities "
            "and the images it was fitted on disagree; trust neither to the second digit."
        )
    )
    table(None, header, rows, left=("conformal", "reasons"), note=f"{_note(reader)}{aside}")


def _read_all(reader: Reader, files: list[str], readings: list[Reading]) -> None:
    with progress("reading") as bar:
        for reading in reader.read_many(files):
            readings.append(reading)
            if bar is not None:
                bar(len(readings), len(files))


def _probability(reading: Reading) -> str:
    return "" if reading.probability is None else f"{reading.probability:.3f}"


def _interval(reading: Reading) -> str:
    return "" if reading.interval is None else f"{reading.interval[0]:.3f}-{reading.interval[1]:.3f}"


def _beside_its_interval(reading: Reading) -> bool:
    if reading.interval is None or reading.probability is None:
        return False
    low, high = reading.interval
    return not low <= reading.probability <= high


def _note(reader: Reader) -> str:
    """What the numbers rest on."""
    point, calibration = reader.operating_point, reader.calibrator
    interval = "interval: none, this artifact holds no Venn-Abers predictor"
    if reader.venn_abers is not None:
        interval = "interval: the Venn-Abers pair of the probability, from the same images; it has no level"
    mode = ""
    if reader.conformal is not None:
        share = f"{100 * reader.conformal.alpha:g} %"
        mode = f"conformal: at most {share} of each class are called the other, fitted on the same images; "
    return (
        f"abnormal from {point.threshold:.3f} ({point.name}, fitted on {point.n_positive} abnormal and {point.n_negative} normal "
        f"images); probability calibrated on {calibration.n_positive + calibration.n_negative} images, at their prevalence; "
        f"{interval}; {mode}Artifact {reader.artifact.id}, {reader.artifact.transfer}. "
        f"{DISCLAIMER}"
    )

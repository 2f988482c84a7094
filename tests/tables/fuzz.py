"""Damaged tables by the thousand: each is read, or refused by an error of the tree in one line, quickly.

`python -m tests.tables.fuzz --seconds 30` looks for tables that are not. It runs in a process of its own, since a native
decoder may take its process with it; the table that was being read then lies at the path that is printed first.
"""

from __future__ import annotations

import gzip
import io
import itertools
import signal
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image
from tests.fuzzing import search_from_the_command_line
from tests.imaging.fuzz import EDITS, SECONDS, damaged

from cxreader.data.layouts.sets.nih import read_boxes
from cxreader.data.layouts.table import open_table
from cxreader.errors import CxreaderError
from cxreader.evaluation.comparison.second_reading import read_labels
from cxreader.evaluation.predictions import TableOptions, read_models
from cxreader.evaluation.worklist.reading_room import read_arrivals
from cxreader.tables import read_table

COLUMNS = (
    "image",
    "Patient ID",
    "label",
    "probability",
    "age",
    "view",
    "findings",
    "model",
    "arrival",
    "reading_minutes",
)
ROW = ("a.png", "12.0", "0", "34,1%", "054Y", "PA", "Mass|Nodule", "A", "2024-03-01T08:15", "5")
CELLS = st.one_of(
    st.sampled_from(
        (*ROW, *COLUMNS, "", "nan", "NORMAL", "1", "-0.66", "00012", "1e999", "C:\\x\\a.png", "../a", "/", "sep=;")
    ),
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.floats(width=32).map(str),
)


def as_excel(rows: list[list[str]]) -> bytes:
    """A workbook, or its text where openpyxl is not installed."""
    try:
        import openpyxl
    except ModuleNotFoundError:
        return repr(rows).encode()
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(buffer)
    return buffer.getvalue()


def corpus() -> dict[str, bytes]:
    """Whole tables of every kind."""
    rows = [list(COLUMNS), list(ROW), ["b.png", "13", "1", "20%", "", "LL", "", "A", "2024-03-01T09:15", "4"]]
    text = "\n".join(";".join(row) for row in rows)
    found = {
        "semicolons": text.encode(),
        "tabs": text.replace(";", "\t").encode("utf-16"),
        "latin": b"\xe4" + text.encode(),
    }
    found["commas"] = "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows).encode()
    found["gzip"], found["excel"] = gzip.compress(found["commas"]), as_excel(rows)
    buffer = io.BytesIO()
    pq.write_table(pa.table(dict(zip(COLUMNS, zip(*rows[1:], strict=True), strict=True))), buffer)
    found["parquet"] = buffer.getvalue()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("t.csv", found["commas"])
    return found | {"zip": archive.getvalue()}


@st.composite
def by_chance(draw: st.DrawFn) -> bytes:
    """A table of cells by chance, ragged, with columns that are asked for, in any separator and encoding."""
    header = draw(st.lists(st.one_of(st.sampled_from(COLUMNS), CELLS), min_size=1, max_size=8))
    rows = draw(st.lists(st.lists(CELLS, max_size=len(header) + 1), max_size=6))
    separator, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(("\n", "\r\n", "\r", "\n\n")))
    quote = draw(st.sampled_from(("", '"')))
    text = end.join(separator.join(f"{quote}{cell}{quote}" for cell in row) for row in [header, *rows])
    return text.encode(draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le"))), "replace")


ASKED: tuple[Callable[[Path], object], ...] = (
    lambda path: list(read_table(path)),
    open_table,
    read_models,
    lambda path: read_models(path, TableOptions({"probability": "age"}, (), str(path))),
    lambda path: read_models(path, TableOptions(models=("probability", "age"))),
    read_labels,
    read_arrivals,
    read_boxes,
)


def check(data: bytes, place: Path) -> None:
    """Raise when the table is neither read nor refused as it should be."""
    place.write_bytes(data)
    signal.setitimer(signal.ITIMER_REAL, 4 * SECONDS)  # ends the process, even in the midst of a decoder
    for ask in ASKED:
        start = time.process_time()
        try:
            ask(place)
        except CxreaderError as error:
            if "\n" in str(error) or not error.mend:
                raise AssertionError(f"several lines, or no mend: {str(error)!r}") from None
        taken = time.process_time() - start
        assert taken < SECONDS, f"{taken:.1f} s"
    signal.setitimer(signal.ITIMER_REAL, 0)


def search(seconds: float, first: int) -> int:
    """Look for bad tables for so long; how many were tried. Raises what hypothesis found, with the smallest such table."""
    place = Path(tempfile.mkdtemp(prefix="cxreader-fuzz-")) / "table"
    print(place, flush=True)
    Image.new("L", (8, 8)).save(place.with_name("a.png"))
    files, tried, end = corpus(), 0, time.monotonic() + seconds
    whole = st.builds(
        damaged, st.sampled_from(sorted(files)).map(files.__getitem__), st.lists(EDITS, min_size=1, max_size=6)
    )
    for number in itertools.count(first):

        @seed(number)
        @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(st.one_of(whole, by_chance()))
        def one(data: bytes) -> None:
            nonlocal tried
            tried += 1
            check(data, place)

        one()
        if time.monotonic() > end:
            break
    place.unlink()
    place.with_name("a.png").unlink()
    place.parent.rmdir()
    return tried


if __name__ == "__main__":
    search_from_the_command_line(__doc__, search, "tables", 30.0)

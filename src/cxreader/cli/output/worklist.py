"""The worklist as a page, from the rows of a table of readings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxreader.cli.output.answers import note
from cxreader.cli.output.console import progress, say
from cxreader.inference.answer_text import interval_text, probability_text

if TYPE_CHECKING:
    from cxreader.inference.batch.read_files import Summary
    from cxreader.inference.reader import Reader
    from cxreader.reporting.worklist import WorklistRow

MOST = 300
"""Rows of the page: with a picture each it stays below a few MB."""


def refuse_page(path: Path) -> None:
    """Before anything is read: raises UsageError for a page that is not named .html, StorageError as `refuse_unwritable`."""
    from cxreader.atomic import refuse_unwritable
    from cxreader.errors import UsageError

    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError("a page is an HTML file", where=path, mend="name it .html")
    refuse_unwritable(path)


def write_page(rows: Sequence[dict[str, Any]], path: Path, reader: Reader, summary: Summary) -> None:
    """Write the page of the worklist's first rows (`table.row_of`), each with a thumbnail of its file."""
    from cxreader.atomic import write_whole
    from cxreader.inference.batch.thumbnails import thumbnails
    from cxreader.reporting.worklist import render_worklist

    with progress("thumbnails") as bar:
        pictures = thumbnails(reader, [row["image"] for row in rows], progress=bar)
    of_model = list(dict.fromkeys(member.support.note for member in reader.members if member.support.note is not None))
    shown = [_row(row, picture, of_model) for row, picture in zip(rows, pictures, strict=True)]
    warnings = [*of_model, *reader.doubts]
    text = render_worklist(shown, counts=summary.text(), basis=note(reader), files=summary.files, warnings=warnings)
    write_whole(path, text.encode())
    say(f"page: {path}")


def _row(row: dict[str, Any], picture: bytes | None, of_model: Sequence[str]) -> WorklistRow:
    """The row without its notes that are `of_model`, which stand above all rows."""
    from cxreader.inference.batch.names import on_one_line
    from cxreader.reporting.worklist import WorklistRow

    value, threshold = row["probability"], row["threshold"]
    notes = [one for one in (row["notes"] or "").split("; ") if one not in of_model]
    number, interval = probability_text(value, threshold), ""
    if value is not None and row["probability_low"] is not None:
        interval = interval_text(value, row["probability_low"], row["probability_high"], threshold)
    if row.get("score") is not None:
        number = f"score {probability_text(row['score'], threshold)}"
    return WorklistRow(
        rank=row["rank"],
        image=on_one_line(row["image"]),
        acceptance=row["acceptance"],
        decision=row["decision"] or "",
        number=number,
        reason=row["reason_of_rank"],
        interval=interval,
        agreement="" if row.get("agreement") is None else f"{row['agreement']:.3f}",
        remarks="; ".join(text for text in (row["reasons"], *notes) if text),
        thumbnail=picture,
    )

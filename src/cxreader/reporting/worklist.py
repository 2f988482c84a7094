"""The page of a worklist: who is looked at first, and why; one self-contained file that loads nothing and prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from cxreader.reporting.pages import environment
from cxreader.reporting.style import to_data_uri


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """One image of a worklist, in words: `acceptance` is accepted, warning, refused or not read.

    `number`: the probability, or what stands in its place, with its `interval`; empty without an answer. `agreement`: of several
    models. `reason`: of its rank.
    `remarks`: what else its row of the table tells. `thumbnail`: PNG or JPEG bytes, None where the file cannot be read.
    """

    rank: int
    image: str
    acceptance: str
    decision: str
    number: str
    reason: str
    interval: str = ""
    agreement: str = ""
    remarks: str = ""
    thumbnail: bytes | None = None


def render_worklist(
    rows: Sequence[WorklistRow], *, counts: str, basis: str, files: int, warnings: Sequence[str] = ()
) -> str:
    """The page of the worklist's first rows, of so many `files`; `counts` and `basis` in words, `basis` a line each.

    `warnings`: what must be known of every answer before the first.
    """
    page = environment().get_template("worklist.html.jinja")
    folders = {row.image.rpartition("/")[0] for row in rows}
    return page.render(
        title="Worklist",
        verdict=counts,
        basis=basis.splitlines(),
        rows=[(row, None if row.thumbnail is None else to_data_uri(row.thumbnail)) for row in rows],
        files=files,
        folder=folders.pop() if len(folders) == 1 else "",
        warnings=warnings,
        provenance={"cxreader": version("cxreader"), "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
    )

"""What is known of one public set: the entry of the table of sets, what its opening is given, and how an index is made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cxreader.config import Kind, Uncertain
from cxreader.counting import count_notes, format_count
from cxreader.data.index import Index, patient_notes
from cxreader.data.layouts.files import Pictures
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.table import MAX_AGE
from cxreader.errors import DataError
from cxreader.findings import OTHER
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord

Part = Literal["train", "validation", "test"]
PARTS: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "validate": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""Words by which publishers name their parts, in lower case."""


NO_FILE = "[row|rows] of the table [has|have] no file here"
NO_ROW = "[file has|files have] no row in the table"
CONTRADICTED = "[image names|images name] a finding beside No Finding: taken as abnormal"
"""Words of counts (`counting.format_count`) that several sets have."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may say beside the folder.

    `name`: the data set's. `tables`: a folder of its tables, when they lie elsewhere. `uncertain`: what an uncertain label
    becomes; the set's own policy when None.
    """

    name: str | None = None
    tables: Path | None = None
    uncertain: Uncertain | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something by which a set is recognised: `what` it is, in words, and whether it `is_there`."""

    what: str
    is_there: Callable[[Seen], bool]


@dataclass(frozen=True, slots=True)
class Layout:
    """A public set as its publisher lays it out.

    `name`: for `kind` and `--kind`. `title`: the publisher's. `holds`: what lies there. `licence` and `url`: on which terms,
    and where to get it. `labels`: by whom. `policy`: how its labels become normal and abnormal. `patients`: how a patient is
    known. `pages`: what this was written after. `findings`: what each published name became (`OTHER` where the fourteen have
    no name for it, None where it says nothing of disease). `marks`: all of them there make the set. `open` gives the index; it
    raises DataError and TableError as `open_source`. `tables`: the columns, in lower case, by which its own tables are known.
    """

    name: Kind
    title: str
    holds: str
    licence: str
    url: str
    labels: str
    policy: str
    patients: str
    pages: tuple[str, ...]
    findings: Mapping[str, str | None]
    marks: tuple[Mark, ...]
    open: Callable[[Seen, Options], Index]
    tables: tuple[tuple[str, ...], ...] = ()

    def recognises(self, seen: Seen) -> bool:
        """True when all of its marks are there."""
        return all(mark.is_there(seen) for mark in self.marks)


@dataclass(slots=True)
class Gathered:
    """The records of a set while they are gathered, what was left out, with its count, and what must be `said` of the set."""

    records: list[ImageRecord] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    without_file: int = 0

    def index(self, layout: Layout, seen: Seen, options: Options, pictures: Pictures, without_row: int) -> Index:
        """The index. Raises DataError, with the counts, when no image is left."""
        left_out = count_notes(self.counts)
        if not self.records:
            why = "; ".join(
                (
                    format_count(len(pictures.paths), "[picture|pictures] seen"),
                    format_count(self.without_file, "[row|rows] without one"),
                    *left_out,
                )
            )
            raise DataError(f"no image of {layout.title} is left to index ({why})", where=seen.root, mend=_mend(layout))
        unmatched = count_notes({NO_FILE: self.without_file, NO_ROW: without_row})
        return Index(
            tuple(self.records),
            name=options.name or layout.name,
            kind=layout.name,
            root=str(seen.root),
            rows_without_file=self.without_file,
            files_without_row=without_row,
            notes=(*unmatched, *left_out, *pictures.notes(), *self.said, *patient_notes(self.records)),
            tables=None if options.tables is None else str(options.tables),
            uncertain=options.uncertain,
        )


def _mend(layout: Layout) -> str:
    return f"expected {layout.holds}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a row says: `label`, or None where it says neither normal nor abnormal; and the findings it names."""

    label: int | None
    findings: tuple[str, ...] = ()


def judge(
    present: Sequence[str | None], uncertain: Sequence[str | None], *, no_finding: bool, policy: Uncertain
) -> Verdict:
    """Normal or abnormal, of canonical names of findings (None for what says nothing of disease, such as a device).

    A finding that is present makes the image abnormal, whatever `no_finding` says; one that is uncertain counts as present
    (`abnormal`), as absent (`normal`), or not at all, so that an image with nothing else says nothing (`drop`). Without a
    finding the image is normal when `no_finding` says so, and else nothing is known of it.
    """
    named = [name for name in present if name is not None]
    doubted = [name for name in uncertain if name is not None]
    if policy == "abnormal":
        named += doubted
    if named:
        return Verdict(ABNORMAL, tuple(dict.fromkeys(named)))
    if doubted:
        return Verdict(NORMAL if policy == "normal" else None)
    return Verdict(NORMAL if no_finding else None)


def became(findings: Mapping[str, str | None], published: str) -> str | None:
    """What a published name became: by the set's table (in lower case there), `OTHER` for one that is not in it."""
    return findings.get(published.strip().lower(), OTHER)


def aged(years: float | None) -> dict[str, Any]:
    """The fields of a record that an age tells."""
    return {"age": years, "age_plausible": years is None or 0 <= years <= MAX_AGE}


def in_file(boxes: Sequence[Box], sides: tuple[int, int] | None, frame: float) -> tuple[Box, ...]:
    """Boxes of a square frame of `frame` pixels, in pixels of a file of these `sides`; as they are where those are not known."""
    if sides is None:
        return tuple(boxes)
    return tuple(box.scaled(sides[0] / frame, sides[1] / frame) for box in boxes)

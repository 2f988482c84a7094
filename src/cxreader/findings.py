"""The fourteen findings of NIH ChestX-ray14: order, display name, code, known aliases.

Order and spelling are those of the release (Wang et al., CVPR 2017). Other spellings seen in its own files and
derivatives are one table here, so that no reader keeps a private one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cxreader.errors import TableError, nearest

NO_FINDING = "No Finding"
OTHER = "Other"
"""Stands among an image's findings for those that the fourteen have no name for."""
MISSING = frozenset({"", "-", "?", "na", "n/a", "#n/a", "<na>", "nan", "none", "null", "unk", "unknown", "not known"})
"""Texts in lower case that stand in a table's cell for a missing value."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: `name` as the release spells it, `display` for people, `code` for files, `aliases` met elsewhere."""

    name: str
    display: str
    code: str
    aliases: tuple[str, ...] = ()


FINDINGS: tuple[Finding, ...] = (
    Finding("Atelectasis", "Atelectasis", "atelectasis"),
    Finding("Cardiomegaly", "Cardiomegaly", "cardiomegaly"),
    Finding("Effusion", "Pleural effusion", "effusion", ("Pleural Effusion",)),
    Finding("Infiltration", "Infiltration", "infiltration", ("Infiltrate",)),
    Finding("Mass", "Mass", "mass", ("Lung Mass",)),
    Finding("Nodule", "Nodule", "nodule", ("Lung Nodule",)),
    Finding("Pneumonia", "Pneumonia", "pneumonia"),
    Finding("Pneumothorax", "Pneumothorax", "pneumothorax"),
    Finding("Consolidation", "Consolidation", "consolidation"),
    Finding("Edema", "Pulmonary oedema", "edema", ("Oedema",)),
    Finding("Emphysema", "Emphysema", "emphysema"),
    Finding("Fibrosis", "Fibrosis", "fibrosis"),
    Finding("Pleural_Thickening", "Pleural thickening", "pleural_thickening", ("Pleural Thickening",)),
    Finding("Hernia", "Hiatal hernia", "hernia", ("Hiatal Hernia",)),
)

_NONE = frozenset({"no finding", "no findings", "normal", "negative", "healthy", "clear", "0"})
"""Words in a cell of findings that say that there is none."""
_BETWEEN = re.compile(r"[|;,]")
_BY_SPELLING = {spelling: f.name for f in FINDINGS for spelling in (f.name, *f.aliases)}

_BY_WORDS = {" ".join(re.split(r"[\s_-]+", spelling.lower())): name for spelling, name in _BY_SPELLING.items()}


def canonical(spelling: str, *, where: str | None = None) -> str:
    """The release's name of a finding given any known spelling of it; exact, case included.

    Raises TableError for an unknown finding, with `where` (file and row) and the nearest known one.
    """
    name = _BY_SPELLING.get(spelling)
    if name is None:
        raise TableError(f"unknown finding {spelling!r}", where=where, mend=nearest(spelling, _BY_SPELLING))
    return name


def value_or_missing(text: str) -> str:
    """The text of a table's cell without the blanks around it; empty where it is one of `MISSING`, in any case."""
    text = text.strip()
    return "" if text.lower() in MISSING else text


def parse_findings(text: str, *, where: str | None = None) -> tuple[str, ...]:
    """Findings of a label cell such as `Cardiomegaly|Effusion`; empty for `No Finding`.

    Split exactly on "|" (never by substring: "Pneumonia" is inside no other name, "Mass" could be). Raises TableError
    for an unknown finding, for an empty cell, and for `No Finding` beside a finding.
    """
    parts = [part.strip() for part in text.split("|")]
    if parts == [NO_FINDING]:
        return ()
    if NO_FINDING in parts:
        raise TableError(f"{NO_FINDING!r} stands beside a finding in {text!r}", where=where, mend="keep one of them")
    if parts == [""]:
        raise TableError("the findings are empty", where=where, mend=f"write {NO_FINDING!r} where there is none")
    return tuple(dict.fromkeys(canonical(part, where=where) for part in parts))


def known_finding(text: str) -> str | None:
    """The release's name of a finding in people's spelling: any case, blanks, hyphens or underscores; None when unknown."""
    words = " ".join(re.split(r"[\s_-]+", text.strip().lower()))
    return _BY_WORDS.get(words) or _BY_WORDS.get(words.removesuffix("s"))


def read_findings(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of a people's cell such as `effusion; Lung Mass`: the findings by the release's names, and the texts that name no such.

    Split at "|", ";" and ",". `No Finding` and its like and what is missing (`MISSING`) are neither.
    """
    parts = dict.fromkeys(value_or_missing(part.strip(" \t'\"[]()")) for part in _BETWEEN.split(text))
    told = [part for part in parts if part and part.lower().replace("_", " ") not in _NONE]
    known = {part: known_finding(part) for part in told}
    names = dict.fromkeys(name for name in known.values() if name is not None)
    return tuple(names), tuple(part for part, name in known.items() if name is None)

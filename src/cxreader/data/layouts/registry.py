"""The table of public sets: what is known of each, in the order in which a folder is compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cxreader.data.layouts.layout import Layout
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.sets import (
    chexpert,
    covid,
    jsrt,
    kermany,
    mimic,
    nih,
    openi,
    padchest,
    rsna,
    siim,
    tbx11k,
    vindr,
)
from cxreader.data.layouts.sets.nlm_tuberculosis import MONTGOMERY, SHENZHEN

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        *(nih.LAYOUT, kermany.LAYOUT, chexpert.LAYOUT, rsna.LAYOUT, vindr.LAYOUT, padchest.LAYOUT, mimic.LAYOUT),
        *(SHENZHEN, MONTGOMERY, tbx11k.LAYOUT, siim.LAYOUT, openi.LAYOUT, covid.LAYOUT, jsrt.LAYOUT),
    )
}
_IN_TBX11K = ("shenzhen", "montgomery")
OWN_WAYS: Mapping[str, str] = {
    "table": "labels.csv (or any CSV, Parquet or Excel table) with image and label, and whatever else it tells",
    "folder": "folders normal and abnormal",
    "dicom": "DICOM files and labels.csv that names them by SOP Instance UID or file",
}
"""How people keep images of their own."""


def recognise(seen: Seen) -> list[Layout]:
    """The sets that lie there; of one that holds others (TBX11K's folder `extra`) that one alone."""
    found = {layout.name: layout for layout in LAYOUTS.values() if layout.recognises(seen)}
    return [layout for name, layout in found.items() if not (name in _IN_TBX11K and "tbx11k" in found)]


def set_of_table(path: Path) -> Layout | None:
    """The set whose own this table is, by its columns; None for any other, and for one with a column that is called label."""
    seen = Seen(path.parent, (path,), {}, frozenset())
    own = (one for one in LAYOUTS.values() if any(seen.table_with(*columns) is not None for columns in one.tables))
    return None if seen.table_with("label") is not None else next(own, None)


def nearest_layout(seen: Seen) -> tuple[Layout, tuple[str, ...]] | None:
    """The set of whose marks the largest share is there, and the marks that are not; None where no mark of any is."""
    found = []
    for layout in LAYOUTS.values():
        lacking = tuple(mark.what for mark in layout.marks if not mark.is_there(seen))
        if len(lacking) < len(layout.marks):
            found.append((len(lacking) / len(layout.marks), layout, lacking))
    return min(found, key=lambda one: one[0])[1:] if found else None

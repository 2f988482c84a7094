"""JSRT: radiographs with and without a lung nodule, with its place and size.

Shiraishi et al., American Journal of Roentgenology 2000; db.jsrt.or.jp. Pictures `JPCLN001` (154 with a nodule) and `JPCNN001`
(93 without), 2048 x 2048 at 0.175 mm. Of the publisher's clinical texts, with tabs and without a header, `CLNDAT_EN.txt` has
file, subtlety, size in mm, age, sex, x, y, malignant or benign, place, diagnosis; `CNNDAT_EN.txt` file, age, sex, non-nodule.
Kaggle's copy (raddar/nodules-in-chest-xrays-jsrt) has `jsrt_metadata.csv` with study_id, age, gender, size, x, y, state among its
columns. The publisher's `.IMG` files are bare pixels without a header: they are read as PNG, or as DICOM, of the same names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures, picture_size
from cxreader.data.layouts.layout import Gathered, Layout, Mark, Options, aged, in_file
from cxreader.data.layouts.seen import Seen
from cxreader.errors import DataError
from cxreader.imaging.files import below
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord
from cxreader.tables import parse_number, parse_sex, read_table

NAME: Final = "jsrt"
FRAME = 2048.0
SPACING = 0.175
"""mm a pixel of the frame."""
_NAME = re.compile(r"JPC([LN])N(\d+)", re.IGNORECASE)
_RAW = ".img"


@dataclass(frozen=True, slots=True)
class _Case:
    """What the clinical text says of a picture: age in years, sex, and the nodule's centre and width in pixels of the frame."""

    age: float | None = None
    sex: str = ""
    nodule: tuple[float, float, float] | None = None
    state: str | None = None


def open_jsrt(seen: Seen, options: Options) -> Index:
    """The index of the pictures of the set's names. Raises DataError where only bare pixels (`.IMG`) lie here."""
    pictures = find_pictures(seen.root, _own)
    raw = [path for path in below(seen.root).files if path.suffix.lower() == _RAW and _NAME.fullmatch(path.stem)]
    if raw and not pictures.paths:
        what = format_count(
            len(raw),
            ".IMG [file is|files are] bare pixels (2048 x 2048, 16 bits, big-endian) without a header: not read",
        )
        raise DataError(
            what, where=seen.root, mend="convert them to PNG or DICOM of the same names, or get such a copy"
        )
    cases = _texts(seen.root) | _table(seen)
    gathered = Gathered()
    gathered.counts["bare .IMG [file is|files are] not read"] = len(raw)
    for stem, path in pictures.paths.items():
        gathered.records.append(_record(stem, path, cases.get(stem, _Case())))
    boxed = sum(bool(record.boxes) for record in gathered.records)
    gathered.counts["[image|images] with a nodule [has|have] no place of it: no clinical text lies here"] = (
        sum(record.label == ABNORMAL for record in gathered.records) - boxed
    )
    return gathered.index(LAYOUT, seen, options, pictures, pictures.passed)


def _own(path: str) -> str | None:
    stem = by_stem(path)
    return stem if _NAME.fullmatch(stem) else None


def _record(stem: str, path: str, case: _Case) -> ImageRecord:
    match = _NAME.fullmatch(stem)
    label = ABNORMAL if match is not None and match[1].upper() == "L" else NORMAL
    boxes: tuple[Box, ...] = ()
    if case.nodule is not None and label == ABNORMAL:
        x, y, width = case.nodule
        boxes = in_file([Box("Nodule", x - width / 2, y - width / 2, width, width)], picture_size(path), FRAME)
    return ImageRecord(
        image=stem.upper(),
        label=label,
        path=path,
        patient=stem.upper(),
        source=NAME,
        findings=("Nodule",) if label == ABNORMAL else (),
        **aged(case.age),
        sex=parse_sex(case.sex),
        view="PA",
        boxes=boxes,
        subtype=case.state if label == ABNORMAL else None,
    )


def _texts(root: Path) -> dict[str, _Case]:
    """By the picture's stem, of the publisher's two clinical texts."""
    found = {}
    for path in below(root).files:
        if re.fullmatch(r"C[LN]NDAT_(EN|JP)\.TXT", path.name, re.IGNORECASE):
            for line in path.read_text("utf-8", errors="replace").splitlines():
                cells = [cell.strip() for cell in line.split("\t")]
                if _NAME.fullmatch(by_stem(cells[0]).removesuffix(_RAW)):
                    found[by_stem(cells[0]).removesuffix(_RAW)] = _case(cells[1:])
    return found


def _case(cells: list[str]) -> _Case:
    """Of subtlety, size, age, sex, x, y, state, ...; or of age, sex, non-nodule."""
    if len(cells) < 7:
        return _Case(parse_number(cells[0]) if cells else None, cells[1] if len(cells) > 1 else "")
    return _Case(parse_number(cells[2]), cells[3], _nodule(cells[1], cells[4], cells[5]), cells[6].lower() or None)


def _table(seen: Seen) -> dict[str, _Case]:
    table = seen.table_with("study_id", "state")
    if table is None:
        return {}
    return {by_stem(cells["study_id"]): _row(cells) for _, cells in read_table(table)}


def _row(cells: Mapping[str, str]) -> _Case:
    sex = cells.get("gender") or cells.get("sex") or ""
    nodule = _nodule(cells.get("size", ""), cells.get("x", ""), cells.get("y", ""))
    return _Case(parse_number(cells.get("age", "")), sex, nodule, cells["state"].lower() or None)


def _nodule(size: str, x: str, y: str) -> tuple[float, float, float] | None:
    """Centre and width in pixels of the frame, of a size in mm and two places; None where one is no number above 0."""
    millimetres, across, down = parse_number(size), parse_number(x), parse_number(y)
    if not millimetres or not across or not down or min(millimetres, across, down) < 0:
        return None
    return across, down, millimetres / SPACING


LAYOUT = Layout(
    name=NAME,
    title="JSRT",
    holds="JPCLN001 and JPCNN001 as PNG or DICOM, CLNDAT_EN.txt and CNNDAT_EN.txt or jsrt_metadata.csv; bare .IMG are not read",
    licence="registration with the JSRT; its page names no licence",
    url="http://db.jsrt.or.jp/eng.php (Kaggle: raddar/nodules-in-chest-xrays-jsrt)",
    labels="cases of 14 centres; of each nodule its place, subtlety and diagnosis",
    policy="JPCLN (a nodule) is abnormal, JPCNN (none) normal; other findings are not labelled",
    patients="the number in the name; one image a case",
    pages=("doi:10.2214/ajr.174.1.1740071", "db.jsrt.or.jp/eng.php", "github.com/Nickollee/radiology-cv data/clinical"),
    findings={"nodule": "Nodule", "non-nodule": None},
    marks=(Mark("pictures named as JPCLN001 or JPCNN001", lambda seen: seen.has_names(r"JPC[LN]N\d{3}(\.\w+)?")),),
    open=open_jsrt,
)

"""TBX11K: tuberculosis, healthy, and sick without tuberculosis, with boxes.

Liu et al., CVPR 2020 and TPAMI 2023 (mmcheng.net/tb): `imgs/health/h0001.png`, `imgs/sick/s0001.png`, `imgs/tb/tb0001.png`,
`imgs/test` without labels, `imgs/extra` of other sets; `lists/TBX11K_train.txt`, `TBX11K_val.txt`; `annotations/json` (COCO, in
the 512-pixel frame of the pictures). Kaggle's simplified copy has one table: fname, source (train, val), image_type,
tb_type, bbox (none, or xmin, ymin, width, height as Python writes a dict).
"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_name, find_pictures, picture_size
from cxreader.data.layouts.layout import PARTS, Gathered, Layout, Mark, Options, Part, in_file
from cxreader.data.layouts.seen import Seen
from cxreader.errors import DataError, TableError
from cxreader.findings import OTHER
from cxreader.imaging.files import below
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord
from cxreader.tables import read_table

NAME: Final = "tbx11k"
FRAME = 512.0
"""Boxes are in pixels of the published 512 x 512 pictures."""
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("healthy", "health"), "healthy"),
    **dict.fromkeys(("sick_but_no_tb", "sick_but_non-tb", "sick"), "sick_but_no_tb"),
    "tb": "tb",
}
FINDINGS: Mapping[str, str | None] = {"healthy": None, "sick_but_no_tb": OTHER, "tb": OTHER}
_TABLE = ("fname", "image_type")


@dataclass(slots=True)
class _About:
    """What is said of one picture: healthy, sick_but_no_tb or tb; active or latent; part; boxes in the frame."""

    kind: str
    subtype: str | None = None
    part: Part | None = None
    boxes: list[Box] = field(default_factory=list)


def open_tbx11k(seen: Seen, options: Options) -> Index:
    """The index, of the table where there is one, else of the folders. Raises DataError, TableError."""
    pictures = find_pictures(seen.root, _own)
    table = seen.table_with(*_TABLE)
    about = _of_folders(pictures.paths, seen.root) if table is None else _of_table(table)
    gathered = Gathered()
    gathered.counts["[picture|pictures] under test (without labels) or extra (other sets) [is|are] left out"] = (
        pictures.passed
    )
    for image, said in about.items():
        path = pictures.paths.get(image)
        if path is None:
            gathered.without_file += 1
            continue
        finding = FINDINGS[said.kind]
        gathered.records.append(
            ImageRecord(
                image=image,
                label=NORMAL if finding is None else ABNORMAL,
                path=path,
                source=NAME,
                findings=() if finding is None else (finding,),
                boxes=in_file(said.boxes, picture_size(path) if said.boxes else None, FRAME),
                subtype=said.subtype,
                published_part=said.part,
            )
        )
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in about for name in pictures.paths))


def _own(path: str) -> str | None:
    """The picture's name; None for the test part, which has no labels, and for the other sets under `extra`."""
    folders = path.replace("\\", "/").lower().split("/")[:-1]
    return None if "extra" in folders[-4:] or folders[-1] == "test" else by_name(path)


def _of_table(table: Path) -> dict[str, _About]:
    found: dict[str, _About] = {}
    for row, cells in read_table(table):
        where = f"{table}, row {row}"
        kind = KINDS.get(cells["image_type"].lower())
        if kind is None:
            raise TableError(
                "image_type is none of healthy, sick_but_no_tb and tb", where=where, mend="get the table again"
            )
        subtype = cells.get("tb_type", "").lower()
        about = found.setdefault(
            by_name(cells["fname"]),
            _About(kind, subtype if subtype not in ("", "none") else None if kind == "healthy" else kind),
        )
        about.part = PARTS.get(cells.get("source", "").lower())
        if cells.get("bbox", "none").lower() not in ("", "none"):
            about.boxes.append(_box(cells["bbox"], where))
    return found


def _box(text: str, where: str) -> Box:
    try:
        sides = ast.literal_eval(text)
        x, y, width, height = (float(sides[name]) for name in ("xmin", "ymin", "width", "height"))
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        raise TableError("a box is not xmin, ymin, width and height", where=where, mend="get the table again") from None
    return Box(OTHER, x, y, width, height)


def _of_folders(paths: Mapping[str, str], root: Path) -> dict[str, _About]:
    """By the folder of each picture, with the lists' parts and the annotations' boxes where they lie here."""
    parts, boxes = _lists(root), _annotations(root)
    found = {}
    for image, path in paths.items():
        kind = KINDS.get(Path(path).parent.name.lower())
        if kind is not None:
            found[image] = _About(kind, None if kind == "healthy" else kind, parts.get(image), boxes.get(image, []))
    return found


def _lists(root: Path) -> dict[str, Part]:
    """The part of each picture that `lists/TBX11K_train.txt` and `TBX11K_val.txt` name."""
    found: dict[str, Part] = {}
    for path in below(root).files:
        part = PARTS.get(path.stem.lower().removeprefix("tbx11k_"))
        if path.suffix.lower() == ".txt" and path.stem.lower() in ("tbx11k_train", "tbx11k_val") and part is not None:
            found |= dict.fromkeys((by_name(line) for line in path.read_text("utf-8").split()), part)
    return found


def _annotations(root: Path) -> dict[str, list[Box]]:
    """Boxes by picture from the COCO files, each picture's from the first file that has it."""
    found: dict[str, list[Box]] = {}
    for path in below(root).files:
        if path.suffix.lower() != ".json" or not path.stem.lower().startswith(("tbx11k", "all_")):
            continue
        try:
            coco: dict[str, Any] = json.loads(path.read_text("utf-8"))
            names = {image["id"]: by_name(image["file_name"]) for image in coco["images"]}
            own: dict[str, list[Box]] = defaultdict(list)
            for mark in coco.get("annotations", ()):
                x, y, width, height = map(float, mark["bbox"])
                own[names[mark["image_id"]]].append(Box(OTHER, x, y, width, height))
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError("is no COCO file of boxes", where=path, mend="get it again, or remove it") from None
        for name, boxes in own.items():
            found.setdefault(name, boxes)
    return found


LAYOUT = Layout(
    name=NAME,
    title="TBX11K",
    holds="imgs/health, imgs/sick and imgs/tb with lists and annotations, or Kaggle's simplified copy with data.csv",
    licence="no licence named on the publisher's page, citation asked; Kaggle's simplified copy names its own",
    url="https://mmcheng.net/tb/",
    labels="the publisher's: healthy, sick or tuberculosis, and boxes of tuberculosis (11,200 pictures, 8,400 of them labelled)",
    policy="healthy is normal; tuberculosis and sick without tuberculosis are abnormal; the test part has "
    "no labels, extra is of other sets: left out",
    patients="none is known",
    pages=("doi:10.1109/CVPR42600.2020.00272", "mmcheng.net/tb", "kaggle.com/datasets/vbookshelf/tbx11k-simplified"),
    findings=FINDINGS,
    marks=(
        Mark("folders health, sick and tb", lambda seen: seen.has_folders("health", "sick", "tb", least=2)),
        Mark("pictures named as h0001.png, s0001.png, tb0001.png", lambda seen: seen.has_names(r"(h|s|tb)\d{4}\.\w+")),
    ),
    open=open_tbx11k,
    tables=(_TABLE,),
)

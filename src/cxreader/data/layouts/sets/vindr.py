"""VinDr-CXR: DICOM pictures of two hospitals in Hanoi, findings and boxes by radiologists, three an image to train on.

Nguyen et al., Scientific Data 2022 (doi:10.1038/s41597-022-01498-w). From Kaggle (VinBigData): `train.csv` (image_id, class_name,
class_id, rad_id, x_min, y_min, x_max, y_max; a row a box and reader, `No finding` without a box). From PhysioNet:
`annotations/annotations_train.csv` and `_test.csv` (the same, without class_id), `image_labels_train.csv` and `_test.csv` (a
column a finding); the test part is five readers' consensus, without rad_id.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cxreader.config import Uncertain
from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures, picture_size
from cxreader.data.layouts.headers import facts, read_headers
from cxreader.data.layouts.layout import Gathered, Layout, Mark, Options, Part, became
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError, TableError
from cxreader.findings import OTHER
from cxreader.imaging.vocabulary.words import is_lateral
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord
from cxreader.tables import parse_number, read_table

NAME: Final = "vindr"
NO_FRAME = "[image is|images are] smaller than the boxes' frame, which no table tells: the boxes are left out"
_BOX = ("x_min", "y_min", "x_max", "y_max")
_NO_FINDING = "no finding"
CLASSES: Mapping[str, str | None] = {
    _NO_FINDING: None,
    "atelectasis": "Atelectasis",
    "cardiomegaly": "Cardiomegaly",
    "consolidation": "Consolidation",
    "edema": "Edema",
    "emphysema": "Emphysema",
    "infiltration": "Infiltration",
    "pleural effusion": "Effusion",
    "pleural thickening": "Pleural_Thickening",
    "pneumonia": "Pneumonia",
    "pneumothorax": "Pneumothorax",
    "pulmonary fibrosis": "Fibrosis",
    **dict.fromkeys(
        ("aortic enlargement", "calcification", "clavicle fracture", "enlarged pa", "ild", "lung cavity"), OTHER
    ),
    **dict.fromkeys(
        ("lung cyst", "lung opacity", "mediastinal shift", "nodule/mass", "other lesion", "rib fracture"), OTHER
    ),
    **dict.fromkeys(("copd", "lung tumor", "tuberculosis", "other disease", "other diseases"), OTHER),
}
"""`Nodule/Mass` is one of two of the fourteen, nobody knows which: Other."""


@dataclass(slots=True)
class _Read:
    """What was said of one image: findings by reader, and every reader's boxes, in pixels of the original."""

    part: Part
    readers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    boxes: list[Box] = field(default_factory=list)


def open_vindr(seen: Seen, options: Options) -> Index:
    """The index of the images of the annotations. Raises DataError, TableError."""
    read = _annotations(seen)
    pictures = find_pictures(seen.root, by_stem)
    frames = _frames(seen)
    gathered = Gathered()
    there = [image for image in read if image in pictures.paths]
    gathered.without_file = len(read) - len(there)
    headers = read_headers([pictures.paths[image] for image in there])
    for image in there:
        path, said = pictures.paths[image], read[image]
        told = facts(headers[path])
        label, findings = _vote(said, options.uncertain)
        if is_lateral(told.get("view") or ""):
            gathered.counts[LATERAL] += 1
        elif label is None:
            gathered.counts["[image|images] whose readers disagree [is|are] left out"] += 1
        else:
            own = said.boxes if label == ABNORMAL else []
            boxes = tuple(own) if told else _placed(own, path, frames.get(image))
            gathered.counts[NO_FRAME] += boxes is None
            gathered.records.append(_record(image, path, told, (label, findings, said.part), boxes or ()))
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in read for name in pictures.paths))


def _annotations(seen: Seen) -> dict[str, _Read]:
    """Every image's readers, from the tables of boxes and of labels. Raises DataError, TableError."""
    tables = seen.tables_with("image_id", "class_name", *_BOX), seen.tables_with("image_id", _NO_FINDING)
    if not any(tables):
        raise DataError(
            "no annotations_train.csv, no train.csv with image_id and class_name", where=seen.root, mend=_MEND
        )
    read: dict[str, _Read] = {}
    for table in tables[0]:
        for row, cells in read_table(table):
            said = read.setdefault(cells["image_id"].lower(), _Read(_part(table)))
            name = cells["class_name"].lower()
            said.readers[cells.get("rad_id", "")].add(name)
            if name != _NO_FINDING and any(cells[side] for side in _BOX):
                said.boxes.append(_box(cells, f"{table}, row {row}"))
    for table in tables[1]:
        names = [name for name in read_table(table).names() if name in CLASSES]
        for _, cells in read_table(table):
            said = read.setdefault(cells["image_id"].lower(), _Read(_part(table)))
            said.readers[cells.get("rad_id", "")].update(name for name in names if parse_number(cells[name]) == 1)
    return read


def _part(table: Path) -> Part:
    return "test" if "test" in table.name.lower() else "train"


def _box(cells: Mapping[str, str], where: str) -> Box:
    sides = [parse_number(cells[side]) for side in _BOX]
    if None in sides:
        raise TableError("a box is not four numbers", where=where, mend="get the table again")
    left, top, right, bottom = (side for side in sides if side is not None)
    return Box(became(CLASSES, cells["class_name"]) or OTHER, left, top, right - left, bottom - top)


def _vote(said: _Read, policy: Uncertain | None) -> tuple[int | None, tuple[str, ...]]:
    """The label, and the findings that a majority of the readers name.

    By majority. Where readers disagree, a policy calls the image abnormal, calls it normal, or drops it.
    """
    findings = [{became(CLASSES, name) for name in names} - {None} for names in said.readers.values()]
    abnormal = sum(map(bool, findings))
    label = ABNORMAL if 2 * abnormal > len(findings) else NORMAL
    if policy is not None and 0 < abnormal < len(findings):
        label = {"abnormal": ABNORMAL, "normal": NORMAL}.get(policy, -1)
    named = Counter(name for own in findings for name in own if name is not None)
    kept = tuple(name for name, count in named.items() if 2 * count > len(findings))
    return (None if label < 0 else label), kept if label == ABNORMAL else ()


def _placed(boxes: list[Box], path: str, frame: tuple[float, float] | None) -> tuple[Box, ...] | None:
    """The boxes in pixels of a copy that is no DICOM; None where its original's size is not told, and a box lies outside it."""
    if not boxes:
        return ()
    sides = picture_size(path)
    if sides is None or frame is None:
        inside = sides is not None and all(b.x + b.width <= sides[0] and b.y + b.height <= sides[1] for b in boxes)
        return tuple(boxes) if inside else None
    return tuple(box.scaled(sides[0] / frame[0], sides[1] / frame[1]) for box in boxes)


def _frames(seen: Seen) -> dict[str, tuple[float, float]]:
    """Width and height of the originals, from the table that copies as PNG bring along (image_id, dim0, dim1)."""
    found = {}
    for table in seen.tables_with("image_id", "dim0", "dim1"):
        for _, cells in read_table(table):
            height, width = parse_number(cells["dim0"]), parse_number(cells["dim1"])
            if height and width:
                found[cells["image_id"].lower()] = (width, height)
    return found


def _record(
    image: str, path: str, told: dict[str, Any], more: tuple[int, tuple[str, ...], Part], boxes: tuple[Box, ...]
) -> ImageRecord:
    label, findings, part = more
    return ImageRecord(
        image=image, label=label, path=path, source=NAME, findings=findings, boxes=boxes, published_part=part, **told
    )


_MEND = (
    "expected train.csv (Kaggle) or annotations_train.csv (PhysioNet), and the folder train; elsewhere: --tables DIR"
)
LAYOUT = Layout(
    name=NAME,
    title="VinDr-CXR",
    holds="train.csv (Kaggle), or annotations_train.csv and image_labels_train.csv (PhysioNet), train and test with ID.dicom",
    licence="PhysioNet Credentialed Health Data License 1.5.0: credentialed users, CITI training, data use agreement; from "
    "Kaggle: the competition's rules",
    url="https://physionet.org/content/vindr-cxr/ (Kaggle: vinbigdata-chest-xray-abnormalities-detection)",
    labels="17 radiologists, three an image (train), five in consensus (test)",
    policy="the majority of readers; --uncertain abnormal, normal or drop says what becomes of images whose readers disagree; a "
    "finding counts where a majority names it, boxes are each reader's own",
    patients="Patient ID of the DICOM header where it is there: the release removed it",
    pages=(
        "doi:10.1038/s41597-022-01498-w",
        "physionet.org/content/vindr-cxr",
        "vindr.ai/datasets/cxr (readers)",
        "torchxrayvision datasets.py (VinBrain_Dataset)",
    ),
    findings=CLASSES,
    marks=(
        Mark(
            "a table with the columns image_id and class_name, or image_id and No finding",
            lambda seen: bool(
                seen.table_with("image_id", "class_name", *_BOX) or seen.table_with("image_id", _NO_FINDING)
            ),
        ),
        Mark("pictures named by 32 hexadecimal digits", lambda seen: seen.has_names(r"[0-9a-f]{32}(\.\w+)?")),
    ),
    open=open_vindr,
    tables=(("image_id", "class_name", *_BOX), ("image_id", _NO_FINDING)),
)

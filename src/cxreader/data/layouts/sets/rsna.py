"""RSNA Pneumonia Detection Challenge: DICOM pictures of the NIH's archive, boxes and three classes by radiologists.

Shih et al., Radiology: AI 2019 (doi:10.1148/ryai.2019180041); kaggle.com/c/rsna-pneumonia-detection-challenge/data:
`stage_2_train_labels.csv` (patientId, x, y, width, height, Target; a row a box) and `stage_2_detailed_class_info.csv` (Normal,
Lung Opacity, No Lung Opacity / Not Normal). "Each patientId corresponds to a unique image": it names no patient. RSNA's
`pneumonia-challenge-dataset-mappings_2018.json` names the NIH's image of each (`subset_img_id`, `img_id`), and so its patient.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures, picture_size
from cxreader.data.layouts.headers import facts, read_headers
from cxreader.data.layouts.layout import Gathered, Layout, Mark, Options, in_file
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.sets.nih_by_finding import patient_of
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError, TableError
from cxreader.findings import OTHER
from cxreader.imaging.vocabulary.words import is_lateral
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord
from cxreader.tables import parse_number, read_table

NAME: Final = "rsna"
FRAME = 1024.0
"""Boxes are in pixels of the challenge's 1024 x 1024 pictures."""
CLASSES: Mapping[str, str | None] = {"normal": None, "lung opacity": "Pneumonia", "no lung opacity / not normal": OTHER}
_BOXES = ("patientid", "x", "y", "width", "height", "target")
_CLASSES = ("patientid", "class")
UNKNOWN = "[image has|images have] no box, and no class that says normal: left out"
NO_PATIENTS = (
    "patientId names an image, not a patient: with RSNA's pneumonia-challenge-dataset-mappings_2018.json beside the tables the "
    "NIH's patients are known"
)


def open_rsna(seen: Seen, options: Options) -> Index:
    """The index of the training images. Raises DataError, TableError."""
    table = seen.table_with(*_BOXES)
    if table is None:
        raise DataError("no stage_2_train_labels.csv", where=seen.root, mend=_MEND)
    boxes, positive = _boxes(table)
    classes = _classes(seen)
    patients = _patients(seen)
    pictures = find_pictures(seen.root, by_stem)
    gathered = Gathered()
    there = [image for image in boxes if image in pictures.paths]
    gathered.without_file = len(boxes) - len(there)
    headers = read_headers([pictures.paths[image] for image in there])
    for image in there:
        path = pictures.paths[image]
        told = facts(headers[path]) | {"patient": patients.get(image)}
        if is_lateral(told.get("view") or ""):
            gathered.counts[LATERAL] += 1
        elif not positive[image] and image not in classes:
            gathered.counts[UNKNOWN] += 1
        else:
            finding = "Pneumonia" if positive[image] else CLASSES.get(classes[image], OTHER)
            found = in_file(boxes[image], picture_size(path) if boxes[image] else None, FRAME)
            gathered.records.append(_record(image, path, told, finding, (classes.get(image), found)))
    if not patients:
        gathered.said.append(NO_PATIENTS)
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in boxes for name in pictures.paths))


def _record(
    image: str, path: str, told: dict[str, Any], finding: str | None, more: tuple[str | None, tuple[Box, ...]]
) -> ImageRecord:
    return ImageRecord(
        image=image,
        label=NORMAL if finding is None else ABNORMAL,
        path=path,
        source=NAME if told["patient"] is None else "nih",
        findings=() if finding is None else (finding,),
        boxes=more[1],
        subtype=more[0],
        published_part="train",
        **told,
    )


def _boxes(table: Path) -> tuple[dict[str, list[Box]], dict[str, bool]]:
    """Boxes of every image in the frame, and whether its Target is 1. Raises TableError, with the row."""
    boxes: dict[str, list[Box]] = defaultdict(list)
    positive: dict[str, bool] = defaultdict(bool)
    for row, cells in read_table(table):
        image, target = cells["patientid"].lower(), parse_number(cells["target"])
        if target not in (0, 1):
            raise TableError("Target is neither 0 nor 1", where=f"{table}, row {row}", mend="get the table again")
        positive[image] |= target == 1
        found = boxes[image]
        if any(cells[name] for name in _BOXES[1:5]):
            sides = [parse_number(cells[name]) for name in _BOXES[1:5]]
            if None in sides:
                raise TableError("a box is not four numbers", where=f"{table}, row {row}", mend="get the table again")
            x, y, width, height = (side for side in sides if side is not None)
            found.append(Box("Pneumonia", x, y, width, height))
    return boxes, positive


def _classes(seen: Seen) -> dict[str, str]:
    table = seen.table_with(*_CLASSES)
    return {} if table is None else {c["patientid"].lower(): c["class"].lower() for _, c in read_table(table)}


def _patients(seen: Seen) -> dict[str, str]:
    """The NIH's patient of each image, by RSNA's mapping; empty without it."""
    path = seen.file_named(r"(pneumonia-challenge-dataset-)?mappings(_2018)?\.json")
    if path is None:
        return {}
    try:
        rows = json.loads(path.read_text("utf-8"))
        return {row["subset_img_id"].lower(): patient_of(row["img_id"]) for row in rows if row.get("subset_img_id")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, TableError):
        raise DataError("is not RSNA's mapping to the NIH's images", where=path, mend="get it again") from None


_MEND = "expected stage_2_train_labels.csv, stage_2_detailed_class_info.csv and stage_2_train_images"
LAYOUT = Layout(
    name=NAME,
    title="RSNA Pneumonia Detection Challenge",
    holds="stage_2_train_labels.csv, stage_2_detailed_class_info.csv and stage_2_train_images (DICOM, PNG or JPEG)",
    licence="any use, commercial too, with the attribution that RSNA asks for (pictures: NIH Clinical Center)",
    url="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge (and rsna.org)",
    labels="18 radiologists of 16 institutions; a part read by three and adjudicated",
    policy="Lung Opacity (with boxes) and No Lung Opacity / Not Normal are abnormal, Normal is normal; the pictures are "
    "the NIH's: no measure for a model that has seen those",
    patients="none: patientId is an image's; with RSNA's mapping file the NIH's patients",
    pages=(
        "doi:10.1148/ryai.2019180041",
        "rsna.org/education/ai-resources-and-training/ai-image-challenge/rsna-pneumonia-detection-challenge-2018 (terms)",
        "kaggle.com/c/rsna-pneumonia-detection-challenge/data",
        "torchxrayvision datasets.py (RSNA_Pneumonia_Dataset)",
    ),
    findings=CLASSES,
    marks=(
        Mark(
            "a table with the columns patientId, x, y, width, height and Target",
            lambda seen: seen.table_with(*_BOXES) is not None,
        ),
        Mark(
            "pictures named by a patientId",
            lambda seen: seen.has_names(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.\w+)?"),
        ),
    ),
    open=open_rsna,
    tables=(_BOXES,),
)

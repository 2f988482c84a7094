"""Phantoms laid out as the ChestX-ray14 release: PNG files in numbered folders, its tables and its lists."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxreader.data.phantoms.image import Phantom, PhantomSpec, boxes_of, image_name, note_of
from cxreader.data.phantoms.patients import LIST, Patient, stream
from cxreader.findings import NO_FINDING
from cxreader.records import Box

PER_FOLDER = 5000
"""Images an `images_NNN` folder holds at most."""

TEST_SHARE = 0.25
"""Share of patients on the test list (the release's: 0.23 of the images)."""

ENTRY_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
BOX_SPELLING = {"Infiltration": "Infiltrate"}


def place(index: int, patient: int, visit: int) -> Path:
    """As `phantom.Layout`."""
    return Path(f"images_{index // PER_FOLDER + 1:03d}", "images", image_name(patient, visit))


def encode(phantom: Phantom, spec: PhantomSpec) -> bytes:  # noqa: ARG001
    """As `phantom.Layout`: an 8-bit PNG file."""
    text, buffer = PngInfo(), io.BytesIO()
    text.add_text("phantom", note_of(phantom))
    # Run lengths alone: noise leaves deflate nothing else to find, and it is the faster by a fifth.
    Image.fromarray(phantom.pixels).save(buffer, "PNG", compress_level=1, compress_type=3, pnginfo=text)
    return buffer.getvalue()


def kept_boxes(path: Path, spec: PhantomSpec) -> tuple[Box, ...] | None:
    """As `phantom.Layout`."""
    try:
        with Image.open(path) as image:
            image.verify()
            return boxes_of(image.info["phantom"]) if image.size == (spec.size, spec.size) else None
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return None


def tables(spec: PhantomSpec, patients: list[Patient], boxes: dict[str, tuple[Box, ...]]) -> dict[str, list[str]]:
    """As `phantom.Layout`: entries, boxes and the two official lists."""
    entries, rows = [ENTRY_HEADER], [BOX_HEADER]
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    for who in patients:
        test = stream(spec.seed, who.number, 0, LIST).random() < TEST_SHARE
        for k, v in enumerate(who.visits):
            name, labels = image_name(who.number, k), "|".join(v.findings) or NO_FINDING
            cells = (name, labels, k, who.number, v.age, who.sex, v.view, v.width, v.height, v.spacing, v.spacing, "")
            entries.append(",".join(map(str, cells)))
            lists["test_list.txt" if test else "train_val_list.txt"].append(name)
            for box in boxes[name]:
                label = BOX_SPELLING.get(box.finding, box.finding)
                rows.append(f"{name},{label},{box.x},{box.y},{box.width},{box.height}")
    return {"Data_Entry_2017.csv": entries, "BBox_List_2017.csv": rows, **lists}

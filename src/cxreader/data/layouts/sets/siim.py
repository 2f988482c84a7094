"""SIIM-ACR Pneumothorax Segmentation: DICOM pictures of the NIH's archive, masks of pneumothorax as runs of pixels.

kaggle.com/c/siim-acr-pneumothorax-segmentation: `train-rle.csv` (ImageId, EncodedPixels; a row a mask, -1 for none) and
`dicom-images-train/<study>/<series>/<ImageId>.dcm`. Runs go down the columns of a 1024 x 1024 frame, each start counted from the
end of the run before. An image without a mask has no pneumothorax; that it is normal nobody said, so its label is not known.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures, picture_size
from cxreader.data.layouts.headers import facts, read_headers
from cxreader.data.layouts.layout import Gathered, Layout, Mark, Options, in_file
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError, TableError
from cxreader.imaging.vocabulary.words import is_lateral
from cxreader.records import ABNORMAL, NORMAL, Box, ImageRecord
from cxreader.tables import read_table

NAME: Final = "siim"
FRAME = 1024
NO_MASK = (
    "[image has|images have] no mask: no pneumothorax, which is not normal, so left out (--uncertain normal takes [it|them] "
    "as normal)"
)
AS_NORMAL = (
    "[image has no mask and is|images have no mask and are] taken as normal, as asked: there may be other findings"
)
_COLUMNS = ("imageid", "encodedpixels")


def open_siim(seen: Seen, options: Options) -> Index:
    """The index of the images of the table of masks. Raises DataError, TableError."""
    table = seen.table_with(*_COLUMNS)
    if table is None:
        raise DataError("no table with the columns ImageId and EncodedPixels", where=seen.root, mend=_MEND)
    masks = _masks(table)
    pictures = find_pictures(seen.root, by_stem)
    gathered = Gathered()
    there = [image for image in masks if image in pictures.paths]
    gathered.without_file = len(masks) - len(there)
    headers = read_headers([pictures.paths[image] for image in there])
    for image in there:
        path, boxes = pictures.paths[image], masks[image]
        told = facts(headers[path])
        if is_lateral(told.get("view") or ""):
            gathered.counts[LATERAL] += 1
        elif not boxes and options.uncertain != "normal":
            gathered.counts[NO_MASK] += 1
        else:
            gathered.counts[AS_NORMAL] += not boxes
            gathered.records.append(
                _record(image, path, told, in_file(boxes, picture_size(path) if boxes else None, FRAME))
            )
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in masks for name in pictures.paths))


def box_of(runs: str) -> Box | None:
    """The smallest box around a mask of runs (`start length start length ...`), in the frame; None for -1.

    Raises ValueError for what is no such text.
    """
    numbers = [int(word) for word in runs.split()]
    if numbers in ([], [-1]):
        return None
    if len(numbers) % 2 or min(numbers) < 0:
        raise ValueError(runs)
    columns, rows = set[int](), set[int]()
    at = 0
    for skip, length in zip(numbers[::2], numbers[1::2], strict=True):
        first, last = at + skip, at + skip + length - 1
        at = last + 1
        columns |= {first // FRAME, last // FRAME}
        rows |= {0, FRAME - 1} if first // FRAME != last // FRAME else {first % FRAME, last % FRAME}
    if at > FRAME * FRAME:
        raise ValueError(runs)
    left, top = min(columns), min(rows)
    return Box("Pneumothorax", left, top, max(columns) - left + 1, max(rows) - top + 1)


def _masks(table: Path) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = defaultdict(list)
    for row, cells in read_table(table):
        try:
            box = box_of(cells["encodedpixels"])
        except ValueError:
            what = "EncodedPixels is neither -1 nor pairs of start and length within 1024 x 1024"
            raise TableError(what, where=f"{table}, row {row}", mend="get the table again") from None
        own = found[by_stem(cells["imageid"])]
        own += [box] if box is not None else []
    return found


def _record(image: str, path: str, told: dict[str, Any], boxes: tuple[Box, ...]) -> ImageRecord:
    return ImageRecord(
        image=image,
        label=ABNORMAL if boxes else NORMAL,
        path=path,
        source=NAME,
        findings=("Pneumothorax",) if boxes else (),
        boxes=boxes,
        published_part="train",
        **told,
    )


_MEND = "expected train-rle.csv (or stage_2_train.csv) and dicom-images-train"
LAYOUT = Layout(
    name=NAME,
    title="SIIM-ACR Pneumothorax",
    holds="train-rle.csv or stage_2_train.csv, and dicom-images-train/STUDY/SERIES/ImageId.dcm (or PNG of those names)",
    licence="the competition's rules on Kaggle (pictures: NIH Clinical Center)",
    url="https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation",
    labels="masks by radiologists of SIIM and STR, adjudicated, some proposed by a network",
    policy="a mask is abnormal; no mask is no pneumothorax, not normal: left out, or normal with --uncertain normal; the "
    "pictures are the NIH's: no measure for a model that has seen those",
    patients="Patient ID of the DICOM header",
    pages=(
        "doi:10.1007/s10278-019-00299-9",
        "kaggle.com/c/siim-acr-pneumothorax-segmentation/data",
        "torchxrayvision datasets.py (SIIM_Pneumothorax_Dataset)",
    ),
    findings={"pneumothorax": "Pneumothorax"},
    marks=(
        Mark("a table with the columns ImageId and EncodedPixels", lambda seen: seen.table_with(*_COLUMNS) is not None),
        Mark(
            "pictures named by a SOP Instance UID or ID_...",
            lambda seen: seen.has_names(r"(1\.2\.[\d.]{20,}|ID_[0-9a-f]{6,})(\.\w+)?"),
        ),
    ),
    open=open_siim,
    tables=(_COLUMNS,),
)

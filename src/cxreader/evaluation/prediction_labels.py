"""Labels that stand in another table than the predictions, joined by the image's name."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from cxreader.counting import format_count
from cxreader.errors import DataError, TableError
from cxreader.evaluation.prediction_cells import Cells
from cxreader.findings import value_or_missing
from cxreader.tables import read_table

_UID = "sop_instance_uid"
_TAKEN = ("patient", "age", "sex", "view", "follow_up", "source", "findings")
"""What a table of labels may tell besides, taken where the predictions do not say it."""


def with_labels(
    cells: Cells, path: str, aliases: Mapping[str, Sequence[str]], excluded: Counter[str]
) -> tuple[Cells, tuple[str, ...]]:
    r"""The predictions with the labels of another table, and notes; images without one are left out and counted.

    Names are compared as they are (`\` is `/`), else by the file's name alone, else without its suffix: the first of these by
    which most are found, as long as it tells the images apart. A table of labels that has `sop_instance_uid` and no image is
    joined by that column of the predictions. Raises TableError for a label table without image and label
    or with an image twice, and where two predictions have one UID, DataError when no image is found.
    """
    table = read_table(path).aliased({"label": ("class", "target", "ground_truth", "y_true"), **aliases})
    by_uid = "image" not in table and _UID in table and _UID in cells.columns
    table = table.aliased({"image": (_UID,)}) if by_uid else table
    table.require("image", "label")
    labels = Cells.of(table)
    _refuse_twice(labels)
    if by_uid:
        how, row_of = _matched_by_uid(cells, labels)
    else:
        how, row_of = max(
            (_matched(cells.columns["image"], labels.columns["image"], key) for key in (_whole, _name, _stem)),
            key=lambda found: sum(row is not None for row in found[1]),
        )
    keep = [row is not None for row in row_of]
    if not any(keep):
        what = f"none of its {format_count(len(labels), '[image|images]')} is among the predictions"
        raise DataError(what, where=table.where, mend="use the image names of the predictions")
    name = Path(path).name
    excluded[f"no label in {name}"] += keep.count(False)
    excluded += Counter()  # a reason of no image is none
    kept, rows = cells.part(keep), [row for row in row_of if row is not None]
    taken = [
        column for column in _TAKEN if column in table and not any(map(value_or_missing, kept.columns.get(column, ())))
    ]
    for column in ("label", *taken):
        kept.columns[column] = [labels.columns[column][row] for row in rows]
    alone = len(labels) - len(set(rows))
    notes: tuple[str, ...] = (f"no prediction for {format_count(alone, '[row|rows]')} of {name}",) if alone else ()
    notes += (f"images are joined by {how}",) if how else ()
    return kept, (*table.notes, *notes, *table.unused(("image", "label", *_TAKEN)))


def _refuse_twice(labels: Cells) -> None:
    first: dict[str, int] = {}
    for row, image in zip(labels.rows, labels.columns["image"], strict=True):
        if not image:
            raise TableError("the image has no name", where=labels.table.at(row, "image"), mend="name every image")
        if first.setdefault(image, row) != row:
            what = f"image {image} stands twice: in row {first[image]} and in row {row}"
            raise TableError(what, where=labels.table.where, mend="keep one row an image")


def _matched(wanted: Sequence[str], there: Sequence[str], key: Callable[[str], str]) -> tuple[str, list[int | None]]:
    """How the names were compared, and the row of each; none at all where two images of one side are one by this key."""
    rows = {key(name): row for row, name in enumerate(there)}
    own = [key(name) for name in wanted]
    clear = len(rows) == len(there) and len(set(own)) == len(set(map(_whole, wanted)))
    return _HOW[key], [rows.get(name) for name in own] if clear else [None] * len(own)


def _matched_by_uid(cells: Cells, labels: Cells) -> tuple[str, list[int | None]]:
    """As `_matched`. Raises TableError for two predictions of one labelled UID, by their rows: a UID can lead to a patient."""
    rows = {uid: row for row, uid in enumerate(labels.columns["image"])}
    first: dict[str, int] = {}
    for row, uid in zip(cells.rows, cells.columns[_UID], strict=True):
        if uid in rows and first.setdefault(uid, row) != row:
            what = f"one SOP Instance UID stands twice: in row {first[uid]} and in row {row}"
            raise TableError(what, where=cells.table.where, mend="keep one row an image, or give the labels by image")
    return "the SOP Instance UID", [rows.get(uid) for uid in cells.columns[_UID]]


def _whole(name: str) -> str:
    return str(PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/"))))


def _name(name: str) -> str:
    return PurePosixPath(_whole(name)).name


def _stem(name: str) -> str:
    return PurePosixPath(_whole(name)).stem


_HOW: Mapping[Callable[[str], str], str] = {
    _whole: "",
    _name: "the file's name alone",
    _stem: "the file's name without its suffix",
}

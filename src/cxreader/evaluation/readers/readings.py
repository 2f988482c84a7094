"""What radiologists said of images: a table of one row a reader and image, joined to predictions by the image's name."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from cxreader.counting import format_count
from cxreader.errors import DataError, TableError, nearest
from cxreader.evaluation.prediction_cells import read_label
from cxreader.evaluation.predictions import ALIASES
from cxreader.findings import FINDINGS, value_or_missing
from cxreader.identity import patient_name
from cxreader.tables import Table, parse_number, read_table

NOT_READ = -1
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".webp", ".gif"})
_ALIASES: Mapping[str, Sequence[str]] = {
    "image": (*ALIASES["image"], "case"),
    "reader": ("reader id", "reader_id", "radiologist", "rater", "rater id", "rater_id", "rad_id", "annotator"),
    "label": ("abnormal", "reading", "decision", "call"),
    "modality": ("treatment",),
    "score": ("rating",),
    "truth": ("reference", "ground_truth"),
    "patient": ALIASES["patient"],
}
_DOUBTFUL: Mapping[str, tuple[str, str]] = {
    "confidence": ("score", "if it rates how abnormal the image is, and not how sure the reader is of his call"),
    "condition": ("modality", "if it tells how the image was read, such as with and without help"),
}
"""Columns that may be another quantity: taken only where the user names them as what they would be here."""
_MODALITY = ", or name the column that tells how it was read: --column modality=COLUMN"
NAMED = ("reader", "score", "modality", "truth")
"""Columns of readings that a user may name; those of labels and predictions are asked for by other names."""


@dataclass(frozen=True, eq=False)
class Readings:
    """What r readers said of n images under m modalities (with and without help, say; one where the table names none).

    `image` (n,) as `image_key` gives it; `reader` (r,) and `modality` (m,) names. `label` (m, r, n) int8: 0 normal, 1
    abnormal, -1 not read. `score` (m, r, n) float64, higher for more abnormal, NaN where none. `truth` (n,) int8, -1
    where the table tells none; `patient` (n,) or None where no patient is named. `notes`: what a reader of the table must
    know.
    """

    image: NDArray[np.str_]
    reader: tuple[str, ...]
    modality: tuple[str, ...]
    label: NDArray[np.int8]
    score: NDArray[np.float64]
    truth: NDArray[np.int8]
    patient: NDArray[np.str_] | None = None
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> NDArray[np.int8]:
        """The labels (r, n) under the first modality."""
        labels: NDArray[np.int8] = self.label[0]
        return labels

    def places(self, names: Sequence[str]) -> tuple[int, ...]:
        """The places of these readers; raises DataError for a name that nobody has."""
        for name in names:
            if name not in self.reader:
                raise DataError(f"no reader is named {name!r}", mend=nearest(name, self.reader))
        return tuple(self.reader.index(name) for name in names)

    def part(self, images: NDArray[np.bool_]) -> Readings:
        """Some of the images, those where `images` (n,) is True."""
        return replace(
            self,
            image=self.image[images],
            label=self.label[..., images],
            score=self.score[..., images],
            truth=self.truth[images],
            patient=None if self.patient is None else self.patient[images],
        )

    def aligned(self, images: Sequence[str], table: str = "") -> Readings:
        """The same readings in the order of `images` (k,), whatever their folders and suffixes; -1 where nobody read one.

        `table`: the file that names the images, for messages; empty where they are those that a model is judged on.
        Raises TableError where two of `images` that were read are one by `image_key`, DataError where none of them was read.
        """
        keys = [image_key(name) for name in images]
        at = {name: place for place, name in enumerate(self.image.tolist())}
        twice = next((key for key, count in Counter(keys).items() if count > 1 and key in at), None)
        if twice is not None:
            what = f"two images are named {twice} but for folder and suffix: its readings cannot tell them apart"
            raise TableError(what, mend="give each image a name of its own")
        place = np.array([at.get(key, -1) for key in keys], dtype=np.intp)
        among = f"in {table}" if table else "among those judged"
        if not (place >= 0).any():
            what = f"none of the {format_count(len(self.image), '[image|images]')} that readers saw is {among}"
            raise DataError(what, mend="images are joined by their file's name without its suffix: check both tables")
        known = place >= 0
        alone = len(self.image) - int(np.count_nonzero(known))
        without = int(np.count_nonzero(~known))
        notes = [f"{format_count(alone, '[image|images] that readers saw [is|are] not')} {among}"] if alone else []
        if without:
            was = "was" if without == 1 else "were"
            notes.append(f"{format_count(without, '[image|images]')} {among} {was} read by nobody")
        return replace(
            self,
            image=np.array(images, dtype=np.str_),
            label=np.where(known, self.label[..., place], np.int8(NOT_READ)),
            score=np.where(known, self.score[..., place], np.nan),
            truth=np.where(known, self.truth[place], np.int8(NOT_READ)),
            patient=None if self.patient is None else np.where(known, self.patient[place], ""),
            notes=(*self.notes, *notes),
        )


def image_key(name: str) -> str:
    r"""The name by which an image is joined: no folder (`\` is `/`), no suffix of a picture, letters composed (NFC)."""
    path = PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")))
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def read_readings(path: str | os.PathLike[str], columns: Mapping[str, str] | None = None) -> Readings:
    """The readings of a table: `image`, `reader`, `label` or `score`, and, if there, `modality`, `truth` and `patient`.

    `columns`: by a name of NAMED what the file calls it. A column that may be something else (`confidence`) is not guessed.

    The published layout of the NIH images that five radiologists read goes in as it is (`Image ID`, `Reader ID`,
    `Abnormal`, a column for each finding; Nabulsi et al., Scientific Reports 11, 2021, 15523). An empty label or score is a
    reading that was not made. Raises TableError, naming file, row and column, for a column that is missing, a cell that
    cannot be read, an image twice by one reader and one modality, an image with two truths or two patients, and two readers or
    modalities whose names differ by case or blanks alone.
    """
    table = read_table(path, columns=columns).aliased(_ALIASES)
    doubtful = {
        own: f"{why}: --column {name}={own}"
        for own, (name, why) in _DOUBTFUL.items()
        if own in table and name not in table
    }
    table.require(
        "image",
        "reader",
        *(() if "score" in table else ("label",)),
        or_else="".join(f"; or name {table.written(own)}, {mend}" for own, mend in doubtful.items()),
    )
    seen: dict[tuple[str, str, str], tuple[int | None, float | None]] = {}
    told: dict[str, dict[str, str | int]] = {"truth": {}, "patient": {}}
    signs: set[bool] = set()
    for row, cells in table:
        image, reader = image_key(cells["image"]), cells["reader"]
        for name, text in (("image", image), ("reader", reader)):
            if not text:
                raise TableError(f"the {name} has no name", where=table.at(row, name), mend="complete the row")
        key = cells.get("modality", ""), reader, image
        if key in seen:
            what = f"reader {reader} reads image {image} twice"
            raise TableError(what, where=table.at(row), mend=f"keep one row a reader, image and modality{_MODALITY}")
        label, score = (value_or_missing(cells.get(name, "")) for name in ("label", "score"))
        seen[key] = (
            read_label(label, table.at(row, "label")) if label else None,
            _number(score, table.at(row, "score"), signs) if score else None,
        )
        for name, of_image in told.items():
            text = value_or_missing(cells.get(name, ""))
            value = read_label(text, table.at(row, name)) if text and name == "truth" else patient_name(text)
            if text and of_image.setdefault(image, value) != value:
                what = f"image {image} has another {name} than in a row above"
                raise TableError(what, where=table.at(row, name), mend="keep one an image")
    for name, names in (("reader", (key[1] for key in seen)), ("modality", (key[0] for key in seen))):
        _refuse_spellings(name, names, table)
    if all(made == (None, None) for made in seen.values()):
        raise DataError("holds no reading", where=table.where, mend="give at least one row with a label or a score")
    findings = {spelling.lower() for f in FINDINGS for spelling in (f.name, f.display, *f.aliases)}
    findings |= {"other", "findings"}
    used = (*_ALIASES, *doubtful, *(name for name in table.names() if name.replace("_", " ") in findings))
    notes = [f"column {table.written(own)} is not read; {mend}" for own, mend in doubtful.items()]
    return _arranged(seen, told, (*table.notes, *table.unused(used), *notes))


def name_key(name: str) -> str:
    """What two spellings of one name share: no case, one blank between words."""
    return " ".join(name.split()).casefold()


def _refuse_spellings(column: str, names: Iterable[str], table: Table) -> None:
    """Raises TableError where two names would be one but for case and blanks: the same reader would be two."""
    spelt: dict[str, str] = {}
    for name in names:
        other = spelt.setdefault(name_key(name), name)
        if other != name:
            what = f"{column} {name!r} is {other!r} but for case or blanks"
            raise TableError(what, where=table.where, mend="write each one way, or give two of them other names")


def _arranged(
    seen: Mapping[tuple[str, str, str], tuple[int | None, float | None]],
    told: Mapping[str, Mapping[str, str | int]],
    notes: tuple[str, ...],
) -> Readings:
    modalities, readers, images = (list(dict.fromkeys(key[k] for key in seen)) for k in range(3))
    place = [{name: at for at, name in enumerate(names)} for names in (modalities, readers, images)]
    shape = len(modalities), len(readers), len(images)
    label, score = np.full(shape, NOT_READ, np.int8), np.full(shape, np.nan)
    for key, (called, rating) in seen.items():
        at = tuple(of[name] for of, name in zip(place, key, strict=True))
        if called is not None:
            label[at] = called
        if rating is not None:
            score[at] = rating
    truth = np.array([told["truth"].get(image, NOT_READ) for image in images], dtype=np.int8)
    patient = np.array([str(told["patient"].get(image, "")) for image in images], dtype=np.str_)
    return Readings(
        image=np.array(images, dtype=np.str_),
        reader=tuple(readers),
        modality=tuple(modalities),
        label=label,
        score=score,
        truth=truth,
        patient=patient if told["patient"] else None,
        notes=notes,
    )


def _number(text: str, where: str, signs: set[bool]) -> float:
    """A rating; `83%` is 0.83. `signs`: whether the ratings so far have a percent sign, to which this one's is added."""
    number = parse_number(text.rstrip("% "))
    if number is None:
        raise TableError(
            f"{text!r} is no number", where=where, mend="write it with a decimal point or comma, or as 83%"
        )
    signs.add(text.endswith("%"))
    if len(signs) > 1:
        raise TableError("some ratings have a percent sign, others none", where=where, mend="write them alike")
    return number / 100 if text.endswith("%") else number

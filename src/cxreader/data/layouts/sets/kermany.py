"""Paediatric pneumonia of Guangzhou, as Kaggle's `chest_xray` and as Mendeley Data hold it; names tell the patients.

Kermany et al., Cell 2018; Mendeley Data doi:10.17632/rscbjbr9sj (versions 2 and 3): "split into a training set and a testing
set of independent patients", named (disease)-(randomized patient ID)-(image number). Kaggle's copy carved its `val` of 16 images
from the training set.

Who is one patient, by the name:
- `person12_bacteria_47`, `person12_virus_48`: one child. Their numbers may be of two children; taken as one, no child can stand
  in two parts of a split, which is the error that misleads.
- `IM-0115-0001` and `NORMAL2-IM-0115-0001`: two children of two series of normals, and neither is `person115`.
- Numbers restart in the published test part, and only there: the part, test or train, is in the patient's name.
- `NORMAL-1049278-0001`, `BACTERIA-...`, `VIRUS-...` (version 3): the number is the patient's in all parts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import find_pictures
from cxreader.data.layouts.layout import PARTS, Gathered, Layout, Mark, Options, Part
from cxreader.data.layouts.seen import Seen
from cxreader.imaging.duplicates.copies import copies
from cxreader.records import ABNORMAL, NORMAL, ImageRecord

NAME: Final = "kermany"
CLASSES: Mapping[str, int] = {"normal": NORMAL, "pneumonia": ABNORMAL, "abnormal": ABNORMAL}
"""The published folders in lower case, and the name that people give the second."""
_PERSON = re.compile(r"person(\d+)_(bacteria|virus)_\d+", re.IGNORECASE)
_FILM = re.compile(r"(NORMAL2-)?IM-(\d+)-\d+(-\d+)?", re.IGNORECASE)
_RANDOMISED = re.compile(r"(NORMAL|BACTERIA|VIRUS)-(\d+)-\d+", re.IGNORECASE)
_COPY = r"(?:[ _]?\(\d+\)| - copy| copy)?"
NAMES = rf"(person\d+_(bacteria|virus)_\d+|(NORMAL2-)?IM-\d+-\d+(-\d+)?|(NORMAL|BACTERIA|VIRUS)-\d+-\d+){_COPY}\.\w+"
CLASHING = "[image|images] of equal bytes [lies|lie] under both NORMAL and PNEUMONIA: left out"


def open_kermany(seen: Seen, options: Options) -> Index:
    """The index of the pictures under NORMAL and PNEUMONIA (or ABNORMAL); files of equal bytes are one image.

    The image's name is its path from the part on (`test/NORMAL/IM-0001-0001.jpeg`). Of equal files in two parts the test part's
    stays. Raises DataError where no picture lies under such a folder, or two of one published place differ.
    """
    pictures = find_pictures(seen.root, lambda path: _place(path, seen.root))
    outside = sum(_class_of(name) is None for name in pictures.paths)
    placed = {name: path for name, path in pictures.paths.items() if _class_of(name) is not None}
    order = sorted(placed, key=lambda name: (_part(name, seen.root) != "test", name))
    names = {placed[name]: name for name in order}
    first = copies(placed[name] for name in order)
    clashing = {path for copy, path in first.items() if _class_of(names[copy]) != _class_of(names[path])}
    gathered = Gathered()
    gathered.counts["[file|files] of the same bytes as another [is|are] counted once"] = len(first)
    gathered.counts[CLASHING] = len(clashing)
    gathered.counts["[picture lies|pictures lie] under neither NORMAL nor PNEUMONIA: left out"] = outside
    for name, path in placed.items():
        if path not in first and path not in clashing:
            gathered.records.append(_record(name, path, seen.root))
    return gathered.index(LAYOUT, seen, options, pictures, outside)


def patient_of(stem: str, part: Part | None) -> tuple[str | None, str | None]:
    """The patient in a file's name (see the module), and the subtype bacteria or virus; None for what the name does not tell."""
    series = "test" if part == "test" else "train"
    if person := _PERSON.match(stem):
        return f"{series}/person{int(person[1])}", person[2].lower()
    if film := _FILM.match(stem):
        return f"{series}/{'NORMAL2-' if film[1] else ''}IM-{int(film[2])}", None
    if randomised := _RANDOMISED.match(stem):
        kind = randomised[1].lower()
        return str(int(randomised[2])), None if kind == "normal" else kind
    return None, None


def _record(name: str, path: str, root: Path) -> ImageRecord:
    label, part = _class_of(name), _part(name, root)
    assert label is not None  # noqa: S101 - for the type checker
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    patient, subtype = patient_of(stem, part)
    return ImageRecord(
        image=name,
        label=label,
        path=path,
        patient=patient,
        source=NAME,
        findings=("Pneumonia",) if label == ABNORMAL else (),
        subtype=subtype,
        published_part=part,
    )


def _place(path: str, root: Path) -> str:
    """The published place: the path from the part's folder on, else from the class's, else below the root."""
    parts = path[len(str(root)) + 1 :].replace(os.sep, "/").split("/")
    words = [part.lower() for part in parts[:-1]]
    for known in (PARTS, CLASSES):
        if at := [n for n, word in enumerate(words) if word in known]:
            return "/".join(parts[at[-1] :])
    return "/".join(parts)


def _class_of(name: str) -> int | None:
    return next((CLASSES[word] for word in reversed(name.lower().split("/")[:-1]) if word in CLASSES), None)


def _part(name: str, root: Path) -> Part | None:
    """The part in the image's place, else in the folder that was given, or the two above it."""
    words = [*name.lower().split("/")[:-1], *(part.lower() for part in reversed(root.absolute().parts[-2:]))]
    return next((PARTS[word] for word in words if word in PARTS), None)


LAYOUT = Layout(
    name=NAME,
    title="Paediatric pneumonia (Kermany): Kaggle chest_xray, Mendeley",
    holds="train, test and val, each with NORMAL and PNEUMONIA (or ABNORMAL) and JPEG files; copies within copies are one",
    licence="CC BY 4.0",
    url="https://data.mendeley.com/datasets/rscbjbr9sj (Kaggle: paultimothymooney/chest-xray-pneumonia)",
    labels="two physicians; the test part checked by a third",
    policy="NORMAL is normal, PNEUMONIA abnormal; children of one to five years, so no measure for adults",
    patients="in the file's name; bacterial and viral numbers are taken as one child's, the test part's as other children",
    pages=("doi:10.17632/rscbjbr9sj", "kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia"),
    findings={"normal": None, "pneumonia": "Pneumonia"},
    marks=(
        Mark("folders NORMAL and PNEUMONIA (or ABNORMAL)", lambda seen: seen.has_folders(*CLASSES, least=2)),
        Mark("pictures named as person12_bacteria_47.jpeg or IM-0115-0001.jpeg", lambda seen: seen.has_names(NAMES)),
    ),
    open=open_kermany,
)

"""Pictures of NIH ChestX-ray14 sorted into folders that are called by their findings, as people do for training by folders."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cxreader.counting import count_notes
from cxreader.data.index import Index, patient_notes
from cxreader.data.layouts.files import Pictures, by_name, find_pictures
from cxreader.errors import TableError
from cxreader.findings import FINDINGS, NO_FINDING
from cxreader.records import ABNORMAL, NORMAL, ImageRecord

IMAGE_NAME = r"(\d{8})_(\d{3})\.\w+"
_IMAGE_NAME = re.compile(IMAGE_NAME)
_CLASSES = {spelling.lower().replace("_", " "): f.name for f in FINDINGS for spelling in (f.name, *f.aliases)}
_NONE = NO_FINDING.lower()
FOLDERS = (_NONE, "no_finding", *(spelling.replace(" ", between) for spelling in _CLASSES for between in " _"))
"""Names of such folders, in lower case."""


def patient_of(image: str) -> str:
    """The patient in a file name of the release: `00013118_008.png` shows patient 13118. Raises TableError."""
    match = _IMAGE_NAME.fullmatch(image)
    if match is None:
        raise TableError(f"the file name {image!r} does not tell its patient", mend="names look like 00013118_008.png")
    return str(int(match[1]))


def _class_of(path: str) -> str | None:
    """The finding, or No Finding, that the folder of a picture of the release's name is called by."""
    folder, name = os.path.split(path)
    word = by_name(folder).lower().replace("_", " ")
    known = _IMAGE_NAME.fullmatch(name) is not None
    return NO_FINDING if known and word == _NONE else _CLASSES.get(word) if known else None


def pictures_by_finding(folder: Path) -> Pictures:
    """Pictures of the release's names under folders called by findings, by `finding/name`."""
    return find_pictures(folder, lambda path: None if _class_of(path) is None else f"{_class_of(path)}/{by_name(path)}")


def open_by_finding(folder: Path, found: Pictures, name: str, source: str) -> Index:
    """One image of each name, with the findings of all the folders that it lies in."""
    findings: dict[str, list[str]] = {}
    paths: dict[str, str] = {}
    for key, path in found.paths.items():
        finding, image = key.split("/")
        paths.setdefault(image, path)
        findings.setdefault(image, []).extend([] if finding == NO_FINDING else [finding])
    records = tuple(
        ImageRecord(
            image=image,
            label=ABNORMAL if findings[image] else NORMAL,
            path=paths[image],
            patient=patient_of(image),
            source=source,
            findings=tuple(findings[image]),
            follow_up=int(image[9:12]),
        )
        for image in sorted(paths)
    )
    several = len(found.paths) - len(paths)
    counted = {
        "[picture lies|pictures lie] in more than one finding's folder: each is one image": several,
        "[picture lies|pictures lie] in no finding's folder, or [has|have] another name: left out": found.passed,
    }
    return Index(
        records,
        name=name,
        kind="nih",
        root=str(folder),
        rows_without_file=0,
        files_without_row=found.passed,
        notes=(*count_notes(counted), *found.notes(), *patient_notes(records)),
    )

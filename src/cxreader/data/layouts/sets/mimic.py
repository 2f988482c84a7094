"""MIMIC-CXR-JPG: radiographs of Beth Israel Deaconess, labels mined from reports, the publisher's split.

Johnson et al., arXiv:1901.07042 and physionet.org/content/mimic-cxr-jpg: `mimic-cxr-2.0.0-metadata.csv.gz` (a row an image),
`-chexpert.csv.gz` or `-negbio.csv.gz` (a row a study, values as CheXpert's), `-split.csv.gz` (a row an image), and
`files/p10/p10000032/s50414267/<dicom_id>.jpg`. Labels are of the study: each of its images has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures
from cxreader.data.layouts.layout import CONTRADICTED, PARTS, Gathered, Layout, Mark, Options, Verdict
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.sets.chexpert import NO_FINDING, OBSERVATIONS, UNKNOWN, labelled
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError
from cxreader.imaging.vocabulary import terms
from cxreader.imaging.vocabulary.words import is_lateral
from cxreader.records import ImageRecord
from cxreader.tables import read_table

NAME: Final = "mimic"
_METADATA = ("dicom_id", "subject_id", "study_id")
_CODES = {"postero-anterior": "PA", "antero-posterior": "AP", "lateral": "LATERAL", "left lateral": "LL"}
"""Meanings of the View Code Sequence in the metadata, for the images whose View Position is empty."""
_VIEW_CODE = "viewcodesequence_codemeaning"

NO_VIEW = "[image names no view: it may be a lateral|images name no view: laterals may be among them]"


def open_mimic(seen: Seen, options: Options) -> Index:
    """The index of the images of the metadata. Raises DataError where a table is missing, TableError."""
    metadata, studies = _images(seen), _studies(seen, options)
    parts = _parts(seen)
    pictures = find_pictures(seen.root, by_stem)
    gathered, rows = Gathered(), set[str]()
    for _, cells in read_table(metadata):
        image = cells["dicom_id"].lower()
        rows.add(image)
        path = pictures.paths.get(image)
        if path is None:
            gathered.without_file += 1
            continue
        view = _view(cells)
        if is_lateral(view or ""):
            gathered.counts[LATERAL] += 1
            continue
        verdict, contradicted = studies.get((cells["subject_id"], cells["study_id"]), (Verdict(None), False))
        if verdict.label is None:
            gathered.counts[UNKNOWN] += 1
            continue
        gathered.counts[CONTRADICTED] += contradicted
        gathered.counts[
            "[image names no view: it may be a lateral|images name no view: laterals may be among them]"
        ] += view is None
        gathered.records.append(_record(cells, image, path, verdict, view, parts))
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in rows for name in pictures.paths))


def _record(
    cells: Mapping[str, str], image: str, path: str, verdict: Verdict, view: str | None, parts: Mapping[str, str]
) -> ImageRecord:
    assert verdict.label is not None  # noqa: S101 - for the type checker
    width, height = cells.get("columns", ""), cells.get("rows", "")
    return ImageRecord(
        image=image,
        label=verdict.label,
        path=path,
        patient=cells["subject_id"],
        source=NAME,
        findings=verdict.findings,
        view=view,
        width=int(width) if width.isdigit() else None,
        height=int(height) if height.isdigit() else None,
        published_part=PARTS.get(parts.get(image, "")),
    )


def _images(seen: Seen) -> Path:
    table = seen.table_named(r"mimic-cxr-[\d.]+-metadata\..*") or seen.table_with(*_METADATA, "viewposition")
    if table is None:
        raise DataError("no mimic-cxr-2.0.0-metadata.csv.gz", where=seen.root, mend=_MEND)
    return table


def _studies(seen: Seen, options: Options) -> dict[tuple[str, str], tuple[Verdict, bool]]:
    """What is said of each study: by CheXpert's labeller, else by NegBio."""
    table = seen.table_named(r"mimic-cxr-[\d.]+-chexpert\..*") or seen.table_with("subject_id", "study_id", NO_FINDING)
    if table is None:
        raise DataError("no mimic-cxr-2.0.0-chexpert.csv.gz", where=seen.root, mend=_MEND)
    policy = options.uncertain or "abnormal"
    return {
        (cells["subject_id"], cells["study_id"]): labelled(cells, policy, f"{table}, row {row}")
        for row, cells in read_table(table)
    }


def _parts(seen: Seen) -> dict[str, str]:
    table = seen.table_named(r"mimic-cxr-[\d.]+-split\..*") or seen.table_with("dicom_id", "split")
    return {} if table is None else {c["dicom_id"].lower(): c["split"].lower() for _, c in read_table(table)}


def _view(cells: Mapping[str, str]) -> str | None:
    """View Position, else what the View Code Sequence means; a word that is no view is silence."""
    view = cells.get("viewposition", "").upper()
    return view if view in terms.VIEWS else _CODES.get(cells.get(_VIEW_CODE, "").strip().lower())


_MEND = "expected the metadata, chexpert (or negbio) and split tables of the release; elsewhere: --tables DIR"
LAYOUT = Layout(
    name=NAME,
    title="MIMIC-CXR-JPG",
    holds="mimic-cxr-2.0.0-metadata, -chexpert (or -negbio) and -split.csv.gz, and files/p10/p10000032/s50414267/*.jpg",
    licence="PhysioNet Credentialed Health Data License 1.5.0: credentialed users, CITI training, data use agreement",
    url="https://physionet.org/content/mimic-cxr-jpg/",
    labels="rule-based labellers (CheXpert's, NegBio) on the reports",
    policy="as CheXpert's; labels are of the study, each of its images has them",
    patients="subject_id",
    pages=("arXiv:1901.07042", "physionet.org/content/mimic-cxr-jpg", "torchxrayvision datasets.py (MIMIC_Dataset)"),
    findings=OBSERVATIONS,
    marks=(
        Mark("a table mimic-cxr-2.0.0-metadata.csv.gz", lambda seen: seen.table_with(*_METADATA) is not None),
        Mark(
            "a table mimic-cxr-2.0.0-chexpert.csv.gz or -negbio.csv.gz",
            lambda seen: seen.table_with("subject_id", "study_id", NO_FINDING) is not None,
        ),
        Mark(
            "pictures named by a dicom_id",
            lambda seen: seen.has_names(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}\.\w+"),
        ),
    ),
    open=open_mimic,
    tables=(_METADATA, ("subject_id", "study_id", NO_FINDING), ("dicom_id", "split")),
)

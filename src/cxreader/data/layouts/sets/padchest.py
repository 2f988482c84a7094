"""PadChest: radiographs of the Hospital San Juan, 16-bit PNG, lists of labels, six projections.

Bustos et al., Medical Image Analysis 2020 (arXiv:1901.07441): 27 % of the reports labelled by physicians, the rest by a network
trained on them; 174 findings, 19 diagnoses. A row an image: ImageID, ImageDir, PatientID, PatientBirth, PatientSex_DICOM,
Projection, Labels (a list as Python writes it). `normal` says that nothing else was found; `unchanged`, `exclude` and
`suboptimal study` say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures
from cxreader.data.layouts.layout import (
    CONTRADICTED,
    Gathered,
    Layout,
    Mark,
    Options,
    Verdict,
    aged,
    became,
    judge,
)
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError
from cxreader.imaging.vocabulary.words import is_lateral
from cxreader.records import ImageRecord
from cxreader.tables import parse_number, parse_sex, read_table

NAME: Final = "padchest"
_COLUMNS = ("imageid", "projection", "labels")
_NORMAL = "normal"
_SILENT = ("unchanged", "exclude", "suboptimal study")
_DEVICES = tuple(
    " ".join(device.split())
    for device in """
    central venous catheter, central venous catheter via jugular vein, central venous catheter via subclavian
    vein, central venous catheter via umbilical vein, reservoir central venous catheter, endotracheal tube, nsg
    tube, tracheostomy tube, chest drain tube, gastrostomy tube, nephrostomy tube, double j stent, pacemaker, dai,
    ventriculoperitoneal drain tube, electrical device, dual chamber device, single chamber device, catheter
    """.split(",")  # noqa: SIM905 (one a line is longer)
)
LABELS: Mapping[str, str | None] = {
    **dict.fromkeys((*_SILENT, *_DEVICES)),
    **dict.fromkeys(
        ("atelectasis", "laminar atelectasis", "lobar atelectasis", "segmental atelectasis"), "Atelectasis"
    ),
    **dict.fromkeys(("atelectasis basal", "round atelectasis", "total atelectasis"), "Atelectasis"),
    "cardiomegaly": "Cardiomegaly",
    **dict.fromkeys(("pleural effusion", "loculated pleural effusion", "loculated fissural effusion"), "Effusion"),
    "infiltrates": "Infiltration",
    **dict.fromkeys(("mass", "pulmonary mass"), "Mass"),
    **dict.fromkeys(("nodule", "multiple nodules"), "Nodule"),
    **dict.fromkeys(("pneumonia", "atypical pneumonia"), "Pneumonia"),
    **dict.fromkeys(("pneumothorax", "hydropneumothorax"), "Pneumothorax"),
    "consolidation": "Consolidation",
    "pulmonary edema": "Edema",
    "emphysema": "Emphysema",
    "pulmonary fibrosis": "Fibrosis",
    **dict.fromkeys(
        ("pleural thickening", "apical pleural thickening", "calcified pleural thickening"), "Pleural_Thickening"
    ),
    "hiatal hernia": "Hernia",
}
"""Labels that are one of the fourteen, and those that say nothing of disease; every other label became `Other`."""
_PROJECTIONS = {"PA": "PA", "AP": "AP", "AP_HORIZONTAL": "AP", "L": "LATERAL"}
"""AP_horizontal is a supine AP. COSTAL (ribs) and EXCLUDE are no frontal chest."""
_WORDS = {"POSTEROANTERIOR": "PA", "ANTEROPOSTERIOR": "AP"}
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")

OTHER_VIEW = "[image of another projection is|images of other projections are] left out"


def open_padchest(seen: Seen, options: Options) -> Index:
    """The index of the images of the table of labels. Raises DataError, TableError."""
    table = seen.table_with(*_COLUMNS)
    if table is None:
        raise DataError("no table with the columns ImageID, Projection and Labels", where=seen.root, mend=_MEND)
    pictures = find_pictures(seen.root, by_stem)
    gathered, rows = Gathered(), set[str]()
    for _, cells in read_table(table):
        image = by_stem(cells["imageid"])
        rows.add(image)
        path = pictures.paths.get(image)
        if path is None:
            gathered.without_file += 1
            continue
        view, frontal = _view(cells)
        if not frontal:
            gathered.counts[LATERAL if is_lateral(view or "") else OTHER_VIEW] += 1
            continue
        verdict = _verdict(labels_of(cells["labels"]), gathered)
        if verdict.label is None:
            gathered.counts[
                "[image has|images have] no label, or one that tells nothing (unchanged, exclude): left out"
            ] += 1
            continue
        gathered.records.append(_record(cells, path, verdict, view))
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in rows for name in pictures.paths))


def labels_of(text: str) -> list[str]:
    """The labels of a list as Python writes it, such as `['pleural effusion', 'cardiomegaly ']`; nan and blank have none."""
    return [
        (single or double).strip().lower() for single, double in _QUOTED.findall(text) if (single or double).strip()
    ]


def _verdict(labels: list[str], gathered: Gathered) -> Verdict:
    present = [became(LABELS, label) for label in labels if label != _NORMAL]
    normal = _NORMAL in labels
    gathered.counts[CONTRADICTED] += normal and any(name is not None for name in present)
    return judge(present, (), no_finding=normal, policy="abnormal")


def _view(cells: Mapping[str, str]) -> tuple[str | None, bool]:
    """The view, by Projection, else by the header's View Position; and whether it may be a frontal chest."""
    projection = cells["projection"].upper()
    if projection in _PROJECTIONS:
        return _PROJECTIONS[projection], not is_lateral(_PROJECTIONS[projection])
    if projection:
        return projection, False
    word = cells.get("viewposition_dicom", "").upper()
    return _WORDS.get(word, word) or None, not is_lateral(word)


def _record(cells: Mapping[str, str], path: str, verdict: Verdict, view: str | None) -> ImageRecord:
    assert verdict.label is not None  # noqa: S101 - for the type checker
    birth, year = parse_number(cells.get("patientbirth", "")), parse_number(cells.get("studydate_dicom", "")[:4])
    return ImageRecord(
        image=cells["imageid"],
        label=verdict.label,
        path=path,
        patient=cells.get("patientid") or None,
        source=NAME,
        findings=verdict.findings,
        **aged(None if birth is None or year is None else year - birth),
        sex=parse_sex(cells.get("patientsex_dicom", "")),
        view=view,
    )


_MEND = "expected PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv and its PNG files; elsewhere: --tables DIR"
LAYOUT = Layout(
    name=NAME,
    title="PadChest",
    holds="PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv (or .gz) and 16-bit PNG files, in folders 0 to 54 or in one",
    licence="PADCHEST Dataset Research Use Agreement, on request: research, anything else by agreement with BIMCV",
    url="https://bimcv.cipf.es/bimcv-projects/padchest/",
    labels="27 % of the reports by physicians, the rest by a recurrent network trained on those",
    policy="normal where the label is normal, abnormal where it is a finding or diagnosis; unchanged, exclude, suboptimal study, "
    "devices alone and blanks tell nothing: left out",
    patients="PatientID",
    pages=("arXiv:1901.07441", "bimcv.cipf.es/bimcv-projects/padchest", "torchxrayvision datasets.py (PC_Dataset)"),
    findings=LABELS,
    marks=(
        Mark(
            "a table with the columns ImageID, Projection and Labels",
            lambda seen: seen.table_with(*_COLUMNS) is not None,
        ),
        Mark("PNG files named by long numbers", lambda seen: seen.has_names(r"\d{20,}.*\.\w+")),
    ),
    open=open_padchest,
    tables=(_COLUMNS,),
)

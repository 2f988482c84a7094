"""Open-i: the Indiana University collection, frontal and lateral radiographs with reports indexed by MeSH terms.

Demner-Fushman et al., JAMIA 2016 (doi:10.1093/jamia/ocv080). Tables as Kaggle's copy (raddar/chest-xrays-indiana-university) has
them: `indiana_reports.csv` (uid, MeSH, Problems; terms between ";") and `indiana_projections.csv` (uid, filename, projection).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures
from cxreader.data.layouts.layout import CONTRADICTED, Gathered, Layout, Mark, Options, Verdict, became, judge
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError
from cxreader.records import ImageRecord
from cxreader.tables import read_table

NAME: Final = "openi"
_NORMAL = "normal"
_SILENT = ("no indexing", "technical quality of image unsatisfactory", "technical quality of image unsatisfactory ")
_DEVICES = (
    *("catheters, indwelling", "medical device", "implanted medical device", "tube, inserted", "surgical instruments"),
    *("stents", "sutures", "foreign bodies", "coronary artery bypass"),
)
PROBLEMS: Mapping[str, str | None] = {
    **dict.fromkeys((*_SILENT, *_DEVICES)),
    **dict.fromkeys(("atelectasis", "pulmonary atelectasis", "atelectases"), "Atelectasis"),
    "cardiomegaly": "Cardiomegaly",
    **dict.fromkeys(("pleural effusion", "effusion"), "Effusion"),
    **dict.fromkeys(("infiltrate", "infiltrates"), "Infiltration"),
    "mass": "Mass",
    "nodule": "Nodule",
    **dict.fromkeys(("pneumonia", "bronchopneumonia"), "Pneumonia"),
    **dict.fromkeys(("pneumothorax", "hydropneumothorax"), "Pneumothorax"),
    "consolidation": "Consolidation",
    **dict.fromkeys(("pulmonary edema", "edema"), "Edema"),
    **dict.fromkeys(("emphysema", "pulmonary emphysema"), "Emphysema"),
    "pulmonary fibrosis": "Fibrosis",
    **dict.fromkeys(("pleural thickening", "thickening/pleura"), "Pleural_Thickening"),
    "hernia, hiatal": "Hernia",
}
"""Terms that are one of the fourteen, and those that say nothing of disease; every other term became `Other`."""


def open_openi(seen: Seen, options: Options) -> Index:
    """The index of the frontal images. Raises DataError where a table is missing, TableError."""
    reports, projections = seen.table_with("uid", "problems"), seen.table_with("uid", "filename", "projection")
    if reports is None or projections is None:
        missing = "indiana_reports.csv" if reports is None else "indiana_projections.csv"
        raise DataError(f"no {missing}", where=seen.root, mend=_MEND)
    verdicts = {cells["uid"]: (*_verdict(cells), _view(cells)) for _, cells in read_table(reports)}
    pictures = find_pictures(seen.root, by_stem)
    gathered, rows = Gathered(), set[str]()
    for _, cells in read_table(projections):
        image = cells["filename"]
        rows.add(by_stem(image))
        path = pictures.paths.get(by_stem(image))
        if path is None:
            gathered.without_file += 1
            continue
        if cells["projection"].lower() == "lateral":
            gathered.counts[LATERAL] += 1
            continue
        verdict, contradicted, view = verdicts.get(cells["uid"], (Verdict(None), False, None))
        if verdict.label is None:
            gathered.counts[
                "[image has|images have] a report that is not indexed, or names devices alone: left out"
            ] += 1
            continue
        gathered.counts[CONTRADICTED] += contradicted
        gathered.records.append(
            ImageRecord(
                image,
                verdict.label,
                path=path,
                patient=cells["uid"],
                source=NAME,
                findings=verdict.findings,
                view=view,
            )
        )
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in rows for name in pictures.paths))


def _verdict(cells: Mapping[str, str]) -> tuple[Verdict, bool]:
    """What the report's Problems say; where they are empty, its MeSH terms (`Cardiomegaly/borderline`) without qualifiers."""
    text = cells["problems"] or ";".join(term.split("/")[0] for term in cells.get("mesh", "").split(";"))
    terms = [term.strip().lower() for term in text.split(";") if term.strip()]
    present = [became(PROBLEMS, term) for term in terms if term != _NORMAL]
    normal = _NORMAL in terms
    verdict = judge(present, (), no_finding=normal, policy="abnormal")
    return verdict, normal and any(name is not None for name in present)


def _view(cells: Mapping[str, str]) -> str | None:
    """Of the frontal image, by the report's `image` (`Xray Chest PA and Lateral`): PA or AP where it names just one of them."""
    named = set(re.findall(r"\b(PA|AP)\b", cells.get("image", "").upper()))
    return named.pop() if len(named) == 1 else None


_MEND = "expected indiana_reports.csv and indiana_projections.csv beside the images; elsewhere: --tables DIR"
LAYOUT = Layout(
    name=NAME,
    title="Open-i (Indiana University)",
    holds="indiana_reports.csv, indiana_projections.csv and images/images_normalized/1_IM-0001-4001.dcm.png",
    licence="CC BY-NC-ND 4.0, as its copies name it",
    url="https://openi.nlm.nih.gov/faq (Kaggle: raddar/chest-xrays-indiana-university)",
    labels="MeSH terms, coded by hand from the reports",
    policy="normal where the terms are normal, abnormal where one is a finding; no indexing, poor quality and devices alone tell "
    "nothing: left out",
    patients="uid: one report a patient",
    pages=(
        "doi:10.1093/jamia/ocv080",
        "huggingface.co/datasets/tush-2ar/findxray-case-library (licence)",
        "torchxrayvision datasets.py (Openi_Dataset)",
    ),
    findings=PROBLEMS,
    marks=(
        Mark("a table indiana_reports.csv", lambda seen: seen.table_with("uid", "problems") is not None),
        Mark(
            "a table indiana_projections.csv", lambda seen: seen.table_with("uid", "filename", "projection") is not None
        ),
        Mark(
            "pictures named as 1_IM-0001-4001.dcm.png",
            lambda seen: seen.has_names(r"\d+_IM-\d+-\d+(-\d+)*(\.dcm)?\.\w+"),
        ),
    ),
    open=open_openi,
    tables=(("uid", "problems"), ("uid", "filename", "projection")),
)

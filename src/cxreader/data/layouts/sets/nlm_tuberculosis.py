"""The two tuberculosis sets of the US National Library of Medicine: Shenzhen and Montgomery County.

Jaeger et al., Quantitative Imaging in Medicine and Surgery 2014 (doi:10.3978/j.issn.2223-4292.2014.11.20):
`CXR_png/CHNCXR_0001_0.png`, `MCUCXR_0001_0.png` (the last digit: 0 normal, 1 manifestations of tuberculosis), and
`ClinicalReadings/<the same>.txt` with sex, age and a radiologist's words. One file is one patient. Masks are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from cxreader.data.index import Index
from cxreader.data.layouts.files import by_stem, find_pictures
from cxreader.data.layouts.layout import Gathered, Layout, Mark, Options, aged
from cxreader.data.layouts.seen import Seen
from cxreader.findings import OTHER
from cxreader.imaging.files import below
from cxreader.records import ABNORMAL, ImageRecord
from cxreader.tables import parse_age, parse_sex, read_table

_SEX = re.compile(r"\b(female|male)\b|patient'?s sex:\s*([MF])", re.IGNORECASE)
_AGE = re.compile(r"(\d+)\s*(y|m|w|d)[a-z]*", re.IGNORECASE)
_KAGGLE = ("study_id", "findings")
"""Columns of the table that the copies on Kaggle have in the place of the readings."""
_OTHERS = "[picture has|pictures have] another set's name: left out"
About = tuple[Literal["M", "F"] | None, float | None]


def open_nlm(prefix: str, layout: Callable[[], Layout], seen: Seen, options: Options) -> Index:
    """The index of the pictures whose name begins with `prefix` (CHNCXR or MCUCXR). Raises DataError where there is none."""
    pictures = find_pictures(seen.root, by_stem)
    name = re.compile(rf"{prefix}_(\d+)_([01])", re.IGNORECASE)
    about = _readings(seen.root) | _table(seen)
    gathered = Gathered()
    for stem, path in pictures.paths.items():
        match = name.fullmatch(stem)
        if match is None:
            gathered.counts[_OTHERS] += 1
            continue
        sex, age = about.get(stem, (None, None))
        label = int(match[2])
        gathered.records.append(
            ImageRecord(
                image=Path(path).name,
                label=label,
                path=path,
                patient=str(int(match[1])),
                source=layout().name,
                findings=(OTHER,) if label == ABNORMAL else (),
                **aged(age),
                sex=sex,
                view="PA",
                subtype="tuberculosis" if label == ABNORMAL else None,
            )
        )
    without = gathered.counts[_OTHERS]
    return gathered.index(layout(), seen, options, pictures, without)


def parse_reading(text: str) -> About:
    """Sex and age in years of a reading: `male 45yrs`, or `Patient's Sex: F` and `Patient's Age: 027Y`, on its first lines."""
    head = "\n".join(text.splitlines()[:3])
    sex, age = _SEX.search(head), _AGE.search(head)
    years = None if age is None else parse_age(age[1] + age[2])
    return (None if sex is None else parse_sex(sex[1] or sex[2])), years


def _readings(root: Path) -> dict[str, About]:
    """By the picture's stem, of every reading below the root."""
    found = {}
    for path in below(root).files:
        if path.suffix.lower() == ".txt" and re.fullmatch(r"(chn|mcu)cxr_\d+_[01]", path.stem, re.IGNORECASE):
            found[path.stem.lower()] = parse_reading(path.read_text("utf-8", errors="replace"))
    return found


def _table(seen: Seen) -> dict[str, About]:
    """By the picture's stem, of Kaggle's table of readings; a row without an age has none."""
    table = seen.table_with(*_KAGGLE)
    if table is None:
        return {}
    return {
        by_stem(cells["study_id"]): (
            parse_sex(cells.get("sex") or cells.get("gender") or ""),
            parse_age(cells.get("age", "")),
        )
        for _, cells in read_table(table)
    }


_PAPER = "doi:10.3978/j.issn.2223-4292.2014.11.20"
_FINDINGS = {"normal": None, "tuberculosis": OTHER}
_LICENCE = "no licence named; attribution and citation asked (NLM)"
_POLICY = "0 at the end of the name is normal, 1 (manifestations of tuberculosis) abnormal"
_PAGES = (
    _PAPER,
    "data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets",
    "lhncbc.nlm.nih.gov/LHC-publications/pubs/TuberculosisChestXrayImageDataSets.html (labels)",
    "torchxrayvision datasets.py (NLMTB_Dataset)",
)
SHENZHEN: Layout = Layout(
    name="shenzhen",
    title="Shenzhen (NLM)",
    holds="CXR_png/CHNCXR_0001_0.png and ClinicalReadings/CHNCXR_0001_0.txt (or shenzhen_metadata.csv); masks are left out",
    licence=_LICENCE,
    url="https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets/Shenzhen-Hospital-CXR-Set/index.html",
    labels="the hospital's or county's, with radiologists' readings beside",
    policy=_POLICY,
    patients="the number in the name; one image a patient",
    pages=_PAGES,
    findings=_FINDINGS,
    marks=(Mark("pictures named as CHNCXR_0001_0.png", lambda seen: seen.has_names(r"CHNCXR_\d+_[01]\.\w+")),),
    open=partial(open_nlm, "CHNCXR", lambda: SHENZHEN),
)
MONTGOMERY: Layout = Layout(
    name="montgomery",
    title="Montgomery County (NLM)",
    holds="CXR_png/MCUCXR_0001_0.png and ClinicalReadings/MCUCXR_0001_0.txt (or montgomery_metadata.csv); ManualMask is left out",
    licence=_LICENCE,
    url="https://data.lhncbc.nlm.nih.gov/public/Tuberculosis-Chest-X-ray-Datasets/Montgomery-County-CXR-Set/index.html",
    labels="the hospital's or county's, with radiologists' readings beside",
    policy=_POLICY,
    patients="the number in the name; one image a patient",
    pages=_PAGES,
    findings=_FINDINGS,
    marks=(Mark("pictures named as MCUCXR_0001_0.png", lambda seen: seen.has_names(r"MCUCXR_\d+_[01]\.\w+")),),
    open=partial(open_nlm, "MCUCXR", lambda: MONTGOMERY),
)

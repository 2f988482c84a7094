"""CheXpert and CheXpert-small: frontal and lateral radiographs of Stanford, labels mined from reports.

Irvin et al., AAAI 2019 (arXiv:1901.07031). Columns and paths as its `train.csv` and `valid.csv` have them: 1 present, 0 absent,
-1 uncertain, blank not mentioned. Its labeller writes No Finding where no other observation but Support Devices is present or
uncertain, so a blank is not an absence, and an uncertain finding is not a normal image: it counts as present unless asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cxreader.config import Uncertain
from cxreader.data.index import Index
from cxreader.data.layouts.files import by_last_stem, find_pictures
from cxreader.data.layouts.layout import (
    CONTRADICTED,
    PARTS,
    Gathered,
    Layout,
    Mark,
    Options,
    Part,
    Verdict,
    aged,
    judge,
)
from cxreader.data.layouts.seen import Seen
from cxreader.data.layouts.table import LATERAL
from cxreader.errors import DataError, TableError
from cxreader.findings import OTHER, value_or_missing
from cxreader.records import ImageRecord
from cxreader.tables import NO_SEX, parse_age, parse_number, parse_sex, read_table

NAME: Final = "chexpert"
NO_FINDING = "no finding"
OBSERVATIONS: Mapping[str, str | None] = {
    "enlarged cardiomediastinum": OTHER,
    "cardiomegaly": "Cardiomegaly",
    "lung opacity": OTHER,
    "lung lesion": OTHER,
    "edema": "Edema",
    "consolidation": "Consolidation",
    "pneumonia": "Pneumonia",
    "atelectasis": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "pleural effusion": "Effusion",
    "pleural other": OTHER,
    "fracture": OTHER,
    "support devices": None,
}
"""The labeller's thirteen observations beside No Finding; MIMIC-CXR-JPG has the same."""
UNKNOWN = "[image names|images name] neither a finding nor No Finding: what is on [it|them] is not known, left out"


def open_chexpert(seen: Seen, options: Options) -> Index:
    """The index of every table here that has the columns of `train.csv`. Raises DataError, TableError."""
    tables = seen.tables_with("path", NO_FINDING)
    if not tables:
        raise DataError("no table with the columns Path and No Finding", where=seen.root, mend=_MEND)
    key = by_last_stem(3)
    pictures = find_pictures(seen.root, key)
    gathered, rows = Gathered(), set[str]()
    for table in tables:
        for row, cells in read_table(table):
            place = cells["path"].replace("\\", "/")
            if key(place) in rows:
                gathered.counts["[row names|rows name] an image that an earlier row names: left out"] += 1
                continue
            rows.add(key(place))
            where = f"{table}, row {row}"
            _take(gathered, cells, place, pictures.paths.get(key(place)), where, options.uncertain or "abnormal", table)
    return gathered.index(LAYOUT, seen, options, pictures, sum(name not in rows for name in pictures.paths))


def labelled(cells: Mapping[str, str], policy: Uncertain, where: str) -> tuple[Verdict, bool]:
    """What a row of the labeller says, and whether it names a finding beside No Finding. Raises TableError for another value."""
    found: dict[int, list[str | None]] = {1: [], -1: [], 0: []}
    for name in OBSERVATIONS:
        if (text := cells.get(name, "")) != "":
            found[_value(text, name, where)].append(OBSERVATIONS[name])
    no_finding = cells.get(NO_FINDING, "") != "" and _value(cells[NO_FINDING], NO_FINDING, where) == 1
    verdict = judge(found[1], found[-1], no_finding=no_finding, policy=policy)
    return verdict, no_finding and any(name is not None for name in found[1])


def _value(text: str, name: str, where: str) -> int:
    value = parse_number(text)
    if value not in (1, 0, -1):
        raise TableError(f"{name!r} is none of 1, 0, -1 and blank", where=where, mend="get the table again")
    return int(value)


def _take(
    gathered: Gathered,
    cells: Mapping[str, str],
    place: str,
    path: str | None,
    where: str,
    policy: Uncertain,
    table: Path,
) -> None:
    """One row: a record, or the count of why it is none."""
    if path is None:
        gathered.without_file += 1
        return
    view = (
        cells.get("frontal/lateral") or place.rpartition("_")[2]
    )  # `view2_lateral.jpg`: the test part's table has no such column
    if view.lower().startswith("lateral"):
        gathered.counts[LATERAL] += 1
        return
    verdict, contradicted = labelled(cells, policy, where)
    if verdict.label is None:
        gathered.counts[UNKNOWN] += 1
        return
    gathered.counts[CONTRADICTED] += contradicted
    parts = place.split("/")
    part = _part(parts, table)
    sex = parse_sex(cells.get("sex", ""))
    gathered.counts[NO_SEX] += sex is None and bool(value_or_missing(cells.get("sex", "")))
    gathered.records.append(
        ImageRecord(
            image="/".join(parts[-4:]),
            label=verdict.label,
            path=path,
            patient=parts[-3] if len(parts) >= 3 else None,
            source=NAME,
            findings=verdict.findings,
            **aged(parse_age(cells.get("age", ""))),
            sex=sex,
            view=cells.get("ap/pa", "").upper() or None,
            published_part=part,
        )
    )


def _part(parts: list[str], table: Path) -> Part | None:
    """The part in the image's path (`train/patient00001/...`), else in the table's name."""
    word = parts[-4] if len(parts) >= 4 and parts[-4].lower() in PARTS else table.name.split(".")[0].split("_")[0]
    return PARTS.get(word.lower())


_MEND = "expected train.csv (and valid.csv) beside the folders train and valid"
LAYOUT = Layout(
    name=NAME,
    title="CheXpert, CheXpert-small",
    holds="train.csv and valid.csv, and train/patient00001/study1/view1_frontal.jpg; whole or part, in any folder",
    licence="Stanford University Dataset Research Use Agreement: research, no commerce, no copy passed on",
    url="https://stanfordmlgroup.github.io/competitions/chexpert/",
    labels="train: a rule-based labeller on the reports; valid: majority of three radiologists; test: of five",
    policy="abnormal where a finding is present or uncertain (--uncertain normal, drop), normal where No Finding is 1; what is "
    "blank is not known, an image with blanks alone is left out; devices are no finding",
    patients="patient00001 in the path",
    pages=(
        "arXiv:1901.07031",
        "arXiv:2105.03020 (values, terms)",
        "github.com/stanfordmlgroup/chexpert-labeler stages/aggregate.py (No Finding)",
        "torchxrayvision datasets.py (CheX_Dataset)",
    ),
    findings=OBSERVATIONS,
    marks=(
        Mark(
            "a table with the columns Path and No Finding",
            lambda seen: seen.table_with("path", NO_FINDING) is not None,
        ),
        Mark("pictures named view1_frontal.jpg", lambda seen: seen.has_names(r"view\d+_(frontal|lateral)\.\w+")),
    ),
    open=open_chexpert,
    tables=(("path", NO_FINDING),),
)

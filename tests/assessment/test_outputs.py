from __future__ import annotations

import json
from pathlib import Path

import openpyxl
from tests.reporting.evaluation.world import PATIENT, image_evidence, rich, table

from cxreader.assessment.outputs import write_evaluation, write_excel
from cxreader.evaluation.evaluate import Evaluation


def test_everything_is_written_and_only_the_predictions_name_patients(tmp_path: Path) -> None:
    looked = image_evidence()
    write_evaluation(
        rich(), table(), {"broken.png": "not an image"}, tmp_path,
        shortcuts=looked.shortcuts, localisation=looked.localisation, sanity=looked.sanity, facts={"Network": "a net"},
    )  # fmt: skip
    names = {path.name for path in tmp_path.iterdir()}
    assert {"evaluation.json", "report.html", "model_card.md", "predictions.csv", "unread.json"} <= names
    assert {"shortcuts.json", "localisation.json", "sanity.json"} <= names
    for figure in (
        "roc",
        "reliability",
        "decision_curve",
        "subgroups",
        "triage",
        "shortcuts",
        "localisation",
        "sanity",
    ):
        assert {f"{figure}.png", f"{figure}.svg"} <= names
    assert Evaluation.load(tmp_path / "evaluation.json").to_json() == rich().to_json()
    assert json.loads((tmp_path / "unread.json").read_text()) == {"broken.png": "not an image"}
    assert "**Network**: a net" in (tmp_path / "model_card.md").read_text()
    assert {f"roc.{kind}" for kind in ("pdf", "svg")} <= {path.name for path in (tmp_path / "figures").iterdir()}
    tables = {path.name for path in (tmp_path / "tables").iterdir()}
    assert {
        f"{name}.{kind}" for name in ("sure", "points", "subgroups", "confounders") for kind in ("csv", "tex")
    } <= tables
    assert "Network: a net." in (tmp_path / "methods.md").read_text()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    told = [path.name for path in files if PATIENT in path.read_bytes().decode("utf-8", "replace")]
    assert told == ["predictions.csv"]


def test_the_workbook_holds_every_row_and_cell_of_the_predictions(tmp_path: Path) -> None:
    text = 'image,patient,label,probability,age,sop_instance_uid\n"=a,b",007,normal,0.1,61.0,1.20\nc,,abnormal,,,\n'
    (tmp_path / "predictions.csv").write_text(text)
    sheet = openpyxl.load_workbook(write_excel(tmp_path)).active
    assert list(sheet.iter_rows(values_only=True)) == [
        ("image", "patient", "label", "probability", "age", "sop_instance_uid"),
        ("=a,b", "007", "normal", 0.1, 61, "1.20"),
        ("c", None, "abnormal", None, None, None),
    ]

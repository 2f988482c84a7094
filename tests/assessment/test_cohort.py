"""Patients whom a model met are recognised however a table writes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cxreader.assessment.cohort import without_training_patients
from cxreader.data.index import Index
from cxreader.data.layouts.headers import PATIENT_SALT as DICOM_SALT
from cxreader.data.split import patient_hash
from cxreader.errors import DataError
from cxreader.models.artifact import TrainingPatients
from cxreader.records import ImageRecord


def trained_on(*patients: str, source: str = "here") -> Any:
    """What an artifact knows of its training, nothing else of it."""
    marks = tuple(sorted(patient_hash("salt", source, patient) for patient in patients))
    return SimpleNamespace(patients=TrainingPatients("salt", {"train": marks}, (source,), known=True))


def judged(patient: str, source: str = "here") -> tuple[ImageRecord, ...]:
    return Index((ImageRecord("a.png", 0, patient=patient, source=source),), "", "table", "t.csv").records


@pytest.mark.parametrize("written", ["12", "12.0", " 12 ", "12.00"])
@pytest.mark.parametrize("source", ["here", ""])
def test_a_number_is_recognised_in_every_writing(written: str, source: str) -> None:
    kept, excluded = without_training_patients(trained_on("12"), judged(written, source))
    assert (kept, dict(excluded)) == ((), {"the patient set this model (train)": 1})
    assert len(without_training_patients(trained_on("13"), judged(written, source))[0]) == 1
    assert len(without_training_patients(trained_on("12"), judged(written, "elsewhere"))[0]) == 1


def test_so_is_one_whom_an_earlier_version_kept_as_12_0() -> None:
    assert without_training_patients(trained_on("12.0"), judged("12"))[0] == ()


def test_so_is_one_whose_patient_id_a_header_told() -> None:
    met = trained_on(patient_hash(DICOM_SALT, "", "12"))
    assert without_training_patients(met, judged("12.0"))[0] == ()
    assert len(without_training_patients(met, judged("13"))[0]) == 1


@pytest.mark.parametrize(
    ("met", "written"), [("12", "00012"), ("00012", "12"), ("000000000012", "12.0"), ("0012", "012")]
)
def test_one_recognised_but_for_leading_zeros_is_refused(met: str, written: str) -> None:
    with pytest.raises(DataError, match=r"the patients of 1 image set this model but for leading zeros") as caught:
        without_training_patients(trained_on(met), judged(written))
    assert caught.value.mend is not None
    assert "write them as the training's table did" in caught.value.mend
    assert len(without_training_patients(trained_on("P12"), judged("P0012"))[0]) == 1

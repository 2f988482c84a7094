"""All that an object is made of: patient and study, the image, the result with its maps, and who says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxreader import __version__
from cxreader.records import Reading
from cxreader.serving.results.regions import Region
from cxreader.serving.results.uids import SERIES, object_uid, series_uid
from cxreader.serving.store.reading.patients import header_of
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import HeatMap, Result
from cxreader.serving.zone import MACHINE, SiteZone

if TYPE_CHECKING:
    from pydicom import Dataset

NAME = "cxreader"
_DATE, _TIME = re.compile(r"\d{8}", re.ASCII), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A result and what it is of. `digest` names it (`uids`). `regions`: none where none may be shown; `about_regions` says why.

    `names`: of each model, as `efficientnet_b0 1f2e3d4c5b6a`. `device`: the UID of this installation.
    `zone`: by whose clocks it is dated.
    """

    study: Study
    instance: Instance
    result: Result
    reading: Reading
    digest: str
    names: Mapping[str, str]
    maps: tuple[HeatMap, ...] = ()
    regions: tuple[Region, ...] = ()
    about_regions: str = ""
    device: str = ""
    zone: SiteZone = MACHINE

    def source(self) -> Dataset:
        """Patient, study and image as the image's own header names them, in UTF-8; a value as the standard allows it or empty."""
        from pydicom import Dataset

        told, made = header_of(self.study, self.instance), Dataset()
        made.SpecificCharacterSet = "ISO_IR 192"
        made.PatientName, made.PatientID = _text(told["patient_name"], 320), _text(told["patient_id"], 64)
        if told["issuer"]:
            made.IssuerOfPatientID = _text(told["issuer"], 64)
        made.PatientBirthDate = told["birth_date"] if _DATE.fullmatch(told["birth_date"]) else ""
        made.PatientSex = told["sex"] if told["sex"] in ("M", "F", "O") else ""
        made.StudyInstanceUID, made.StudyID = told["study_uid"], _text(told["study_id"], 16)
        made.StudyDate = told["study_date"] if _DATE.fullmatch(told["study_date"]) else ""
        made.StudyTime = told["study_time"] if _TIME.fullmatch(told["study_time"]) else ""
        made.AccessionNumber = _text(told["accession_number"], 16)
        made.ReferringPhysicianName = _text(told["referring_physician"], 320)
        if told["description"]:
            made.StudyDescription = _text(told["description"], 64)
        made.SOPClassUID, made.SOPInstanceUID = self.instance.sop_class, self.instance.sop_instance_uid
        made.SeriesInstanceUID, made.Modality = self.instance.series_uid, self.instance.modality
        made.Rows, made.Columns = self.instance.rows, self.instance.columns
        return made

    def common(self, kind: str) -> dict[str, Any]:
        """What every object of this kind is given: its UIDs, numbers and maker."""
        return {
            "series_instance_uid": series_uid(self.digest, kind),
            "series_number": SERIES[kind].number,
            "sop_instance_uid": object_uid(self.digest, kind),
            "instance_number": 2 if kind == "sr_regions" else 1,
            "manufacturer": NAME,
            "manufacturer_model_name": NAME,
            "software_versions": __version__,
            "device_serial_number": self.device[-32:] or "1",
        }


def dated(made: Dataset, subject: Subject) -> Dataset:
    """The object with the moment of its result in place of now, so that it is the same whenever it is made.

    Moments are the site's, with the offset that they had from UTC (0008,0201), so that it is also the same wherever it is made.
    """
    moment = subject.zone.at(subject.result.read_at)
    made.TimezoneOffsetFromUTC = moment.strftime("%z")
    for what in ("InstanceCreation{}", "Content{}", "PresentationCreation{}", "{}OfSecondaryCapture"):
        if what.format("Date") in made:
            setattr(made, what.format("Date"), moment.strftime("%Y%m%d"))
            setattr(made, what.format("Time"), moment.strftime("%H%M%S"))
    for equipment in made.get("ContributingEquipmentSequence", []):
        equipment.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S")
    return made


def _text(value: str, longest: int) -> str:
    return "".join(c for c in value if c.isprintable() and c != "\\").strip()[:longest]

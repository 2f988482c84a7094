"""Structured reports (PS3.16 TID 1500): one of the image (TID 1501), and one of regions (TID 1410) where there are some."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader import __version__
from cxreader.serving.intake import derived_uid
from cxreader.serving.results.subject import NAME, Subject, dated
from cxreader.serving.results.uids import SERIES, SR, SR_REGIONS, object_uid
from cxreader.serving.results.words import parameters

if TYPE_CHECKING:
    from highdicom.sr import AlgorithmIdentification, CodedConcept, Comprehensive3DSR, MeasurementReport
    from pydicom import Dataset

    from cxreader.serving.results.regions import Region

COMPREHENSIVE_3D, COMPREHENSIVE = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.88.33"
"""Comprehensive 3D SR, and Comprehensive SR for those who do not take it."""
_FINDINGS = {
    "abnormal": ("263654008", "Abnormal"),
    "normal": ("17621005", "Normal"),
    "refer": ("371934000", "Normality Undetermined"),
    None: ("371934000", "Normality Undetermined"),
}
"""CID 222. Normal means below the operating point, as the parameters say."""


def report(subject: Subject) -> Dataset:
    """The report of the image: finding, probability where it is calibrated, the algorithm, and its words."""
    from highdicom.sr import Measurement, MeasurementsAndQualitativeEvaluations, QualitativeEvaluation
    from highdicom.sr import SourceImageForMeasurementGroup as Source

    reading = subject.reading
    measured = []
    if reading.probability is not None and reading.decision is not None:
        measured = [Measurement(_dcm("122157", "Probability"), round(reading.probability, 4), _one())]
    quality = []
    if reading.decision is None:
        unusable = _dcm("111235", "Unusable - Quality renders image unusable")
        quality = [QualitativeEvaluation(_dcm("111101", "Image Quality"), unusable)]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(subject, "image"),
        finding_type=_sct(*_FINDINGS[reading.decision]),
        algorithm_id=_algorithm(subject),
        finding_sites=[_thorax()],
        measurements=measured or None,
        qualitative_evaluations=quality or None,
        source_images=[Source(subject.instance.sop_class, subject.instance.sop_instance_uid)],
    )
    return _document(subject, SR, [group])


def region_report(subject: Subject) -> Dataset:
    """The report of the regions, each a closed polyline in the image's own pixels. `subject` has at least one."""
    from highdicom.sr import ImageRegion, PlanarROIMeasurementsAndQualitativeEvaluations, SourceImageForRegion

    source = SourceImageForRegion(subject.instance.sop_class, subject.instance.sop_instance_uid)
    groups = [
        PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(subject, f"region {n}"),
            referenced_region=ImageRegion("POLYLINE", outline(region), source),
            finding_type=_dcm("122451", "Abnormal Region"),
            algorithm_id=_algorithm(subject, f"{NAME}: {region.source}"),
            finding_sites=[_thorax()],
        )
        for n, region in enumerate(subject.regions, 1)
    ]
    return _document(subject, SR_REGIONS, groups)


def as_comprehensive(made: Dataset) -> Dataset:
    """The same content as Comprehensive SR, an instance of its own, whose UID follows from the other's."""
    from pydicom.uid import UID

    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID(COMPREHENSIVE)
    uid = UID(derived_uid(str(made.SOPInstanceUID), COMPREHENSIVE))
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = uid
    return made


def outline(region: Region) -> Any:
    """(5, 2): the corners of a region's box, closed; the origin is the corner of the first pixel."""
    box = region.box
    x, y = (box.x, box.x + box.width), (box.y, box.y + box.height)
    return np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]), (x[0], y[0])])


def _document(subject: Subject, kind: str, groups: list[Any]) -> Comprehensive3DSR:
    from highdicom.sr import Comprehensive3DSR

    made = Comprehensive3DSR(
        evidence=[subject.source()],
        content=_content(subject, groups),
        is_complete=True,
        is_final=False,
        is_verified=False,
        **subject.common(kind),
    )
    made.SeriesDescription = SERIES[kind].description
    made.ReferencedPerformedProcedureStepSequence = []
    dated(made, subject)
    return made


def _content(subject: Subject, groups: list[Any]) -> MeasurementReport:
    from highdicom.sr import DeviceObserverIdentifyingAttributes, MeasurementReport, ObservationContext, ObserverContext

    device = DeviceObserverIdentifyingAttributes(
        uid=subject.device, name=NAME, manufacturer_name=NAME, model_name=NAME, serial_number=subject.device[-32:]
    )
    observer = ObserverContext(_dcm("121007", "Device"), device)
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=_sct("363679005", "Imaging procedure"),
        imaging_measurements=groups,
        title=_dcm("126000", "Imaging Measurement Report"),
    )
    items = content[0].ContentSequence
    at = next(n for n, item in enumerate(items) if item.ConceptNameCodeSequence[0].CodeValue == "126010")
    items.insert(at, _library(subject))
    return content


def _library(subject: Subject) -> Any:
    """The Image Library (TID 1600) with the one image; viewers find it there."""
    from highdicom.sr import CodeContentItem, ContainerContentItem, ContentSequence, ImageContentItem, NumContentItem

    image = subject.instance
    pixels, has = _code("{pixels}", "UCUM", "Pixels"), "HAS ACQ CONTEXT"
    entry = ImageContentItem(
        _sct("260753009", "Source"), image.sop_class, image.sop_instance_uid, relationship_type="CONTAINS"
    )
    described: list[Any] = [CodeContentItem(_dcm("121139", "Modality"), _modality(image.modality), has)]
    for code, meaning, value in (
        ("110910", "Pixel Data Rows", image.rows),
        ("110911", "Pixel Data Columns", image.columns),
    ):
        if value:
            described.append(NumContentItem(_dcm(code, meaning), value, pixels, relationship_type=has))
    entry.ContentSequence = ContentSequence(described)
    group = ContainerContentItem(_dcm("126200", "Image Library Group"), relationship_type="CONTAINS")
    group.ContentSequence = ContentSequence([entry])
    library = ContainerContentItem(_dcm("111028", "Image Library"), relationship_type="CONTAINS")
    library.ContentSequence = ContentSequence([group])
    return library


def _algorithm(subject: Subject, name: str = NAME) -> AlgorithmIdentification:
    from highdicom.sr import AlgorithmIdentification

    version = f"{__version__}; {'; '.join(subject.names.values())}"
    family = _dcm("123110", "Artificial Intelligence")
    return AlgorithmIdentification(name, version, parameters=parameters(subject), family=family)


def _tracking(subject: Subject, what: str) -> Any:
    from highdicom.sr import TrackingIdentifier

    return TrackingIdentifier(uid=object_uid(subject.digest, f"tracking {what}"), identifier=f"{NAME} {what}")


def _thorax() -> Any:
    from highdicom.sr import FindingSite

    return FindingSite(_sct("816094009", "Thorax"))


@cache
def _modalities() -> dict[str, str]:
    from pydicom.sr.codedict import codes

    found = (getattr(codes.cid29, name) for name in codes.cid29.dir())
    return {code.value: code.meaning for code in found if code.scheme_designator == "DCM"}


def _modality(value: str) -> CodedConcept:
    known = _modalities()
    return _dcm(value, known[value]) if value in known else _dcm("OT", "Other Modality")


def _one() -> CodedConcept:
    return _code("1", "UCUM", "no units")


def _dcm(value: str, meaning: str) -> CodedConcept:
    return _code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> CodedConcept:
    return _code(value, "SCT", meaning)


def _code(value: str, scheme: str, meaning: str) -> CodedConcept:
    from highdicom.sr import CodedConcept

    return CodedConcept(value, scheme, meaning)

"""Results to make objects of, without a database: an image's header, an answer, and maps."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from pydicom import Dataset
from tests.dicom_files import dataset, encoded, picture

from cxreader.codec import to_plain
from cxreader.records import OperatingPoint, Reading
from cxreader.serving.intake import arrived, derived_uid
from cxreader.serving.results.regions import Region, regions
from cxreader.serving.results.subject import Subject
from cxreader.serving.results.uids import result_digest
from cxreader.serving.store.reading.results import ANY, HEAT, REGION
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import HeatMap, ModelSet, Result

CR = "1.2.840.10008.5.1.4.1.1.1"
POINT = OperatingPoint("sensitivity", 0.42, "sensitivity of 0.9 on calibrate", 30, 30)
MODELS = ModelSet(digest="d" * 64, names="0123456789ab", rule={})


def image(rows: int = 72, columns: int = 96, **more: Any) -> bytes:
    """A chest image of any size; `more` are elements by keyword."""
    values = np.resize(picture(), (rows, columns))
    shown: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 4096, "ReferringPhysicianName": ""}
    return encoded(dataset(values, **shown | more))


def hot(row: float = 0.25, column: float = 0.75, *, side: int = 8) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A map with one warm place, at these shares of its height and width."""
    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side
    return np.asarray(np.exp(-((y - row) ** 2 + (x - column) ** 2) / 0.01), np.float32)


def heat_map(values: Any, *, kind: str = HEAT, fit: str = "pad", model: str = "0123456789ab") -> HeatMap:
    finding = ANY if kind == REGION else ""
    kept = HeatMap(model=model, kind=kind, finding=finding, fit=fit, height=values.shape[0], width=values.shape[1])
    kept.data = np.ascontiguousarray(values, "<f2").tobytes()
    return kept


def subject(data: bytes, *maps: HeatMap, revision: int = 1, regions_shown: bool = True, **answer: Any) -> Subject:
    """What is known of a result of this file; `answer` are fields of its Reading, by default an abnormal one."""
    came = arrived(data)
    given: dict[str, Any] = {"decision": "abnormal", "probability": 0.87, "acceptance": "accepted"} | answer
    reading = Reading("an image", "0123456789ab", POINT, **given)
    result = Result(
        sha256=came.sha256, revision=revision, reading=dict(to_plain(reading)), read_at=1_800_000_000.0, key="k"
    )
    instance = Instance(**came.instance)
    found: tuple[Region, ...] = ()
    if regions_shown and maps:
        size = (instance.columns, instance.rows)
        found = regions(maps, size, size)
    return Subject(
        study=Study(**came.study),
        instance=instance,
        result=result,
        reading=reading,
        digest=result_digest(result, MODELS),
        names={"0123456789ab": "resnet18 0123456789ab"},
        maps=maps,
        regions=found,
        about_regions="regions by Grad-CAM are switched on by the settings",
        device=derived_uid("a secret", "device"),
    )


def refused(data: bytes) -> Subject:
    """The result of an image that was refused."""
    reasons = ("the header says HAND, not chest",)
    return subject(data, decision=None, probability=None, acceptance="refused", reasons=reasons)


def unreadable(data: bytes) -> Subject:
    """The result of an image that could not be decoded."""
    reasons = ("the pixel data end early",)
    return subject(data, decision=None, probability=None, acceptance=None, reasons=reasons)


def file_of(made: Dataset) -> bytes:
    """The object as a file."""
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()

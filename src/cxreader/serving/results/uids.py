"""UIDs of what is made of a result: the same for every attempt to make and send it, others for each revision."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cxreader.serving.intake import derived_uid
from cxreader.serving.store.tables.readings import ModelSet, Result

if TYPE_CHECKING:
    from cxreader.serving.settings import Settings

SR, SR_REGIONS, SC, GSPS = "sr", "sr_regions", "sc", "gsps"
KINDS = (SR, SR_REGIONS, SC, GSPS)
"""Every kind of object."""


class Series(NamedTuple):
    """A series of what is made of one result; `modality` and `description` as DICOM's Modality and Series Description."""

    name: str
    number: int
    modality: str
    description: str


_REPORTS = Series("sr", 9001, "SR", "AI reading - not for diagnosis")
SERIES = {
    SR: _REPORTS,
    SR_REGIONS: _REPORTS,
    SC: Series("sc", 9002, "OT", "AI heat map - not for diagnosis"),
    GSPS: Series("gsps", 9003, "PR", "AI regions - not for diagnosis"),
}
"""The series in which each kind stands: both SR instances in one."""

LOCATED = frozenset((SR_REGIONS, SC, GSPS))
"""Those that say where something is."""


def kinds_that_leave(settings: Settings) -> frozenset[str]:
    """The kinds that may leave the service: none while it is silent, none that says where where `show_regions` is off."""
    if settings.silent:
        return frozenset()
    return frozenset(KINDS) if settings.show_regions else frozenset(KINDS) - LOCATED


def result_digest(result: Result, models: ModelSet) -> str:
    """64 hex digits that name a result: its image, its models, its revision and its answer."""
    named = (result.sha256, models.digest, result.revision, result.reading)
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def object_uid(digest: str, kind: str) -> str:
    """The SOP Instance UID of a kind of object of the result with this digest."""
    return derived_uid(digest, f"object {kind}")


def series_uid(digest: str, kind: str) -> str:
    """The Series Instance UID of that object."""
    return derived_uid(digest, f"series {SERIES[kind].name}")


def device_uid(secret: Path) -> str:
    """The UID of this installation as an observer; the secret's digest, of which nothing can be told, makes it stable."""
    return derived_uid(hashlib.sha256(b"device" + secret.read_bytes()).hexdigest(), "device")

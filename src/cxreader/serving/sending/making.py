"""The object of an entry, made when it is first needed, kept, and the same for every attempt and destination."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError
from cxreader.imaging.read import read
from cxreader.models.artifact import load_artifact
from cxreader.runs import artifact_folder
from cxreader.serving.home import SECRET
from cxreader.serving.results import gsps, sc, sr
from cxreader.serving.results.regions import Permission, Region, permission, regions
from cxreader.serving.results.subject import Subject
from cxreader.serving.results.uids import LOCATED, SC, SR, SR_REGIONS, device_uid, result_digest
from cxreader.serving.service import TriageService
from cxreader.serving.store.reading.results import HEAT, reading_of
from cxreader.serving.store.reading.views import maps as maps_of
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import HeatMap, ModelSet, Result, ResultObject
from cxreader.serving.worker.models import installed

if TYPE_CHECKING:
    from pydicom import Dataset

    from cxreader.serving.settings import Settings


class NothingError(Exception):
    """There is no such object of this result; `args[0]` says why."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The rows of a result."""

    study: Study
    instance: Instance
    result: Result
    models: ModelSet
    maps: tuple[HeatMap, ...]


class Maker:
    """Makes objects of a service's results."""

    def __init__(self, service: TriageService) -> None:
        self._service = service
        self._device = device_uid(service.settings.home / SECRET)
        self._named, self._allowed = _known(service.settings)

    def file_of(self, result: int, kind: str) -> bytes:
        """The file. Raises NothingError, AbsentError (the image was deleted), ImageError, StorageError."""
        if kind in LOCATED and not self._service.settings.show_regions:
            raise NothingError("locations are silenced by show_regions")
        with self._service.database.reading() as session:
            made = session.scalar(
                select(ResultObject).where(ResultObject.result_id == result, ResultObject.kind == kind)
            )
        if made is not None:
            return self._service.objects.get(made.sha256)
        return self._keep(result, kind, self._made(result, kind))

    def _made(self, result: int, kind: str) -> Dataset:
        with self._service.database.reading() as session:
            kept = _kept(session, result)
        if kind == SR:
            return sr.report(self._subject(kept))
        if kind == SC:
            if not any(one.kind == HEAT for one in kept.maps):
                raise NothingError(kept.result.no_map or "the result has no heat map")
            _, data = self._service.original(kept.instance.key)
            return sc.capture(self._subject(kept), read(data))
        subject = self._subject(kept, located=True)
        if not subject.regions:
            raise NothingError(subject.about_regions or "the map points nowhere")
        if kind == SR_REGIONS:
            return sr.region_report(subject)
        _, data = self._service.original(kept.instance.key)
        return gsps.presentation(subject, data)

    def _subject(self, kept: _Kept, *, located: bool = False) -> Subject:
        ids = kept.models.names.split("+")
        if not self._named.keys() >= set(ids):  # sent by an administrator meanwhile
            self._named, self._allowed = _known(self._service.settings)
        allowed = {one: self._allowed.get(one, Permission(False, "no regions: its model is not here")) for one in ids}
        reasons = dict.fromkeys(one.reason for one in allowed.values()) if kept.maps else {}
        silenced = not self._service.settings.show_regions
        return Subject(
            study=kept.study,
            instance=kept.instance,
            result=kept.result,
            reading=reading_of(kept.result),
            digest=result_digest(kept.result, kept.models),
            names={one: self._named.get(one, one) for one in ids},
            maps=kept.maps,
            regions=self._regions(kept, allowed) if located else (),
            about_regions="locations are silenced by show_regions" if silenced else "; ".join(reasons),
            device=self._device,
            zone=self._service.settings.zone,
        )

    def _regions(self, kept: _Kept, allowed: dict[str, Permission]) -> tuple[Region, ...]:
        maps = [one for one in kept.maps if allowed[one.model].shown]
        if not maps:
            return ()
        about = self._service.pixels(kept.instance.key).about
        return regions(maps, (about["width"], about["height"]), (about["columns"], about["rows"]))

    def _keep(self, result: int, kind: str, made: Dataset) -> bytes:
        buffer = io.BytesIO()
        made.save_as(buffer, enforce_file_format=True)
        data = buffer.getvalue()
        digest = self._service.objects.put(data)

        def work(session: Session) -> None:
            same = (ResultObject.result_id == result, ResultObject.kind == kind)
            if session.scalar(select(ResultObject).where(*same)) is None:
                row = ResultObject(result_id=result, kind=kind, sop_class=str(made.SOPClassUID), sha256=digest)
                row.sop_instance_uid, row.series_uid = str(made.SOPInstanceUID), str(made.SeriesInstanceUID)
                row.bytes, row.made_at = len(data), self._service.database.now(session)
                session.add(row)

        self._service.database.write(work)
        return data


def _kept(session: Session, key: int) -> _Kept:
    result = session.get(Result, key)
    if result is None:
        raise AbsentError("the result was deleted")
    instance = session.get_one(Instance, result.instance_id)
    models, study = session.get_one(ModelSet, result.models_id), session.get_one(Study, instance.study_id)
    return _Kept(study, instance, result, models, tuple(maps_of(session, result)))


def _known(settings: Settings) -> tuple[dict[str, str], dict[str, Permission]]:
    """Of each of this machine's models, by id, its name and whether its regions are shown; what cannot be opened is not known."""
    named, allowed = {}, {}
    for path in installed(settings).values():
        artifact = load_artifact(artifact_folder(path), weights=False, exports=False)
        named[artifact.id] = f"{artifact.model} {artifact.id}"
        allowed[artifact.id] = permission(artifact, settings.results.regions)
    return named, allowed

"""The models of a service: which are on this machine, which read now, which did; sending another one, and letting others read."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from cxreader.errors import AbsentError, ArtifactError, UsageError
from cxreader.models.artifact import MANIFEST, Artifact, load_artifact
from cxreader.runs import RunFolder, artifact_folder
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import Job, ModelSet, Result
from cxreader.serving.worker.models import RUNTIME, SENT, installed, rule_of

CARD = "model_card.md"
_KEPT = (MANIFEST, CARD)
_MIB = 2**20
_LARGEST_MANIFEST = 64 * _MIB


@dataclass(frozen=True, slots=True)
class Here:
    """An artifact on this machine. `card`: its model card in Markdown, None where there is none beside it."""

    artifact: Artifact
    folder: Path
    card: Path | None


@dataclass(frozen=True, slots=True)
class Reads:
    """A set of models that reads or did: how many answers are its own, of which moments the first and the last are."""

    models: ModelSet
    answers: int
    first: float | None
    last: float | None


def here(settings: Settings) -> list[Here]:
    """The artifacts of this machine, those of the settings first."""
    return [_here(path) for path in installed(settings).values()]


def one(settings: Settings, artifact: str) -> Here:
    """The artifact of this id. Raises AbsentError."""
    path = installed(settings).get(artifact)
    if path is None:
        raise AbsentError("there is no such model on this machine", mend="send it")
    return _here(path)


def sets(session: Session) -> list[Reads]:
    """Every set of models that was ever active: the active one first, then the latest."""
    counted = {
        key: (count, first, last)
        for key, count, first, last in session.execute(
            select(Result.models_id, func.count(), func.min(Result.read_at), func.max(Result.read_at)).group_by(
                Result.models_id
            )
        )
    }
    found = session.scalars(select(ModelSet).order_by(ModelSet.active.desc(), ModelSet.id.desc()))
    return [Reads(one, *counted.get(one.id, (0, None, None))) for one in found]


def unread(session: Session) -> int:
    """How many images whose bytes are kept the active models have no job for."""
    active = models.active(session)
    if active is None:
        return 0
    has = exists().where(Job.instance_id == Instance.id, Job.models_id == active.id)
    return session.scalar(select(func.count()).select_from(Instance).where(Instance.purged_at.is_(None), ~has)) or 0


def activate(service: TriageService, actor: str, artifacts: Sequence[str]) -> ModelSet:
    """Let these models of this machine read together from now on; answers of others stay as they are.

    Raises UsageError for none, AbsentError for one that is not here, ArtifactError for one without an ONNX export.
    """
    if not artifacts:
        raise UsageError("no model would read", where="artifacts", mend="choose one at least")
    paths = installed(service.settings)
    if not set(artifacts) <= paths.keys():
        raise AbsentError("there is no such model on this machine", mend="send it first")
    chosen = dict.fromkeys(artifacts)
    rule = rule_of(service.settings.model_copy(update={"models": tuple(paths[one] for one in chosen)}))
    given = models.digest_of(rule_of(service.settings))
    with service.database.writing() as session:
        now = service.database.now(session)
        found = models.activate(session, now, rule, over=given)
        audit.note(session, now, [Noted("models active", actor, found.names)])
    return found


def send(service: TriageService, actor: str, archive: Path) -> Artifact:
    """Keep the artifact of a zip archive: `artifact.json` and the files that it names, every byte checked.

    Raises ArtifactError for what is none, is damaged or has no ONNX export; UsageError for one that is here already.
    """
    kept = service.settings.home / SENT
    kept.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=service.settings.home / "incoming") as place:
        folder = Path(place) / "artifact"
        _unpack(archive, folder, service.settings.web.upload_mib * _MIB)
        artifact = load_artifact(folder, weights=False)
        if RUNTIME not in artifact.exports:
            raise ArtifactError("it has no ONNX export", mend="run `cxreader export` on it, and send it again")
        if artifact.id in installed(service.settings):
            raise UsageError("this model is here already", mend="activate it")
        shutil.move(folder, kept / artifact.id)
    service.database.write(lambda s: audit.note(s, service.database.now(s), [Noted("model sent", actor, artifact.id)]))
    return artifact


def _here(path: Path) -> Here:
    folder = artifact_folder(path)
    cards = (folder / CARD, RunFolder(path).evaluation / CARD)
    artifact = load_artifact(folder, weights=False, exports=False)
    return Here(artifact, folder, next((card for card in cards if card.is_file()), None))


def _unpack(archive: Path, folder: Path, most: int) -> None:
    """Of a zip archive the manifest, the files that it names, and the card, wherever in it they lie; nothing else."""
    mend = "pack the artifact's folder as a zip archive"
    folder.mkdir()
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = {Path(info.filename).name: info for info in opened.infolist() if not info.is_dir()}
            if entries[MANIFEST].file_size > _LARGEST_MANIFEST:
                raise ArtifactError("its manifest is too large", mend=mend)
            wanted = {*_KEPT, *_named(opened.read(entries[MANIFEST]))}
            found = [info for name, info in entries.items() if name in wanted]
            if sum(info.file_size for info in found) > most:
                raise ArtifactError(f"it has more than {most // _MIB:,} MiB", mend="raise web.upload_mib")
            for info in found:
                with opened.open(info) as source, (folder / Path(info.filename).name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (KeyError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError):
        raise ArtifactError("no artifact in it", mend=mend) from None


def _named(manifest: bytes) -> Iterable[str]:
    """Names of the files that a manifest names."""
    told = json.loads(manifest)
    with suppress(AttributeError, TypeError):
        yield from (str(export["file"]) for export in told["exports"].values())
        yield str((told.get("region_head") or {}).get("file", ""))
    yield "model.safetensors"

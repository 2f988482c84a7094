"""Which models read, known without loading a network: all on which their answers depend, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxreader.errors import CxreaderError
from cxreader.inference.reader import Reader
from cxreader.inference.runtimes.backend import exported_file
from cxreader.models.artifact import MANIFEST, Artifact, load_artifact
from cxreader.runs import artifact_folder
from cxreader.serving.store.reading.models import digest_of
from cxreader.serving.store.tables.readings import ModelSet

if TYPE_CHECKING:
    from cxreader.serving.settings import Settings

SENT = "models"
"""In the home: a folder for each artifact that an administrator sent."""
RUNTIME = "onnx"
"""The one runtime of the service: torch is not installed beside it."""


def load_reader(settings: Settings) -> Reader:
    """The reader of the settings' models, in ONNX Runtime. Raises as `Reader.load`."""
    from cxreader.imaging.vocabulary.site_terms import SiteTerms

    site = None if settings.terms is None else SiteTerms.load(settings.terms)
    return Reader.load(settings.models, operating_point=settings.operating_point, backend=RUNTIME, site=site)


def rule_of(settings: Settings) -> dict[str, Any]:
    """All on which the answers depend, as plain values for JSON: artifacts, operating point, a site's own terms.

    Raises ArtifactError for an artifact that is damaged or has no ONNX export, ConfigError for terms that cannot be read.
    """
    from cxreader.imaging.vocabulary.site_terms import SiteTerms

    site = None if settings.terms is None else SiteTerms.load(settings.terms).to_dict()
    artifacts = [_exported(path) for path in settings.models]
    return {
        "artifacts": [artifact.id for artifact in artifacts],
        "operating_point": settings.operating_point or artifacts[0].operating_points[0].name,
        "terms": site,
    }


def installed(settings: Settings) -> dict[str, Path]:
    """The artifacts of this machine, by id: those of the settings, then those that were sent to it. Damaged ones are left out."""
    return {artifact.id: path for path, artifact in _here(settings)}


def known_artifacts(settings: Settings) -> dict[str, Artifact]:
    """The artifacts of this machine, by id, without weights; an evaluation that is stored while the service runs is seen."""
    return {artifact.id: artifact for _, artifact in _here(settings)}


def _here(settings: Settings) -> Iterator[tuple[Path, Artifact]]:
    sent = settings.home / SENT
    seen = set[str]()
    for path in (*settings.models, *(sorted(sent.iterdir()) if sent.is_dir() else ())):
        with suppress(CxreaderError, OSError):
            folder = artifact_folder(path)
            manifest = (folder / MANIFEST).stat()
            artifact = _opened(folder, manifest.st_mtime_ns, manifest.st_size)
            if artifact.id not in seen:
                seen.add(artifact.id)
                yield path, artifact


@lru_cache(maxsize=64)
def _opened(folder: Path, changed: int, size: int) -> Artifact:  # noqa: ARG001 - a manifest that changed is read anew
    """Kept, since whether a service is ready is asked every few seconds."""
    return load_artifact(folder, weights=False, exports=False)


def settings_of(settings: Settings, active: ModelSet | None) -> Settings:
    """The settings with the models of the active set, which somebody may have chosen; as they are where those are not here."""
    if active is None or active.names == "":
        return settings
    here, names = installed(settings), active.rule["artifacts"]
    if not all(name in here for name in names):
        return settings
    found = settings.model_copy(update={"models": tuple(here[name] for name in names)})
    return found if digest_of(rule_of(found)) == active.digest else settings


def no_map(reader: Reader) -> str:
    """Why these models give no heat map, empty where all of them do."""
    without: Sequence[str] = [member.id for member in reader.members if not member.backend.has_maps]
    if not without:
        return ""
    return f"no heat map: the ONNX export of {', '.join(without)} holds none, and making one needs torch"


def _exported(path: Path) -> Artifact:
    folder = artifact_folder(path)
    artifact = load_artifact(folder, weights=False, exports=False)
    exported_file(artifact, folder, RUNTIME)
    return artifact

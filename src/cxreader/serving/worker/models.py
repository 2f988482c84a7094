"""Which models read, known without loading a network: all on which their answers depend, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxreader.inference.reader import Reader
from cxreader.inference.runtimes.backend import exported_file
from cxreader.models.artifact import Artifact, load_artifact
from cxreader.runs import artifact_folder

if TYPE_CHECKING:
    from cxreader.serving.settings import Settings

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

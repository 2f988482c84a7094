"""The artifacts of this machine, by their ids, without their weights: what their evaluation says, whom they are for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from cxreader.errors import CxreaderError
from cxreader.models.artifact import MANIFEST, Artifact, load_artifact
from cxreader.runs import artifact_folder
from cxreader.serving.worker.models import installed

if TYPE_CHECKING:
    from cxreader.serving.settings import Settings


def known_artifacts(settings: Settings) -> Mapping[str, Artifact]:
    """Those that can be opened, sent ones too; an evaluation that is stored while the service runs is seen."""
    found = (_artifact(path) for path in installed(settings).values())
    return {one.id: one for one in found if one is not None}


def _artifact(path: Path) -> Artifact | None:
    try:
        folder = artifact_folder(path)
        return _opened(folder, (folder / MANIFEST).stat().st_mtime_ns)
    except (CxreaderError, OSError):
        return None


@lru_cache(maxsize=16)
def _opened(folder: Path, _changed: int) -> Artifact:
    return load_artifact(folder, weights=False, exports=False)

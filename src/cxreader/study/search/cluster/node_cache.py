"""What a machine of a cluster keeps of a search for all workers there: pixels, weights and frozen outputs; and folders of trials.

    ~/.cache/cxreader/search/IMAGES/
        train.bin, tune.bin     pixels, uint8 (n, H, W)
        weights/SHA256/NAME     files of pretrained weights
        prefix/                 outputs of frozen stages
        trials/                 a folder for each trial that runs

The folder is named by what the images show, so that another search of the same images finds it. It may be deleted when no
search runs.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cxreader.atomic import write_whole, writing_whole
from cxreader.config import Config, with_values
from cxreader.data.dataset import CachedImages
from cxreader.errors import CacheError, WeightsError
from cxreader.locks import is_held, lock
from cxreader.models.registry import model_entry
from cxreader.models.weights_package import kept_file, user_cache
from cxreader.study.search.cluster.carried import CarriedPart, CarriedSearch, CarriedWeights, Network, network_of
from cxreader.study.search.cluster.dialogue import Ask
from cxreader.study.search.cluster.messages import WantsPixels, WantsWeights
from cxreader.study.search.worker import on_cache

BLOCK = 32 << 20
"""Bytes of pixels that are asked for at a time, about."""
_LOCK = "in-use.lock"


class NodeCache:
    """The cache of one search on this machine, filled by `ask` with what is not there.

    `parts`: the images of train and tune, each compared with the digest that the driver has of them. Raises CacheError,
    WeightsError and StorageError.
    """

    def __init__(self, carried: CarriedSearch, ask: Ask) -> None:
        self.folder = user_cache() / "search" / carried.digest
        with lock(self.folder / "filling.lock", make_folder=True):
            self.parts = {name: self._part(name, part, ask) for name, part in carried.parts.items()}
            self._weights = {network: self._file(network, file, ask) for network, file in carried.weights.items()}

    def here(self, config: Config) -> Config:
        """The search's configuration, or a point's, with its cache and its weights as they lie on this machine."""
        return on_cache(with_values(config, {"model.weights": self._weights[network_of(config)]}), self.folder)

    @contextmanager
    def trial(self) -> Iterator[Path]:
        """A new folder, which is gone behind the block; those that killed workers have left go before it."""
        top = self.folder / "trials"
        with lock(top / "sweeping.lock", make_folder=True):
            for left in [path for path in top.iterdir() if path.is_dir() and not is_held(path / _LOCK)]:
                shutil.rmtree(left, ignore_errors=True)
            folder = top / secrets.token_hex(8)
            held = lock(folder / _LOCK, make_folder=True)
        try:
            yield folder / "trial"
        finally:
            held.close()
            shutil.rmtree(folder, ignore_errors=True)

    def _part(self, name: str, carried: CarriedPart, ask: Ask) -> CachedImages:
        path = self.folder / f"{name}.bin"
        if path.exists() and path.stat().st_size == np.prod(carried.shape):
            images = _opened(path, carried)
            if images.digest == carried.digest:
                return images
        images_a_block = max(1, BLOCK // int(np.prod(carried.shape[1:])))
        with writing_whole(path, needed=int(np.prod(carried.shape))) as file:
            for start in range(0, carried.shape[0], images_a_block):
                file.write(ask(WantsPixels(name, start, min(start + images_a_block, carried.shape[0]))).tobytes())
        images = _opened(path, carried)
        if images.digest != carried.digest:
            raise CacheError("other pixels arrive than the search was begun with", where=path, mend="search again")
        return images

    def _file(self, network: Network, carried: CarriedWeights | None, ask: Ask) -> str:
        """What `model.weights` is here; a file that is not there is asked for."""
        name, weights = network
        if carried is None:
            return "none"
        pinned = model_entry(name).pretrained if weights == "imagenet" else None
        path = kept_file(pinned) if pinned else self.folder / "weights" / carried.sha256 / carried.name
        if not path.exists():
            write_whole(path, ask(WantsWeights(*network)))
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != carried.sha256:
                what = "other weights than where the search was begun"
                raise WeightsError(what, where=path, mend="delete that file: it is sent again")
        return "imagenet" if pinned else str(path)


def _opened(path: Path, carried: CarriedPart) -> CachedImages:
    pixels = np.memmap(path, np.uint8, "r", shape=carried.shape)
    return CachedImages(pixels, np.arange(carried.shape[0]), carried.labels, carried.supervision)


def pieces(folder: Path, size: int) -> Iterator[tuple[str, bytes]]:
    """The files of a trial's folder but its checkpoints: name with `/`, and at most `size` bytes of it, one after another."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".ckpt"):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            yield name, file.read(size)
            while more := file.read(size):
                yield name, more

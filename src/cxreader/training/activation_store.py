"""Where the outputs of one frozen stage lie on the disk, and how many rows of them are whole.

    prefix/STAGE-KEY/
        train.bin, tune.bin     rows of float16 or float32, channels last
        prefix.json             how many rows, train first and tune behind, were whole at the last commit

A pass over the images fills the rows in this order, so that one that was interrupted knows where to go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.atomic import reserve_space, write_whole

PARTS = ("train", "tune")
_STATE = "prefix.json"


@dataclass(frozen=True, slots=True)
class ActivationStore:
    """One stage's files in a folder of their own.

    `shape`: of one image's output, (H, W, C) or (D,). `rows`: how many each part holds, train with all its views.
    """

    folder: Path
    stage: str
    shape: tuple[int, ...]
    rows: Mapping[str, int]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the values of both parts."""
        return sum(map(self._length, PARTS))

    @property
    def allocated(self) -> int:
        """Bytes that the disk already gives to them."""
        paths = [self._path(part) for part in PARTS]
        return sum(path.stat().st_blocks * 512 for path in paths if path.is_file())

    def values(self, part: str, mode: Literal["r", "r+"] = "r") -> NDArray[np.floating]:
        """The part's values (rows, *shape), memory-mapped."""
        return np.memmap(self._path(part), self.dtype, mode, shape=(self.rows[part], *self.shape))

    def done(self) -> int:
        """Rows, train first and tune behind, that are whole; 0 where a file of values is missing or of another length."""
        paths = {part: self._path(part) for part in PARTS}
        if any(not path.is_file() or path.stat().st_size != self._length(part) for part, path in paths.items()):
            return 0
        try:
            return int(json.loads((self.folder / _STATE).read_bytes())["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def complete(self) -> bool:
        """Whether every row is whole."""
        return self.done() == sum(self.rows.values())

    def prepare(self) -> None:
        """Make the files, with all the disk space they need, or keep those of a pass that goes on. Raises StorageError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.done() == 0:
            for name in (_STATE, *(self._path(part).name for part in PARTS)):
                (self.folder / name).unlink(missing_ok=True)  # else values of the right length alone would be believed
        for part in PARTS:
            reserve_space(self._path(part), self._length(part))

    def commit(self, rows: int, opened: Iterable[np.memmap[Any, Any]], about: Mapping[str, Any]) -> None:
        """Force the values to the disk, then note that so many rows are whole, beside what `about` says."""
        for values in opened:
            values.flush()
        write_whole(self.folder / _STATE, json.dumps({"rows": rows, **about}, indent=1).encode())

    def _path(self, part: str) -> Path:
        return self.folder / f"{part}.bin"

    def _length(self, part: str) -> int:
        return self.rows[part] * int(np.prod(self.shape)) * self.dtype.itemsize

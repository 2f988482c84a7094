"""Heat maps as pictures, one a file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.atomic import write_whole
from cxreader.imaging.overlay import overlay
from cxreader.imaging.read import read
from cxreader.inference.reader import Reader
from cxreader.records import Reading


def explain_files(
    reader: Reader,
    files: Sequence[str],
    out: Path,
    *,
    raw: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Reading, Path | None]]:
    """Read each file with its heat map and write `NAME-heat.png` (and `NAME-heat.npy` with `raw`) to `out`.

    The picture has the image's own size. A file that cannot be read gives its Reading with the reason, and no picture.
    """
    results: list[tuple[Reading, Path | None]] = []
    taken: set[str] = set()
    for done, reading in enumerate(reader.read_many(files, heat_map=True), 1):
        picture = None
        if reading.heat_map is not None:
            picture = out / f"{_free_name(reading.image, taken)}-heat.png"
            write_whole(picture, _drawn(reader, reading))
            if raw:
                write_whole(picture.with_suffix(".npy"), _npy(reading.heat_map))
        results.append((reading, picture))
        if progress is not None:
            progress(done, len(files))
    return results


def _drawn(reader: Reader, reading: Reading) -> bytes:
    image = read(reading.image)
    buffer = io.BytesIO()
    Image.fromarray(overlay(image.pixels, reading.heat_map, spec=reader.artifact.spec)).save(buffer, "PNG")
    return buffer.getvalue()


def _npy(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _free_name(path: str, taken: set[str]) -> str:
    """The file's stem, numbered when two folders hold the same."""
    stem, name, number = Path(path).stem, Path(path).stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    return name

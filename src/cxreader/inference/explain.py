"""Heat maps as pictures, one a file."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Semaphore
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.atomic import write_whole
from cxreader.errors import ImageError, UsageError, nearest
from cxreader.findings import read_findings
from cxreader.imaging.overlay import overlay
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.inference.box_names import named_boxes
from cxreader.inference.panel import draw_panel
from cxreader.inference.prepared import prepare, unread
from cxreader.inference.reader import DECODERS, Reader
from cxreader.records import Box, Reading

_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})
_LONGEST = 200  # bytes of a picture's stem: file systems allow names of 255, with what is added to it
_networks = Semaphore(2)
"""Calls of a network at the same time, as where many files are read: each may use all cores."""


def explain_files(
    reader: Reader,
    files: Sequence[str],
    out: Path,
    *,
    raw: bool = False,
    panel: bool = True,
    force: bool = False,
    boxes: Mapping[str, Sequence[Box]] | None = None,
    finding: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Reading, Path | None]]:
    """Read each file with its heat map and write `NAME-heat.png` (and with `raw` the maps) to `out`, in the files' order.

    The picture is the image and each model's map side by side, with scale and captions (`panel.draw_panel`); an image that is
    refused has its reasons in place of a map, and with `force` is answered all the same. Without `panel` the picture of one
    model is the image at its own size under its map, of several as above, and what is refused has none. The map is
    `NAME-heat.npy`, float32 (h, w), at least 0; of several models `NAME-heat-1.npy` and so on. Those of a region head are
    `NAME-region.npz`, float32 (s, s) in [0, 1] by finding and `any`, numbered likewise. `boxes`: by file, in its pixels,
    outlined and named. `finding`: whose region map is drawn in place of that of any finding; UsageError where no model has
    learnt its places. A file that cannot be read gives its Reading with the reason, and no picture. Each file is decoded once;
    the pictures that are decoded and drawn at the same time keep to the reader's pixel budget, and no more than one a thread
    waits to be written. Raises StorageError when `out` cannot be written or the disk is full.
    """
    wanted = None if finding is None else _finding_of(reader, finding)
    results: list[tuple[Reading, Path | None]] = []
    taken: set[str] = set()
    waiting = iter(files)
    explained = partial(_explained, reader, panel=panel, force=force, boxes=boxes or {}, finding=wanted)
    with ThreadPoolExecutor(DECODERS, "explain") as pool:
        ahead = deque(pool.submit(explained, file) for file in islice(waiting, DECODERS))
        while ahead:
            reading, drawn = ahead.popleft().result()
            picture = None
            if drawn is not None:
                picture = write_whole(out / f"{_free_name(reading.image, taken)}-heat.png", drawn)
                if raw and reading.value is not None:
                    _write_raw(reading, picture)
            results.append((reading, picture))
            ahead.extend(pool.submit(explained, file) for file in islice(waiting, 1))
            if progress is not None:
                progress(len(results), len(files))
    return results


def _finding_of(reader: Reader, wanted: str) -> str:
    """The finding as the region heads name it, by any of its names that tables may have (`findings.read_findings`)."""
    heads = [member.artifact.region_head for member in reader.members]
    known = dict.fromkeys(finding for head in heads if head is not None for finding in head.findings)
    if not known:
        raise UsageError("no model here has a region head", where="--finding", mend="leave it out, or train with boxes")
    found = next((finding for finding in (*read_findings(wanted)[0], wanted) if finding in known), None)
    if found is None:
        raise UsageError(f"no region head learnt {wanted!r}", where="--finding", mend=nearest(wanted, list(known)))
    return found


def _explained(
    reader: Reader,
    file: str,
    *,
    panel: bool,
    force: bool,
    boxes: Mapping[str, Sequence[Box]],
    finding: str | None,
) -> tuple[Reading, bytes | None]:
    """The Reading of a file with its heat map, and the picture as PNG where there is one."""
    with reader.pixel_budget.slot() as reserve:
        try:
            image = read(file, reserve=reserve, site=reader.site)
            prepared = prepare(image, reader.specs, name=file)
        except ImageError as error:
            return reader.answer([unread(file, error)])[0], None
        with _networks:
            reading = reader.answer([prepared], heat_map=True, refuse=not force)[0]
        drawn = _drawn(reader, reading, image, boxes.get(file, ()), panel=panel, finding=finding)
        return reading, None if drawn is None else _png(drawn)


def _drawn(
    reader: Reader, reading: Reading, image: Radiograph, boxes: Sequence[Box], *, panel: bool, finding: str | None
) -> NDArray[np.uint8] | None:
    if panel or reading.members:
        return draw_panel(image, reading, reader, boxes, finding) if panel or reading.value is not None else None
    if reading.value is None:
        return None
    return named_boxes(overlay(image.pixels, reading.heat_map, spec=reader.artifact.spec), boxes)


def _write_raw(reading: Reading, picture: Path) -> None:
    for n, own in enumerate(reading.members or (reading,), 1):
        number = f"-{n}" if reading.members else ""
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(own.heat_map, np.float32))
        write_whole(picture.with_name(f"{picture.stem}{number}.npy"), buffer.getvalue())
        if own.region_map is not None:
            buffer = io.BytesIO()
            maps: dict[str, Any] = {"any": own.region_map, **own.region_maps}
            np.savez(buffer, **maps)
            name = f"{picture.stem.removesuffix('-heat')}-region{number}.npz"
            write_whole(picture.with_name(name), buffer.getvalue())


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _free_name(path: str, taken: set[str]) -> str:
    """The file's name without a picture's ending, cut where it would be too long, and numbered when it is taken.

    What stands behind the last dot of a UID is no ending.
    """
    stem = Path(path).stem if Path(path).suffix.lower() in _ENDINGS else Path(path).name
    while len(os.fsencode(stem)) > _LONGEST:
        stem = stem[:-1]
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    return name

"""Heat maps as pictures, one a file."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Semaphore

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxreader.atomic import write_whole
from cxreader.errors import ImageError
from cxreader.imaging.overlay import overlay
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.inference.prepared import prepare, unread
from cxreader.inference.reader import DECODERS, Reader
from cxreader.records import Reading

_PANEL = 512  # pixels of a panel's longer side: its caption has room, and a large picture no more than a small one
_LINE, _FONT = 20, 15  # pixels
_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})
_LONGEST = 200  # bytes of a picture's stem: file systems allow names of 255, with what is added to it
_networks = Semaphore(2)
"""Calls of a network at the same time, as where many files are read: each may use all cores."""
_FOOT = "Warm: speaks for abnormal, each map by its own scale. For research; not a medical device."


def explain_files(
    reader: Reader,
    files: Sequence[str],
    out: Path,
    *,
    raw: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Reading, Path | None]]:
    """Read each file with its heat map and write `NAME-heat.png` (and with `raw` the maps) to `out`, in the files' order.

    Of one model the picture has the image's own size, and its map is `NAME-heat.npy`, float32 (h, w), at least 0. Of several
    it shows the image and each model's map side by side, with captions, and the maps are `NAME-heat-1.npy` and so on. A file
    that is refused or cannot be read gives its Reading with the reason, and no picture. Each file is decoded once; the
    pictures that are decoded and drawn at the same time keep to the reader's pixel budget, and no more than one a thread
    waits to be written. Raises StorageError when `out` cannot be written or the disk is full.
    """
    results: list[tuple[Reading, Path | None]] = []
    taken: set[str] = set()
    waiting = iter(files)
    with ThreadPoolExecutor(DECODERS, "explain") as pool:
        ahead = deque(pool.submit(_explained, reader, file) for file in islice(waiting, DECODERS))
        while ahead:
            reading, drawn = ahead.popleft().result()
            picture = None
            if drawn is not None:
                picture = write_whole(out / f"{_free_name(reading.image, taken)}-heat.png", drawn)
                if raw:
                    _write_raw(reading, picture)
            results.append((reading, picture))
            ahead.extend(pool.submit(_explained, reader, file) for file in islice(waiting, 1))
            if progress is not None:
                progress(len(results), len(files))
    return results


def _explained(reader: Reader, file: str) -> tuple[Reading, bytes | None]:
    """The Reading of a file with its heat map, and the picture as PNG where there is an answer."""
    with reader.pixel_budget.slot() as reserve:
        try:
            image = read(file, reserve=reserve, site=reader.site)
            prepared = prepare(image, reader.specs, name=file)
        except ImageError as error:
            return reader.answer([unread(file, error)])[0], None
        with _networks:
            reading = reader.answer([prepared], heat_map=True)[0]
        return reading, None if reading.value is None else _png(_drawn(reader, reading, image))


def side_by_side(image: Radiograph, reading: Reading, reader: Reader) -> NDArray[np.uint8]:
    """The image and each member's heat map over it, uint8 (H, W, 3): a panel of 512 pixels each, with two lines of caption."""
    shown = _to_panel(image.pixels)
    panels = [(overlay(shown), (f"mean of {len(reading.members)} models", _answer(reading)))]
    for n, (member, own) in enumerate(zip(reader.members, reading.members, strict=True), 1):
        heat = overlay(shown, own.heat_map, spec=member.artifact.spec)
        panels.append((heat, (f"{n}: {member.artifact.model} {own.artifact}", _answer(own))))
    height, width = shown.shape
    sheet = Image.new("RGB", (_PANEL * len(panels), height + 3 * _LINE))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    for n, (panel, lines) in enumerate(panels):
        sheet.paste(Image.fromarray(panel), (n * _PANEL + (_PANEL - width) // 2, 0))
        for place, line in enumerate(lines):
            draw.text((n * _PANEL + 6, height + place * _LINE), line, "white", font)
    draw.text((6, height + 2 * _LINE), _FOOT, "white", font)
    return np.asarray(sheet)


def _to_panel(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture with a longer side of `_PANEL` pixels."""
    image = Image.fromarray(pixels)
    scale = _PANEL / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    resized = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    return np.asarray(np.clip(np.asarray(resized), 0, 1), np.float32)


def _answer(reading: Reading) -> str:
    name = "score" if reading.probability is None else "probability"
    shown = "" if reading.value is None else f", {name} {reading.value:.3f}"
    return f"{reading.decision}{shown}"


def _drawn(reader: Reader, reading: Reading, image: Radiograph) -> NDArray[np.uint8]:
    if reading.members:
        return side_by_side(image, reading, reader)
    return overlay(image.pixels, reading.heat_map, spec=reader.artifact.spec)


def _write_raw(reading: Reading, picture: Path) -> None:
    for n, own in enumerate(reading.members or (reading,), 1):
        number = f"-{n}" if reading.members else ""
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(own.heat_map, np.float32))
        write_whole(picture.with_name(f"{picture.stem}{number}.npy"), buffer.getvalue())


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

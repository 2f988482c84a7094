"""Building the pixel cache: images a second a core, beside Pillow alone and OpenCV alone on the same files.

In a process of its own: each worker starts by importing what the program imports, and `run.py` imports every peer.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from apart import answer, apart
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.imaging.preprocess import InputSpec
from cxreader.machine import cores, keep_pages
from images import find_images
from measure import Row, rates, ratios, take_turns

SIZE = 224
GOAL = 0.85


def measure_cache(count: int, scratch: Path, repetitions: int) -> list[Row]:
    """Ours, with cxreader[png], also checks the file, pads, rounds, hashes picture and row, and writes.

    The peers decode and resize alone.
    """
    found = apart("cache.py", count=count, scratch=str(scratch), repetitions=repetitions)
    all_cores, seconds = cores(), found["seconds"]
    one, whole = rates(count, seconds["one"]), rates(count, seconds["all"])
    beside_opencv = ratios(seconds["opencv"], seconds["one"])
    what = f"pixel cache of {count} images, 1024 to {SIZE} px ({found['what']})"
    return [
        Row(
            f"{what}, one process",
            f"{one.text(1)} images/s a core",
            f"Pillow alone (decode, grey, resize): {rates(count, seconds['pillow']).text(1)} images/s a core",
            ratios(seconds["pillow"], seconds["one"]),
        ),
        Row(
            "the same",
            f"{one.text(1)} images/s a core",
            f"OpenCV alone (imdecode, INTER_AREA): {rates(count, seconds['opencv']).text(1)} images/s a core",
            beside_opencv,
            f"at least {GOAL:g}",
            beside_opencv.median >= GOAL,
        ),
        Row(
            f"the same in {all_cores} processes, their start included",
            f"{whole.text(1)} images/s, {whole.median / all_cores:.1f} a core",
            "ours in one process",
            ratios(seconds["one"], seconds["all"]),
        ),
    ]


def _measure(count: int, scratch: str, repetitions: int) -> dict[str, Any]:
    import cv2

    cv2.setNumThreads(1)
    keep_pages()  # as the commands do that build a cache
    images = find_images(count, Path(scratch))

    def build(workers: int) -> None:
        folder = Path(scratch) / "building"
        shutil.rmtree(folder, ignore_errors=True)
        build_cache(images.records, InputSpec(SIZE), folder, workers=workers)

    tasks = {
        "one": lambda: build(1),
        "all": lambda: build(cores()),
        "pillow": lambda: [_pillow(path) for path in images.paths()],
        "opencv": lambda: [_opencv(path) for path in images.paths()],
    }
    return {"seconds": take_turns(tasks, repetitions), "what": images.what}


def _pillow(path: str) -> object:
    with Image.open(path) as image:
        return np.asarray(image.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def _opencv(path: str) -> object:
    import cv2

    grey = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    answer(_measure)

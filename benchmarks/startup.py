"""How long `cxreader --help` and a first reading take, and how fast phantoms are drawn."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from apart import answer, apart
from artifacts import make_artifact, write_dicoms
from cxreader.data.phantoms.write import PhantomSpec, write_phantoms
from cxreader.machine import cores
from images import find_images
from measure import Row, Spread, rates, take_turns

HELP_GOAL, READ_GOAL, PHANTOM_GOAL = 0.4, 2.0, 10.0


def measure_help(repetitions: int) -> list[Row]:
    """The time to a first word."""
    return [_whole_process("`cxreader --help`, a whole process", ["--help"], HELP_GOAL, repetitions)]


def measure_read(scratch: Path, repetitions: int) -> list[Row]:
    """The time to a first reading, the artifact's acceptance rule included."""
    files = write_dicoms(find_images(40, scratch).paths(), scratch / "dicom")
    folder = apart("startup.py", what="artifact", scratch=str(scratch), files=files)
    what = "`cxreader read` of one DICOM file of 1024 px, ResNet18 by ONNX Runtime, a whole process"
    return [_whole_process(what, ["-q", "read", files[0], "--model", folder], READ_GOAL, repetitions)]


def _whole_process(what: str, arguments: list[str], goal: float, repetitions: int) -> Row:
    """`cxreader` with these arguments each time, with Python alone beside it: what is left is ours."""
    program = str(Path(sys.executable).with_name("cxreader"))
    tasks = {
        "ours": lambda: subprocess.run([program, *arguments], check=True, capture_output=True),
        "python": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True, capture_output=True),
    }
    seconds = take_turns(tasks, repetitions)
    ours = Spread.of(seconds["ours"])
    peer = f"Python that does nothing: {Spread.of(seconds['python']).text(2, 's')}"
    return Row(what, ours.text(2, "s"), peer, goal=f"under {goal:g} s", met=ours.median < goal)


def measure_phantoms(patients: int, scratch: Path, repetitions: int) -> list[Row]:
    """All cores, the start of the processes and the writing of the files included."""
    rows = []
    for size, goal in ((1024, PHANTOM_GOAL), (256, None)):
        given = {"patients": patients, "size": size, "folder": str(scratch / f"drawn-{size}")}
        images, seconds = apart("startup.py", what="phantoms", **given, repetitions=repetitions)
        found = rates(images, seconds)
        rows.append(
            Row(
                f"phantoms: {images} images of {size} px drawn and written, {cores()} cores",
                found.text(1, "images/s"),
                goal="" if goal is None else f"at least {goal:g} images/s on two cores",
                met=None if goal is None else found.median >= goal,
            )
        )
    return rows


def _made(what: str, **given: Any) -> object:
    return _artifact(**given) if what == "artifact" else _phantoms(**given)


def _artifact(scratch: str, files: list[str]) -> str:
    """Made in a process of its own, which loads torch."""
    return str(make_artifact(Path(scratch) / "artifact", "resnet18", 224, files))


def _phantoms(patients: int, size: int, folder: str, repetitions: int) -> tuple[int, list[float]]:
    """Images and seconds; in a process of its own, whose imports its workers do again, as those of `cxreader data` do."""
    seconds, images = [], 0
    for _ in range(repetitions):
        shutil.rmtree(folder, ignore_errors=True)
        start = time.perf_counter()
        images = write_phantoms(Path(folder), PhantomSpec(patients=patients, seed=0, size=size)).images
        seconds.append(time.perf_counter() - start)
    return images, seconds


if __name__ == "__main__":
    answer(_made)

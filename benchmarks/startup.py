"""How long `cxreader --help` takes, and how fast phantoms are drawn."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from cxreader.data.cache_pool import cores
from cxreader.data.phantom import PhantomSpec, write_phantoms
from measure import Row, Spread, rates, take_turns

HELP_GOAL, PHANTOM_GOAL = 0.4, 10.0


def measure_help(repetitions: int) -> list[Row]:
    """A whole process each time, with Python alone beside it: what is left is ours."""
    program = str(Path(sys.executable).with_name("cxreader"))
    tasks = {
        "help": lambda: subprocess.run([program, "--help"], check=True, capture_output=True),
        "python": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True, capture_output=True),
    }
    seconds = take_turns(tasks, repetitions)
    ours = Spread.of(seconds["help"])
    return [
        Row(
            "`cxreader --help`, a whole process",
            ours.text(2, "s"),
            f"Python that does nothing: {Spread.of(seconds['python']).text(2, 's')}",
            goal=f"under {HELP_GOAL:g} s",
            met=ours.median < HELP_GOAL,
        )
    ]


def measure_phantoms(patients: int, scratch: Path, repetitions: int) -> list[Row]:
    """All cores, the start of the processes and the writing of the files included."""
    rows = []
    for size, goal in ((1024, PHANTOM_GOAL), (256, None)):
        seconds, images = [], 0
        for _ in range(repetitions):
            folder = scratch / f"drawn-{size}"
            shutil.rmtree(folder, ignore_errors=True)
            start = time.perf_counter()
            images = write_phantoms(folder, PhantomSpec(patients=patients, seed=0, size=size)).images
            seconds.append(time.perf_counter() - start)
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

"""All benchmarks in one run; writes README.md beside this file. `--quick` only tries them, prints, and writes nothing.

`--runtimes` measures the rows of runtimes again and puts them in the place of those that stand there; `--cluster FILES KILLS`
those of a Ray cluster, with so many files and deaths of each kind.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from batches import measure_batches
from cache import measure_cache
from cluster import ON_RAY, measure_cluster
from cxreader.machine import cores
from cxreader.runs import git_revision
from end_to_end import measure_end_to_end
from finetune import measure_finetune
from gpu import measure_gpu
from gradcam import measure_gradcam
from grid import measure_grid
from images import find_images
from journal import measure_journal
from measure import Row
from precisions import measure_precisions
from resampling import measure_resampling
from runtimes import RUNTIMES, measure_runtimes
from startup import measure_help, measure_phantoms, measure_read
from stored import measure_stored
from xrayvision import measure_xrayvision

README = Path(__file__).with_name("README.md")
PACKAGES = (
    "cxreader",
    "torch",
    "onnxruntime",
    "openvino",
    "kornia-rs",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "grad-cam",
    "timm",
    "lightning",
    "scikit-learn",
    "pydicom",
    "torchxrayvision",
    "ray",
)
AGAIN = '- rows with "{part}" (`benchmarks/run.py {option}`) are of another run:'
HEADER = ("what", "ours", "peer", "ratio", "goal", "met")


def main() -> None:
    """Measure, print the table, and write it unless it was only a trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one repetition; nothing is written")
    parser.add_argument("--runtimes", action="store_true", help="these rows alone, in the place of those in README.md")
    of_cluster = "the rows of a Ray cluster alone, likewise"
    parser.add_argument("--cluster", nargs=2, type=int, metavar=("FILES", "KILLS"), help=of_cluster)
    given = parser.parse_args()
    load = os.getloadavg()[0]
    if given.runtimes:
        with tempfile.TemporaryDirectory(prefix="cxreader-bench-") as folder:
            rows = measure_runtimes(Path(folder), quick=given.quick)
        text = with_rows(README.read_text(encoding="utf-8"), rows, load, part=RUNTIMES, option="--runtimes")
    elif given.cluster:
        files, kills = given.cluster
        rows = measure_cluster(quick=given.quick, files=files, kills=kills)
        text = with_rows(README.read_text(encoding="utf-8"), rows, load, part=ON_RAY, option="--cluster")
    else:
        text = page(measure(quick=given.quick), load)
    print(text)
    if not given.quick:
        README.write_text(text, encoding="utf-8")


def measure(*, quick: bool) -> list[Row]:
    """The rows of every benchmark."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="cxreader-bench-") as folder:
        scratch = Path(folder)
        rows += measure_batches(find_images(8 if quick else 640, scratch), scratch, 1 if quick else 5)
        rows += measure_gradcam(1 if quick else 9)
        rows += measure_cache(16 if quick else 320, scratch, 1 if quick else 5)
        rows += measure_help(1 if quick else 15)
        rows += measure_read(scratch, 1 if quick else 9)
        rows += measure_phantoms(1 if quick else 60, scratch, 1 if quick else 3)
        rows += measure_runtimes(scratch, quick=quick)
        rows += measure_precisions(scratch, quick=quick)
    rows += measure_finetune(quick=quick)
    rows += measure_stored(quick=quick)
    rows += measure_grid(quick=quick)
    rows += measure_resampling(quick=quick)
    rows += measure_end_to_end(quick=quick)
    rows += measure_journal(quick=quick)
    rows += measure_xrayvision(quick=quick)
    rows += measure_gpu(quick=quick)
    rows += measure_cluster(quick=quick)
    return rows


def page(rows: Iterable[Row], load: float) -> str:
    """The whole README as Markdown."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` alone. Ours and the peer run in turns on one machine, in one process where a row does not say",
        "otherwise; a ratio is the peer's time over ours inside one repetition, so above 1 ours is faster. Each cell gives the",
        "median of the repetitions and, in brackets, the smallest and the largest; a number without them was measured once, and",
        "what is scaled up says from what. What a goal asks is judged on the median. No test depends on a time.",
        "",
        f"- date: {_date()}",
        f"- machine: {_machine(load)}",
        f"- cxreader revision: {_revision()}",
        f"- versions: Python {platform.python_version()}, {', '.join(f'{p} {version(p)}' for p in PACKAGES)}",
        "",
        _line(HEADER),
        _line("---" for _ in HEADER),
        *(_line(_cells(row)) for row in rows),
        "",
    ]
    return "\n".join(lines)


def with_rows(text: str, rows: Iterable[Row], load: float, *, part: str, option: str) -> str:
    """The page with `rows` in the place of those with `part` in their name, and a line that says when they were measured."""
    again = AGAIN.format(part=part, option=option)
    lines = [line for line in text.splitlines() if not line.startswith(again)]
    old = [n for n, line in enumerate(lines) if line.startswith("| ") and part in line.split(" | ")[0]]
    first, last = (old[0], old[-1] + 1) if old else (len(lines), len(lines))
    lines[first:last] = [_line(_cells(row)) for row in rows]
    head = next(n for n, line in enumerate(lines) if line.startswith("- versions:"))
    lines.insert(head + 1, f"{again} {_date()}, {_machine(load)}; cxreader revision {_revision()}")
    return "\n".join([*lines, ""])


def _date() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _machine(load: float) -> str:
    return f"{_processor()}, {cores()} cores, {platform.system()} {platform.machine()}; load {load:.1f} at the start"


def _revision() -> str:
    return git_revision() or "not a checkout"


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else row.ratio.text(1 if row.ratio.median >= 10 else 2)
    met = {None: "", True: "yes", False: "no"}[row.met]
    return row.what, row.ours, row.peer, ratio, row.goal, met


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")


if __name__ == "__main__":
    main()

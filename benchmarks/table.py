"""What each part of the benchmarks found, kept as JSON, and the page that shows them."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cxreader.machine import cores
from cxreader.runs import git_revision
from measure import Row

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
INTRODUCTION = """\
# Benchmarks

Written by `make bench`, or a part of it by `python benchmarks/run.py PART`. Ours and the peer run in turns on one machine, in
one process where a row does not say otherwise; a ratio is the peer's time over ours inside one repetition, so above 1 ours is
faster. Each cell gives the median of the repetitions and, in brackets, the smallest and the largest; a number without them was
measured once, and what is scaled up says from what. What a goal asks is judged on the median, and where that falls
short while the range reaches the goal, the row says so. No test depends on a time.
"""
HEADER = ("what", "ours", "peer", "ratio", "goal", "met")
TITLES = {
    "batches": "Batches",
    "gradcam": "Grad-CAM",
    "cache": "Pixel cache",
    "startup": "Start and phantoms",
    "runtimes": "Networks without torch",
    "precisions": "Other runtimes and precisions",
    "finetune": "Fine-tuning",
    "stored": "Stored frozen stages",
    "grid": "The study's grid",
    "resampling": "Intervals",
    "end-to-end": "Files to readings",
    "journal": "The journal of a hundred thousand",
    "xrayvision": "TorchXRayVision",
    "gpu": "GPU",
    "cluster": "A Ray cluster",
}


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a part as they are shown, and when, where and with what they were measured."""

    part: str
    date: str
    machine: str
    revision: str
    versions: str
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, part: str, rows: Iterable[Row], load: float) -> Found:
        """What was just measured."""
        machine = (
            f"{_processor()}, {cores()} cores, {platform.system()} {platform.machine()}; load {load:.1f} at the start"
        )
        date = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        return cls(part, date, machine, git_revision() or "not a checkout", _versions(), [_cells(row) for row in rows])

    def save(self, folder: Path) -> None:
        """Keep it in the place of what this part found before."""
        folder.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / f"{self.part}.json").write_text(text + "\n", encoding="utf-8")

    def section(self) -> str:
        """Its part of the page."""
        lines = [
            f"## {TITLES[self.part]}",
            "",
            f"`python benchmarks/run.py {self.part}`; {self.date}; {self.machine}; revision {self.revision}.",
            "",
            _line(HEADER),
            _line("---" for _ in HEADER),
            *(_line(row) for row in self.rows),
            "",
        ]
        return "\n".join(lines)


def write_page(folder: Path, order: Iterable[str]) -> None:
    """README.md, of all parts that were measured, and which versions each set of them ran with."""
    files = [folder / f"{part}.json" for part in order]
    found = [Found(**json.loads(file.read_text("utf-8"))) for file in files if file.exists()]
    lines = [
        INTRODUCTION,
        *(one.section() for one in found),
        "## Versions",
        "",
    ]
    for versions in dict.fromkeys(one.versions for one in found):
        of = ", ".join(TITLES[one.part] for one in found if one.versions == versions)
        lines.append(f"- {of}: {versions}.")
    README.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else row.ratio.text(1 if row.ratio.median >= 10 else 2)
    met = {None: "", True: "yes", False: "no"}[row.met]
    least = re.fullmatch(r"at least ([\d.]+)", row.goal)
    if row.met is False and least and row.ratio is not None and row.ratio.high >= float(least[1]):
        met = "within its range"
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

"""The service under load and under faults, a part at a time; `--write` puts the tables into docs/explanation/reliability.md.

Each part keeps what it found in a file of the folder `--out`, so that parts may be measured one by one, and again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from service import faults
from service.bare import measure_bare
from service.kills import GROUPS, measure_kills
from service.load import measure_load
from service.page import write_page
from service.worklist import measure_worklist
from service.world import about

SEED = 7
PARTS = ("bare", "load", *(f"kill-{group}" for group in GROUPS), "disk", "database", "clock", "destination", "worklist")


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run's or an artifact's folder, exported")
    parser.add_argument(
        "--phantoms", type=Path, required=True, help="a folder of `cxreader data phantom --layout dicom`"
    )
    parser.add_argument("--out", type=Path, default=Path("serving-benchmark"), help="findings, logs and homes lie here")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="these parts")
    parser.add_argument("--images", type=int, default=2000, help="of the load, and of the bare reading")
    parser.add_argument("--moments", type=int, default=10, help="kills of each process")
    parser.add_argument("--repeats", type=int, default=3, help="of the bare reading")
    parser.add_argument("--studies", type=int, default=100_000, help="of the worklist")
    parser.add_argument("--seconds", type=float, default=60, help="for which the worklist is listed")
    parser.add_argument("--write", action="store_true", help="write the page from all parts that were measured")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    files = _files(given.phantoms)
    for part in given.only:
        found = {"about": about(SEED, given.model, _command(given, part))} | _measures(given, files)[part]()
        text = json.dumps(found, indent=1)
        (given.out / f"{part}.json").write_text(text + "\n", encoding="utf-8")
        print(part, text, flush=True)
    if given.write:
        write_page(given.out)


def _command(given: argparse.Namespace, part: str) -> str:
    """The options of this part that are not the usual ones."""
    usual = {"images": 2000, "moments": 10, "repeats": 3, "studies": 100_000, "seconds": 60}
    more = [f"--{name} {getattr(given, name):g}" for name, value in usual.items() if getattr(given, name) != value]
    return " ".join(["--only", part, *more])


def _measures(given: argparse.Namespace, files: Sequence[tuple[str, str]]) -> dict[str, Callable[[], dict[str, Any]]]:
    """How each part is measured."""
    images, scratch, model = files[: given.images], given.out / "scratch", given.model
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    kills = {f"kill-{g}": partial(measure_kills, g, model, files, scratch, given.moments, SEED) for g in GROUPS}
    return {
        "bare": partial(measure_bare, model, images, scratch, given.repeats),
        "load": lambda: measure_load(model, images, scratch, _bare(given.out)),
        **kills,
        "disk": partial(faults.measure_full_disk, model, images[:300], scratch),
        "database": partial(faults.measure_database_away, model, images[:300], scratch),
        "clock": partial(faults.measure_clock_set_back, model, images[:40], scratch),
        "destination": partial(faults.measure_destination_down, model, images[:40], scratch),
        "worklist": partial(measure_worklist, model, files, scratch, given.studies, given.seconds, SEED),
    }


def _bare(out: Path) -> float | None:
    """Images a second of `cxreader read`, where that part was measured."""
    file = out / "bare.json"
    return json.loads(file.read_text())["bare_per_second"] if file.exists() else None


def _files(phantoms: Path) -> list[tuple[str, str]]:
    """Path and SOP Instance UID of every file."""
    from pydicom import dcmread

    paths = sorted(phantoms.resolve().glob("P*/IM*"))
    return [(str(path), str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)) for path in paths]


if __name__ == "__main__":
    main()

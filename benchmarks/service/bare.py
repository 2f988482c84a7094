"""Images that are received already: how fast the service reads them, beside `cxreader read` on the same files."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from cxreader.serving.home import opened
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.images import Study
from cxreader.serving.store.tables.readings import Job
from measure import Spread
from service.world import Running, Watch, machine_seconds, made_home, running, told_load


def measure_bare(model: Path, files: Sequence[tuple[str, str]], scratch: Path, repeats: int) -> dict[str, Any]:
    """Both in turns, without their starts: the service runs already, and of the command a run on one file is taken off."""
    folder, one = _linked(files, scratch / "bare-files"), _linked(files[:1], scratch / "bare-file")
    home, rows = made_home(scratch / "bare", model), []
    with opened(home.settings):  # its models become active
        service = TriageService.open(home.settings)
    for path, _ in files:
        service.receive(Path(path), door="folder")
    with running(home, scratch / "bare.log") as made:
        _until_read(service)
        busy = machine_seconds()
        for turn in range(repeats):
            tasks = {
                "start": lambda: _command(model, one, scratch),
                "command": lambda: _command(model, folder, scratch),
                "service": lambda: _service(made, service),
            }
            rows.append({name: tasks[name]() for name in (list(tasks) if turn % 2 == 0 else reversed(tasks))})
    service.close()
    found = {
        name: [
            tuple(row["command"][n] - row["start"][n] for n in range(2)) if name == "command" else row[name]
            for row in rows
        ]
        for name in ("command", "service")
    }
    ratios = [c[0] / s[0] for c, s in zip(found["command"], found["service"], strict=True)]
    cpu = [c[1] / s[1] for c, s in zip(found["command"], found["service"], strict=True)]
    return {
        "images": len(files),
        "repeats": repeats,
        "seconds_wall_cpu": rows,
        "bare_per_second": round(Spread.of(len(files) / wall for wall, _ in found["command"]).median, 2),
        "service_per_second": round(Spread.of(len(files) / wall for wall, _ in found["service"]).median, 2),
        "ratio": [round(one, 3) for one in ratios],
        "ratio_median": round(Spread.of(ratios).median, 3),
        "ratio_of_cpu": [round(one, 3) for one in cpu],
        "machine": told_load(busy, sum(one[1] for row in rows for one in row.values())),
    }


def _command(model: Path, folder: Path, scratch: Path) -> tuple[float, float]:
    """Seconds of `cxreader read` of the folder, anew, and seconds of a core."""
    out = scratch / "read.parquet"
    for one in scratch.glob("read.parquet*"):
        shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink()
    words = [sys.executable, "-m", "cxreader", "read", "--model", str(model), str(folder), "--out", str(out), "--fresh"]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if not out.exists():
        raise RuntimeError(done.stderr)
    return round(wall, 2), round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)


def _service(made: Running, service: TriageService) -> tuple[float, float]:
    """Seconds from when all images are queued anew to the last answer, and seconds of a core of all its processes."""
    watch = Watch(made.pids)
    with watch.watching():
        service.reread("benchmark", _every(service))
        begun = time.perf_counter()
        _until_read(service)
        wall = time.perf_counter() - begun
    return round(wall, 2), round(sum(watch.seconds().values()), 2)


def _until_read(service: TriageService) -> None:
    while True:
        with service.database.reading() as session:
            if not session.scalar(select(func.count()).where(Job.state.in_(("waiting", "leased")))):
                return
        time.sleep(0.05)


def _every(service: TriageService) -> list[str]:
    with service.database.reading() as session:
        return list(session.scalars(select(Study.key)))


def _linked(files: Sequence[tuple[str, str]], folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for n, (path, _) in enumerate(files):
        (folder / f"{n:06d}.dcm").symlink_to(path)
    return folder

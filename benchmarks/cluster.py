"""Reading on a Ray cluster of two machines, both this one, against one process of the same cores; and what dies there.

As a program of its own it measures and prints what it is given (see `apart.answer`); `measure_cluster` gives the rows. The
cluster, its drivers and their deaths are those of the tests (`tests/cluster`, `tests/inference/batch/ray_world.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from apart import answer, apart
from artifacts import make_artifact
from measure import Row, Spread, rates, ratios, take_turns

sys.path.append(str(Path(__file__).parents[1]))
from tests.cluster.two_machines import ENVIRONMENT, TwoMachines, kill
from tests.inference.batch.ray_world import (
    POISON,
    drive,
    wait_for,
    workers,
)
from tests.s3_server import s3_server

SIZE, GOAL = 224, 0.9
_PAUSE, _LOADERS = 20.0, 4
"""Seconds between two deaths, on the average; threads that load files, of both workers."""


def measure_cluster(*, quick: bool, files: int = 2000, kills: int = 10) -> list[Row]:
    """Rate and cost, files in a store, and deaths; `kills`: moments of each of the three kinds."""
    count, kills, repetitions = (32, 1, 1) if quick else (files, kills, 3)
    found = apart("cluster.py", count=count, kills=kills, repetitions=repetitions)
    count = found["files"]
    ours, peer = ([seconds for seconds, _ in found[side]] for side in ("ray", "alone"))
    busy = {side: Spread.of(1e3 * cpu / count for _, cpu in found[side]) for side in ("ray", "alone")}
    ratio = ratios(peer, ours)
    share = Spread.of(one / ray for (_, one), (_, ray) in zip(found["alone"], found["ray"], strict=True))
    what = f"{count:,} phantom DICOM files of 512 px, ResNet18 at {SIZE} px, read on a Ray cluster"
    what += " (two raylets of 1 core, workers up)"
    return [
        Row(
            what,
            f"{rates(count, ours).text(1)} files/s; {busy['ray'].text(1)} ms of a core a file, Ray's own processes included",
            f"one process of 2 cores: {rates(count, peer).text(1)} files/s; {busy['alone'].text(1)} ms of a core a file",
            ratio,
            f"at least {GOAL:g}",
            ratio.median >= GOAL,
        ),
        Row(
            "the same, cores' time a file: one process over Ray",
            "",
            "",
            share,
            f"at least {GOAL:g}",
            share.median >= GOAL,
        ),
        *(_row(what, told, found) for what, told in found["deaths"].items()),
    ]


def _row(what: str, told: dict[str, Any], found: dict[str, Any]) -> Row:
    differ = (
        f"table equal to one process's but for {told['differ']:,} rows"
        if told["differ"]
        else "table equal byte by byte"
    )
    ours = f"{differ}; {told['seconds']:,.0f} s, starts included"
    return Row(
        f"{found['files']:,} phantom files on a Ray cluster: {what}", ours, "", None, "equal", told["differ"] == 0
    )


def seconds(count: int, kills: int, repetitions: int) -> dict[str, Any]:
    """Seconds, and seconds of cores, of both sides in each repetition; and of each kind of death what came of it."""
    os.environ.update(ENVIRONMENT)
    os.environ["CXREADER_CORES"] = "2"
    with tempfile.TemporaryDirectory(prefix="cxreader-bench-") as folder, s3_server("archive"):
        scratch = Path(folder)
        files = _phantoms(scratch / "phantoms", count)
        model = make_artifact(scratch / "artifact", "resnet18", SIZE, files[:40])
        machines = TwoMachines()
        try:
            found = _rates(machines, model, files, scratch, repetitions)
            deaths = _deaths(machines, model, files, scratch, kills)
        finally:
            machines.stop()
    return {**found, "deaths": deaths, "files": len(files)}


def _phantoms(folder: Path, count: int) -> list[str]:
    from cxreader.data.phantoms.write import PhantomSpec, write_phantoms
    from cxreader.inference.batch.paths import listed

    write_phantoms(folder, PhantomSpec(-(-count * 2 // 3), seed=0, size=512), layout="dicom", workers=2)
    return listed([str(folder)])[0][:count]


def _rates(machines: TwoMachines, model: Path, files: list[str], scratch: Path, repetitions: int) -> dict[str, Any]:
    """One process and the cluster in turns, its workers up; the table of both is the same, which `alone.json` keeps."""
    from cxreader import Reader
    from cxreader.inference.batch.ray_engine import RayEngine
    from cxreader.inference.batch.read_files import read_files

    reader = Reader.load(model, backend="onnx")
    busy: dict[str, list[float]] = {"alone": [], "ray": []}
    with RayEngine(reader, machines.address) as engine:
        while engine.ready < 2:
            list(engine(enumerate(files[:64])))

        def run(side: str) -> None:
            before = _busy(machines.pid)
            read_files(reader, files, scratch / f"{side}.json", engine=engine if side == "ray" else None)
            busy[side].append(_busy(machines.pid) - before)

        taken = take_turns({side: partial(run, side) for side in busy}, repetitions)
    print(f"{taken}, {busy}", file=sys.stderr)
    assert (scratch / "ray.json").read_bytes() == (scratch / "alone.json").read_bytes()
    return {side: list(zip(taken[side], busy[side][1:], strict=True)) for side in busy}


def _busy(cluster: int | None) -> float:
    """Seconds of cores that this process has taken, and the living processes below the cluster's."""
    parents: dict[int, int] = {}
    times: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with suppress(OSError):
                parts = (path / "stat").read_text().rpartition(")")[2].split()
                parents[int(path.name)], times[int(path.name)] = int(parts[1]), int(parts[11]) + int(parts[12])
    below = {cluster}
    while more := {pid for pid, parent in parents.items() if parent in below and pid not in below}:
        below |= more
    return time.process_time() + sum(times[pid] for pid in below if pid in times) / os.sysconf("SC_CLK_TCK")


def _deaths(machines: TwoMachines, model: Path, files: list[str], scratch: Path, kills: int) -> dict[str, Any]:
    """Each kind of death at random moments of one reading; a file that ends its workers; files in a store."""
    times = f"{kills} times at random moments"
    few = files[: max(8, len(files) // 10)]
    given = (machines, model, files, scratch)
    machine_dies = partial(_machine_dies, machines)
    trials: dict[str, Callable[[], dict[str, Any]]] = {
        f"a worker killed {times}": lambda: _watched(*given, kills, _worker_dies),
        f"the second machine killed {times}, another begun each time": lambda: _watched(*given, kills, machine_dies),
        f"the driver killed {times}, the same call given again": lambda: _driver_dies(*given, kills),
        "a file that ends each of its workers: a row with its reason": lambda: _poisoned(*given),
        f"{len(few):,} of the files in a store that speaks S3 (moto)": lambda: _stored(machines, model, few, scratch),
    }
    found = {}
    for what, trial in trials.items():
        found[what] = trial()
        print(f"{what}: {found[what]}", file=sys.stderr)  # it takes long
    return found


def _watched(
    machines: TwoMachines, model: Path, files: list[str], scratch: Path, kills: int, dies: Callable[[Path], None]
) -> dict[str, Any]:
    """Files load so slowly that there is time for every death, and for what takes the place of the dead."""
    pids, out = _anew(scratch)
    start = time.perf_counter()
    slow = _PAUSE * kills * _LOADERS / len(files)
    driver = drive(model, files, out, machines.address, pids=str(pids), seconds=slow)
    for moment in _moments(len(files), kills):
        wait_for(out, moment, driver, 600)
        dies(pids)
    driver.join(1200)
    assert driver.exitcode == 0, out.with_name(f"{out.name}.said").read_text()
    return {"seconds": time.perf_counter() - start, "differ": _differ(out, scratch / "alone.json")}


def _worker_dies(pids: Path) -> None:
    there = workers(pids)
    if there:
        kill(there[0])


def _machine_dies(machines: TwoMachines, pids: Path) -> None:  # noqa: ARG001 - as `_worker_dies`
    machines.kill_second()
    machines.begin_second()


def _driver_dies(machines: TwoMachines, model: Path, files: list[str], scratch: Path, kills: int) -> dict[str, Any]:
    pids, out = _anew(scratch)
    start = time.perf_counter()
    for moment in _moments(len(files), kills):
        driver = drive(model, files, out, machines.address, pids=str(pids), seconds=0.0)
        wait_for(out, moment, driver, 600)
        driver.kill()
        driver.join()
    driver = drive(model, files, out, machines.address, pids=str(pids), seconds=0.0)
    driver.join(1200)
    assert driver.exitcode == 0, out.with_name(f"{out.name}.said").read_text()
    return {"seconds": time.perf_counter() - start, "differ": _differ(out, scratch / "alone.json")}


def _poisoned(machines: TwoMachines, model: Path, files: list[str], scratch: Path) -> dict[str, Any]:
    pids, out = _anew(scratch)
    poison = str(scratch / f"{POISON}.dcm")
    shutil.copy(files[0], poison)
    start = time.perf_counter()
    half = len(files) // 2
    given = [*files[:half], poison, *files[half:]]
    driver = drive(model, given, out, machines.address, pids=str(pids), seconds=0.0)
    driver.join(1200)
    assert driver.exitcode == 0
    return {"seconds": time.perf_counter() - start, "differ": _differ(out, scratch / "alone.json", apart_from=poison)}


def _stored(machines: TwoMachines, model: Path, files: list[str], scratch: Path) -> dict[str, Any]:
    import pyarrow.fs as pafs

    store = pafs.FileSystem.from_uri("s3://archive")[0]
    for file in files:
        with store.open_output_stream(f"archive{file}") as put:
            put.write(Path(file).read_bytes())
    pids, out = _anew(scratch)
    start = time.perf_counter()
    driver = drive(model, [f"s3://archive{file}" for file in files], out, machines.address, pids=str(pids), seconds=0.0)
    driver.join(1200)
    assert driver.exitcode == 0
    taken = time.perf_counter() - start
    return {
        "seconds": taken,
        "differ": _differ(out, scratch / "alone.json", prefix="s3://archive", only=frozenset(files)),
    }


def _anew(scratch: Path) -> tuple[Path, Path]:
    """A folder for the workers' numbers, and a table's place, both not there yet."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    (folder / "pids").mkdir()
    return folder / "pids", folder / "o.json"


def _moments(files: int, kills: int) -> list[int]:
    """How many files have their answer at each of the deaths."""
    return sorted(int(n) for n in np.random.default_rng(1).choice(files * 9 // 10, kills, replace=False))


def _differ(
    out: Path, alone: Path, *, apart_from: str = "", prefix: str = "", only: frozenset[str] | None = None
) -> int:
    """How many rows differ from those of one process, ranks left out where the files are others."""
    if not (apart_from or prefix) and out.read_bytes() == alone.read_bytes():
        return 0
    mine, theirs = (
        {row["image"].removeprefix(prefix): {**row, "image": "", "rank": 0} for row in json.loads(path.read_text())}
        for path in (out, alone)
    )
    poisoned = mine.pop(apart_from, None)
    assert (poisoned is None) == (not apart_from)
    assert poisoned is None or poisoned["acceptance"] == "not read"
    wanted = set(theirs) if only is None else set(only)
    return sum(mine.get(name) != theirs[name] for name in wanted) + len(set(mine) - wanted)


if __name__ == "__main__":
    answer(seconds)

"""A service in a home of its own, started as a person starts it, and what is known of its processes while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from cxreader.machine import cores
from cxreader.models.artifact import load_artifact
from cxreader.runs import artifact_folder, git_revision
from cxreader.serving.access import people, tokens
from cxreader.serving.demonstration import await_start
from cxreader.serving.home import init
from cxreader.serving.parent import GRACE
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FILE, Settings

ADMINISTRATOR, PATIENCE = "admin", 900.0
"""Seconds that the service has to start on a busy machine."""
TICKS = os.sysconf("SC_CLK_TCK")
TITLE = "cxreader-"
"""What the names of the service's processes begin with; the kind stands behind."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home, and a token of its administrator."""

    settings: Settings
    token: str


def made_home(folder: Path, model: Path, *, database: str | None = None, lines: Sequence[str] = ()) -> Home:
    """A home on free ports of loopback; `lines`: more of its TOML, whole sections."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    own = [f"models = ['{model.resolve()}']", *([f"database = '{database}'"] if database else [])]
    own += ["[dicom]", f"port = {free_port()}", "[web]", f"port = {free_port()}", "uploads = 1000000", *lines, ""]
    (folder / FILE).write_text("\n".join(own))
    settings = Settings.load(folder)
    init(settings, administrator=ADMINISTRATOR)
    service = TriageService.open(settings)
    with service.database.writing() as session:
        user = people.named(session, ADMINISTRATOR)
        now = service.database.now(session)
        made = tokens.add(session, now, user, name="benchmark", scopes=["read", "upload"], days=1)
    service.close()
    return Home(settings, made.text)


@dataclass(slots=True)
class Running:
    """`cxreader serve` in that home. `start` may be called again once its parent was killed."""

    home: Home
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait` until its doors answer."""
        command = [sys.executable, "-m", "cxreader", "serve", "--home", str(self.home.settings.home)]
        with self.log.open("ab") as said:
            self.process = process = subprocess.Popen(command, stdout=said, stderr=said)
        if wait:
            await_start(self.home.settings, self.log, lambda: process.poll() is None, patience=PATIENCE)

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(2 * GRACE)
            self.process.kill()
            self.process.wait()

    def kill(self, kind: str) -> int | None:
        """SIGKILL for the process of this kind, or for the `parent`; its id, None where none runs now."""
        pid = self.pids().get(kind)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            if kind == "parent" and self.process is not None:
                self.process.wait()
        return pid

    def pids(self) -> dict[str, int]:
        """The ids of parent and processes by their kind."""
        if self.process is None or self.process.poll() is not None:
            return {}
        own = self.process.pid
        try:
            children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
            named = {int(pid): Path(f"/proc/{pid}/comm").read_text().strip() for pid in children}
        except OSError:
            return {"parent": own}
        found = {name.removeprefix(TITLE): pid for pid, name in named.items() if name.startswith(TITLE)}
        return {"parent": own, **found}


@contextmanager
def running(home: Home, log: Path) -> Iterator[Running]:
    """The service while the block runs."""
    made = Running(home, log)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@dataclass(slots=True)
class Watch:
    """Every second: seconds of a core, and MiB held, of each process by its kind."""

    of: Callable[[], dict[str, int]]
    cpu: dict[tuple[str, int], float] = field(default_factory=dict)
    memory: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    begun: float = field(default_factory=time.monotonic)
    before: dict[tuple[str, int], float] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Watch while the block runs."""
        stop = Event()
        thread = Thread(target=self._watch, args=(stop,), daemon=True)
        self.look(first=True)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()
            self.look()

    def _watch(self, stop: Event) -> None:
        while not stop.wait(1.0):
            self.look()

    def look(self, *, first: bool = False) -> None:
        """Look once."""
        for kind, pid in self.of().items():
            with suppress(OSError, ValueError, IndexError, StopIteration):
                used, held = seconds_of(pid), held_mib(pid)
                if first:
                    self.before[kind, pid] = used
                self.cpu[kind, pid] = used - self.before.get((kind, pid), 0.0)
                self.memory[kind].append((round(time.monotonic() - self.begun, 1), round(held, 1)))

    def seconds(self) -> dict[str, float]:
        """Seconds of a core by kind, since the watch began."""
        found: dict[str, float] = defaultdict(float)
        for (kind, _), used in self.cpu.items():
            found[kind] += used
        return {kind: round(used, 2) for kind, used in found.items()}


def seconds_of(pid: int) -> float:
    """Seconds of a core that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def held_mib(pid: int) -> float:
    """MiB of memory that it holds now (resident)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def machine_seconds() -> tuple[float, float]:
    """Seconds of all cores that all processes used, and all there were, since the machine started."""
    fields = [int(one) / TICKS for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def free_port() -> int:
    """A port of loopback on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of them lies; NaN of none."""
    found = sorted(values)
    return found[min(len(found) - 1, int(share * len(found)))] if found else float("nan")


def told_load(busy: tuple[float, float], ours: float) -> dict[str, Any]:
    """What else used the machine since `busy` (`machine_seconds`): shares of all cores, ours in seconds."""
    used, total = (now - before for now, before in zip(machine_seconds(), busy, strict=True))
    return {"others_share": round(max(0.0, used - ours) / total, 3), "load_average": round(os.getloadavg()[0], 2)}


def about(seed: int, artifact: Path, command: str) -> dict[str, Any]:
    """Of a measurement: its seed and options, the network, when and where, and what the machine did then."""
    read = load_artifact(artifact_folder(artifact), weights=False, exports=False)
    model = next(
        (line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ":"
    )
    return {
        "seed": seed,
        "command": command,
        "network": f"{read.model} at {read.spec.size} px",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{model.partition(':')[2].strip()}, {cores()} cores",
        "load_at_start": round(os.getloadavg()[0], 2),
        "revision": git_revision(),
    }

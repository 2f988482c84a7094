"""A PostgreSQL cluster of the benchmark's own, which is killed and started again. It forces every commit to the disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster in a folder, with its socket there."""

    binaries: Path
    folder: Path

    @property
    def url(self) -> str:
        """Of its one database."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start_again(self, patience: float = 120.0) -> None:
        """Start what was killed, as often as it takes: what its first process left may still hold its memory for a moment."""
        until = time.monotonic() + patience
        while True:
            try:
                return self.start()
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        self._run(
            "pg_ctl", "--pgdata", "data", "--wait", "--timeout", "60", "--log", "log", "--options", options, "start"
        )

    def stop(self) -> None:
        """Stop it at once, as a machine that goes down does."""
        self._run("pg_ctl", "--pgdata", "data", "--wait", "--mode", "immediate", "stop")

    def kill(self) -> None:
        """SIGKILL for its first process; those that it started end by themselves, which is waited for."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 30
        while (
            any(Path(f"/proc/{one}/fd").exists() and _lives(one) for one in (pid, *children))
            and time.monotonic() < until
        ):
            time.sleep(0.05)

    def init(self) -> None:
        """Make it."""
        self._run("initdb", "--pgdata", "data", "--username", "postgres", "--auth", "trust", "--encoding", "UTF8")

    def _run(self, program: str, *words: str) -> None:
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_postgres, str(self.binaries / program), *words]
        said = self.folder / "said"
        with said.open("wb") as file:
            done = subprocess.run(command, stdout=file, stderr=file, check=False, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(said.read_text(errors="replace"))


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster while the block runs; PostgreSQL refuses to run as root, and runs as `postgres` then."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("PostgreSQL is not installed")
    made = Cluster(found[-1].parent, Path(tempfile.mkdtemp(prefix="cxpg")))
    (made.folder / "said").touch()
    if os.geteuid() == 0:
        shutil.chown(made.folder, "postgres", "postgres")
    try:
        made.init()
        made.start()
        try:
            yield made
        finally:
            with suppress(RuntimeError):  # it does not run
                made.stop()
    finally:
        shutil.rmtree(made.folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

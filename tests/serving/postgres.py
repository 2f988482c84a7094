"""A PostgreSQL cluster of the tests' own: made in a temporary folder, on a socket there, stopped afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUICK = ("fsync=off", "full_page_writes=off", "listen_addresses=''", "max_connections=100", "shared_buffers=32MB")
"""No test takes the machine's power away."""


def binaries() -> Path | None:
    """The folder of the newest installed server, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def cluster(binaries: Path) -> Iterator[str]:
    """A running cluster: the folder of its socket. PostgreSQL refuses to run as root, so that it runs as `postgres` then."""
    folder = Path(tempfile.mkdtemp(prefix="cxpg"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    data, options = (
        folder / "data",
        " ".join(f"-c {option}" for option in (*QUICK, f"unix_socket_directories={folder}")),
    )
    try:
        _run(
            binaries / "initdb",
            "--pgdata",
            data,
            "--username",
            "postgres",
            "--auth",
            "trust",
            "--no-sync",
            "--encoding",
            "UTF8",
        )
        _run(binaries / "pg_ctl", "--pgdata", data, "--wait", "--log", folder / "log", "--options", options, "start")
        try:
            yield str(folder)
        finally:
            _run(binaries / "pg_ctl", "--pgdata", data, "--wait", "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run([*as_postgres, *words], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr or done.stdout

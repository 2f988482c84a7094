"""A few seconds of damaged tables, of what `make fuzz` does for minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_damaged_tables_are_read_or_refused_in_little_time() -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.tables.fuzz", "--seconds", "2", "--seed", "0"]
    paths = os.pathsep.join(path for path in (str(PROJECT), os.environ.get("PYTHONPATH", "")) if path)
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=240)
    signal = f"ended by signal {-done.returncode}: see the file that is named here\n" if done.returncode < 0 else ""
    assert done.returncode == 0, signal + done.stdout + done.stderr[-3000:]
    assert "damaged tables: each was read, or refused" in done.stdout

"""`python -m cxreader` is the command."""

from __future__ import annotations

import subprocess
import sys


def test_the_package_is_run_as_a_module_too() -> None:
    done = subprocess.run([sys.executable, "-m", "cxreader", "--help"], capture_output=True, text=True, check=True)
    assert "evaluate" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "cxreader", "red"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "No such command 'red'" in wrong.stderr

"""Processes seen from outside: whether one still lives, and the most memory one held."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import torch


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its number and, where /proc tells, the tick it started at: numbers are given again, the pair is not."""

    pid: int
    started: int | None

    @classmethod
    def own(cls) -> Self:
        """The calling process."""
        return cls(os.getpid(), _started(os.getpid()))

    @classmethod
    def from_list(cls, values: Sequence[int | None]) -> Self:
        """The inverse of `to_list`."""
        pid, started = values
        return cls(int(pid or 0), started)

    def to_list(self) -> list[int | None]:
        """Plain values for JSON."""
        return [self.pid, self.started]

    def is_alive(self) -> bool:
        """False once it has ended; a zombie has."""
        if self.started is not None and Path("/proc/self/stat").exists():
            return _started(self.pid) == self.started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _started(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)): clock ticks since the machine started; None when it has ended or cannot be told."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *rest = text[text.rindex(")") + 1 :].split()  # the name in brackets may hold anything
    return None if state in ("Z", "X") else int(rest[18])


class PeakMemory:
    """The most memory a stretch of work held: made at its start, asked at its end."""

    def __init__(self) -> None:
        self.reset = _reset_high_water()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def read(self) -> dict[str, int | str | None]:
        """`bytes` of this process and `how` they were measured; `gpu_bytes` torch held at most, None without a GPU."""
        gpu = int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else None
        high = _high_water() if self.reset else None
        if high is not None:
            return {"bytes": high, "how": "VmHWM, set back when the trial began", "gpu_bytes": gpu}
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"bytes": most, "how": "ru_maxrss: the process's most since it began", "gpu_bytes": gpu}


def _reset_high_water() -> bool:
    """Set VmHWM back to what is held now (proc(5), clear_refs 5); False where that is not allowed."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _high_water() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)

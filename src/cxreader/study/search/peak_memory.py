"""The most memory that a process and its GPU held during a stretch of work."""

from __future__ import annotations

import sys
from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import torch


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

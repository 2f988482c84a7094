"""What a process has of its machine: cores, and the memory allocator."""

from __future__ import annotations

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
_KEEP = 1 << 30


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_pages() -> bool:
    """Make glibc's allocator keep what it was given, for work that asks for the same large blocks again and again.

    A block that went back to the system is faulted in page by page when it is asked for anew.
    By `mallopt`, because the environment is read before Python starts. True when it took effect; elsewhere than on glibc
    nothing is done. Costs memory: freed pages stay with the process.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, _KEEP), (M_TOP_PAD, 64 << 20))
    return all(mallopt(parameter, value) == 1 for parameter, value in wanted)

"""What a process has of its machine: cores, the memory allocator, and the process that started it."""

from __future__ import annotations

import ctypes
import math
import multiprocessing as mp
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path

from cxreader.errors import UsageError

CORES_VARIABLE = "CXREADER_CORES"
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
_KEEP = 1 << 30


def cores() -> int:
    """Cores this process may use: those it is bound to, and no more than its container's quota lets it have.

    The environment variable CXREADER_CORES says another number, for who shares a machine without being bound to cores: workers
    of a cluster are given theirs by it. Raises UsageError where it is no whole number of 1 or more.
    """
    given = os.environ.get(CORES_VARIABLE, "").strip()
    if given:
        if not given.isdecimal() or int(given) < 1:
            raise UsageError(
                f"{given!r} is no number of cores", where=CORES_VARIABLE, mend="give 1 or more, or unset it"
            )
        return int(given)
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *_quotas(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))]))


def _quotas(membership: Path, groups: Path) -> Iterator[int]:
    """Cores by the quota of each control group around this process, rounded up; none where there is no quota.

    Version 2: `cpu.max` (https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files); version 1: `cpu.cfs_quota_us`
    and `cpu.cfs_period_us`. `membership`: which groups this process is in, below `groups`. In a container the group's own files
    lie at the top, whatever its name outside.
    """
    with suppress(OSError, ValueError):
        for line in membership.read_text().splitlines():
            _, kinds, name = line.split(":", 2)
            if kinds and "cpu" not in kinds.split(","):
                continue
            top = groups / kinds if kinds else groups
            inside = top / name.strip("/")
            for group in (inside, *(folder for folder in inside.parents if folder.is_relative_to(top))):
                with suppress(OSError, ValueError):
                    quota, period = _quota(group)
                    if quota > 0:
                        yield math.ceil(quota / period)


def _quota(group: Path) -> tuple[int, int]:
    """Microseconds of all cores in a period of so many; 0 or less for no limit. Raises OSError, ValueError."""
    if (group / "cpu.max").exists():
        quota, period = (group / "cpu.max").read_text().split()
        return (0 if quota == "max" else int(quota)), int(period)
    return int((group / "cpu.cfs_quota_us").read_text()), int((group / "cpu.cfs_period_us").read_text())


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


def end_with_parent() -> None:
    """From now on this process, which `multiprocessing` started, ends when the one that started it does, however that ends."""
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(parent: int) -> None:
    connection.wait([parent])
    os._exit(1)

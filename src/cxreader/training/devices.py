"""What a training runs on: the devices that are here and, where there are several, a process for each of them."""

from __future__ import annotations

import mmap
import multiprocessing as mp
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from operator import itemgetter
from pathlib import Path
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before Lightning, which what is called here may import

# isort: split
import numpy as np
import torch
from torch import distributed

from cxreader.config import TrainingSection
from cxreader.data.dataset import BatchShare
from cxreader.errors import CxreaderError, ModelError, UsageError
from cxreader.machine import cores, end_with_parent, keep_pages

_WHERE = "training.devices"
_GRACE = 5.0
"""Seconds that the others have to say why they end, once one process has: of several errors one is the cause."""


def on_gpu(accelerator: str) -> bool:
    """Whether Lightning would train on a CUDA GPU."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def require_devices(accelerator: str, devices: int = 1) -> None:
    """Raise UsageError for devices that are not here, before anything is decoded for them. A CPU has one for each core."""
    metal = torch.backends.mps.is_available()
    wanted = {"gpu": torch.cuda.is_available() or metal, "cuda": torch.cuda.is_available(), "mps": metal}
    if not wanted.get(accelerator, True):
        mend = "set training.accelerator to auto or cpu"
        raise UsageError(f"no {accelerator} is at hand", where="training.accelerator", mend=mend)
    if on_gpu(accelerator):
        here, what = torch.cuda.device_count(), "GPUs"
    elif metal and accelerator != "cpu":
        here, what = 1, "GPUs"
    else:
        here, what = cores(), "CPU cores"
    if devices > here:
        mend = f"set it to {here}" + (" or less" if here > 1 else "")
        raise UsageError(f"{devices} devices are asked for; {what} here: {here}", where=_WHERE, mend=mend)


def devices_notice(training: TrainingSection, *, batch_statistics: bool) -> str:
    """What several devices share, and by what BatchNorm normalises on them: `batch_statistics` as a `Recipe` has it."""
    norm = "BatchNorm is frozen"
    if batch_statistics:
        on_cpu = "BatchNorm normalises by each one's own images, which one device would not"
        norm = "BatchNorm is synchronised" if on_gpu(training.accelerator) else on_cpu
    return f"{training.devices} devices share each batch of {training.batch_size}; {norm}"


def require_one_device(devices: int, trainings: str) -> None:
    """Raise UsageError where each of several `trainings` (what they are called) would have several devices."""
    if devices > 1:
        mend = "set it to 1; several devices are for `cxreader train`"
        raise UsageError(f"{trainings} have one device each, not {devices}", where=_WHERE, mend=mend)


def on_each_device(work: Callable[[BatchShare], None], devices: int, accelerator: str) -> None:
    """Call `work` with its share in a process for each device, all of one torch.distributed group; return when all have.

    `work` goes to them by pickle, its memory maps by their paths. Each process has its part of this one's threads. None
    outlives this call, whatever ends it, nor this process. Raises KeyboardInterrupt on SIGINT and, in the main thread, on
    SIGTERM; the error of the tree that one of them raised; ModelError where one died.
    """
    threads, gpu = max(1, torch.get_num_threads() // devices), on_gpu(accelerator)
    context = _context(gpu)
    started: list[_Started] = []
    with tempfile.TemporaryDirectory(prefix="cxreader-devices-") as folder, _interrupted_by_sigterm():
        group = _Group("nccl" if gpu else "gloo", Path(folder), devices, threads)
        group.work.write_bytes(_packed(work))
        try:
            for rank in range(devices):
                told, tell = mp.Pipe(duplex=False)
                process = context.Process(target=_enter, args=(group, rank, tell))
                process.start()
                tell.close()
                started.append(_Started(process, told))
            _wait(started)
        finally:
            for one in started:
                one.process.kill()
            for one in started:
                one.process.join()


@dataclass(frozen=True, slots=True)
class _Group:
    """How the processes find each other and their work: by files of a folder, so that no port must be free."""

    backend: str
    folder: Path
    ranks: int
    threads: int

    @property
    def work(self) -> Path:
        """The pickle of what is called; a pipe would be torn where an interrupt comes while they start."""
        return self.folder / "work"


@dataclass(frozen=True, slots=True)
class _Started:
    process: BaseProcess
    told: Connection
    """Gives when the process raised what: an error of the tree, or a traceback."""


def _context(gpu: bool) -> SpawnContext | ForkServerContext:
    """How they start: never as a fork of this process, whose threads and CUDA state would be torn.

    On Linux they are forks of a server that has imported what they need and nothing else, so that the imports are done once; a
    GPU's are not, since it is nobody's promise that an import leaves CUDA alone.
    """
    if gpu or sys.platform != "linux":
        return mp.get_context("spawn")
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__, "cxreader.training.fit"])
    return context


def _wait(started: Sequence[_Started]) -> None:
    """Return when every process has ended well; raise why one has not."""
    running = list(started)
    while running:
        connection.wait([one.process.sentinel for one in running])
        if any(one.process.exitcode for one in running):
            break
        running = [one for one in running if one.process.is_alive()]
    else:
        return
    deadline = time.monotonic() + _GRACE
    for one in started:
        one.process.join(max(0.0, deadline - time.monotonic()))
    raise _cause(started)


def _cause(started: Sequence[_Started]) -> Exception:
    """Why they ended: an error of the tree, else a death, else the first failure; where one ends the others fail after it."""
    told = sorted((word for one in started if (word := _told(one)) is not None), key=itemgetter(0))
    for _, error in told:
        if isinstance(error, CxreaderError):
            return error
    for rank, one in enumerate(started):
        if (code := one.process.exitcode) is not None and code < 0:
            how = f"the process of device {rank + 1} of {len(started)} ended by {signal.Signals(-code).name}"
            mend = "give the same command with --resume: whole epochs are kept; training.devices may be lower"
            return ModelError(f"{how}, perhaps for want of memory", where=_WHERE, mend=mend)
    trace = told[0][1] if told else "without a word; what it printed says why"
    return RuntimeError(f"a device's process failed: {trace}")


def _told(one: _Started) -> tuple[float, CxreaderError | str] | None:
    with suppress(EOFError, OSError):  # it ended without a word
        return one.told.recv() if one.told.poll() else None
    return None


def _enter(group: _Group, rank: int, tell: Connection) -> None:
    """In a process of its own, deaf to Ctrl-C and gone when its parent is: do the work, and tell what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    keep_pages()
    torch.set_num_threads(group.threads)
    os.environ["LOCAL_RANK"] = str(rank)  # tells Lightning which it is, and that it has no processes to start
    try:
        distributed.init_process_group(
            group.backend, init_method=f"file://{group.folder}/group", rank=rank, world_size=group.ranks
        )
        pickle.loads(group.work.read_bytes())(BatchShare(rank, group.ranks))  # noqa: S301 - what this program packed
        distributed.destroy_process_group()
    except CxreaderError as error:
        tell.send((time.monotonic(), error))
        raise SystemExit(1) from None
    except Exception:  # noqa: BLE001 - whatever it is, the parent tells it
        trace = traceback.format_exc()[-8000:]  # more than a pipe holds would wait for its reader
        tell.send((time.monotonic(), trace))
        raise SystemExit(1) from None


class _Pickler(pickle.Pickler):
    """By value, but for memory maps: each process opens the file anew, and the system keeps its pages once."""

    def reducer_override(self, thing: Any) -> Any:
        base: object = getattr(thing, "base", None)  # of a part of a map, which is no file, it is the map
        if isinstance(thing, np.memmap) and isinstance(base, mmap.mmap):
            return np.memmap, (thing.filename, thing.dtype, "r", thing.offset, thing.shape)
        return NotImplemented


def _packed(work: Callable[[BatchShare], None]) -> bytes:
    buffer = BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(work)
    return buffer.getvalue()


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, so that the processes are ended and waited for; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

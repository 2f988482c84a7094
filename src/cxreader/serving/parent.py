"""The parent of the service's processes: starts them, starts what died again, and ends them in order.

A new kind of process is one line in `KINDS`. A child that loses its parent ends too: each holds one end of a pipe.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event, Thread

from cxreader.errors import CxreaderError, StorageError
from cxreader.progress import Say, silent
from cxreader.serving.home import opened
from cxreader.serving.operations import processes
from cxreader.serving.operations.logs import frames_of, set_up
from cxreader.serving.settings import Settings

log = logging.getLogger(__name__)
GRACE = 30.0
"""Seconds that a process has to end what it does."""
LONGEST_PAUSE = 60.0
"""Seconds before what dies again and again is started anew; the first pause is HALF a second, each one twice the last."""
HALF = 0.5
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of process.

    `run` is `module:function`, called as f(settings, stopped, name); it returns once `stopped()` is true. `name`: unique
    among all processes that ever were, such as a lease's holder. `count`: how many the settings ask for. `died`:
    `module:function`, called as f(settings, name) in the parent when one ended, however it ended.
    """

    name: str
    run: str
    count: Callable[[Settings], int]
    died: str | None = None


def _workers(settings: Settings) -> int:
    return settings.worker.processes


def _folders(settings: Settings) -> int:
    return int(settings.folder.path is not None)


def _nodes(settings: Settings) -> int:
    return int(settings.dicom.enabled)


def _senders(_: Settings) -> int:
    return 1


def _webs(settings: Settings) -> int:
    return int(settings.web.enabled)


KINDS = (
    Kind("worker", "cxreader.serving.worker.run:run", _workers, died="cxreader.serving.worker.run:died"),
    Kind("folder", "cxreader.serving.folder.door:run", _folders),
    Kind("node", "cxreader.serving.dicom.node:run", _nodes),
    Kind("sender", "cxreader.serving.sending.process:run", _senders),
    Kind("web", "cxreader.serving.web.process:run", _webs),
)
"""Every kind of process of the service."""


def serve(settings: Settings, *, kinds: Sequence[Kind] = KINDS, say: Say = silent) -> None:
    """Run the service until SIGTERM or SIGINT; what is under way is ended first.

    Raises ConfigError for a home that lacks anything, naming all of it (`home.opened`); UsageError where another one runs
    there.
    """
    stop = Event()
    with opened(settings), _stopping(stop):
        places = [_Place(kind, n) for kind in kinds for n in range(kind.count(settings))]
        at = f"; {settings.web.origin}" if settings.web.enabled else ""
        say(f"{settings.home}: {len(places)} processes{at}; Ctrl-C ends them")
        try:
            while not stop.wait(_LOOK):
                changed = [place.look(settings, say) for place in places]
                if any(changed):
                    _tell_of(settings, places)
        finally:
            _end(places, say)
            (settings.home / processes.FILE).unlink(missing_ok=True)


def entry(run: str, settings: Settings, name: str, parent: Connection) -> None:
    """What a child process runs, until it is asked to stop or its parent is gone."""
    stop = Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which sends it to all: the parent asks
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Thread(target=_until_orphaned, args=(parent, stop), daemon=True).start()
    own = name.partition(":")[2] or name
    _call(f"cxreader-{own.partition('-')[0]}")
    set_up(own)
    try:
        _function(run)(settings, stop.is_set, name)
    except CxreaderError as error:
        _tell(error, error.what)  # without its place, which may be a file's name
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - a traceback may quote a patient's name
        _tell(error, "")
        sys.exit(1)


def _call(name: str) -> None:
    """What `ps` and `top` call this process, where the system lets it choose: on Linux, of 15 characters."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name, "ascii")


def _tell(error: Exception, what: str) -> None:
    told = {"error": type(error).__name__, "told": what, "at": frames_of(error)}
    log.error("process failed", extra=told)


@dataclass(slots=True)
class _Place:
    """One process of its kind: the one that runs, or when the next is to start."""

    kind: Kind
    number: int
    process: BaseProcess | None = None
    name: str = ""
    started: float = 0.0
    start_at: float = 0.0
    pause: float = HALF
    starts: int = 0
    since: float | None = None
    _ours: list[Connection] = field(default_factory=list)

    def look(self, settings: Settings, say: Say) -> bool:
        """Start it where it is time to, see whether it still lives; whether anything changed."""
        now = time.monotonic()
        if self.process is None:
            if now < self.start_at:
                return False
            self._start(settings, now)
            return True
        if self.process.exitcode is None:
            return False
        say(f"{self.kind.name} {self.number} ended ({self.process.exitcode}); it is started again")
        self._died(settings, now)
        return True

    def told(self) -> processes.Running:
        """What others are told of it."""
        pid = None if self.process is None else self.process.pid
        return processes.Running(self.kind.name, self.number, pid, self.since, self.starts)

    def _start(self, settings: Settings, now: float) -> None:
        theirs, ours = _CONTEXT.Pipe(duplex=False)
        self.name = f"{socket.gethostname()}:{self.kind.name}-{self.number}:{secrets.token_hex(6)}"
        given = (self.kind.run, settings, self.name, theirs)
        self.process, self.started, self._ours = _CONTEXT.Process(target=entry, args=given), now, [ours]
        with closing(theirs):
            self.process.start()
        self.starts, self.since = self.starts + 1, time.time()

    def _died(self, settings: Settings, now: float) -> None:
        for end in self._ours:
            end.close()
        self.pause = HALF if now - self.started > LONGEST_PAUSE else min(2 * self.pause, LONGEST_PAUSE)
        self.process, self.since, self.start_at = None, None, now + self.pause
        if self.kind.died is not None:
            with suppress(Exception):  # a lease that cannot be ended now runs out by itself
                _function(self.kind.died)(settings, self.name)


_CONTEXT = get_context("spawn")


def _tell_of(settings: Settings, places: Sequence[_Place]) -> None:
    with suppress(StorageError):  # a full disk must not end what runs
        processes.tell(settings.home, [place.told() for place in places])


def _end(places: Sequence[_Place], say: Say) -> None:
    """Ask all to end, wait, and end by force what has not."""
    running = [place.process for place in places if place.process is not None]
    for process in running:
        process.terminate()
    until = time.monotonic() + GRACE
    for process in running:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            say(f"{process.name} did not end within {GRACE:.0f} seconds")
            process.kill()
            process.join()


@contextmanager
def _stopping(stop: Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop` while the block runs."""
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _until_orphaned(parent: Connection, stop: Event) -> None:
    """The parent never sends anything: what ends the waiting is its end."""
    with suppress(EOFError):
        parent.recv()
    stop.set()
    time.sleep(GRACE)
    os._exit(1)


def _function(named: str) -> Callable[..., None]:
    module, _, name = named.partition(":")
    found: Callable[..., None] = getattr(importlib.import_module(module), name)
    return found

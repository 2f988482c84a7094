"""Faults of what the service stands on: the disk is full, the database is away for a minute, a destination for an hour."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from cxreader.serving.clock import SetClock
from cxreader.serving.demonstration import Peer
from cxreader.serving.home import opened
from cxreader.serving.results.uids import KINDS
from cxreader.serving.sending import addresses
from cxreader.serving.sending.delivery import deliver
from cxreader.serving.sending.making import Maker
from cxreader.serving.service import TriageService
from cxreader.serving.store import destinations
from cxreader.serving.store.database import Database
from cxreader.serving.store.opened import opened_objects
from cxreader.serving.store.tables.readings import Job, Result
from cxreader.serving.store.tables.sending import Destination, OutboxEntry
from cxreader.serving.worker.leases import Leases
from cxreader.serving.worker.models import load_reader
from cxreader.serving.worker.pipeline import Pipeline
from cxreader.serving.worker.run import Worker
from service.checks import is_whole, settle, whole
from service.clients import attempts
from service.load import pump
from service.postgres import cluster
from service.world import free_port, made_home, running

ROOM, MORE = 48, 2048
"""MiB of the disk: too few for what is sent; and then enough."""
FULL, PATIENCE = 30.0, 300.0
"""Seconds for which senders go on trying once something was refused, and until something must have been."""
AWAY, HOUR = 60.0, 3600.0
UNDER_WAY = 40
"""Images that are acknowledged before the database is stopped."""


def measure_full_disk(model: Path, files: Sequence[tuple[str, str]], scratch: Path) -> dict[str, Any]:
    """The home on a small disk. Senders try again all the while; once it has been full for a while, it grows."""
    with _disk(ROOM) as disk:
        home, book = made_home(disk / "home", model), scratch / "full.jsonl"
        book.unlink(missing_ok=True)
        with running(home, scratch / "full.log") as made:
            senders = pump(made, files, book, 900.0)
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until and all(one["kept"] for one in attempts(book)):
                time.sleep(0.2)
            time.sleep(FULL)
            while_full = attempts(book)
            _mounted("remount", MORE, disk)
            grown = time.time()
            for one in senders:
                one.join()
            service = TriageService.open(home.settings)
            settled = settle(service)
            counts = whole(service, attempts(book))
            service.close()
    first = min((one["begun"] for one in while_full if not one["kept"]), default=grown)
    return {
        "images": len(files),
        "room_mib": ROOM,
        "acknowledged_before_it_was_full": len({one["uid"] for one in while_full if one["kept"]}),
        "refused_while_full": dict(Counter(f"{one['door']} {one['answer']}" for one in while_full if not one["kept"])),
        "seconds_full": round(grown - first, 1),
        "settled": settled,
        "whole": settled and is_whole(counts),
        "counts": counts,
    }


def measure_database_away(model: Path, files: Sequence[tuple[str, str]], scratch: Path) -> dict[str, Any]:
    """PostgreSQL is stopped for a minute while images come."""
    with cluster() as database:
        home, book = made_home(scratch / "away", model, database=database.url), scratch / "away.jsonl"
        book.unlink(missing_ok=True)
        with running(home, scratch / "away.log") as made:
            senders = pump(made, files, book, 900.0)
            while (before := len({one["uid"] for one in attempts(book) if one["kept"]})) < UNDER_WAY:
                time.sleep(0.2)
            database.stop()
            gone = time.time()
            time.sleep(AWAY)
            database.start_again()
            back = time.time()
            for one in senders:
                one.join()
            service = TriageService.open(home.settings)
            settled = settle(service)
            counts = whole(service, attempts(book))
            with service.database.reading() as session:
                read = session.scalar(select(func.min(Result.read_at)).where(Result.read_at > back)) or float("nan")
            service.close()
    later = [one["begun"] + one["seconds"] for one in attempts(book) if one["kept"] and one["begun"] > gone]
    return {
        "images": len(files),
        "acknowledged_before": before,
        "seconds_away": round(back - gone, 1),
        "acknowledged_while_away": sum(one < back for one in later),
        "seconds_from_its_return_to_the_next_acknowledgement": round(min(t for t in later if t > back) - back, 1),
        "seconds_from_its_return_to_the_next_answer": round(read - back, 1),
        "settled": settled,
        "whole": settled and is_whole(counts),
        "counts": counts,
    }


def measure_clock_set_back(model: Path, files: Sequence[tuple[str, str]], scratch: Path) -> dict[str, Any]:
    """The service's clock is set back by an hour, between two halves of the images; nothing may wait for it to catch up."""
    service, clock = _in_process(model, scratch / "clock")
    half = len(files) // 2
    for path, _ in files[:half]:
        service.receive(Path(path), door="folder")
    clock.forward(-HOUR)
    for path, _ in files[half:]:
        service.receive(Path(path), door="folder")
    read = read_all(service, patience=120)
    entries = service.worklist(size=200).entries
    service.close()
    return {
        "images": len(files),
        "set_back_seconds": HOUR,
        "read": read,
        "longest_wait_shown_minutes": round(max(entry.waited for entry in entries) / 60, 1),
        "shortest_wait_shown_minutes": round(min(entry.waited for entry in entries) / 60, 1),
    }


def measure_destination_down(model: Path, files: Sequence[tuple[str, str]], scratch: Path) -> dict[str, Any]:
    """Nobody listens at a destination for an hour of the service's clock, a round a second of it; then it does."""
    service, clock = _in_process(model, scratch / "down")
    port, peer = free_port(), Peer()
    with service.database.writing() as session:
        address = addresses.by_store(f"PEER@127.0.0.1:{port}")
        destinations.add(session, service.database.now(session), "peer", address, KINDS)
    for path, _ in files:
        service.receive(Path(path), door="folder")
    read_all(service, patience=120)
    maker, rounds = Maker(service), 0
    for _ in range(int(HOUR)):
        rounds += bool(deliver(service, maker, _destination(service), "benchmark"))
        clock.forward(1)
    waited = _states(service)
    with peer.listening(port):
        seconds = 0
        while _states(service)["waiting"] and seconds < 2 * HOUR:
            deliver(service, maker, _destination(service), "benchmark")
            clock.forward(1)
            seconds += 1
    states = _states(service)
    service.close()
    return {
        "images": len(files),
        "rounds_tried_in_the_hour": rounds,
        "states_after_the_hour": dict(waited),
        "states_at_the_end": dict(states),
        "objects_at_the_peer": len(peer.got),
        "simulated_seconds_from_its_return_until_all_was_sent": seconds,
    }


def _in_process(model: Path, folder: Path) -> tuple[TriageService, SetClock]:
    """A service in this process, by a clock that is set."""
    home, clock = made_home(folder, model), SetClock(time.time())
    with opened(home.settings):
        pass
    settings = home.settings
    return TriageService(settings, Database(settings.database_url, clock=clock), opened_objects(settings)), clock


def read_all(service: TriageService, *, patience: float) -> int:
    """Read until nothing waits, or nothing was read for so long; how many have an answer."""
    from cxreader.serving.store.reading import models

    with service.database.reading() as session:
        active = models.active(session)
    until = time.monotonic() + patience

    def over() -> bool:
        with service.database.reading() as session:
            left = session.scalar(select(func.count()).where(Job.state.in_(("waiting", "leased"))))
        return not left or time.monotonic() > until

    assert active is not None
    with Pipeline(load_reader(service.settings), service.objects) as pipeline:
        leases = Leases(service.database, service.settings, "benchmark")
        Worker(leases, pipeline, active.digest, service.settings.worker).work(over)
    with service.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Result)) or 0


def _destination(service: TriageService) -> Destination:
    with service.database.reading() as session:
        return destinations.every(session)[0]


def _states(service: TriageService) -> Counter[str]:
    with service.database.reading() as session:
        return Counter(session.scalars(select(OutboxEntry.state)))


@contextmanager
def _disk(mib: int) -> Iterator[Path]:
    """A disk of its own of so many MiB, in memory."""
    folder = Path(tempfile.mkdtemp(prefix="cxdisk"))
    _mounted("", mib, folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607
        folder.rmdir()


def _mounted(how: str, mib: int, folder: Path) -> None:
    if os.geteuid() != 0:
        raise RuntimeError("a disk of its own is mounted by root alone")
    options = ",".join(filter(None, (how, f"size={mib}m")))
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)  # noqa: S607

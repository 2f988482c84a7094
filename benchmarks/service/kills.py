"""SIGKILL for the service's processes at random moments, while images come by C-STORE and HTTP; PostgreSQL too."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from sqlalchemy import select

from cxreader.errors import StorageError
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.readings import Result
from service.checks import is_whole, settle, whole
from service.clients import attempts
from service.load import pump
from service.postgres import Cluster, cluster
from service.world import Running, made_home, percentile, running

GROUPS: Mapping[str, tuple[str, ...]] = {
    "children": ("worker", "node", "web"),
    "parent": ("parent",),
    "postgresql": ("postgresql",),
}
"""Kinds that are killed in the same run of the service, each at moments of its own."""
EVERY, LATEST, PATIENCE = 1.0, 8.0, 300.0
"""Seconds between two images of a sender, from a process's return to its next kill at most, and for its return."""
_DOORS = {
    "worker": (),
    "node": ("dicom",),
    "web": ("http",),
    "parent": ("dicom", "http"),
    "postgresql": ("dicom", "http"),
}


@dataclass(slots=True)
class _Killer:
    """Kills of one kind, and when they were."""

    kind: str
    running: Running
    book: Path
    postgres: Cluster | None
    service: TriageService
    at: list[float] = field(default_factory=list)

    def work(self, moments: int, seed: int) -> None:
        """So many kills, each a random while after its door took an image, or, of what reads, an image was read again."""
        draw = random.Random(f"{seed} {self.kind}")
        for _ in range(moments):
            time.sleep(draw.uniform(0.3, LATEST))
            at = self._kill()
            if at is None:
                return
            self.at.append(at)
            self._await(at)

    def _kill(self) -> float | None:
        """When it was killed; None where it does not come back."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            at = time.time()
            if self.postgres is not None:
                self.postgres.kill()
                self.postgres.start_again()
                return at
            if self.running.kill(self.kind) is not None:
                if self.kind == "parent":
                    self.running.start(wait=False)
                return at
            time.sleep(0.2)
        return None

    def _await(self, at: float) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            after = {one["door"] for one in attempts(self.book) if one["kept"] and one["begun"] > at}
            if after.issuperset(_DOORS[self.kind]) and (self.kind in ("node", "web") or self._reads(at)):
                return
            time.sleep(0.3)

    def _reads(self, at: float) -> bool:
        """Whether an image was read that the worker took after that moment."""
        with suppress(StorageError), self.service.database.reading() as session:
            return session.scalar(select(Result.id).where(Result.read_at > at + 1).limit(1)) is not None
        return False


def measure_kills(
    group: str, model: Path, files: Sequence[tuple[str, str]], scratch: Path, moments: int, seed: int
) -> dict[str, Any]:
    """So many kills of each kind of a group; senders try again until everything that they began was acknowledged."""
    kinds = GROUPS[group]
    with cluster() if group == "postgresql" else nullcontext() as postgres:
        url = None if postgres is None else postgres.url
        home = made_home(scratch / f"kill-{group}", model, database=url, lines=("[worker]", "lease = 10"))
        book, stop = scratch / f"kill-{group}.jsonl", scratch / f"kill-{group}.stop"
        for one in (book, stop):
            one.unlink(missing_ok=True)
        with running(home, scratch / f"kill-{group}.log") as made:
            senders, begun = pump(made, files, book, 900.0, every=EVERY, stop=stop), time.time()
            service = TriageService.open(home.settings)
            killers = [_Killer(kind, made, book, postgres, service) for kind in kinds]
            threads = [Thread(target=killer.work, args=(moments, seed)) for killer in killers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            stop.touch()
            for sender in senders:
                sender.join()
            sent = time.time() - begun
            settled = settle(service)
            counts = whole(service, attempts(book))
            recovered = {killer.kind: _recovered(service, attempts(book), killer) for killer in killers}
            service.close()
    return {
        "kills": {killer.kind: len(killer.at) for killer in killers},
        "settled": settled,
        "whole": settled and is_whole(counts),
        "counts": counts,
        "seconds_from_a_kill_until_p50_max": recovered,
        "seconds_of_sending": round(sent, 1),
        "machine": {"load_average": round(os.getloadavg()[0], 2)},
    }


def _recovered(service: TriageService, book: Sequence[Mapping[str, Any]], killer: _Killer) -> dict[str, list[float]]:
    """Seconds from each kill to the next image that a door took, begun after it; and to the next answer, for the others."""
    found: dict[str, list[float]] = {}
    for door in _DOORS[killer.kind]:
        ends = sorted(
            (one["begun"], one["begun"] + one["seconds"]) for one in book if one["door"] == door and one["kept"]
        )
        found[f"taken by {door}"] = [
            next((end - at for begun, end in ends if begun > at), math.nan) for at in killer.at
        ]
    if killer.kind not in ("node", "web"):
        with service.database.reading() as session:
            read = sorted(session.scalars(select(Result.read_at)))
        found["read"] = [next((one - at for one in read if one > at), math.nan) for at in killer.at]
    waits = {name: [one for one in values if not math.isnan(one)] for name, values in found.items()}
    return {name: [round(percentile(values, p), 1) for p in (0.5, 1.0)] for name, values in waits.items()}

"""SIGKILL for one process at random moments, while images come by C-STORE and HTTP; PostgreSQL too."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cxreader.serving.service import TriageService
from service.checks import is_whole, settle, whole
from service.clients import attempts
from service.load import pump
from service.postgres import Cluster, cluster
from service.world import machine_seconds, made_home, percentile, running, told_load

KINDS = ("worker", "node", "web", "parent", "postgresql")
EVERY = 0.5
"""Seconds between two images of a sender."""
LATEST = 6.0
"""Seconds within which the next kill falls."""


def measure_kills(
    kind: str, model: Path, files: Sequence[tuple[str, str]], scratch: Path, moments: int, seed: int
) -> dict[str, Any]:
    """So many kills of one kind of process; senders try again until everything was acknowledged."""
    if kind == "postgresql":
        with cluster() as made:
            return _killed(kind, model, files, scratch, moments, seed, postgres=made)
    return _killed(kind, model, files, scratch, moments, seed)


def _killed(
    kind: str,
    model: Path,
    files: Sequence[tuple[str, str]],
    scratch: Path,
    moments: int,
    seed: int,
    postgres: Cluster | None = None,
) -> dict[str, Any]:
    lines = ("[worker]", "lease = 10")
    home = made_home(scratch / f"kill-{kind}", model, database=None if postgres is None else postgres.url, lines=lines)
    book, draw, busy, kills = scratch / f"kill-{kind}.jsonl", random.Random(seed), machine_seconds(), []
    book.unlink(missing_ok=True)
    with running(home, scratch / f"kill-{kind}.log") as made:
        senders, begun = pump(made, files, book, 900.0, every=EVERY), time.time()
        for _ in range(moments):
            time.sleep(draw.uniform(0.3, LATEST))
            at = time.time()
            if postgres is not None:
                postgres.kill()
                postgres.start_again()
            elif not _kill(lambda: made.kill(kind)):
                break
            if kind == "parent":
                made.start(wait=False)
            kills.append(at)
            _await_sign_of_life(book, at, senders)
        for one in senders:
            one.join()
        sent = time.time() - begun
        service = TriageService.open(home.settings)
        settled = settle(service)
        counts = whole(service, attempts(book))
        service.close()
    return {
        "kind": kind,
        "images": len(files),
        "kills": len(kills),
        "settled": settled,
        "whole": settled and is_whole(counts),
        "counts": counts,
        "seconds_until_taken_again_p50_max": _recovered(attempts(book), kills),
        "seconds_of_sending": round(sent, 1),
        "machine": told_load(busy, 0.0) | {"others_share": "not told apart"},
    }


def _kill(kill: Callable[[], int | None], patience: float = 90.0) -> bool:
    """Kill it, once it runs."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if kill() is not None:
            return True
        time.sleep(0.1)
    return False


def _await_sign_of_life(book: Path, at: float, senders: Sequence[Any]) -> None:
    """Until each sender that has something left had a success after that moment."""
    until = time.monotonic() + 120
    while time.monotonic() < until and any(one.is_alive() for one in senders):
        after = {one["door"] for one in attempts(book) if one["kept"] and one["begun"] > at}
        alive = {door for door, one in zip(("dicom", "http"), senders, strict=True) if one.is_alive()}
        if alive <= after:
            return
        time.sleep(0.2)


def _recovered(book: Sequence[dict[str, Any]], kills: Sequence[float]) -> dict[str, list[float]]:
    """Seconds from each kill to the next success that began after it, by door."""
    found = {}
    for door in ("dicom", "http"):
        ends = sorted(
            (one["begun"], one["begun"] + one["seconds"]) for one in book if one["door"] == door and one["kept"]
        )
        waits = [next((end - at for begun, end in ends if begun > at), float("nan")) for at in kills]
        waits = [one for one in waits if one == one]  # noqa: PLR0124 - not a number: nothing was left to send
        found[door] = [round(percentile(waits, p), 1) for p in (0.5, 1.0)]
    return found

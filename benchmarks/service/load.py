"""8 associations and 8 HTTP clients send at once, while the service reads; then two workers' worth of what is told of it."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.readings import Result
from service.checks import is_whole, settle, whole
from service.clients import Target, attempts, send_by_dicom, send_by_http
from service.world import Home, Running, Watch, machine_seconds, made_home, percentile, running, told_load

AT_ONCE = 8
_CONTEXT = multiprocessing.get_context("spawn")


def measure_load(model: Path, files: Sequence[tuple[str, str]], scratch: Path, bare: float | None) -> dict[str, Any]:
    """Half of the files by each door. `bare`: images a second of `cxreader read` on the same files, where it was measured."""
    home, book = made_home(scratch / "load", model), scratch / "load.jsonl"
    book.unlink(missing_ok=True)
    busy = machine_seconds()
    with running(home, scratch / "load.log") as made:
        watch = Watch(made.pids)
        with watch.watching():
            clients = _sent(home, files, book, patience=0)
            service = TriageService.open(home.settings)
            settled = settle(service)
        found = _told(service, attempts(book), bare)
        service.close()
    ours = sum(watch.seconds().values()) + clients
    return (
        {"images": len(files), "settled": settled, **found}
        | {"cpu_seconds": watch.seconds() | {"clients": round(clients, 2)}, "memory_mib": memory(watch.memory)}
        | {"machine": told_load(busy, ours)}
    )


def _sent(home: Home, files: Sequence[tuple[str, str]], book: Path, *, patience: float) -> float:
    """Send by both doors; seconds of a core that the clients used."""
    section, half = home.settings.dicom, len(files) // 2
    by_dicom = Target(section.port, ae_title=section.ae_title, at_once=AT_ONCE, patience=patience)
    by_http = Target(home.settings.web.port, token=home.token, at_once=AT_ONCE, patience=patience)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    senders = [
        _CONTEXT.Process(target=send_by_dicom, args=(files[:half], by_dicom, book), daemon=True),
        _CONTEXT.Process(target=send_by_http, args=(files[half:], by_http, book), daemon=True),
    ]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _told(service: TriageService, book: Sequence[Mapping[str, Any]], bare: float | None) -> dict[str, Any]:
    counts = whole(service, book)
    with service.database.reading() as session:
        joined = select(Result.read_at - Instance.received_at).join(Instance, Instance.id == Result.instance_id)
        waits = list(session.scalars(joined))
        first = session.scalar(select(func.min(Instance.received_at))) or 0.0
        last = session.scalar(select(func.max(Result.read_at))) or 0.0
        ended = session.scalar(select(func.max(Instance.received_at))) or 0.0
    rate = len(waits) / (last - first)
    seconds = {
        door: [one["seconds"] for one in book if one["door"] == door and one["kept"]] for door in ("dicom", "http")
    }
    return {
        "whole": is_whole(counts),
        "counts": counts,
        "acknowledged_p50_p95_s": {d: [round(percentile(s, p), 3) for p in (0.5, 0.95)] for d, s in seconds.items()},
        "received_to_read_p50_p95_s": [round(percentile(waits, p), 2) for p in (0.5, 0.95)],
        "received_per_second": round(len(waits) / (ended - first), 2),
        "read_per_second": round(rate, 2),
        "share_of_bare": None if bare is None else round(rate / bare, 3),
    }


def memory(series: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """MiB of each process: at the first quarter's end, at the half, at the end, and the most."""
    found = {}
    for kind, values in series.items():
        held = [one for _, one in values]
        at = {"quarter": len(held) // 4, "half": len(held) // 2, "end": len(held) - 1}
        found[kind] = {name: held[index] for name, index in at.items()} | {"most": max(held)}
    return found


def pump(made: Running, files: Sequence[tuple[str, str]], book: Path, patience: float, **more: Any) -> list[Any]:
    """One association and one connection that send what was not acknowledged again; started, not waited for.

    `more`: `every` and `stop` of `clients.Target`.
    """
    home = made.home
    section, half = home.settings.dicom, len(files) // 2
    by_dicom = Target(section.port, ae_title=section.ae_title, patience=patience, **more)
    by_http = Target(home.settings.web.port, token=home.token, patience=patience, **more)
    senders = [
        _CONTEXT.Process(target=send_by_dicom, args=(files[:half], by_dicom, book), daemon=True),
        _CONTEXT.Process(target=send_by_http, args=(files[half:], by_http, book), daemon=True),
    ]
    for one in senders:
        one.start()
    return senders

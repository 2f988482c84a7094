"""A worklist of 100,000 studies, listed by HTTP while 10 images a second arrive and are read."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import insert, select

from cxreader.serving.home import opened
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.tables.base import new_key
from cxreader.serving.store.tables.images import Instance, Study, WorklistRow
from cxreader.serving.store.tables.readings import Result
from service.checks import settle
from service.clients import Target, attempts, send_by_http
from service.world import Home, Watch, machine_seconds, made_home, percentile, running, told_load

RATE, SIZE, FURTHER = 10, 50, 4
"""Images a second, studies a page, and pages that are read behind every first one."""
_AT_ONCE = 2_000
_SENDERS = 8
_CONTEXT = multiprocessing.get_context("spawn")


def measure_worklist(
    model: Path, files: Sequence[tuple[str, str]], scratch: Path, studies: int, seconds: float, seed: int
) -> dict[str, Any]:
    """Pages by one client, with and without images that arrive; each request over the same connection."""
    home = made_home(scratch / "worklist", model)
    with opened(home.settings):
        _fill(home.settings, files[0], studies, seed)
    busy, book = machine_seconds(), scratch / "worklist.jsonl"
    book.unlink(missing_ok=True)
    with running(home, scratch / "worklist.log") as made:
        service = TriageService.open(home.settings)
        settle(service)
        quiet = _listed(home, seconds / 4)
        watch = Watch(made.pids)
        with watch.watching():
            target = Target(home.settings.web.port, token=home.token, at_once=_SENDERS, every=_SENDERS / RATE)
            sender = _CONTEXT.Process(target=send_by_http, args=(files[1 : 1 + int(RATE * seconds)], target, book))
            sender.start()
            begun = time.time()
            time.sleep(2)
            first, further = _listed(home, seconds - 4)
            came = sum(one["kept"] for one in attempts(book))
            rate = came / (time.time() - begun)
            sender.join()
        settle(service)
        service.close()
    return {
        "studies": studies,
        "seconds": seconds,
        "images_per_second": round(rate, 1),
        "quiet": [_told(one) for one in quiet],
        "first_page": _told(first),
        "further_pages": _told(further),
        "cpu_seconds": watch.seconds(),
        "machine": told_load(busy, sum(watch.seconds().values())),
    }


def _told(milliseconds: Sequence[float]) -> dict[str, float]:
    at = {"p50": 0.5, "p95": 0.95, "most": 1.0}
    return {"requests": len(milliseconds)} | {name: round(percentile(milliseconds, p), 1) for name, p in at.items()}


def _listed(home: Home, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds of first pages, and of those behind them."""
    connection = http.client.HTTPConnection("127.0.0.1", home.settings.web.port, timeout=60)
    first: list[float] = []
    further: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        cursor = None
        for number in range(1 + FURTHER):
            asked = {"size": SIZE} | ({} if cursor is None else {"cursor": cursor})
            begun = time.perf_counter()
            connection.request(
                "GET", f"/api/v1/worklist?{urlencode(asked)}", headers={"Authorization": f"Bearer {home.token}"}
            )
            page = json.loads(connection.getresponse().read())
            (further if number else first).append(1000 * (time.perf_counter() - begun))
            cursor = page["cursor"]
            assert len(page["studies"]) == SIZE
        time.sleep(0.05)
    connection.close()
    return first, further


def _fill(settings: Settings, file: tuple[str, str], studies: int, seed: int) -> None:
    """Studies of one image and one answer each, like the one that is read first but for places, moments and names."""
    service = TriageService.open(settings)
    from service.faults import read_all

    service.receive(Path(file[0]), door="folder")
    read_all(service, patience=60)
    with service.database.reading() as session:
        like = [session.scalars(select(kind)).one() for kind in (Study, Instance, Result, WorklistRow)]
        now = service.database.now(session)
    draw = random.Random(seed)
    for begin in range(0, studies, _AT_ONCE):
        made = [_rows(like, n, now, draw) for n in range(begin, min(studies, begin + _AT_ONCE))]
        with service.database.writing() as session:
            for number, kind in enumerate((Study, Instance, Result, WorklistRow)):
                session.execute(insert(kind), [of_study[number] for of_study in made])
    service.close()


def _rows(like: Sequence[Any], n: int, now: float, draw: random.Random) -> list[dict[str, Any]]:
    """The n-th study: one in five is overdue, steps and heights as they fall."""
    study, image, result, row = ({c.key: getattr(one, c.key) for c in one.__table__.columns} for one in like)
    ident, received = 1_000_000 + n, now - draw.uniform(0, 7 * 86_400)
    due, step, height = now + draw.uniform(-0.25, 1) * 86_400, draw.randrange(4), draw.random()
    study |= {
        "id": ident,
        "key": new_key(),
        "study_uid": f"2.25.{ident}",
        "patient_id": f"P{ident}",
        "received_at": received,
    }
    image |= {"id": ident, "key": new_key(), "study_id": ident, "sha256": f"{ident:064x}", "received_at": received}
    image |= {"sop_instance_uid": f"2.25.{ident}.1"}
    result |= {
        "id": ident,
        "key": new_key(),
        "instance_id": ident,
        "sha256": f"{ident:064x}",
        "step": step,
        "height": height,
    }
    row |= {
        "study_id": ident,
        "step": step,
        "depth": -height,
        "received_at": received,
        "due_at": due,
        "result_id": ident,
    }
    return [study, image, result, row]

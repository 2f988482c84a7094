"""Killed between any two steps: nothing that was acknowledged is lost, and nothing is read into two results."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import select
from tests.serving.killed import RULE, acknowledged, opened, start
from tests.serving.world import dicom, leases

from cxreader.serving.service import TriageService
from cxreader.serving.store import audit
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.images import Instance, WorklistRow
from cxreader.serving.store.tables.readings import Job, Result

FILES = [dicom(n, StudyInstanceUID=f"1.2.{n // 2}", PatientID=f"P{n // 2}") for n in range(6)]
MOMENTS = 10
"""Of each kind of database; every step is as likely as any other."""


def activated(home: Path, url: str) -> TriageService:
    service = opened(home, url)
    with service.database.writing() as session:
        models.activate(session, service.database.now(session), RULE)
    return service


def whole(service: TriageService, images: int) -> None:
    """Every image has one result, every study its place, and the log no gap."""
    with service.database.reading() as session:
        there = session.scalars(select(Instance)).all()
        results = Counter(session.scalars(select(Result.instance_id)))
        rows = session.scalars(select(WorklistRow)).all()
        jobs = Counter(session.scalars(select(Job.state)))
        log = audit.verify(session)
    assert len(there) == images
    assert results == {image.id: 1 for image in there}
    assert jobs == {"done": images}
    assert sum(row.images for row in rows) == sum(row.read for row in rows) == images
    assert log.number is None
    for image in there:
        assert service.objects.get(image.sha256)


def test_nothing_acknowledged_is_lost_and_nothing_read_twice(url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    service = activated(home, url)
    dry = start(home, url, FILES[:2], holder="dry")
    dry.join()
    assert dry.exitcode == 0
    steps = int((home / "steps-dry").read_text())
    assert steps > 60
    draw = random.Random(5)
    sent, received = list(FILES[:2]), 2
    for n, moment in enumerate(draw.sample(range(1, steps), MOMENTS)):
        fresh = [dicom(100 + 10 * n + k) for k in range(2)]
        process = start(home, url, fresh, kill_at=moment, holder=f"killed {n}")
        process.join()
        assert process.exitcode == -signal.SIGKILL
        sent += fresh
        with service.database.reading() as session:
            kept = set(session.scalars(select(Instance.sha256)))
        assert set(acknowledged(home)) <= kept
        received = len(kept)
        leases(service).end_of(f"killed {n}")  # as the parent does
    assert 2 < received < len(sent)  # some were killed before they were received, some after
    time.sleep(0.1)
    with service.database.writing() as session:
        session.query(Job).filter(Job.state == "waiting").update(
            {"available_at": 0}
        )  # no pause before the next attempt
    end = start(home, url, sent, holder="end")
    end.join()
    assert end.exitcode == 0
    whole(service, len(sent))
    service.close()


def test_two_workers_share_a_queue_and_the_second_takes_over_what_a_dead_one_held(url: str, tmp_path: Path) -> None:
    """As on two machines: nobody tells that the first one died, its leases run out."""
    home = tmp_path / "home"
    home.mkdir()
    service = activated(home, url)
    files = [dicom(n) for n in range(40)]
    for data in files:
        service.receive(data, door="dicom")
    dying, living = (start(home, url, [], holder=name, seconds=0.05, lease=1) for name in ("dying", "living"))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with service.database.reading() as session:
            held = session.scalars(select(Job.holder).where(Job.state == "leased")).all()
            done = session.scalars(select(Job.holder).where(Job.state == "done")).all()
        if "dying" in held and "dying" in done:
            break
    dying.kill()
    dying.join()
    living.join()
    assert living.exitcode == 0
    whole(service, len(files))
    with service.database.reading() as session:
        by = Counter(session.scalars(select(Job.holder)))
    assert by["dying"] > 0
    assert by["living"] > 0
    service.close()

"""The worker's loop: batches, their waits, attempts that fail, and what an image that kills its reader takes with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select
from tests.serving.killed import RULE, fake_reader
from tests.serving.world import dicom, leases

from cxreader.errors import ModelError, StorageError
from cxreader.inference.prepared import Prepared
from cxreader.inference.reader import Reader
from cxreader.records import Reading
from cxreader.serving.clock import SetClock
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import FolderStore
from cxreader.serving.store.reading import models
from cxreader.serving.store.reading.models import digest_of
from cxreader.serving.store.tables.images import WorklistRow
from cxreader.serving.store.tables.readings import Job, StoredPixels
from cxreader.serving.worker import run as process
from cxreader.serving.worker.leases import Leases
from cxreader.serving.worker.pipeline import Pipeline
from cxreader.serving.worker.run import Worker


class Watched:
    """A reader that notes the size of each batch, and refuses those with an image it does not survive."""

    def __init__(self, deadly: Sequence[str] = (), error: type[Exception] = ModelError) -> None:
        self.reader, self.batches, self.deadly, self.error = fake_reader(), list[int](), set(deadly), error
        self.members, self.site = self.reader.members, None

    def prepare(self, source: bytes, *, name: str) -> Prepared:
        return self.reader.prepare(source, name=name)

    def answer(self, batch: Sequence[Prepared], *, heat_map: bool) -> list[Reading]:
        self.batches.append(len(batch))
        if self.deadly & {image.name for image in batch}:
            raise self.error("cannot")
        return self.reader.answer(batch, heat_map=heat_map)


@pytest.fixture
def served(database: Database, settings: Settings) -> TriageService:
    service = TriageService(settings, database, FolderStore(settings.home / "objects"))
    with database.writing() as session:
        models.activate(session, 0.0, RULE)
    return service


def work(service: TriageService, reader: Any, rounds: int = 12, **options: Any) -> None:
    """So many looks at the queue."""
    left = iter(range(rounds))
    given: Reader = reader
    with Pipeline(given, service.objects) as pipeline:
        chosen = service.settings.worker.model_copy(update={"linger": 0.0, **options})
        Worker(leases(service), pipeline, digest_of(RULE), chosen).work(lambda: next(left, None) is None)


def states(service: TriageService) -> list[str]:
    with service.database.reading() as session:
        return list(session.scalars(select(Job.state).order_by(Job.id)))


def test_what_waits_is_read_in_batches(served: TriageService) -> None:
    for n in range(10):
        served.receive(dicom(n), door="dicom")
    reader = Watched()
    work(served, reader, batch=4)
    assert sorted(reader.batches, reverse=True) == [4, 4, 2]
    assert states(served) == ["done"] * 10


def test_a_batch_that_is_not_full_waits_for_more_but_not_long(timed_service: TriageService) -> None:
    with timed_service.database.writing() as session:
        models.activate(session, 0.0, RULE)
    timed_service.receive(dicom(0), door="dicom")
    later = threading.Timer(0.1, lambda: timed_service.receive(dicom(1), door="dicom"))
    reader = Watched()
    later.start()
    work(timed_service, reader, linger=0.5)
    later.join()
    assert reader.batches == [2]
    timed_service.receive(dicom(2), door="dicom")
    began = time.monotonic()
    work(timed_service, reader, rounds=1, linger=0.3)
    assert reader.batches == [2, 1]
    assert 0.3 <= time.monotonic() - began < 5


def test_an_image_that_its_reader_does_not_survive_takes_no_other_with_it(
    served: TriageService, clock: SetClock
) -> None:
    receipts = [served.receive(dicom(n), door="dicom") for n in range(5)]
    reader = Watched([receipts[2].instance])
    for _ in range(6):
        work(served, reader)
        clock.forward(60)
    assert states(served) == ["done", "done", "dead", "done", "done"]
    assert reader.batches == [5] + [1] * 6  # then each alone, and the deadly one once more
    with served.database.reading() as session:
        row = session.scalars(select(WorklistRow).order_by(WorklistRow.study_id).offset(2)).first()
        assert row is not None
        assert (row.reason, row.failed, row.read) == ("not read after 3 attempts: a person must look", 1, 0)
        assert session.get_one(Job, 3).error == "ModelError"


def test_a_worker_whose_models_are_not_active_reads_nothing_and_what_waits_is_read_by_those_that_are(
    served: TriageService,
) -> None:
    served.receive(dicom(1), door="dicom")
    (held,) = leases(served, "old").claim(digest_of(RULE), 1)
    with served.database.writing() as session:
        models.activate(session, 1.0, {"artifacts": ["other"]})
    leases(served).end_of("old")
    with served.database.writing() as session:
        session.get_one(Job, held.job).available_at = 0.0
    assert leases(served, "old").claim(digest_of(RULE), 1) == []
    (found,) = leases(served, "new").claim(digest_of({"artifacts": ["other"]}), 1)
    assert (found.job, found.models) == (held.job, held.models + 1)


def test_a_store_that_is_away_costs_no_attempt(served: TriageService, monkeypatch: pytest.MonkeyPatch) -> None:
    served.receive(dicom(1), door="dicom")

    def away(*_: object) -> bytes:
        raise StorageError("the store cannot be used now")

    monkeypatch.setattr(FolderStore, "get", away)
    with pytest.raises(StorageError):
        work(served, Watched())
    monkeypatch.undo()
    work(served, Watched())
    with served.database.reading() as session:
        job = session.get_one(Job, 1)
        assert (job.state, job.attempts, job.token) == ("done", 1, 2)


def test_a_worker_outlasts_a_database_that_is_away(
    timed_service: TriageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed_service.receive(dicom(1), door="dicom")
    keep, give_back, left = Leases.keep, Leases.give_back, {"keep": 2, "give_back": 1}

    def away(name: str, method: Any) -> Any:
        def tried(*given: Any) -> Any:
            if left[name]:
                left[name] -= 1
                raise StorageError("the database cannot be reached")
            return method(*given)

        return tried

    monkeypatch.setattr(Leases, "keep", away("keep", keep))
    monkeypatch.setattr(Leases, "give_back", away("give_back", give_back))
    monkeypatch.setattr(process, "AGAIN", 0.01)
    process.run(timed_service.settings, lambda: states(timed_service) == ["done"], "a worker")
    assert left == {"keep": 0, "give_back": 0}
    with timed_service.database.reading() as session:
        job = session.get_one(Job, 1)
        assert (job.attempts, job.token) == (1, 3)  # no attempt was counted, and no lease had to run out


def test_an_object_that_is_gone_is_a_failed_attempt_of_its_job_alone(served: TriageService, clock: SetClock) -> None:
    receipts = [served.receive(dicom(n), door="dicom") for n in range(3)]
    served.objects.delete(receipts[1].sha256)
    for _ in range(5):
        work(served, Watched())
        clock.forward(60)
    assert states(served) == ["done", "dead", "done"]


def test_leases_are_held_while_a_batch_takes_long(timed_service: TriageService) -> None:
    with timed_service.database.writing() as session:
        models.activate(session, 0.0, RULE)
    timed_service.receive(dicom(1), door="dicom")
    reader, slow = Watched(), timed_service.settings.worker.model_copy(update={"lease": 1.0, "linger": 0.0})

    def answer(batch: Sequence[Prepared], *, heat_map: bool) -> list[Reading]:
        time.sleep(2.5)
        leases(timed_service, "thief").claim(digest_of(RULE), 1)
        return Watched.answer(reader, batch, heat_map=heat_map)

    reader.answer = answer  # type: ignore[method-assign]
    settings = timed_service.settings.model_copy(update={"worker": slow})
    service = TriageService(settings, timed_service.database, timed_service.objects)
    work(service, reader, rounds=1, lease=1.0)
    with service.database.reading() as session:
        job = session.get_one(Job, 1)
        assert (job.state, job.attempts, job.holder) == ("done", 1, "a worker")


def test_when_nothing_waits_what_was_read_is_decoded_for_the_viewer(served: TriageService) -> None:
    for n in range(3):
        served.receive(dicom(n), door="dicom")
    served.receive(dicom(9)[:-4000], door="dicom")  # cannot be decoded
    work(served, Watched())
    with served.database.reading() as session:
        assert session.scalars(select(StoredPixels.instance_id).order_by(StoredPixels.instance_id)).all() == [1, 2, 3]


def test_a_network_whose_maps_need_torch_shows_none_and_says_why(served: TriageService) -> None:
    receipt = served.receive(dicom(1), door="dicom")
    reader = fake_reader()
    reader.members[0].backend.has_maps = False
    work(served, reader)
    result = served.study(receipt.study).images[0].results[0]
    assert (
        result.no_map
        == f"no heat map: the ONNX export of {reader.members[0].id} holds none, and making one needs torch"
    )
    assert result.reading["decision"] is not None


class Crowded(Watched):
    """A reader that notes which images are under way together."""

    def __init__(self) -> None:
        super().__init__()
        self.together, self.inside, self.lock = list[frozenset[str]](), set[str](), threading.Lock()

    def prepare(self, source: bytes, *, name: str) -> Prepared:
        with self.lock:
            self.inside.add(name)
            self.together.append(frozenset(self.inside))
        return super().prepare(source, name=name)

    def answer(self, batch: Sequence[Prepared], *, heat_map: bool) -> list[Reading]:
        time.sleep(0.05)
        with self.lock:
            self.inside -= {image.name for image in batch}
        return super().answer(batch, heat_map=heat_map)


@pytest.mark.parametrize("options", [{"batch": 1}, {"batch": 4, "linger": 0.3}], ids=["ahead", "lingering"])
def test_what_failed_before_has_the_process_to_itself(served: TriageService, options: dict[str, Any]) -> None:
    """Three of five failed: neither the batches beside them nor one that waits for more may hold another image."""
    receipts = [served.receive(dicom(n), door="dicom") for n in range(5)]
    failed = {receipts[n].instance for n in (1, 2, 4)}
    with served.database.writing() as session:
        for job in session.scalars(select(Job).where(Job.id.in_((2, 3, 5)))):
            job.attempts = 1
    reader = Crowded()
    work(served, reader, **options)
    assert states(served) == ["done"] * 5
    assert [one for one in reader.together if failed & one and len(one) > 1] == []

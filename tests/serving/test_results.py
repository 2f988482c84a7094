"""Results are revisions: another model, or a second reading, adds one, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.serving.conftest import active
from tests.serving.world import active_digest, dicom, leases, png, read_all, reader_of

from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.triage import ALARM, NORMAL, UNANSWERED, urgency
from cxreader.serving.order.places import most_urgent
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.files.pixels import raw, values_and_greys
from cxreader.serving.store.reading import views
from cxreader.serving.store.reading.results import Answer, frame, map_values, reading_of


def test_the_list_and_read_sort_never_order_differently(service: TriageService) -> None:
    files = (
        [dicom(n) for n in range(6)]
        + [png(n) for n in range(4)]
        + [dicom(90, BodyPartExamined="HAND"), dicom(91)[:-2000]]
    )
    receipts = [service.receive(data, door="folder") for data in files]
    assert [e.reason for e in service.worklist().entries] == ["waiting to be read"] * len(files)
    read_all(service)
    places = [urgency(reading) for reading in reader_of(service.settings.models).read_many(files)]
    order = sorted(range(len(files)), key=lambda i: (places[i].step, -places[i].height))
    shown = service.worklist().entries
    assert [e.study.key for e in shown] == [receipts[i].study for i in order]
    assert [e.reason for e in shown] == [places[i].reason for i in order]
    assert {p.step for p in places} >= {ALARM, UNANSWERED, NORMAL}


def test_a_study_stands_where_its_most_urgent_image_does(service: TriageService) -> None:
    files = [dicom(n, StudyInstanceUID="1.2", PatientID="P", SOPInstanceUID=f"1.2.{n}") for n in range(4)]
    for data in files:
        service.receive(data, door="folder")
    read_all(service)
    place = most_urgent(urgency(reading) for reading in reader_of(service.settings.models).read_many(files))
    (entry,) = service.worklist().entries
    assert (entry.row.step, -entry.row.depth, entry.reason) == (place.step, place.height, place.reason)
    assert (entry.row.images, entry.row.read) == (4, 4)
    assert entry.result is not None
    assert entry.result.height == place.height


def test_what_is_kept_is_the_reading(service: TriageService) -> None:
    receipt = service.receive(dicom(1), door="folder")
    read_all(service)
    (image,) = service.study(receipt.study).images
    kept = reading_of(image.results[0])
    (ours,) = reader_of(service.settings.models).read_many([dicom(1)], heat_map=True)
    assert kept.image == receipt.instance
    for name in (
        "artifact",
        "operating_point",
        "decision",
        "probability",
        "score",
        "reasons",
        "notes",
        "sop_instance_uid",
    ):
        assert getattr(kept, name) == getattr(ours, name)
    assert ours.heat_map is not None
    alarm = kept.decision == "abnormal"
    maps = service.maps(image.results[0].key)
    assert len(maps) == alarm
    with service.database.reading() as session:
        (heat,) = views.maps(session, image.results[0])
    np.testing.assert_allclose(map_values(heat), ours.heat_map, rtol=1e-3, atol=1e-6)


def test_another_model_and_a_second_reading_add_revisions(
    service: TriageService, settings: Settings, other_artifact: Path
) -> None:
    receipts = [service.receive(dicom(n), door="folder") for n in range(3)]
    read_all(service)
    before = [service.study(r.study).images[0].results[0] for r in receipts]
    waiting = service.receive(dicom(7), door="folder")
    other = active(
        TriageService(settings.model_copy(update={"models": (other_artifact,)}), service.database, service.objects)
    )
    read_all(other)  # what waited is the new model's
    (of_waiting,) = other.study(waiting.study).images[0].results
    assert of_waiting.reading["artifact"] != before[0].reading["artifact"]
    assert other.reread("admin") == 3
    assert other.reread("admin") == 0
    read_all(other)
    assert other.reread("admin", [receipts[0].study]) == 1
    read_all(other)
    found = [[(r.revision, r.id, r.models_id) for r in other.study(r.study).images[0].results] for r in receipts]
    assert [[revision for revision, *_ in of] for of in found] == [[3, 2, 1], [2, 1], [2, 1]]
    assert [of[-1][1] for of in found] == [r.id for r in before]
    (entry,) = [e for e in other.worklist().entries if e.study.key == receipts[0].study]
    assert entry.result is not None
    assert entry.result.revision == 3
    assert before[0].reading == other.study(receipts[0].study).images[0].results[-1].reading


def test_a_worker_whose_lease_was_lost_keeps_nothing(service: TriageService) -> None:
    receipt = service.receive(dicom(1), door="folder")
    late = leases(service, "late")
    (claim,) = late.claim(active_digest(service), 1)
    late.end_of("late")
    (reading,) = reader_of(service.settings.models).read_many([dicom(1)])
    assert late.keep([Answer(claim, reading, {})]) == 0
    assert service.study(receipt.study).images[0].results == ()


def test_regions_are_silenced_and_what_is_normal_shows_none(service: TriageService, settings: Settings) -> None:
    receipts = [service.receive(dicom(n), door="folder") for n in range(8)]
    read_all(service)
    quiet = TriageService(settings.model_copy(update={"show_regions": False}), service.database, service.objects)
    results = [service.study(r.study).images[0].results[0] for r in receipts]
    assert {result.reading["decision"] for result in results} == {"normal", "abnormal"}
    for result in results:
        assert bool(service.maps(result.key)) == (result.reading["decision"] == "abnormal")
        assert quiet.maps(result.key) == ()


@pytest.mark.parametrize(("size", "expected"), [((80, 60), (0, -10, 80, 80)), ((60, 80), (-10, 0, 80, 80))])
def test_a_map_covers_the_square_that_the_network_was_shown(
    size: tuple[int, int], expected: tuple[float, float, float, float]
) -> None:
    np.testing.assert_array_equal(frame("pad", *size), expected)
    x, y, width, _ = InputSpec(400).content(*size)
    scale = size[0] / width
    assert frame("pad", *size) == pytest.approx((-x * scale, -y * scale, 400 * scale, 400 * scale))
    assert frame("squash", *size) == (0, 0, *size)


def test_pixels_are_made_when_there_is_nothing_to_read_or_when_asked_for(service: TriageService) -> None:
    receipt = service.receive(dicom(1, WindowCenter=2000, WindowWidth=1000), door="folder")
    kept = service.pixels(receipt.instance)
    data = service.objects.get(kept.sha256)
    values, greys = values_and_greys(data, dict(kept.about))
    assert values.shape == (kept.about["rows"], kept.about["columns"])
    assert len(raw(data, dict(kept.about))) == kept.about["bytes"] == 2 * values.size + greys.size
    assert kept.about["windows"] == [{"center": 2000.0, "width": 1000.0, "function": "LINEAR"}]
    service.objects.delete(kept.sha256)
    assert service.pixels(receipt.instance) == kept
    assert service.objects.has(kept.sha256)


def test_what_failed_for_good_is_tried_again_when_asked(service: TriageService) -> None:
    service.receive(dicom(1), door="http")
    worker = leases(service)
    for _ in range(service.settings.worker.attempts):
        worker.fail(worker.claim(active_digest(service), 1), "ModelError")
        service.database.clock.forward(60)  # type: ignore[attr-defined]
    (entry,) = service.worklist().entries
    assert entry.row.failed == 1
    assert service.reread("admin") == 0  # the active models have had it
    seen = service.events(0)[-1].number
    assert service.retry("admin") == 1
    assert service.worklist().entries[0].row.failed == 0
    assert [one.kind for one in service.events(seen)] == ["received"]
    read_all(service)
    assert service.worklist().entries[0].row.read == 1
    assert service.retry("admin") == 0

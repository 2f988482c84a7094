"""An evaluation says how long it will take, once, and shows the network no image twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.assessment.shortcut_world import make_images, make_reader
from tests.inference.batch.world import Watched

from cxreader.assessment import duration
from cxreader.assessment.cohort import cohort_of_source
from cxreader.assessment.duration import Estimate, in_words
from cxreader.assessment.images import read_once
from cxreader.assessment.pictures import Pictures
from cxreader.assessment.shortcuts.audit import audit_shortcuts
from cxreader.progress import no_bar
from cxreader.records import Box, ImageRecord


@pytest.fixture(autouse=True)
def _two_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxreader.evaluation.shortcuts.cross_fit.STRENGTHS", (1e-2, 1e-1))


def records(count: int, boxed: int = 0) -> list[ImageRecord]:
    box = (Box("Mass", 1, 1, 2, 2),)
    return [ImageRecord(f"{n}.png", n % 2, boxes=box if n < boxed else ()) for n in range(count)]


def test_the_estimate_by_hand() -> None:
    whole = Estimate(records(800, boxed=100), print)
    # 800 read at 0.2 s, border and centre again and 100 maps at 0.1 s each, 25 s of all else
    assert whole.seconds(0.2, 0.1) == pytest.approx(160 + 170 + 25)
    assert Estimate(records(800, boxed=100), print, quick=True).seconds(0.2, 0.1) == pytest.approx(160 + 10)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(34, "about 30 seconds"), (89, "about 90 seconds"), (95, "about 2 minutes"), (5401, "about 1.5 hours")],
)
def test_an_estimate_is_said_no_finer_than_it_is(seconds: float, said: str) -> None:
    assert in_words(seconds) == said


def test_it_is_said_once_after_the_first_batches_and_not_of_a_short_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 6.4) * 9)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    said: list[str] = []
    estimate = Estimate(records(800), said.append)
    for batch in range(50):
        estimate.after(16, 1.6)
        assert len(said) == (batch >= 2)
    # 32 images within 6.4 s: 0.2 s each, of which the network 0.1: 160 + 160 + 25 s
    assert said == ["about 6 minutes for 800 images, estimated from the first 48"]
    said.clear()
    short = Estimate(records(16), said.append, quick=True)
    for _ in range(10):
        short.after(16, 1.6)
    assert said == []


def test_an_evaluation_tells_the_estimate_of_its_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "WORTH_SAYING", 0.0)
    cohort, said = cohort_of_source(str(make_images(tmp_path, 32))), list[str]()
    with read_once(make_reader(Watched()), cohort.records, bar=no_bar, estimate=Estimate(cohort.records, said.append)):
        pass
    assert len(said) == 1
    assert said[0].endswith("for 64 images, estimated from the first 48")


def test_the_audit_of_images_that_were_read_shows_the_network_borders_and_centres_alone(tmp_path: Path) -> None:
    cohort = cohort_of_source(str(make_images(tmp_path / "images", 20)))
    backend = Watched()
    reader = make_reader(backend)
    pictures = Pictures.of(reader.artifact, judge_met=False)
    with read_once(reader, cohort.records, bar=no_bar, pictures=[pictures]) as images:
        assert backend.shown == 40
        found = audit_shortcuts(reader, cohort, images=images, bar=no_bar, n_resamples=50)
    assert backend.shown == 3 * 40
    alone = audit_shortcuts(reader, cohort, bar=no_bar, n_resamples=50)
    assert backend.shown == 6 * 40
    for name in ("model", "baselines", "verdict", "reasons"):
        assert repr(getattr(found, name)) == repr(getattr(alone, name))

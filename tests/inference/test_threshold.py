"""A reading is abnormal from its threshold on: an image exactly there is abnormal, one a hair below is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxreader import Reader, Reading
from cxreader.inference.combine import combine
from cxreader.inference.member import Member
from cxreader.records import OperatingPoint

pytestmark = pytest.mark.usefixtures("few_images_suffice")


def test_one_models_reading_at_its_threshold(small_run: Path, small_world: Path) -> None:
    reader, file = Reader.load(small_run), min(small_world.glob("0*.png"))
    (member,) = reader.members
    p = reader.read(file).probability
    assert p is not None
    for threshold, decision in ((p, "abnormal"), (float(np.nextafter(p, 1)), "normal")):
        at = Reader([Member(member.artifact, member.backend, OperatingPoint.given(threshold))])
        reading = at.read(file)
        assert (reading.probability, reading.decision) == (p, decision)


@pytest.mark.parametrize(("threshold", "decision"), [(0.5, "abnormal"), (float(np.nextafter(0.5, 1)), "normal")])
def test_the_mean_of_several_models_at_the_threshold(threshold: float, decision: str) -> None:
    point = OperatingPoint.given(threshold)
    readings = [Reading("a.png", str(p), point, "normal", p, acceptance="accepted") for p in (0.25, 0.75)]
    assert combine(readings, point, 1.0).decision == decision
    assert combine(readings, point, 0.5).decision == decision  # as far apart as the bound allows
    assert combine(readings, point, 0.49).decision == "refer"

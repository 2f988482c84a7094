"""Several models: their mean, their agreement, a referral where they disagree; checked by hand on made readings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxreader import Reader, Reading
from cxreader.errors import UsageError
from cxreader.inference.batch.table import answer_of
from cxreader.inference.combine import combine, combined_point
from cxreader.inference.member import Member
from cxreader.models.artifact import DISAGREEMENT
from cxreader.records import OperatingPoint

pytestmark = pytest.mark.usefixtures("few_images_suffice")

POINT = OperatingPoint("youden", 0.4, "largest J", 30, 20)


def _reading(probability: float | None, **changes: object) -> Reading:
    answer = None if probability is None else ("abnormal" if probability >= 0.4 else "normal")
    made = Reading("a.png", f"id{probability}", POINT, answer, probability, acceptance="accepted")  # type: ignore[arg-type]
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_mean_the_agreement_and_the_ids() -> None:
    found = combine([_reading(0.5), _reading(0.6), _reading(0.7)], POINT, 0.25)
    assert found.probability == pytest.approx(0.6)
    assert found.agreement == pytest.approx(0.8)
    assert found.decision == "abnormal"
    assert found.artifact == "id0.5+id0.6+id0.7"
    assert [member.probability for member in found.members] == [0.5, 0.6, 0.7]
    assert found.reasons == ()


def test_beyond_the_bound_the_image_is_referred_with_both_ends_and_at_it_is_not() -> None:
    found = combine([_reading(0.25), _reading(0.75)], POINT, 0.49)
    assert found.decision == "refer"
    assert found.probability == 0.5
    assert "from 0.250 to 0.750" in found.reasons[0]
    assert combine([_reading(0.25), _reading(0.75)], POINT, 0.5).decision == "abnormal"


def test_who_is_refused_by_one_is_refused_and_who_cannot_be_read_is_not_read() -> None:
    refusal = _reading(None, acceptance="refused", reasons=("looks rotated by 180 degrees",))
    sure = _reading(0.9, interval=(0.8, 0.95), conformal="abnormal", heat_map=np.ones((7, 7), np.float32))
    found = combine([sure, refusal], POINT, 0.25)
    assert (found.decision, found.probability, found.acceptance) == (None, None, "refused")
    assert found.reasons == ("model 2 (idNone): looks rotated by 180 degrees",)
    for own in found.members:
        assert [getattr(own, name) for name in ("decision", "probability", "interval", "conformal", "heat_map")] == [
            None
        ] * 5
    assert answer_of(found)["members"][0] == {
        "artifact": "id0.9",
        "probability": None,
        "decision": None,
        "ood_score": None,
    }
    assert combine([refusal, refusal], POINT, 0.25).reasons == ("looks rotated by 180 degrees",)
    unread = _reading(None, acceptance=None, reasons=("the file is empty",))
    found = combine([unread, unread], POINT, 0.25)
    assert (found.acceptance, found.reasons) == (None, ("the file is empty",))


def test_intervals_span_all_and_conformal_answers_must_be_one() -> None:
    a = _reading(0.5, interval=(0.4, 0.55), conformal="abnormal")
    b = _reading(0.6, interval=(0.45, 0.7), conformal="abnormal")
    found = combine([a, b], POINT, 0.25)
    assert (found.interval, found.conformal) == ((0.4, 0.7), "abnormal")
    assert combine([a, replace(b, conformal="normal")], POINT, 0.25).conformal == "refer"
    without = combine([a, replace(b, interval=None, conformal=None)], POINT, 0.25)
    assert (without.interval, without.conformal) == (None, None)


def test_the_ood_score_is_the_largest_whoever_refuses_and_the_instance_is_the_files() -> None:
    uids = {"sop_class": "1.2.840.10008.5.1.4.1.1.1.1", "sop_instance_uid": "1.2.3"}
    a, b = _reading(0.5, ood_score=0.25, **uids), _reading(0.6, ood_score=0.75, **uids)
    far = _reading(None, acceptance="refused", reasons=("unlike",), ood_score=1.5, **uids)
    for readings, score in (
        ((a, b), 0.75),
        ((b, a), 0.75),
        ((a, far, b), 1.5),
        ((a, replace(b, ood_score=None)), 0.25),
    ):
        found = combine(readings, POINT, 0.25)
        assert found.ood_score == score
        assert (found.sop_class, found.sop_instance_uid) == tuple(uids.values())
        assert [member.ood_score for member in found.members] == [reading.ood_score for reading in readings]
    assert combine([replace(a, ood_score=None)] * 2, POINT, 0.25).ood_score is None


def test_the_combined_point_is_the_mean_and_rests_on_the_least() -> None:
    other = OperatingPoint("youden", 0.6, "largest J", 10, 40)
    point = combined_point([POINT, other])
    assert (point.name, point.threshold, point.n_positive, point.n_negative) == ("youden", 0.5, 10, 20)
    assert point.rule == "mean of 2 models' thresholds; what it reaches was not measured"
    with pytest.raises(UsageError, match="--operating-point"):
        combined_point([POINT, replace(other, name="screening")])


@pytest.fixture(scope="module")
def two(small_run: Path) -> tuple[Reader, Reader]:
    """The small run's reader, and one beside another model: the same network with its head turned round."""
    one = Reader.load(small_run, backend="torch")
    other = Member.load(small_run, backend="torch")
    head = other.backend.model.head  # type: ignore[attr-defined]
    head.weight.mul_(-1)
    head.bias.mul_(-1)
    other.id = "turned"
    return one, Reader([*one.members, other])


def test_a_reader_of_two_is_the_mean_of_its_members_with_a_map_each(
    two: tuple[Reader, Reader], small_world: Path
) -> None:
    one, both = two
    files = sorted(small_world.glob("0*.png"))[:6]
    alone = list(one.read_many(files))
    together = list(both.read_many(files, heat_map=True, batch_size=4))
    assert [r.decision for r in together].count("refer") > 0
    for single, reading in zip(alone, together, strict=True):
        own = [member.probability for member in reading.members]
        assert own[0] == pytest.approx(single.probability, abs=1e-6)
        assert reading.probability == pytest.approx(np.mean([p for p in own if p is not None]))
        assert reading.heat_map is None
        assert all(member.heat_map is not None for member in reading.members)


def test_what_needs_one_model_says_so_and_one_model_twice_is_refused(
    two: tuple[Reader, Reader], small_run: Path
) -> None:
    with pytest.raises(UsageError, match="2 models where one is wanted"):
        _ = two[1].artifact
    with pytest.raises(UsageError, match="twice"):
        Reader.load([small_run, small_run])
    with pytest.raises(UsageError, match="needs a model"):
        Reader.load([])
    assert two[1].disagreement == DISAGREEMENT

"""The words of an answer: counts and intervals of the artifact's own evaluation, reasons first, no number where none may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serving.page.viewed import judge

from cxreader.models.artifact import Artifact, load_artifact
from cxreader.records import OperatingPoint, Reading
from cxreader.serving.results.second_opinion import PHANTOMS, SecondOpinion, second_opinion


@pytest.fixture(scope="module")
def judged(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An artifact with an evaluation."""
    folder = tmp_path_factory.mktemp("judged")
    for file in artifact.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    judge(folder)
    return load_artifact(folder)


def told(judged: Artifact, /, *, known: bool = True, **more: Any) -> SecondOpinion:
    """Of a reading by this artifact."""
    own: dict[str, Any] = {
        "image": "i",
        "artifact": judged.id,
        "operating_point": judged.operating_points[0],
        "acceptance": "accepted",
    }
    return second_opinion(Reading(**(own | more)), {judged.id: judged} if known else {})


def test_above_the_point_it_says_how_often_that_is_right_with_interval_and_counts(judged: Artifact) -> None:
    found = told(judged, decision="abnormal", probability=0.91, interval=(0.88, 0.93), reasons=("blurred",))
    assert (found.tone, found.headline, found.reasons) == ("alarm", "Above the operating point", ("blurred",))
    assert found.frequency == "Of 100 such images in nih (test), 83 were abnormal (95 % 79-86; 412 of 496)."
    assert found.number == "probability 0.910 (Venn-Abers pair 0.880-0.930); operating point 0.500"
    (measured,) = found.measured
    assert "nih (test), 452 abnormal and 377 normal images of 610 patients, 2026-11-30." in measured
    assert (
        "Where disease is rarer than there, fewer of its alarms are right. Most images come from one hospital."
        in measured
    )


def test_below_the_point_it_says_what_is_missed_and_never_normal(judged: Artifact) -> None:
    found = told(judged, decision="normal", probability=0.1)
    assert found.headline == "Below the operating point: does not rule out disease"
    assert (
        found.frequency == "Of 100 images below it in nih (test), 12 were abnormal (95 % 9-16; 40 of 333) all the same."
    )
    assert "normal" not in (found.headline + found.frequency + found.number).replace("abnormal", "")


def test_what_is_refused_or_unread_has_its_reasons_and_no_number(judged: Artifact) -> None:
    refused = told(judged, acceptance="refused", reasons=("a knee",))
    unread = told(judged, acceptance=None, reasons=("cut short",))
    assert [(one.tone, one.reasons, one.number, one.frequency) for one in (refused, unread)] == [
        ("refused", ("a knee",), "", ""),
        ("unread", ("cut short",), "", ""),
    ]


def test_a_score_is_called_no_probability(judged: Artifact) -> None:
    assert told(judged, decision="abnormal", score=0.7).number == (
        "score 0.700, not calibrated: no probability; operating point 0.500"
    )


def test_what_was_not_evaluated_is_said(judged: Artifact) -> None:
    other = OperatingPoint("other", 0.3, "by hand", 0, 0, "given")
    blank = replace(judged, evaluation=None)
    assert (
        "this operating point was not evaluated"
        in told(judged, decision="abnormal", probability=0.4, operating_point=other).frequency
    )
    assert "the artifact carries no evaluation" in told(blank, decision="abnormal", probability=0.9).frequency
    absent = told(judged, known=False, decision="abnormal", probability=0.9)
    assert "not known" in absent.frequency
    assert absent.measured == ("Its artifact is not among the service's models any more.",)


def test_a_model_of_phantoms_says_so_first(judged: Artifact) -> None:
    drawn = replace(judged, provenance={"data": {"name": "phantom:42"}})
    assert told(drawn, decision="abnormal", probability=0.9).reasons == (PHANTOMS,)
    assert told(judged, decision="abnormal", probability=0.9).reasons == ()


def test_several_models_are_told_one_by_one(judged: Artifact) -> None:
    point = judged.operating_points[0]
    members = tuple(
        Reading("i", one, point, decision="abnormal", probability=p) for one, p in ((judged.id, 0.8), ("b", 0.6))
    )
    found = told(judged, artifact=f"{judged.id}+b", decision="abnormal", probability=0.7, members=members)
    assert "together they were not evaluated" in found.frequency
    assert [line.partition(":")[0] for line in found.models] == [f"resnet18 {judged.id}", "b"]
    assert len(found.measured) == 1

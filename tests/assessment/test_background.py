"""What forbids a verdict, or limits it, beyond the predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cxreader.assessment.background import background_of
from cxreader.assessment.cohort import EvaluationCohort
from cxreader.data.index import Index
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact
from cxreader.models.population import Population
from cxreader.records import ImageRecord


def _aged(ages: list[float]) -> tuple[ImageRecord, ...]:
    return tuple(ImageRecord(f"{k}.png", k % 2, patient=f"p{k}", age=age) for k, age in enumerate(ages))


@pytest.fixture(scope="module")
def artifact(small_run: Path) -> Artifact:
    """One that forty children of 1 to 5 years set."""
    found = Reader.load(small_run).artifact
    population = Population.of(_aged([1.0 + k % 5 for k in range(40)]))
    return replace(found, provenance=found.provenance | {"population": population.to_dict()})


def _cohort(name: str, ages: list[float]) -> EvaluationCohort:
    records = _aged(ages)
    return EvaluationCohort(Index(records, name=name, kind="folder", root="/data"), records, "all")


def test_other_patients_forbid_a_verdict_and_some_of_them_are_told(artifact: Artifact) -> None:
    adults = background_of(artifact, _cohort("ward", [50.0] * 30 + [3.0] * 10), None)
    assert "this model is for other patients: 30 of 40 judged images" in adults.obstacles[0]
    some = background_of(artifact, _cohort("ward", [50.0] * 10 + [3.0] * 30), None)
    assert some.obstacles == ()
    assert some.cautions[0].startswith("10 of 40 judged images whose age is known are far from the training ages")
    assert not any("ages" in line for line in background_of(artifact, _cohort("ward", [3.0] * 40), None).cautions)


def test_a_few_of_other_ages_are_no_matter(artifact: Artifact) -> None:
    few = background_of(artifact, _cohort("ward", [7.0] * 2 + [6.0] * 6 + [3.0] * 32), None)
    assert not any("ages" in line for line in few.cautions), (
        "a twentieth is not said, more is; 6 is no further than 1.5 times 5 is from 3"
    )
    assert any(
        "3 of 40" in line for line in background_of(artifact, _cohort("ward", [7.0] * 3 + [3.0] * 37), None).cautions
    )


def test_phantoms_forbid_a_verdict(artifact: Artifact) -> None:
    drawn = background_of(artifact, _cohort("phantoms", [3.0]), None)
    assert "phantoms" in drawn.obstacles[0]
    trained = replace(artifact, provenance=artifact.provenance | {"data": {"name": "phantoms"}})
    assert "never met a patient" in background_of(trained, _cohort("ward", [3.0]), None).obstacles[0]
    assert "not audited for shortcuts" in drawn.cautions

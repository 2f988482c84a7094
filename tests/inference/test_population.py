"""A DICOM header outside the artifact's population: refused or answered with a warning, by the reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxreader.imaging.header import DicomHeader
from cxreader.imaging.radiograph import Radiograph
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.models.population import Population
from cxreader.records import ImageRecord

pytestmark = pytest.mark.usefixtures("few_images_suffice")


@pytest.fixture(scope="module")
def reader(small_run: Path) -> Reader:
    """The small run's model, as if forty children had trained it; no rule but the header's asks."""
    member = Reader.load(small_run).only
    population = Population.of(ImageRecord(f"{k}", 0, age=1.0 + k % 5, view="PA") for k in range(40))
    provenance = member.artifact.provenance | {"population": population.to_dict()}
    artifact = replace(member.artifact, provenance=provenance, acceptance=None)
    return Reader([Member(artifact, member.backend, member.operating_point)])


def _chest(age: float | None, view: str = "PA") -> Radiograph:
    pixels = np.random.default_rng(0).uniform(0.2, 0.8, (64, 64)).astype(np.float32)
    header = DicomHeader(modality="DX", body_part="CHEST", view_position=view, age=age)
    return Radiograph(pixels, source="chest.dcm", header=header)


def test_an_adult_is_refused_by_a_model_of_children(reader: Reader) -> None:
    found = reader.read(_chest(81.0), heat_map=False)
    assert (found.acceptance, found.probability, found.decision) == ("refused", None, None)
    assert "this model is for children" in "; ".join(found.reasons)


def test_an_older_child_is_answered_with_a_warning_and_a_child_of_its_age_without(reader: Reader) -> None:
    older, alike, silent = (reader.read(_chest(age), heat_map=False) for age in (9.0, 3.0, None))
    assert older.acceptance == "warning"
    assert older.probability is not None
    assert "far from those of the training patients, 1 to 5 years" in "; ".join(older.reasons)
    assert (alike.acceptance, silent.acceptance) == ("accepted", "accepted")


def test_a_view_that_no_training_image_had_is_told(reader: Reader) -> None:
    found = reader.read(_chest(3.0, "AP"), heat_map=False)
    assert found.acceptance == "warning"
    assert found.reasons == ("all training images whose view is known were PA, and the header says AP",)


def test_a_training_states_its_population(small_run: Path) -> None:
    artifact = Reader.load(small_run).artifact
    population = Population.read(artifact.provenance)
    assert population is not None
    counts = artifact.provenance["counts"]
    assert population.images == sum(sum(counts[part]) for part in ("train", "tune", "calibrate"))
    assert population.ages is None

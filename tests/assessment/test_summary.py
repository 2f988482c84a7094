"""What an artifact keeps of its own evaluation: of its test part alone, whole or not at all, under the same name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.reporting.evaluation.world import image_evidence

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_run, cohort_of_source
from cxreader.assessment.summary import EvaluationSummary, is_own_test, store_regions, store_summary
from cxreader.errors import StorageError
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.predictions import read_predictions
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.inference.reader import Reader
from cxreader.models.artifact import MANIFEST, WEIGHTS, Artifact, load_artifact, save_manifest
from cxreader.progress import no_bar, silent
from cxreader.runs import git_revision

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture(scope="module")
def judged(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artifact]:
    """A run that was judged at a stated prevalence, and its artifact as it was before."""
    run = shutil.copytree(small_run, tmp_path_factory.mktemp("judged") / "run")
    before = replace(load_artifact(run / "artifact"), evaluation=None)
    save_manifest(before, run / "artifact")
    options = EvaluationOptions(prevalence=0.01)
    judge(Reader.load(run), cohort_of_run(run), run / "evaluation", bar=no_bar, options=options, quick=True)
    return run, before


@pytest.fixture
def run(judged: tuple[Path, Artifact], tmp_path: Path) -> Path:
    """The same, to be written to."""
    return shutil.copytree(judged[0], tmp_path / "run")


def _evaluation(run: Path) -> Evaluation:
    return Evaluation.load(run / "evaluation" / "evaluation.json")


def test_it_says_what_was_judged_and_how_often_a_flag_was_right(judged: tuple[Path, Artifact]) -> None:
    run, before = judged
    after, out = load_artifact(run / "artifact"), run / "evaluation"
    assert after.id == before.id
    assert after == replace(before, evaluation=after.evaluation)
    assert after.evaluation is not None
    found = EvaluationSummary.from_dict(after.evaluation)
    stored = json.loads((out / "evaluation.json").read_text())
    made = stored["provenance"]
    assert (found.data, found.part, found.split_kind) == ("world", "test", "patient")
    assert found.split == before.provenance["split"]["digest"]
    assert (found.date, found.cxreader, found.git_revision) == (made["date"], made["cxreader"], git_revision())
    assert found.warnings == tuple(stored["warnings"])
    assert found.maps is None
    table = read_predictions(out / "predictions.csv")
    assert table.patient is not None
    assert (found.counts.images, found.counts.patients) == (len(table), len(set(table.patient.tolist())))
    assert found.counts.abnormal == int((table.label == 1).sum())
    assert [point.point for point in found.points] == list(before.operating_points)
    for at, told in zip(found.points, stored["evidence"]["points"], strict=True):
        flagged = table.probability >= at.point.threshold
        sick = table.label == 1
        assert at.confusion == {
            "tp": int((flagged & sick).sum()),
            "fp": int((flagged & ~sick).sum()),
            "tn": int((~flagged & ~sick).sum()),
            "fn": int((~flagged & sick).sum()),
        }
        with np.errstate(invalid="ignore"):
            by_hand = {"ppv": sick[flagged].mean() if flagged.any() else np.nan}
            by_hand |= {"npv": (~sick)[~flagged].mean() if (~flagged).any() else np.nan}
        for name, value in by_hand.items():
            assert at.rates[name].value == pytest.approx(value, nan_ok=True)
            assert at.rates[name].to_dict() == told["rates"][name]
        assert (at.prevalence, at.deployed) == (None, {})  # what a user once asked for is no property of the artifact
    assert EvaluationSummary.from_dict(found.to_dict()).to_dict() == after.evaluation
    assert '"p1"' not in json.dumps(after.evaluation)


def test_nothing_but_the_own_test_part_at_the_first_point_is_stored(run: Path, small_world: Path) -> None:
    cohort, reader = cohort_of_run(run), Reader.load(run)
    assert cohort.split is not None
    assert is_own_test(reader, cohort)
    assert not is_own_test(reader, replace(cohort, part="tune"))
    assert not is_own_test(reader, replace(cohort, split=replace(cohort.split, salt=99)))
    assert not is_own_test(Reader.load(run, operating_point="screening"), cohort)
    split = str(run / "split.json")
    elsewhere = cohort_of_source(str(small_world), name="world", split=split)
    assert (elsewhere.part, elsewhere.records) == ("test", cohort.records)
    assert not is_own_test(reader, elsewhere)


def test_scores_of_heat_maps_stay_until_others_take_their_place(run: Path) -> None:
    evaluation, localisation = _evaluation(run), image_evidence().localisation
    assert localisation is not None
    reader = Reader.load(run)
    store_summary(reader, EvaluationSummary.of(evaluation, localisation), silent)
    artifact = load_artifact(run / "artifact")
    assert artifact.evaluation is not None
    found = EvaluationSummary.from_dict(artifact.evaluation)
    assert found.maps is not None
    assert found.maps.to_dict() == localisation.all.to_dict()
    assert set(found.maps.null) == set(found.maps.model) == set(found.maps.gain) >= {"pointing", "iou"}
    assert set(found.maps.null_by_finding) == set(found.maps.gain_by_finding) == set(found.maps.null)
    assert found.regions == {}
    region = replace(localisation, maps="Region head", by_finding=True)
    told = EvaluationSummary.of(evaluation, localisation, (region,))
    stored = EvaluationSummary.from_dict(json.loads(json.dumps(told.to_dict())))
    assert stored.regions["region_head_by_finding"].gain_by_finding["iou"].low == region.all.gain_by_finding["iou"].low
    earlier = told.to_dict()
    del earlier["regions"]
    assert EvaluationSummary.from_dict(earlier).regions == {}
    store_summary(reader, EvaluationSummary.of(replace(evaluation, warnings=("later",)), None), silent)
    assert load_artifact(run / "artifact") == artifact
    store_summary(reader, EvaluationSummary.of(replace(evaluation, warnings=("later",)), localisation), silent)
    replaced = load_artifact(run / "artifact").evaluation
    assert replaced is not None
    assert replaced["warnings"] == ["later"]


def test_few_boxes_of_the_part_do_not_take_the_place_of_what_many_said_of_the_region_head(run: Path) -> None:
    evaluation, found = _evaluation(run), image_evidence().localisation
    assert found is not None

    def of(boxes: int) -> LocalisationReport:
        return replace(found, groups=(replace(found.all, boxes=boxes), *found.groups[1:]), maps="Region head")

    def stored() -> tuple[int, str | None]:
        kept = load_artifact(run / "artifact").evaluation
        assert kept is not None
        return kept["regions"]["region_head"]["boxes"], kept["regions_on"]

    store_summary(Reader.load(run), EvaluationSummary.of(evaluation, found, (of(2),)), silent)
    assert stored() == (2, None)
    store_regions(run / "artifact", [of(444)], "5 folds", silent)
    assert stored() == (444, "5 folds")
    store_summary(Reader.load(run), EvaluationSummary.of(evaluation, found, (of(2),)), silent)
    assert stored() == (444, "5 folds")
    store_summary(Reader.load(run), EvaluationSummary.of(evaluation, found, (of(500),)), silent)
    assert stored() == (500, None)


def test_a_failing_write_leaves_the_artifact_and_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = _evaluation(run)
    manifest, reader = run / "artifact" / MANIFEST, Reader.load(run)
    before = manifest.read_bytes()

    def full(*_: object) -> None:
        raise StorageError("the disk is full", where=manifest, mend="free space there")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    said: list[str] = []
    monkeypatch.setattr("cxreader.runs.write_whole", full)
    store_summary(reader, EvaluationSummary.of(evaluation, None), said.append)
    assert "not stored in the artifact" in said[0]
    assert "the disk is full" in said[0]
    monkeypatch.undo()
    monkeypatch.setattr("os.replace", killed)
    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        store_summary(reader, EvaluationSummary.of(replace(evaluation, warnings=("later",)), None), said.append)
    monkeypatch.undo()
    assert manifest.read_bytes() == before
    assert load_artifact(run / "artifact").id == reader.artifact.id


def test_an_artifact_that_took_its_place_is_left_alone(run: Path) -> None:
    evaluation, reader = _evaluation(run), Reader.load(run)
    other = replace(load_artifact(run / "artifact"), transfer="another one", evaluation=None)
    save_manifest(other, run / "artifact")
    said: list[str] = []
    store_summary(reader, EvaluationSummary.of(evaluation, None), said.append)
    assert "another artifact" in said[0]
    assert load_artifact(run / "artifact") == other
    assert (run / "artifact" / WEIGHTS).exists()

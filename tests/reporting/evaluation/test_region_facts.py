"""What a model card says of a region head: from what it learnt, and what boxes said of it, or that none did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.artifacts import hand_made, random_region_head, region_bytes

from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.explanation.localisation_report import LocalisationByFinding
from cxreader.models.artifact import load_artifact
from cxreader.models.registry import create_model
from cxreader.reporting.evaluation.model_facts import facts_of

SIZE = 64


def test_the_card_tells_the_region_head_and_what_boxes_said_of_it(tmp_path: Path) -> None:
    model = create_model("chestxray_cnn", size=SIZE)
    record, head = random_region_head(model, SIZE)
    hand_made(tmp_path / "with", "chestxray_cnn", model.state_dict(), SIZE, regions=(record, region_bytes(head)))
    hand_made(tmp_path / "without", "chestxray_cnn", model.state_dict(), SIZE)
    assert facts_of(load_artifact(tmp_path / "without"))["Region head"] == "none"
    artifact = load_artifact(tmp_path / "with")
    told = facts_of(artifact)["Region head"]
    assert told == "learnt from 1,201 boxes of 900 patients; judged against no boxes: cxreader study regions RUN"
    both = {name: Estimate(0.3, 0.25, 0.35, 40, 0, 40, "bootstrap") for name in ("iou", "pointing")}
    judged = LocalisationByFinding("all", 50, 40, 40, both, both, gain=both, null_by_finding=both, gain_by_finding=both)
    evaluation = {"regions": {"region_head_by_finding": judged.to_dict()}, "regions_on": "5 folds of it"}
    told = facts_of(replace(artifact, evaluation=evaluation))["Region head"]
    assert told.startswith(
        "learnt from 1,201 boxes of 900 patients; judged on 50 boxes (5 folds of it). By finding: Mean IoU"
    )
    assert told.count("0.300 (0.250-0.350): more") == 4
    assert "hatever the finding" not in told

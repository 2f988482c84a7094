from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.reporting.evaluation.world import PATIENT, bare, evidence_of, image_evidence, rich

from cxreader.evaluation.decisions.refusals import count_refusals
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.artifact import Artifact, TrainingPatients
from cxreader.models.population import Population
from cxreader.models.registry import model_entry
from cxreader.records import ImageRecord, OperatingPoint
from cxreader.reporting.evaluation.image_evidence import NO_IMAGE_EVIDENCE
from cxreader.reporting.evaluation.model_card import NOT_STATED, ONLY_PREDICTIONS, render_model_card
from cxreader.reporting.evaluation.model_facts import FACTS, facts_of

ORDER = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)


def _artifact(transfer: str = "ImageNet-1k (resnet18.tv_in1k)") -> Artifact:
    return Artifact(
        model="resnet18",
        dropout=0.2,
        spec=InputSpec(128),
        calibration={"method": "temperature", "temperature": 1.4, "n_positive": 238, "n_negative": 93},
        operating_points=(OperatingPoint("youden", 0.4, "largest", 1, 1),),
        transfer=transfer,
        patients=TrainingPatients("s", {"train": ("a" * 16, "b" * 16), "tune": ("c" * 16,)}, ("north",)),
        weights_sha256="0123456789abcdef" * 4,
        provenance={
            "git_revision": "abc123",
            "versions": {"cxreader": "9.9"},
            "seed": 42,
            "machine": "Linux, 2 cores",
            "data": {"name": "a|hospital"},
            "split": {"kind": "patient", "digest": "f" * 64},
            "counts": {"train": [878, 2409], "tune": [90, 253]},
            "phases": [{"name": "head", "best_epoch": 2}, {"name": "fine_tune", "best_epoch": 1}],
            "config": {
                "training": {
                    "optimizer": "adam",
                    "batch_size": 32,
                    "head": {"learn": "head", "lr": 1e-3, "epochs": 15, "patience": 3},
                    "fine_tune": {"learn": "last_block", "lr": 1e-4, "epochs": 9, "patience": 2},
                },
                "augment": {"rotation": 7.0, "shift": 0.0, "horizontal_flip": True},
            },
            "population": Population.of([ImageRecord("a.png", 0, patient="p", age=4, sex="F")]).to_dict(),
        },
    )


@pytest.mark.parametrize("evaluation", [rich(), bare(), bare(options=False), bare(one_class=True)])
def test_the_sections_stand_in_the_order_of_the_paper(evaluation: Evaluation) -> None:
    card = render_model_card(evaluation)
    assert tuple(re.findall(r"^## (.+)$", card, re.MULTILINE)) == ORDER
    assert "not a medical device" in card
    assert not re.search(r"\bnan\b", card, re.IGNORECASE)


@pytest.mark.parametrize("looked", [NO_IMAGE_EVIDENCE, image_evidence()])
def test_no_name_from_outside_becomes_markup_and_no_patient_is_told(looked: object) -> None:
    card = render_model_card(rich(), image_evidence=looked)  # type: ignore[arg-type]
    assert "<script>" not in card
    assert "&lt;script&gt;" in card
    assert r"\|\*north\*" in card
    assert PATIENT not in card
    widths = [
        [len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()]
        for block in card.split("\n\n")
        if block.startswith("| ")
    ]
    assert len(widths) > 5
    assert all(len(set(rows)) == 1 for rows in widths)


def test_the_numbers_are_those_of_the_record() -> None:
    evaluation, card = rich(), render_model_card(rich())
    evidence = evidence_of(evaluation)
    for name in ("auc", "recall", "specificity", "brier"):
        e, bca = evaluation.metrics[name], evidence.bca[name]
        assert f"| {e.value:.3f} | {e.low:.3f}-{e.high:.3f} | {bca.low:.3f}-{bca.high:.3f} |" in card
    for at in evidence.points:
        ppv = at.deployed["ppv"]
        assert f"{ppv.value:.2f} ({ppv.low:.2f}-{ppv.high:.2f})" in card
    worst = next(group for group in evidence.subgroups.groups if group.name == "AP").gaps["auc"]
    assert f"{worst.estimate.value:+.2f} ({worst.estimate.low:+.2f} to {worst.estimate.high:+.2f}" in card
    assert "Worse off than the rest: AP." in card
    assert "Too small to be judged, so that nothing is known: tiny." in card
    assert "leak " in card[card.index("## Caveats") :]


def test_only_predictions_leave_the_model_unknown_and_say_so() -> None:
    card = render_model_card(rich())
    assert f"**{', '.join(FACTS['Model details'])}**: {ONLY_PREDICTIONS}" in card
    assert "Not looked for" in card[card.index("### Shortcuts") :]
    assert "Not answered here: Looking where? Is it a shortcut? What would it refuse?" in card


def test_what_looked_at_the_images_stands_in_the_card() -> None:
    looked = image_evidence()
    refused = np.arange(100) < 3
    sample = Sample(np.arange(100) % 2, np.arange(100))
    refusals = count_refusals(refused, [("blurred: soft",) if r else () for r in refused], sample, stated=0.01)
    card = render_model_card(replace(rich(), refusals=refusals), image_evidence=looked)
    assert "3.0 %" in card[card.index("### Refusals") :]
    assert "blurred (3)" in card
    assert looked.shortcuts is not None
    assert looked.shortcuts.line in card
    assert all(reason.split(":")[0] in card for reason in looked.shortcuts.reasons)
    assert looked.localisation is not None
    assert f"{looked.localisation.all.gain['iou'].value:.3f}" in card
    assert "Not answered here" not in card


def test_an_artifact_tells_network_weights_licence_data_and_training() -> None:
    facts = facts_of(_artifact())
    assert set(facts) == {name for names in FACTS.values() for name in names}
    licence = model_entry("resnet18").licence
    assert licence is not None
    assert licence in facts["Licence of the weights"]
    assert facts["Calibration"] == "temperature, fitted on 238 abnormal and 93 normal images"
    assert facts["Images (normal, abnormal)"] == "train 878 and 2,409; tune 90 and 253"
    assert facts["Patients"] == "train 2; tune 1 (patients)"
    assert facts["Population"].startswith("1 image of 1 patient; aged 4 to 4 years")
    assert facts["Phases"] == "head (best epoch 3), then fine_tune (best epoch 2)"
    assert facts["Learning"] == (
        "head: head at 0.001, at most 15 epochs, patience 3; fine_tune: last block at 0.0001, at most 9 epochs, patience 2"
    )
    assert facts["Augmentation"] == "rotation 7, horizontal flip"
    assert facts["Software"] == "cxreader 9.9"
    assert facts["Settings"] == "optimizer adam, batch size 32, seed 42"
    card = render_model_card(rich(), facts=facts)
    assert r"**Source**: a\|hospital" in card
    assert "artifact " in card
    assert ONLY_PREDICTIONS not in card


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"views": 1}, "none"),
        ({"views": 4}, "rotation 7, horizontal flip"),
        ({"views": None}, "rotation 7, horizontal flip"),  # of an earlier version, which stored four then
        ({"views": 1, "prefix_cache": False}, "rotation 7, horizontal flip"),
        ({"views": 1, "fine_tune": {"learn": "all"}}, "rotation 7, horizontal flip; none in head"),
    ],
)
def test_the_card_says_augmentation_only_where_a_phase_was_shown_it(training: dict[str, Any], words: str) -> None:
    artifact = _artifact()
    config = artifact.provenance["config"]
    given = {**config, "training": {"prefix_cache": True, **config["training"], **training}}
    if "fine_tune" in training:
        given["training"]["fine_tune"] = {**config["training"]["fine_tune"], **training["fine_tune"]}
    assert facts_of(replace(artifact, provenance={**artifact.provenance, "config": given}))["Augmentation"] == words


@pytest.mark.parametrize(
    ("transfer", "words"),
    [("no transfer: weights absent", "no pretrained weights"), ("file x.safetensors", "which does not tell it")],
)
def test_the_licence_follows_where_the_weights_began(transfer: str, words: str) -> None:
    assert words in facts_of(_artifact(transfer))["Licence of the weights"]


def test_a_poor_provenance_leaves_facts_out() -> None:
    from dataclasses import replace

    facts = facts_of(replace(_artifact(), provenance={}))
    assert "Phases" not in facts
    assert f"**Phases, Learning, Settings, Augmentation, Machine, Software**: {NOT_STATED}" in render_model_card(
        rich(), facts=facts
    )

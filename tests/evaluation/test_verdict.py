"""One verdict in plain words: each rule by hand values, and the words a reader meets."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.verdict import NOT_WORTH, UNTOLD, WORTH, Background, Grounds, reach_verdict
from cxreader.records import OperatingPoint, PredictionTable

POINT = OperatingPoint("screening", 0.2, "sensitivity 0.95", 300, 300, "calibrate")


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 400, 415, 800, "by hand")


GOOD = Grounds(
    point=POINT,
    confusion={"tp": 360, "fn": 40, "fp": 50, "tn": 365},
    people=(400, 415),
    auc=_estimate(0.92, 0.90, 0.94),
    informedness=_estimate(0.78, 0.74, 0.82),
    advantage=_estimate(0.05, 0.03, 0.07),
    prevalence=0.49,
    stated=False,
    exchange=0.2,
    thumbnails=(_estimate(0.20, 0.15, 0.25),),
    refused=_estimate(0.01, 0.0, 0.02),
)


def test_a_model_against_which_nothing_speaks_is_worth_a_trial() -> None:
    found = reach_verdict(GOOD)
    assert (found.word, found.cautions) == (WORTH, ())
    assert (
        found.line == "Worth a trial: it finds 360 of 400 (90 %) abnormal images and flags 50 of 415 (12 %) normal ones"
    )


@pytest.mark.parametrize(
    ("change", "word", "said"),
    [
        ({"confusion": {"tp": 399, "fn": 1, "fp": 398, "tn": 17}}, NOT_WORTH, "it flags 398 of 415 (96 %) normal images, nearly"),
        ({"confusion": {"tp": 336, "fn": 0, "fp": 326, "tn": 0}}, NOT_WORTH, "it calls every image abnormal"),
        ({"confusion": {"tp": 0, "fn": 336, "fp": 0, "tn": 326}}, NOT_WORTH, "it calls no image abnormal"),
        ({"confusion": {"tp": 30, "fn": 370, "fp": 1, "tn": 414}}, NOT_WORTH, "it misses 370 of 400 (92 %) abnormal images"),
        ({"informedness": _estimate(-0.1, -0.2, -0.01)}, NOT_WORTH, "normal images at least as often as the abnormal"),
        ({"advantage": _estimate(-0.03, -0.05, -0.01)}, NOT_WORTH, "Flagging everybody does better than following it"),
        (
            {"advantage": _estimate(-0.03, -0.05, -0.01), "prevalence": 0.1, "stated": True},
            NOT_WORTH,
            "Flagging nobody does better than following it: net benefit -0.030 (-0.050 to -0.010) an image, 10 % abnormal, as",
        ),
        ({"thumbnails": (_estimate(-0.01, -0.03, 0.01),)}, NOT_WORTH, "no more than a 16 x 16 thumbnail"),
        ({"refused": _estimate(0.46, 0.42, 0.50)}, NOT_WORTH, "this model is for other patients: 46 % of these images"),
        ({"informedness": _estimate(0.05, -0.02, 0.12)}, UNTOLD, "abnormal images more often than normal ones is not shown"),
        ({"advantage": _estimate(0.001, -0.01, 0.01)}, UNTOLD, "better than flagging everybody is not shown"),
        ({"thumbnails": (_estimate(0.001, -0.06, 0.06),)}, UNTOLD, "more than a 16 x 16 thumbnail of the image is not shown"),
        ({"background": Background(suspicion="the border tells")}, UNTOLD, "a shortcut is suspected: the border tells"),
        ({"background": Background(obstacles=("it met them",))}, UNTOLD, "it met them"),
        ({"people": (17, 8)}, UNTOLD, "only 17 patients with abnormal images, where 20 are the least"),
        ({"point": replace(POINT, n_negative=8)}, UNTOLD, "what decides was fitted on 300 abnormal and 8 normal images"),
        ({"auc": _estimate(0.2, 0.1, 0.3)}, UNTOLD, "the direction is probably reversed"),
        ({"auc": _estimate(1.0, 0.97, 1.0)}, UNTOLD, "images or scores carry the label"),
    ],
)  # fmt: skip
def test_each_rule_gives_its_word_and_its_numbers(change: dict[str, object], word: str, said: str) -> None:
    found = reach_verdict(replace(GOOD, **change))  # type: ignore[arg-type]
    assert found.word == word
    assert said in found.reasons[0]


def test_what_forbids_a_verdict_outweighs_what_speaks_against_a_trial_and_both_are_said() -> None:
    useless = replace(GOOD, confusion={"tp": 17, "fn": 0, "fp": 8, "tn": 0}, people=(17, 8))
    found = reach_verdict(useless)
    assert found.word == UNTOLD
    assert [" ".join(reason.split()[:2]) for reason in found.reasons] == ["only 17", "only 8", "it calls"]


def test_what_was_not_tested_is_said_beside_a_good_verdict() -> None:
    given = replace(GOOD, point=OperatingPoint.given(0.5), thumbnails=(), refused=None)
    assert reach_verdict(given).word == WORTH
    said = " ".join(reach_verdict(given).cautions)
    for words in (
        "0.5 was not fitted on other patients",
        "not compared with a 16 x 16 thumbnail",
        "would refuse was not",
    ):
        assert words in said
    thin = replace(GOOD, point=replace(POINT, n_positive=24))
    assert reach_verdict(thin).cautions == (
        "what decides was fitted on 24 abnormal and 300 normal images: below 50 of a class it may be far off",
    )


def test_what_the_verdict_says_is_no_further_warning() -> None:
    """The threshold was given, and three patients of a class are few: a caution and a reason, word for word."""
    evaluation = evaluate(_table(3, 0, 1, 40), 0.5, n_resamples=50, warnings=["Of another kind.", "It met them."],
                          background=Background(obstacles=("it met them",)))  # fmt: skip
    given = "The threshold 0.5 was not fitted on other patients: given by the user."
    assert evaluation.verdict is not None
    assert evaluation.verdict.says(given)
    assert given in evaluation.warnings
    assert "It met them." in evaluation.warnings
    few = "Only 3 patients with abnormal images, where 20 are the least: the intervals are rough."
    said = (given, few, "It met them.")
    assert set(said) <= set(evaluation.warnings)
    assert evaluation.further_warnings == tuple(w for w in evaluation.warnings if w not in said)
    assert "Of another kind." in evaluation.further_warnings
    assert replace(evaluation, verdict=None).further_warnings == evaluation.warnings


def _table(tp: int, fn: int, fp: int, tn: int) -> PredictionTable:
    label = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn])
    probability = np.repeat([0.8, 0.1, 0.6, 0.05], [tp, fn, fp, tn])
    names = np.array([str(k) for k in range(len(label))])
    return PredictionTable(names, label, probability, names)


def test_an_evaluation_weighs_its_own_decisions() -> None:
    """By hand at 0.2: (90 - 40 / 4) / 200 = 0.40 an image; flagging everybody (100 - 100 / 4) / 200 = 0.375."""
    evaluation = evaluate(_table(90, 10, 40, 60), POINT, n_resamples=50)
    assert evaluation.verdict is not None
    assert "net benefit +0.025 (" in " ".join(evaluation.verdict.reasons)


@pytest.mark.parametrize("calibrated_at", [0.5, None])  # half of the table's images are abnormal
def test_decisions_are_weighed_at_the_stated_prevalence_and_its_rate_of_exchange(calibrated_at: float | None) -> None:
    """By hand at 10 % abnormal: 0.2 of even odds are odds of 1/36 there, so 0.1 * 0.9 - 0.9 * 0.4 / 36 = 0.08;
    flagging everybody 0.1 - 0.9 / 36 = 0.075."""
    options = EvaluationOptions(prevalence=0.1, calibrated_at=calibrated_at)
    evaluation = evaluate(_table(90, 10, 40, 60), POINT, n_resamples=50, options=options)
    assert evaluation.verdict is not None
    assert "net benefit +0.005 (" in " ".join(evaluation.verdict.reasons)
    assert "10 % abnormal, as stated" in " ".join(evaluation.verdict.reasons)


def test_the_gain_over_a_thumbnail_on_the_same_images_counts() -> None:
    table = _table(90, 10, 40, 60)
    same = {"16 x 16 thumbnail, learnt elsewhere": table.probability}
    evaluation = evaluate(table, POINT, n_resamples=50, baselines=same)
    assert evaluation.verdict is not None
    assert evaluation.verdict.word == NOT_WORTH
    assert "no more than a 16 x 16 thumbnail" in evaluation.verdict.line
    assert "against it, learnt elsewhere" in evaluation.verdict.line


def test_the_margin_is_against_what_was_learnt_elsewhere_and_else_here_which_is_said() -> None:
    """By hand: no lead over what was learnt elsewhere, a large one over what was learnt here."""
    table, here = _table(90, 10, 40, 60), Background(thumbnail=_estimate(0.30, 0.25, 0.35))
    same = {"16 x 16 thumbnail, learnt elsewhere": table.probability}
    both = evaluate(table, POINT, n_resamples=50, baselines=same, background=here).verdict
    alone = evaluate(table, POINT, n_resamples=50, background=here).verdict
    assert both is not None
    assert alone is not None
    said = " ".join((*both.reasons, *both.cautions))
    assert "no more than a 16 x 16 thumbnail" in said
    assert "learnt here" not in said
    assert any(
        "was learnt on the judged images: one of the training images is not at hand" in c for c in alone.cautions
    )
    assert "no more than" not in " ".join(alone.reasons)
    good = reach_verdict(replace(GOOD, learnt_here=True))
    assert any("+0.200 (+0.150 to +0.250) against it, learnt here" in reason for reason in good.reasons)


def test_the_verdict_returns_from_json_and_a_file_without_one_opens() -> None:
    evaluation = evaluate(_table(90, 10, 40, 60), POINT, n_resamples=50)
    again = Evaluation.from_json(evaluation.to_json())
    assert evaluation.verdict is not None
    assert again.verdict is not None
    assert again.verdict.to_dict() == evaluation.verdict.to_dict()
    older = json.loads(evaluation.to_json())
    del older["verdict"]
    assert Evaluation.from_json(json.dumps(older)).verdict is None

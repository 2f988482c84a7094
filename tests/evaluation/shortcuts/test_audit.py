"""The verdict on shortcuts: its numbers against scikit-learn and scipy, its rules one by one, its record there and back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from cxreader.errors import DataError, TableError
from cxreader.evaluation.shortcuts.audit import (
    MODEL_BORDER,
    MODEL_CENTRE,
    audit_confounding,
    decide,
    labels_coincide,
)
from cxreader.evaluation.shortcuts.baselines import Baseline
from cxreader.evaluation.shortcuts.records import (
    BORDER,
    IDENTITY,
    IMAGE_STATISTICS,
    METADATA,
    BaselineComparison,
    Leakage,
    Limits,
    ShortcutAudit,
    SourceCount,
)
from cxreader.evaluation.statistics.exact import least_auc
from cxreader.evaluation.statistics.intervals import Estimate, Sample, bootstrap
from cxreader.evaluation.statistics.metrics import all_metrics
from cxreader.evaluation.verdict import THUMBNAIL

Floats = NDArray[np.float64]
CLEAN = Leakage(known=True, asked=10, met_images=0, met_patients=0, left_out=True)
LIMITS = Limits()


def _estimate(low: float, high: float, value: float | None = None) -> Estimate:
    return Estimate((low + high) / 2 if value is None else value, low, high, 50, 50, 60, "by hand")


def _rival(name: str, auc: tuple[float, float], gain: tuple[float, float] = (0.2, 0.26)) -> BaselineComparison:
    shortcut = name in (METADATA, IMAGE_STATISTICS, BORDER, MODEL_BORDER)
    return BaselineComparison(name, "", shortcut, name != IDENTITY, False, _estimate(*auc), _estimate(*gain))


MODEL = _estimate(0.85, 0.9)
HARMLESS = (_rival(BORDER, (0.48, 0.55)), _rival(METADATA, (0.47, 0.54)), _rival(IMAGE_STATISTICS, (0.5, 0.57)))


def _verdict(
    *confounders: BaselineComparison, best: BaselineComparison | None = None, coinciding: tuple[SourceCount, ...] = ()
) -> str:
    return decide(MODEL, best or confounders[-1], confounders, coinciding, LIMITS)[0]


def test_nothing_found_is_not_absent_and_says_so() -> None:
    verdict, reasons = decide(MODEL, HARMLESS[2], HARMLESS, (), LIMITS)
    assert verdict == "not found"
    assert "would still be there" in reasons[0]


def test_label_and_source_that_coincide_are_suspected_whatever_else_is_found() -> None:
    both = (SourceCount("a", 5, 0), SourceCount("b", 0, 7))
    verdict, reasons = decide(MODEL, HARMLESS[2], HARMLESS, both, LIMITS)
    assert verdict == "suspected"
    assert "a: 5 normal; b: 7 abnormal" in reasons[0]


@pytest.mark.parametrize("name", [BORDER, METADATA, IMAGE_STATISTICS, MODEL_BORDER])
def test_a_shortcut_above_060_is_suspected_with_few_patients_too(name: str) -> None:
    assert _verdict(*HARMLESS, _rival(name, (0.601, 0.95)), best=HARMLESS[0]) == "suspected"
    assert _verdict(*HARMLESS, _rival(name, (0.60, 0.64)), best=HARMLESS[0]) == "not found"


def test_the_widest_open_shortcut_is_named_first() -> None:
    open_ones = (_rival(IMAGE_STATISTICS, (0.65, 0.70)), _rival(BORDER, (0.91, 0.95)), _rival(METADATA, (0.70, 0.80)))
    _, reasons = decide(MODEL, HARMLESS[0], (*HARMLESS, *open_ones), (), LIMITS)
    assert [reason.split(":")[0] for reason in reasons] == [BORDER, METADATA, IMAGE_STATISTICS]


def test_a_thumbnail_may_see_disease_and_is_judged_by_the_models_lead_alone() -> None:
    assert _verdict(*HARMLESS, _rival(THUMBNAIL, (0.8, 0.84), (0.03, 0.07))) == "not found"
    assert _verdict(*HARMLESS, _rival(THUMBNAIL, (0.8, 0.84), (0.02, 0.06))) == "suspected"


def test_a_small_lead_is_suspected_only_where_the_interval_can_say_so() -> None:
    wide, below = (0.01, 0.15), (-0.30, 0.02)
    assert _verdict(*HARMLESS, _rival(THUMBNAIL, (0.8, 0.84), wide)) == "too few patients to say"
    assert _verdict(*HARMLESS, _rival(THUMBNAIL, (0.8, 0.84), below)) == "suspected"


def test_wide_intervals_are_too_few_patients_unless_a_suspicion_is_shown() -> None:
    wide = _rival(BORDER, (0.42, 0.56))
    verdict, reasons = decide(MODEL, HARMLESS[2], (*HARMLESS, wide), (), LIMITS)
    assert verdict == "too few patients to say"
    assert "half-width 0.07 is above 0.05" in reasons[0]
    assert _verdict(wide, _rival(METADATA, (0.61, 0.7)), best=HARMLESS[0]) == "suspected"
    wide_gain = replace(HARMLESS[0], gain=_estimate(0.1, 0.3))
    assert _verdict(*HARMLESS, best=wide_gain) == "too few patients to say"
    unknown = replace(wide, auc=replace(_estimate(0.4, 0.5), low=np.nan, high=np.nan, reason="one patient"))
    assert "has no interval: one patient" in decide(MODEL, HARMLESS[0], (unknown,), (), LIMITS)[1][0]


def _audit(
    label: NDArray[np.integer],
    model: Floats,
    others: dict[str, Floats | str],
    *,
    groups: NDArray[np.integer] | None = None,
    known: bool = True,
    source: NDArray[np.str_] | None = None,
    leakage: Leakage = CLEAN,
    views: dict[str, Floats] | None = None,
) -> ShortcutAudit:
    sample = Sample(label, np.arange(len(label)) // 2 if groups is None else groups, known)
    baselines = [
        Baseline(name, "words", None, p) if isinstance(p, str) else Baseline(name, "words", p)
        for name, p in others.items()
    ]
    views = {MODEL_BORDER: np.full(len(label), 0.3), MODEL_CENTRE: model} if views is None else views
    source = np.full(len(label), "one") if source is None else source
    return audit_confounding(sample, model, baselines, views, source=source, leakage=leakage, n_resamples=300)


def _scores(n: int, lift: float, seed: int) -> tuple[NDArray[np.int64], Floats]:
    label = np.arange(n) % 2
    return label, np.clip(np.random.default_rng(seed).normal(0.4 + lift * label, 0.1), 0, 1)


def test_every_number_is_an_auc_and_a_paired_difference_by_patient() -> None:
    label, model = _scores(400, 0.3, 0)
    border = _scores(400, 0.05, 1)[1]
    audit = _audit(label, model, {BORDER: border})
    assert audit.model.value == pytest.approx(roc_auc_score(label, model))
    confounder = audit.baselines[0]
    assert confounder.auc.value == pytest.approx(roc_auc_score(label, border))
    sample = Sample(label, np.arange(400) // 2)
    one, other = all_metrics(label, model), all_metrics(label, border)
    expected = bootstrap(lambda w: {"auc": one(w)["auc"] - other(w)["auc"]}, sample, n_resamples=300)["auc"]
    assert (confounder.gain.low, confounder.gain.high) == pytest.approx((expected.low, expected.high))
    assert confounder.gain.n_patients == 200


def test_a_planted_border_is_suspected_and_without_it_nothing_is_found() -> None:
    label, model = _scores(1600, 0.25, 0)
    nothing = {name: _scores(1600, 0.0, k)[1] for k, name in enumerate((BORDER, METADATA, IMAGE_STATISTICS, THUMBNAIL))}
    clean = _audit(label, model, dict(nothing))
    assert clean.verdict == "not found"
    assert clean.line == "No shortcut was found, which is not to say that there is none"
    marked = _audit(label, model, {**nothing, BORDER: _scores(1600, 0.06, 9)[1]})
    assert marked.verdict == "suspected"
    assert len(marked.reasons) == 1
    assert marked.reasons[0].startswith("border only: AUC 0.6")
    assert marked.best == BORDER


def test_few_patients_cannot_say() -> None:
    label, model = _scores(60, 0.25, 0)
    audit = _audit(label, model, {BORDER: _scores(60, 0.0, 1)[1]})
    assert audit.verdict == "too few patients to say"
    assert any("half-width" in reason for reason in audit.reasons)


def test_no_patients_known_is_judged_by_image_and_said() -> None:
    label, model = _scores(1600, 0.25, 0)
    audit = _audit(label, model, {BORDER: _scores(1600, 0.0, 1)[1]}, groups=np.arange(1600), known=False)
    assert audit.counts.patients is None
    assert "no patient known" in audit.baselines[0].auc.method
    assert audit.verdict == "not found"


def test_one_class_is_undefined_with_its_reason() -> None:
    label, model = _scores(40, 0.2, 0)
    audit = _audit(np.zeros_like(label), model, {METADATA: "no patient with abnormal images"})
    assert audit.verdict == "too few patients to say"
    assert audit.reasons == ("the model's AUC is undefined: no abnormal image",)
    assert np.isnan(audit.model.value)
    assert audit.best is None


def test_source_equal_to_label_is_suspected() -> None:
    label, model = _scores(200, 0.25, 0)
    label = np.sort(label)
    source = np.where(label == 1, "ward", "clinic")
    audit = _audit(label, np.sort(model), {BORDER: _scores(200, 0, 1)[1]}, source=source)
    assert audit.verdict == "suspected"
    assert audit.coincide
    assert {(s.name, s.normal, s.abnormal) for s in audit.sources} == {("clinic", 100, 0), ("ward", 0, 100)}
    mixed = source.copy()
    mixed[0] = "ward"
    assert not _audit(label, np.sort(model), {BORDER: _scores(200, 0, 1)[1]}, source=mixed).coincide


def test_sources_coincide_by_more_than_chance() -> None:
    """Of k patients at a share of one half, a source holds one label alone with probability 2 / 2^k."""
    for k, expected in ((5, False), (6, True)):  # (2 / 2^5)^2 = 0.0039, (2 / 2^6)^2 = 0.00098
        label = np.repeat([0, 1], k)
        assert labels_coincide(Sample(label, np.arange(2 * k)), label.astype(np.str_)) is expected
    label = np.arange(100) % 2
    assert not labels_coincide(Sample(label, np.arange(100)), np.arange(100).astype(np.str_))
    # Many images of few patients are few: three patients a source.
    label = np.repeat([0, 1], 30)
    assert not labels_coincide(Sample(label, np.arange(60) // 10), label.astype(np.str_))
    assert not labels_coincide(Sample(np.zeros(60, int), np.arange(60)), label.astype(np.str_))
    assert not labels_coincide(Sample(label, np.arange(60)), np.full(60, "one"))


def test_a_complete_separation_has_clopper_and_pearsons_bound() -> None:
    label = np.repeat([0, 1], (30, 50))
    sample = Sample(label, np.arange(80))
    bound = binomtest(30, 30).proportion_ci(confidence_level=0.95, method="exact").low
    assert least_auc(sample) == pytest.approx(bound)
    audit = _audit(label, 0.1 + 0.8 * label, {METADATA: label * 1.0}, groups=np.arange(80))
    confounder = audit.baselines[0]
    assert (confounder.auc.value, confounder.auc.high) == (1.0, 1.0)
    assert confounder.auc.low == pytest.approx(bound)
    assert confounder.gain.value == 0
    assert confounder.gain.low == pytest.approx(bound - 1)
    assert audit.verdict == "suspected"


def test_five_patients_a_class_separated_by_luck_are_not_enough() -> None:
    label = np.repeat([0, 1], 5)
    audit = _audit(label, 0.1 + 0.8 * label, {METADATA: label * 1.0}, groups=np.arange(10))
    assert audit.baselines[0].auc.low < 0.5
    assert audit.verdict == "too few patients to say"


def _six(model: tuple[float, float], confounder: float) -> ShortcutAudit:
    label = np.repeat([0, 1], 3)
    others: dict[str, Floats | str] = {
        "prevalence": np.full(6, 0.5) if confounder == 0.5 else np.abs(1 - confounder - label)
    }
    return _audit(label, np.where(label, *model[::-1]), others, groups=np.arange(6), views={})


def test_a_perfect_model_of_three_patients_a_class_is_not_enough_to_beat_prevalence() -> None:
    audit = _six((0.1, 0.9), 0.5)
    bound = binomtest(3, 3).proportion_ci(confidence_level=0.95, method="exact").low
    confounder = audit.baselines[0]
    assert (audit.model.value, confounder.auc.value, confounder.gain.value) == (1.0, 0.5, 0.5)
    assert audit.model.low == pytest.approx(bound)
    assert (confounder.auc.low, confounder.auc.high) == (0.5, 0.5)
    assert (confounder.gain.low, confounder.gain.high) == pytest.approx((0.5 - (1 - bound), 0.5))
    assert audit.verdict == "too few patients to say"


def test_a_complete_separation_the_other_way_round_is_bounded_from_above() -> None:
    left = 1 - binomtest(3, 3).proportion_ci(confidence_level=0.95, method="exact").low
    worst = _six((0.9, 0.1), 0.5)
    assert (worst.model.value, worst.model.low, worst.model.high) == pytest.approx((0.0, 0.0, left))
    gain = worst.baselines[0].gain
    assert (gain.value, gain.low, gain.high) == pytest.approx((-0.5, -0.5, left - 0.5))
    assert worst.verdict == "too few patients to say"
    apart = _six((0.1, 0.9), 0.0).baselines[0]
    assert (apart.auc.low, apart.auc.high) == pytest.approx((0.0, left))
    assert (apart.gain.value, apart.gain.low, apart.gain.high) == pytest.approx((1.0, 1 - 2 * left, 1.0))


def test_a_model_that_says_the_same_to_everybody_is_no_better_than_prevalence() -> None:
    label = np.arange(100) % 2
    audit = _audit(label, np.full(100, 0.7), {"prevalence": np.full(100, 0.5)}, views={})
    assert (audit.model.value, audit.model.low, audit.model.high) == (0.5, 0.5, 0.5)
    assert audit.verdict == "suspected"


def test_patient_identity_counts_only_where_the_model_may_know_the_patients() -> None:
    label, model = _scores(1600, 0.25, 0)
    others = {BORDER: _scores(1600, 0.0, 1)[1], IDENTITY: _scores(1600, 0.5, 2)[1]}
    assert _audit(label, model, dict(others)).verdict == "not found"
    leaky = Leakage(True, 1600, 900, 500, left_out=False, split="image-random", split_patients=500)
    audit = _audit(label, model, dict(others), leakage=replace(leaky, split_images=900, test_images=1600))
    assert audit.best == IDENTITY
    assert audit.verdict == "suspected"
    assert any("900 judged images" in caution for caution in audit.cautions)
    assert (
        "patients in more than one part: 500; test images of a training patient: 900 of 1,600"
        in audit.leakage.lines[-1]
    )


def test_what_was_not_tested_is_said_and_does_not_decide() -> None:
    label, model = _scores(1600, 0.25, 0)
    audit = _audit(label, model, {METADATA: "the tables tell nothing that varies", BORDER: _scores(1600, 0, 1)[1]})
    assert audit.verdict == "not found"
    assert "metadata was not tested: the tables tell nothing that varies" in audit.cautions
    assert any("one source" in caution for caution in audit.cautions)
    assert audit.baselines[0].says(LIMITS) == "not tested: the tables tell nothing that varies"


def test_each_row_says_what_it_means() -> None:
    assert (
        _rival(BORDER, (0.7, 0.8), (0.03, 0.1)).says(LIMITS)
        == "tells the label: a shortcut is open; the model sees more"
    )
    assert _rival(BORDER, (0.5, 0.55), (-0.1, 0.02)).says(LIMITS) == "tells little of the label; the model sees no more"
    assert _rival(BORDER, (0.4, 0.6)).says(LIMITS) == "too few patients to say; the model sees more"
    assert _rival(THUMBNAIL, (0.9, 0.95), (0.0, 0.1)).says(LIMITS) == "that the model sees more is not shown"
    view = replace(_rival(MODEL_CENTRE, (0.9, 0.95), (0.01, 0.02)), view=True)
    assert view.says(LIMITS) == "worse than on the whole image"
    assert replace(view, gain=_estimate(-0.01, 0.01)).says(LIMITS) == "no difference from the whole image is shown"


def test_the_record_goes_to_strict_json_and_back_exactly() -> None:
    label, model = _scores(60, 0.25, 0)
    audit = _audit(label, model, {METADATA: "nothing", BORDER: _scores(60, 0, 1)[1], "prevalence": np.full(60, 0.5)})
    text = json.dumps(audit.to_dict(), allow_nan=False)
    again = ShortcutAudit.from_dict(json.loads(text))
    assert again.to_dict() == audit.to_dict()
    assert again.baselines[1] == audit.baselines[1]
    assert (again.leakage, again.sources, again.limits) == (audit.leakage, audit.sources, audit.limits)
    assert vars(again.counts) == vars(audit.counts)
    with pytest.raises(DataError, match="schema 3, this version reads 1, 2"):
        ShortcutAudit.from_dict({**audit.to_dict(), "schema": 3})
    with pytest.raises(DataError, match="is no audit for shortcuts"):
        ShortcutAudit.from_dict({**audit.to_dict(), "leakage": {}})


def test_other_lengths_are_refused() -> None:
    label, model = _scores(60, 0.25, 0)
    with pytest.raises(TableError, match="border only has 59 probabilities for 60 images"):
        _audit(label, model, {BORDER: model[1:]})
    with pytest.raises(TableError, match="59 sources for 60 images"):
        _audit(label, model, {BORDER: model}, source=np.full(59, "one"))

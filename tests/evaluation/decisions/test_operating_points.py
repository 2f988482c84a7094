from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from cxreader.errors import DataError, TableError, UsageError
from cxreader.evaluation.decisions.operating_points import Rule, RuleKind, parse_rule, parse_rules
from cxreader.records import OperatingPoint

YOUDEN = Rule("youden")


def test_hand_computed_youden() -> None:
    # At 0.6: 2 of 2 abnormal, 1 of 3 normal flagged: J = 2/3; at 0.8: 1/2.
    point = YOUDEN.fit("youden", np.array([1, 1, 0, 0, 0]), np.array([0.8, 0.6, 0.7, 0.2, 0.1]))
    assert point.threshold == pytest.approx(0.4)
    assert (point.name, point.n_positive, point.n_negative, point.fitted_on) == ("youden", 2, 3, "calibrate")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), levels=st.sampled_from([2, 7, 10**6]))
def test_no_other_threshold_has_a_larger_j(seed: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, 50)
    label[:2] = 0, 1
    probability = generator.integers(0, levels + 1, 50) / levels
    flagged = probability >= YOUDEN.fit("youden", label, probability).threshold
    false, true, _ = roc_curve(label, probability)
    j = flagged[label == 1].mean() - flagged[label == 0].mean()
    assert j == pytest.approx((true - false).max(), abs=1e-12)
    order = generator.permutation(50)
    assert YOUDEN.fit("youden", label[order], probability[order]) == YOUDEN.fit("youden", label, probability)


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    # Flagging from 0.8 (1 of 2, no false) and from 0.4 (2 of 2, 1 of 2 false) both give J = 1/2.
    assert YOUDEN.fit("youden", np.array([1, 0, 1, 0]), np.array([0.8, 0.6, 0.4, 0.2])).threshold == pytest.approx(0.3)


def test_neighbouring_floats_are_still_told_apart() -> None:
    low = 0.5
    high = np.nextafter(low, 1)
    point = YOUDEN.fit("youden", np.array([0, 1]), np.array([low, high]))
    assert point.threshold == high


def test_everything_alike_flags_everything() -> None:
    assert YOUDEN.fit("youden", np.array([0, 1]), np.array([0.3, 0.3])).threshold == pytest.approx(0.15)
    assert YOUDEN.fit("youden", np.array([0, 1]), np.array([0.0, 0.0])).threshold == 0.0


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_is_refused_with_a_mend(value: int) -> None:
    with pytest.raises(DataError, match="nothing can be fitted on it; give the split more patients"):
        YOUDEN.fit("youden", np.full(4, value), np.linspace(0, 1, 4))


def test_round_trip_and_a_threshold_outside_is_refused() -> None:
    point = YOUDEN.fit("youden", np.array([1, 0, 1, 0]), np.array([0.8, 0.6, 0.4, 0.2]))
    assert OperatingPoint.from_dict(json.loads(json.dumps(point.to_dict()))) == point
    assert OperatingPoint.given(0.5).fitted_on == "given"
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(DataError, match="outside 0 to 1"):
            OperatingPoint.given(wrong)


LABEL = np.array([1, 1, 1, 1, 0, 0, 0, 0])
PROBABILITY = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.4, 0.2, 0.1])


@pytest.mark.parametrize(
    ("rule", "threshold", "words"),
    [
        # From 0.6 on: 3 of 4 abnormal, 1 of 4 normal.
        (Rule("sensitivity", 0.75), 0.5, "sensitivity at least 0.75"),
        (Rule("sensitivity", 1.0), 0.25, "sensitivity at least 1"),
        (Rule("specificity", 0.75), 0.5, "specificity at least 0.75"),
        (Rule("specificity", 1.0), 0.75, "specificity at least 1"),
        # At prevalence 0.2 the NPV from 0.6 on is 0.6 / 0.65 = 0.923, from 0.7 on 0.6 / 0.7 = 0.857, from 0.8 on
        # 0.8 / 0.9 = 0.889: it need not fall steadily, and the highest threshold that reaches the target counts.
        (Rule("npv", 0.9, 0.2), 0.5, "NPV at least 0.9 at prevalence 0.2"),
        (Rule("npv", 0.88, 0.2), 0.75, "NPV at least 0.88 at prevalence 0.2"),
    ],
)
def test_hand_computed_targets(rule: Rule, threshold: float, words: str) -> None:
    point = rule.fit("mine", LABEL, PROBABILITY)
    assert point.threshold == pytest.approx(threshold)
    assert (point.name, point.rule, point.n_positive, point.n_negative) == ("mine", words, 4, 4)
    assert point.fitted_on == "calibrate"


@pytest.mark.parametrize("target", [0.05 * k for k in range(1, 20)] + [k / 20 for k in range(1, 20)])
def test_a_target_that_is_met_exactly_is_met(target: float) -> None:
    label, probability = np.repeat([1, 0], 20), np.concatenate([np.arange(20) + 30, np.arange(20) + 1]) / 60
    wanted = round(target * 20)
    for kind, value in (("sensitivity", 1), ("specificity", 0)):
        flagged = probability >= Rule(kind, target).fit("x", label, probability).threshold  # type: ignore[arg-type]
        assert np.count_nonzero(flagged[label == value] == value) == wanted


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([3, 12, 10**6]),
    kind=st.sampled_from(["sensitivity", "specificity", "npv"]),
    target=st.sampled_from([0.3, 0.8, 0.95]),
)
def test_no_cheaper_threshold_reaches_the_target(seed: int, levels: int, kind: RuleKind, target: float) -> None:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, 40)
    label[:2] = 0, 1
    probability = generator.integers(0, levels + 1, 40) / levels
    rule = Rule(kind, target, 0.1 if kind == "npv" else None)

    def rates(threshold: float) -> tuple[float, float]:
        """What is asked for, and what it costs: the other class's rate."""
        flagged = probability >= threshold
        sensitivity, specificity = flagged[label == 1].mean(), 1 - flagged[label == 0].mean()
        if kind == "sensitivity":
            return sensitivity, specificity
        if kind == "specificity":
            return specificity, sensitivity
        spared = 0.9 * specificity
        called = spared + 0.1 * (1 - sensitivity)
        return (spared / called if called else np.nan), specificity

    reached = [rates(t) for t in np.unique(probability)]
    costs = [cost for value, cost in reached if value >= target - 1e-12]
    if not costs:
        with pytest.raises(DataError, match="no threshold has a"):
            rule.fit("x", label, probability)
        return
    value, cost = rates(rule.fit("x", label, probability).threshold)
    assert value >= target - 1e-12
    assert cost == pytest.approx(max(costs))


def test_a_target_out_of_reach_says_what_is_in_reach() -> None:
    label, probability = np.array([0, 1, 0, 1]), np.array([0.9, 0.8, 0.2, 0.1])
    with pytest.raises(
        DataError, match=r"'strict': no threshold has a specificity at least 0\.9.*is 0\.500; ask for a"
    ):
        Rule("specificity", 0.9).fit("strict", label, probability)
    with pytest.raises(DataError, match=r"no threshold has a NPV at least 0\.99 at prevalence 0\.5"):
        Rule("npv", 0.99, 0.5).fit("rule-out", label, probability)
    with pytest.raises(DataError, match="nothing can be fitted on it"):
        Rule("sensitivity", 0.9).fit("x", np.ones(3, dtype=int), np.ones(3))
    with pytest.raises(TableError, match="3 probabilities for 4 labels"):
        Rule("sensitivity", 0.9).fit("x", label, probability[:3])


def test_rules_are_read_from_lines() -> None:
    rules = parse_rules(["screening: sensitivity 0.95", "rule-out: NPV 0.99 at prevalence 0.1", "best_j:youden"])
    assert rules == {
        "screening": Rule("sensitivity", 0.95),
        "rule-out": Rule("npv", 0.99, 0.1),
        "best_j": Rule("youden"),
    }
    assert list(rules) == ["screening", "rule-out", "best_j"]
    assert parse_rule("youden: youden") == ("youden", YOUDEN)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("screening", "'screening' is no operating point; write for example 'screening: sensitivity 0.95'"),
        (": sensitivity 0.9", "is no operating point"),
        ("two words: youden", "is no operating point"),
        ("a:", "is no operating point"),
        ("a: sensitvity 0.9", "no rule of operating points is named 'sensitvity'; did you mean 'sensitivity'?"),
        ("a: sensitivity", "needs a target"),
        ("a: youden 0.9", "takes no target"),
        ("a: sensitivity 95", "the target 95.0 is not above 0 and at most 1; give a share such as 0.95"),
        ("a: sensitivity nan", "the target nan"),
        ("a: sensitivity high", "'high' is no number"),
        ("a: npv 0.99", "needs a prevalence"),
        ("a: sensitivity 0.9 at prevalence 0.1", "takes no prevalence"),
        ("a: npv 0.99 at prevalence 1", "the prevalence 1.0 lies not between 0 and 1"),
        ("a: npv 0.99 by prevalence 0.1", "only 'at prevalence P' may follow"),
        ("a: npv 1 2 3 4 5 6 7", "only 'at prevalence P' may follow"),
        ("given: youden", "the name 'given' is taken"),
        ("youden: sensitivity 0.9", "the name 'youden' is taken"),
    ],
)
def test_nonsense_is_refused_with_a_mend(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_rule(spec)
    assert message in str(error.value)
    assert spec in str(error.value)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="two operating points are named 'a'"):
        parse_rules(["a: youden", "a: sensitivity 0.9"])

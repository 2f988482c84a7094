from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import recall_score, roc_auc_score

from cxreader.errors import TableError
from cxreader.evaluation.statistics.intervals import bootstrap_weights
from cxreader.evaluation.subgroups.groupings import MAX_GROUPS, groupings
from cxreader.evaluation.subgroups.performance import FEW_PATIENTS, SAME_NORMALS, Subgroup, Subgroups, subgroups
from cxreader.findings import FINDINGS
from cxreader.records import OperatingPoint, PredictionTable

HALF = OperatingPoint("half", 0.5, "r", 1, 1)
FOUND = [finding.name for finding in FINDINGS[:4]]


def _table(n: int = 1200, patients: int = 400, seed: int = 0, worse: str = "", round_to: int = 2) -> PredictionTable:
    """Every column, with gaps in each and ties in the probabilities; readings of the sex `worse` are noise."""
    generator = np.random.default_rng(seed)
    patient = generator.integers(0, patients, n)
    label = generator.integers(0, 2, n)
    sex = np.where(patient % 2 == 0, "F", "M")
    signal = np.where(sex == worse, 0.0, 1.5) * (label - 0.5)
    probability = np.round(1 / (1 + np.exp(-(signal + generator.normal(size=n)))), round_to)
    findings = [
        "|".join(generator.choice(FOUND, 2, replace=False)) if y and generator.random() < 0.9 else "" for y in label
    ]
    columns: dict[str, NDArray[np.generic]] = {
        "sex": np.where(generator.random(n) < 0.1, "", sex),
        "age": np.where(generator.random(n) < 0.1, np.nan, generator.uniform(0, 100, n)),
        "view": generator.choice(["PA", "AP", "LATERAL"], n, p=[0.6, 0.3, 0.1]),
        "follow_up": np.where(generator.random(n) < 0.1, np.nan, generator.integers(0, 3, n)),
        "source": generator.choice(["a", "b"], n),
        "findings": np.array(findings),
    }
    image = np.array([f"{k}.png" for k in range(n)])
    return PredictionTable(image, label, probability, np.array([f"p{k}" for k in patient]), columns)


def _of(result: Subgroups, dimension: str, name: str) -> Subgroup:
    return next(g for g in result.groups if (g.dimension, g.name) == (dimension, name))


def _sides(table: PredictionTable, dimension: str, name: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Images of a group and of its rest, told from the columns once more."""
    c = table.columns
    if dimension == "finding":
        normal = table.label == 0
        has = np.array([name in cell.split("|") for cell in c["findings"].tolist()])
        told = np.array([cell != "" for cell in c["findings"].tolist()])
        return normal | has, normal | (told & ~has)
    values = np.asarray(c[dimension])
    if dimension == "age":
        bands = ["under 18", "18-39", "40-59", "60-79", "80 and over"]
        ages = c["age"].tolist()
        values = np.array(["" if np.isnan(a) else bands[sum(a >= e for e in (18, 40, 60, 80))] for a in ages])
    if dimension == "follow_up":
        visits = c["follow_up"].tolist()
        values = np.array(["" if np.isnan(v) else "first image" if v == 0 else "follow-up" for v in visits])
    return values == name, (values != name) & (values != "")


def _metrics(
    table: PredictionTable, images: NDArray[np.bool_], weight: NDArray[np.float64] | None = None
) -> list[float]:
    """AUC, sensitivity and specificity by scikit-learn."""
    y, p, w = table.label[images], table.probability[images], None if weight is None else weight[images]
    recalls = [recall_score(y, p >= 0.5, pos_label=k, sample_weight=w) for k in (1, 0)]
    return [float(roc_auc_score(y, p, sample_weight=w)), *map(float, recalls)]


def test_every_group_and_gap_equals_scikit_learn() -> None:
    table = _table()
    result = subgroups(table, HALF, n_resamples=20)
    names = {(g.dimension, g.name) for g in result.groups}
    assert len(names) == len(result.groups) == 2 + 5 + 3 + 2 + 2 + 4
    assert ("finding", "Cardiomegaly") in names
    for group in result.groups:
        display = {f.display: f.name for f in FINDINGS}
        inside, rest = _sides(table, group.dimension, display.get(group.name, group.name))
        own, other = _metrics(table, inside), _metrics(table, rest)
        for metric, mine, theirs in zip(group.metrics, own, other, strict=True):
            if group.dimension == "finding" and metric == "specificity":
                assert group.metrics[metric].reason == group.gaps[metric].estimate.reason == SAME_NORMALS
                assert np.isnan(group.gaps[metric].p)
                continue
            assert group.metrics[metric].value == pytest.approx(mine)
            assert group.gaps[metric].estimate.value == pytest.approx(mine - theirs)
        counts = [int(np.sum(table.label[inside] == value)) for value in (1, 0)]
        patients = len(np.unique(table.patient[inside])) if table.patient is not None else None
        auc = group.metrics["auc"]
        assert [auc.n_positive, auc.n_negative, auc.n_patients] == [*counts, patients]


def test_intervals_and_p_values_are_those_of_a_plain_loop() -> None:
    table = _table(300, 100)
    result = subgroups(table, HALF, n_resamples=40, seed=5)
    weights = np.concatenate(list(bootstrap_weights(table.groups, 40, seed=5)))
    for dimension, name in (("age", "40-59"), ("sex", "F"), ("finding", "Effusion")):
        inside, rest = _sides(table, dimension, name)
        gaps = np.array([np.subtract(_metrics(table, inside, w), _metrics(table, rest, w)) for w in weights])
        group = _of(result, dimension, "Pleural effusion" if name == "Effusion" else name)
        for k, metric in enumerate(("auc", "sensitivity")):
            gap = group.gaps[metric]
            low, high = np.quantile(gaps[:, k], [0.025, 0.975])
            assert (gap.estimate.low, gap.estimate.high) == pytest.approx((low, high))
            if group.too_small is None:
                z = gap.estimate.value / gaps[:, k].std(ddof=1)
                assert gap.p == pytest.approx(2 * (1 - norm.cdf(abs(z))))


def test_p_values_are_adjusted_for_all_that_were_tested() -> None:
    """Of sex, follow-up and source there are two groups each: a gap and its mirror are one hypothesis."""
    result = subgroups(_table(), HALF, n_resamples=100)
    mirrors = [("sex", "M"), ("follow_up", "follow-up"), ("source", "b")]
    groups = [group for group in result.groups if (group.dimension, group.name) not in mirrors]
    gaps = [gap for group in groups for gap in group.gaps.values()]
    made = np.array([gap.p for gap in gaps if not np.isnan(gap.p)])
    adjusted = [gap.p_holm for gap in gaps if not np.isnan(gap.p)]
    assert result.n_tests == len(made) == (14 - 3) * 3 + 4 * 2
    for dimension, name in mirrors:
        one, other = (_of(result, dimension, n) for n in ({"M": "F", "b": "a"}.get(name, "first image"), name))
        for metric, gap in one.gaps.items():
            assert (gap.p_holm, gap.flagged) == (other.gaps[metric].p_holm, other.gaps[metric].flagged)
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    np.testing.assert_allclose(adjusted, multitest.multipletests(made, method="holm")[1])


def test_a_group_that_is_read_worse_is_flagged_and_the_others_are_not() -> None:
    table = _table(2400, 800, worse="F")
    result = subgroups(table, HALF, n_resamples=300)
    women = _of(result, "sex", "F")
    assert "auc" in women.flagged
    assert women.gaps["auc"].estimate.high < 0
    assert {group.dimension for group in result.flagged} == {"sex"}
    assert subgroups(_table(2400, 800), HALF, n_resamples=300).flagged == ()


def test_few_false_alarms_where_nobody_is_read_worse() -> None:
    """The chance of any flag at all is about 0.05 a table: of 40 tables 6 or more have one with probability 0.01."""
    alarmed = sum(bool(subgroups(_table(1000, 400, seed=s), HALF, n_resamples=100).flagged) for s in range(100, 140))
    assert alarmed <= 6


def test_too_small_a_group_is_said_and_not_tested() -> None:
    table = _table(900, 900, worse="M")
    few = np.flatnonzero((table.columns["sex"] == "M") & (table.label == 1))[FEW_PATIENTS - 1 :]
    keep = np.setdiff1d(np.arange(900), few)
    assert table.patient is not None
    one = {"sex": table.columns["sex"][keep]}
    result = subgroups(
        PredictionTable(table.image[keep], table.label[keep], table.probability[keep], table.patient[keep], one),
        HALF,
        n_resamples=50,
    )
    n = len(np.unique(table.patient[keep][(one["sex"] == "M") & (table.label[keep] == 1)]))
    assert n < FEW_PATIENTS
    men, women = _of(result, "sex", "M"), _of(result, "sex", "F")
    assert men.too_small == f"{n} patients with abnormal images"
    assert women.too_small == f"the rest has {n} patients with abnormal images"
    assert result.flagged == ()
    assert result.n_tests == 0
    assert men.metrics["auc"].value > 0


@pytest.mark.parametrize(("n", "too_small"), [(19, "19 abnormal images"), (20, None)])
def test_twenty_of_a_class_are_enough(n: int, too_small: str | None) -> None:
    label = np.concatenate([np.ones(n), np.zeros(20), np.ones(20), np.zeros(20)]).astype(int)
    source: dict[str, NDArray[np.generic]] = {"source": np.repeat(["x", "y"], [n + 20, 40])}
    probability = np.random.default_rng(0).random(len(label))
    table = PredictionTable(np.arange(len(label)).astype(np.str_), label, probability, None, source)
    assert _of(subgroups(table, HALF, n_resamples=20), "source", "x").too_small == too_small


def test_a_group_of_one_class_is_said() -> None:
    label = np.repeat([1, 0], 40)
    source: dict[str, NDArray[np.generic]] = {"source": np.repeat(["x", "y"], 40)}
    table = PredictionTable(np.arange(80).astype(np.str_), label, np.linspace(1, 0, 80), None, source)
    x = _of(subgroups(table, HALF, n_resamples=20), "source", "x")
    assert x.metrics["auc"].reason == "no normal image in this group"
    assert x.gaps["sensitivity"].estimate.reason == "no abnormal image in the rest"
    assert x.gaps["auc"].estimate.reason == "no normal image in this group"
    assert x.too_small == "0 normal images"


def test_columns_that_are_missing_or_say_nothing_are_said() -> None:
    table = _table(100, 50)
    columns = {
        "sex": np.full(100, "F"),
        "view": np.full(100, ""),
        "source": np.array([f"s{k % 30}" for k in range(100)]),
        "findings": np.where(table.label == 1, "Mass|Fracture", "No Finding"),
    }
    result = subgroups(PredictionTable(table.image, table.label, table.probability, None, columns), HALF, n_resamples=5)
    assert result.notes["sex"] == "Every image whose sex is known is 'F': nothing to compare."
    assert result.notes["age"] == "The predictions have no column 'age'."
    assert result.notes["view"].startswith("The column 'view' names nothing.")
    assert result.notes["source"] == "30 groups: only the 20 largest are judged."
    n = int(table.label.sum())
    assert result.notes["finding"] == f"1 other finding is not among the fourteen and left out: named of {n} images."
    assert [g.name for g in result.groups if g.dimension == "finding"] == ["Mass"]
    assert sum(g.dimension == "source" for g in result.groups) == MAX_GROUPS
    # The ten groups that are not judged stay in the rest of the others.
    biggest = _of(result, "source", "s0").gaps["sensitivity"].estimate
    flagged, of_s0 = table.probability >= 0.5, columns["source"] == "s0"
    abnormal = table.label == 1
    assert biggest.value == pytest.approx(flagged[of_s0 & abnormal].mean() - flagged[~of_s0 & abnormal].mean())


def test_the_images_of_findings_that_are_not_known_are_counted_once_each() -> None:
    findings = ["Mass|Fracture|Scoliosis", "Fracture", "Mass", "", "No Finding", "Fracture|Device"]
    label = np.array([1, 1, 1, 1, 0, 1])
    columns: dict[str, NDArray[np.generic]] = {"findings": np.array(findings)}
    _, notes = groupings(PredictionTable(np.arange(6).astype(np.str_), label, np.linspace(0, 1, 6), None, columns))
    assert notes["finding"] == (
        "3 other findings are not among the fourteen and left out: named of 3 images. Not known of 1 abnormal image."
    )


def test_ages_sexes_and_follow_ups_fall_into_their_groups() -> None:
    age = np.array([0, 17.9, 18, 39.9, 40, 59, 60, 79, 80, 120, 121, -1, np.nan])
    n = len(age)
    columns: dict[str, NDArray[np.generic]] = {
        "age": age,
        "sex": np.array(["m", "Male", "F", "female", *[" "] * (n - 4)]),
        "follow_up": np.array([0.0, 1, 7, -1, *[np.nan] * (n - 4)]),
    }
    image = np.array([str(k) for k in range(n)])
    found, notes = groupings(PredictionTable(image, np.arange(n) % 2, np.linspace(0, 1, n), None, columns))
    members = {
        (g.dimension, name): np.flatnonzero(g.member[:, k]).tolist() for g in found for k, name in enumerate(g.names)
    }
    assert members == {
        ("sex", "F"): [2, 3],
        ("sex", "M"): [0, 1],
        ("age", "under 18"): [0, 1],
        ("age", "18-39"): [2, 3],
        ("age", "40-59"): [4, 5],
        ("age", "60-79"): [6, 7],
        ("age", "80 and over"): [8, 9],
        ("follow_up", "first image"): [0],
        ("follow_up", "follow-up"): [1, 2],
    }
    assert notes["age"] == "Not known of 3 images."


def test_texts_that_say_that_nothing_is_known_are_no_groups() -> None:
    silent = ["", " ", "nan", "NaN", "unknown", "Unknown", "none", "None", "n/a", "N/A", "NA", "null", "?"]
    n = len(silent)
    columns: dict[str, NDArray[np.generic]] = {
        "sex": np.array(["F", "M", "U", *silent]),
        "view": np.array(["PA", "AP", "", *silent]),
        "source": np.array(["a", "b", "", *silent]),
        "findings": np.array(["Mass", "Nodule|nan", "Edema", *silent]),
    }
    image = np.arange(n + 3).astype(np.str_)
    label = np.array([1] * (n + 3))
    found, notes = groupings(PredictionTable(image, label, np.linspace(0, 1, n + 3), None, columns))
    assert {g.dimension: g.names for g in found} == {
        "sex": ("F", "M"),
        "view": ("AP", "PA"),
        "source": ("a", "b"),
        "finding": ("Mass", "Nodule", "Pulmonary oedema"),
    }
    assert [int(g.known.sum()) for g in found] == [2, 2, 2, 3]
    assert notes["sex"] == f"Not known of {n + 1} images."
    assert notes["finding"] == f"Not known of {n} abnormal images."


def test_numbers_that_are_none_are_refused() -> None:
    table = PredictionTable(np.array(["a"]), np.array([1]), np.array([0.5]), None, {"age": np.array(["old"])})
    with pytest.raises(TableError, match="column 'age' holds no numbers"):
        subgroups(table, HALF)


@pytest.mark.parametrize("n", [0, 1, 60])
def test_round_trip(n: int) -> None:
    result = subgroups(_table(n, max(1, n // 2)), HALF, n_resamples=20)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.dumps(Subgroups.from_dict(json.loads(text)).to_dict(), allow_nan=False) == text


def test_neither_the_seed_of_others_nor_a_further_column_changes_a_group() -> None:
    table = _table(300, 100)
    one = PredictionTable(table.image, table.label, table.probability, table.patient, {"sex": table.columns["sex"]})
    alone, among = (subgroups(t, HALF, n_resamples=30, seed=2) for t in (one, table))
    assert _of(alone, "sex", "F").metrics == _of(among, "sex", "F").metrics


def test_a_group_without_a_miss_is_not_sure_of_it() -> None:
    """20 of 20 found against 900 of 1,000: Fisher's exact p is 0.25, but the group's own bootstrap has no spread."""
    found = np.concatenate([np.ones(20), np.repeat([1.0, 0.0], [900, 100]), np.zeros(200)])
    label = np.repeat([1, 0], [1020, 200])
    sex: dict[str, NDArray[np.generic]] = {"sex": np.concatenate([np.repeat(["F", "M"], [20, 1000]), ["F", "M"] * 100])}
    table = PredictionTable(np.arange(1220).astype(np.str_), label, 0.2 + 0.6 * found, None, sex)
    gap = _of(subgroups(table, HALF, n_resamples=200), "sex", "F").gaps["sensitivity"]
    assert gap.estimate.value == pytest.approx(0.1)
    assert np.isnan(gap.estimate.low)
    assert gap.estimate.reason == "fewer than 5 images are right, or wrong, on one side"
    assert not gap.flagged
    assert np.isnan(gap.p)


def _two_sexes(
    probability: NDArray[np.float64], label: NDArray[np.int64], sex: NDArray[np.str_], patient: NDArray[np.int64]
) -> Subgroup:
    table = PredictionTable(
        np.arange(len(label)).astype(np.str_), label, probability, patient.astype(np.str_), {"sex": sex}
    )
    return _of(subgroups(table, HALF, n_resamples=200), "sex", "F")


def test_ten_misses_of_one_patient_are_one() -> None:
    """Women: 40 patients, of which one has all 10 misses. Men: 200 patients, 40 of them missed. Five patients are asked."""
    found = np.concatenate([np.ones(39), np.zeros(10), np.repeat([1.0, 0.0], [160, 40]), np.zeros(120)])
    label = np.repeat([1, 0], [249, 120])
    sex = np.concatenate([np.repeat(["F", "M"], [49, 200]), np.repeat(["F", "M"], 60)])
    of_one = np.concatenate([np.arange(39), np.full(10, 39), np.arange(40, 360)])
    gap = _two_sexes(0.2 + 0.6 * found, label, sex, of_one).gaps["sensitivity"].estimate
    assert gap.reason == "fewer than 5 patients are right, or wrong, on one side"
    of_ten = _two_sexes(0.2 + 0.6 * found, label, sex, np.arange(369)).gaps["sensitivity"]
    assert of_ten.estimate.low < of_ten.estimate.value < of_ten.estimate.high
    assert not np.isnan(of_ten.p)


@pytest.mark.parametrize(("swapped", "known"), [(0, False), (2, False), (4, True)])
def test_a_group_that_is_parted_all_but_perfectly_is_not_sure_of_its_auc(swapped: int, known: bool) -> None:
    """Women are ranked perfectly but for a few abnormal and as many normal ones, alike; men are ranked as by chance."""
    generator = np.random.default_rng(3)
    label = np.tile([1, 0], 200)
    women = np.where(label == 1, 0.9, 0.1) + generator.uniform(-0.05, 0.05, 400)
    women[: 2 * swapped] = 1 - women[: 2 * swapped]
    men = generator.uniform(0.05, 0.95, 400)
    sex = np.repeat(["F", "M"], 400)
    group = _two_sexes(np.concatenate([women, men]), np.tile(label, 2), sex, np.arange(800))
    gap = group.gaps["auc"]
    assert group.metrics["auc"].value > 0.9
    assert (not np.isnan(gap.estimate.low)) == (not np.isnan(gap.p)) == gap.flagged == known
    if not known:
        assert gap.estimate.reason == "fewer than 5 patients in effect make up its spread on one side"

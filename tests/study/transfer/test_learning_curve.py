"""Transfer against the number of training patients: nested shares, one budget, resumable, and no gain beyond its interval."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreader.cli import run as command
from cxreader.config import Config, parse_config
from cxreader.data.sources import open_source
from cxreader.data.split import Split, require_disjoint
from cxreader.errors import UsageError, WeightsError
from cxreader.evaluation.statistics.intervals import Estimate, Sample, bootstrap_weights
from cxreader.evaluation.statistics.metrics import all_metrics
from cxreader.inference.reader import Reader
from cxreader.records import ImageRecord
from cxreader.reporting.study.learning_curve import (
    ARMS,
    HEADER,
    Arm,
    ArmResult,
    ShareResult,
    draw_learning_curve,
    verdict,
)
from cxreader.study.subsampling import share_of_patients
from cxreader.study.transfer import learning_curve as study
from cxreader.study.transfer.gain import CHANGE, compare
from cxreader.study.transfer.learning_curve import LearningCurve, learning_curve
from cxreader.training.fit import fit_phase
from cxreader.training.phases import PhaseResult

pytestmark = pytest.mark.usefixtures("few_images_suffice")

SHARES = (0.25, 1.0)
Made = tuple[Config, Path, LearningCurve]


def _silent(_: str) -> None:
    return


def _values(world: Path, weights: Path) -> dict[str, object]:
    training = {"phases": ("full",), "full": {"epochs": 1, "patience": 1}, "batch_size": 16, "monitor": "auc"}
    return {
        "seed": 7,
        "data": {"root": str(world), "name": "world", "workers": 1},
        "input": {"size": 32},
        "augment": None,
        "model": {"name": "chestxray_cnn", "weights": str(weights), "if_absent": "none", "dropout": 0.3},
        "training": {**training, "accelerator": "cpu"},
    }


@pytest.fixture(scope="module")
def values(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    from cxreader import torch_setup  # noqa: F401

    # isort: split
    import torch
    from safetensors.torch import save_file

    from cxreader.models.registry import create_model

    torch.manual_seed(3)
    net = create_model("chestxray_cnn", size=32)
    path = tmp_path_factory.mktemp("weights") / "cnn.safetensors"
    save_file({net.published_names.get(name, name): tensor for name, tensor in net.state_dict().items()}, path)
    return _values(small_world, path)


@pytest.fixture(scope="module")
def made(values: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Made:
    config, out = parse_config(values), tmp_path_factory.mktemp("curve") / "out"
    return config, out, learning_curve(config, SHARES, 2, out, max_epochs=2, say=_silent)


def _names(share: float) -> list[str]:
    return [f"share-{share:g}-{arm}-seed-{seed}" for arm in ARMS for seed in (7, 8)]


# Every patient has one to four images; a bit of each number is an image's label.
people = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 15)), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(people=people, shares=st.lists(st.floats(0.01, 1), min_size=2, max_size=4), salt=st.integers(0, 2**32))
def test_shares_are_nested_whole_patients_of_both_classes(
    people: list[tuple[int, int]], shares: list[float], salt: int
) -> None:
    records = [
        ImageRecord(f"{patient}-{n}", labels >> n & 1, patient=f"p{patient}")
        for patient, (images, labels) in enumerate(people)
        for n in range(images)
    ]
    label_of = {record.image: record.label for record in records}
    images_of = {record.patient: {r.image for r in records if r.patient == record.patient} for record in records}
    before: set[str] = set()
    for share in sorted(shares):
        kept = set(share_of_patients(records, share, salt))
        assert kept == set(share_of_patients(records[::-1], share, salt))
        assert before <= kept
        assert all(own <= kept or not own & kept for own in images_of.values())
        assert {label_of[image] for image in kept} == set(label_of.values())
        before = kept
    assert set(share_of_patients(records, 1.0, salt)) == set(label_of)


def test_a_share_is_that_share_of_each_kind_of_patient() -> None:
    records = [ImageRecord(f"{n}", int(n % 4 == 0), patient=f"p{n}") for n in range(400)]
    kept = share_of_patients(records, 0.1, 0)
    assert len(kept) == 40
    assert sum(int(image) % 4 == 0 for image in kept) == 10


@pytest.mark.parametrize(
    ("patients", "share", "kept"), [(7, 0.5, 4), (7, 0.2, 1), (3, 0.4, 1), (3, 0.5, 2), (9, 0.01, 1)]
)
def test_a_share_of_patients_is_rounded_to_the_nearest_and_at_least_one(patients: int, share: float, kept: int) -> None:
    """3.5 patients are four, 1.4 are one, 1.2 are one, 1.5 are two, and 0.09 are one."""
    records = [ImageRecord(f"{n}", 0, patient=f"p{n}") for n in range(patients)]
    assert len(share_of_patients(records, share, 0)) == kept


def test_every_share_arm_and_seed_is_one_training_on_nested_patients(made: Made) -> None:
    config, out, found = made
    assert {path.name for path in (out / "runs").iterdir()} == {name for share in SHARES for name in _names(share)}
    whole = Split.load(out / "split.json")
    splits = {share: Split.load(out / "splits" / f"share-{share:g}.json") for share in SHARES}
    for share, split in splits.items():
        assert {Split.load(out / "runs" / name / "split.json").digest for name in _names(share)} == {split.digest}
        assert [split.parts[part] for part in ("tune", "calibrate", "test")] == [
            whole.parts[part] for part in ("tune", "calibrate", "test")
        ]
        require_disjoint(split, open_source(config.data.root, name="world"))
    small, large = (set(splits[share].parts["train"]) for share in SHARES)
    assert small < large
    assert large == set(whole.parts["train"])
    assert [result.epochs for result in found.results] == [2, 1]  # four times fewer images, at most two epochs
    assert not any((out / "runs" / name / "cache").exists() for name in _names(1.0))
    histories = [json.loads((out / "runs" / name / "history.json").read_text())["full"] for name in _names(0.25)]
    assert [len(history) for history in histories] == [2] * 4  # no early stopping


def test_the_arms_differ_in_their_weights_alone(made: Made) -> None:
    _, out, found = made
    scratch, pretrained = (
        json.loads((out / "runs" / f"share-1-{arm}-seed-7" / "config.json").read_text()) for arm in ARMS
    )
    assert {key for key in scratch if scratch[key] != pretrained[key]} == {"model"}
    assert scratch["model"]["weights"] == "none"
    assert pretrained["model"]["if_absent"] == "error"
    assert {run.transfer for run in found.runs if run.arm == "pretrained"} == {"file cnn.safetensors"}


def test_the_test_part_is_read_as_the_reader_reads_it(made: Made, small_world: Path) -> None:
    _, out, _ = made
    run = out / "runs" / "share-1-pretrained-seed-8"
    lines = [line.split(",") for line in (run / "test.csv").read_text().splitlines()[1:]]
    readings = Reader.load(run).read_many([small_world / line[0] for line in lines[:5]])
    assert [reading.probability for reading in readings] == pytest.approx(
        [float(line[3]) for line in lines[:5]], abs=1e-5
    )


def test_what_was_written_says_its_intervals_counts_and_rule(made: Made) -> None:
    _, out, found = made
    written = json.loads((out / "learning_curve.json").read_text())
    assert written["verdict"] == found.verdict
    assert written["rule"] == found.rule
    assert len(written["runs"]) == 8
    gain = written["results"][0]["auc_gain"]
    assert {"low", "high", "n_positive", "n_negative", "n_patients", "method"} <= set(gain)
    assert (out / "learning_curve.svg").stat().st_size > 0
    text = (out / "learning_curve.md").read_text()
    assert f"| {' | '.join(HEADER)} |" in text
    assert found.verdict in text
    assert "patients" in found.title
    for result in found.results:
        for arm in ARMS:
            assert result.arms[arm].auc.value == pytest.approx(np.mean(result.arms[arm].auc_by_seed))


def test_what_is_finished_is_not_run_again(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    config, out, found = made

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("run again")

    monkeypatch.setattr(study, "train", refused)
    monkeypatch.setattr(Reader, "load", refused)
    assert learning_curve(config, SHARES, 2, out, max_epochs=2, say=_silent).verdict == found.verdict
    with pytest.raises(AssertionError, match="run again"):
        learning_curve(config, SHARES, 3, out, max_epochs=2, say=_silent)
    with pytest.raises(UsageError, match="another budget"):
        learning_curve(config, SHARES, 2, out, max_epochs=3, say=_silent)


def test_a_stopped_study_goes_on_and_judges_nothing_before_the_last_training(
    values: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = parse_config(values), tmp_path / "out"
    calls: list[object] = []

    def stopped(*arguments: Any, **more: Any) -> PhaseResult:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_phase(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr("cxreader.training.train.fit_phase", stopped)
        with pytest.raises(KeyboardInterrupt):
            learning_curve(config, (0.25,), 1, out, max_epochs=1, say=_silent)
    begun = out / "runs" / "share-0.25-pretrained-seed-7"
    assert not begun.exists()  # it had learnt nothing
    assert json.loads((out / "learning_curve.json").read_text())["results"] is None
    assert not list(out.glob("runs/*/test.csv"))
    found = learning_curve(config, (0.25,), 1, out, max_epochs=1, say=_silent)
    assert found.change is None
    assert len(found.runs) == 2


def test_what_would_not_be_a_fair_comparison_is_refused(values: dict[str, object], tmp_path: Path) -> None:
    config = parse_config(values)
    training, model = config.training, config.model
    two = config.model_copy(update={"training": training.model_copy(update={"phases": ("head", "fine_tune")})})
    with pytest.raises(UsageError, match="one phase"):
        learning_curve(two, SHARES, 1, tmp_path / "out", say=_silent)
    none = config.model_copy(update={"model": model.model_copy(update={"weights": "none"})})
    with pytest.raises(UsageError, match="no weights to transfer"):
        learning_curve(none, SHARES, 1, tmp_path / "out", say=_silent)
    with pytest.raises(UsageError, match="0 is no share"):
        learning_curve(config, (0.0, 1.0), 1, tmp_path / "out", say=_silent)
    absent = config.model_copy(update={"model": model.model_copy(update={"weights": str(tmp_path / "none.pth")})})
    with pytest.raises(WeightsError):  # although the config would do without
        learning_curve(absent, SHARES, 1, tmp_path / "out", say=_silent)
    assert not (tmp_path / "out").exists()


def test_the_difference_is_that_of_the_means_over_the_seeds() -> None:
    label = np.array([0, 0, 1, 1])
    sample = Sample(label, np.arange(4))
    scratch = [np.array([0.1, 0.6, 0.5, 0.9]), np.array([0.4, 0.8, 0.3, 0.7])]  # AUC 3/4 and 1/4
    pretrained = [np.array([0.1, 0.2, 0.6, 0.9]), np.array([0.1, 0.6, 0.5, 0.9])]  # AUC 1 and 3/4
    answers = {(1.0, arm): [(p, 0.55) for p in many] for arm, many in zip(ARMS, (scratch, pretrained), strict=True)}
    found = compare(sample, answers, n_resamples=50)
    assert found["auc 1 scratch"].value == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert found["auc 1 pretrained"].value == pytest.approx((1 + 3 / 4) / 2)
    assert found["auc 1 gain"].value == pytest.approx(3 / 8)
    assert found["accuracy 1 gain"].value == pytest.approx((1 + 2 / 4) / 2 - (2 / 4 + 2 / 4) / 2)
    assert CHANGE not in found


def test_the_change_is_the_gain_at_the_smallest_share_minus_that_at_the_largest() -> None:
    """At a tenth of the patients AUC 3/4 becomes 1, at all of them 3/4 stays."""
    low, high = np.array([0.1, 0.6, 0.5, 0.9]), np.array([0.1, 0.2, 0.6, 0.9])
    each = {(1.0, ARMS[0]): low, (1.0, ARMS[1]): low, (0.1, ARMS[0]): low, (0.1, ARMS[1]): high}
    sample = Sample(np.array([0, 0, 1, 1]), np.arange(4))
    found = compare(sample, {key: [(p, 0.55)] for key, p in each.items()}, n_resamples=50)
    assert (found["auc 0.1 gain"].value, found["auc 1 gain"].value) == (1 / 4, 0)
    assert found[CHANGE].value == 1 / 4


def test_the_interval_of_the_difference_is_paired_and_by_patient() -> None:
    random = np.random.default_rng(0)
    label, groups = np.arange(80) % 2, np.arange(80) // 4
    one, other = (random.random(80) + 0.3 * label for _ in range(2))
    answers = {(share, arm): [(p, 0.5)] for share in (0.1, 1.0) for arm, p in zip(ARMS, (one, other), strict=True)}
    found = compare(Sample(label, groups), answers, seed=5, n_resamples=300)
    weights = np.concatenate(list(bootstrap_weights(groups, 300, 5)))
    with_help, alone = (all_metrics(label, p)(weights)["auc"] for p in (other, one))
    low, high = np.quantile(with_help - alone, [0.025, 0.975])
    assert (found["auc 0.1 gain"].low, found["auc 0.1 gain"].high) == pytest.approx((low, high))
    assert found["auc 0.1 gain"].n_patients == 20
    assert found[CHANGE].value == 0


def _estimate(value: float, low: float, high: float, reason: str | None = None) -> Estimate:
    return Estimate(value, low, high, 60, 40, 70, "by patient", reason)


def _result(share: float, gain: Estimate) -> ShareResult:
    seeds: dict[Arm, tuple[float, ...]] = {"scratch": (0.7, 0.8, 0.9), "pretrained": (0.75, 0.85, 0.88)}
    arms = {arm: ArmResult(_estimate(0.8, 0.7, 0.9), _estimate(0.7, 0.6, 0.8), s, s) for arm, s in seeds.items()}
    return ShareResult(share, round(1000 * share), 10, 20, 3, arms, gain, gain)


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        (_estimate(0.03, 0.01, 0.05), "the weights gain 0.030 AUC (0.010-0.050; higher in 2 of 3 seeds)."),
        (_estimate(0.03, 0.0, 0.05), "the interval includes 0 (0.030; 0.000-0.050): no difference shown."),
        (_estimate(0.03, -0.01, 0.05), "the interval includes 0 (0.030; -0.010 to 0.050): no difference shown."),
        (_estimate(-0.03, -0.05, -0.01), "the weights cost 0.030 AUC (0.010-0.050; lower in 1 of 3 seeds)."),
        (_estimate(0.03, math.nan, math.nan, "one patient"), "nothing can be said (one patient)."),
    ],
)
def test_the_verdict_follows_the_interval(gain: Estimate, expected: str) -> None:
    assert verdict([_result(0.02, gain)]) == f"At 2 % of the training patients (20) {expected}"


def test_that_the_gain_depends_on_the_patients_needs_an_interval_too() -> None:
    results = [_result(share, _estimate(0.03, 0.01, 0.05)) for share in (0.1, 1.0)]
    assert "is not shown" in verdict(results, _estimate(0.01, -0.01, 0.03))
    assert "at 10 % is larger than that at 100 % by 0.020 (0.010-0.030)" in verdict(
        results, _estimate(0.02, 0.01, 0.03)
    )
    assert "smaller than that at 100 % by 0.020 (0.010-0.030)" in verdict(results, _estimate(-0.02, -0.03, -0.01))


def test_the_figure_has_a_line_an_arm_and_a_dot_a_seed() -> None:
    nothing = _estimate(math.nan, math.nan, math.nan, "no normal image")
    figure = draw_learning_curve([_result(share, nothing) for share in (0.02, 0.1, 1.0)])
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["20\n2 %", "100\n10 %", "1,000\n100 %"]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["from scratch", "pretrained"]
    assert "60 abnormal and 40 normal test images, 70 patients" in axes.get_title("left")


def test_the_command_prints_intervals_and_counts(
    made: Made, values: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out, found = made
    toml = tmp_path / "transfer.toml"
    toml.write_text(
        f"seed = 7\naugment = 'none'\n[data]\nroot = {config.data.root!r}\nname = 'world'\nworkers = 1\n"
        f"[input]\nsize = 32\n[model]\nname = 'chestxray_cnn'\nweights = {config.model.weights!r}\nif_absent = 'none'\n"
        "dropout = 0.3\n[training]\nphases = ['full']\nbatch_size = 16\nmonitor = 'auc'\naccelerator = 'cpu'\n"
        "[training.full]\nepochs = 1\npatience = 1\n"
    )
    arguments = ["--quiet", "study", "learning-curve", str(toml), "--share", "0.25", "--share", "1", "--seeds", "2"]
    assert command([*arguments, "--max-epochs", "2", "--out", str(out)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "95 % intervals by test patient" in printed
    assert "normal test images" in printed
    assert found.verdict.split(".")[0] in printed
    assert command([*arguments, "--set", 'training.phases=["head", "fine_tune"]', "--out", str(tmp_path / "two")]) != 0
    assert "one phase" in capsys.readouterr().err

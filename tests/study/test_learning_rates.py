"""A sweep over learning rates: one training a rate and seed, resumable, with its verdict and what happens inside."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader.cli import run as command
from cxreader.config import Config, parse_config
from cxreader.errors import UsageError
from cxreader.reporting.study.sweep import draw_losses
from cxreader.study import learning_rates
from cxreader.study.learning_rates import PROBE, SweepRun, sweep, verdict

RATES = (1e-3, 1.0)


def _silent(_: str) -> None:
    return


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight 64-px images of noise, the abnormal ones with a bright square."""
    folder = tmp_path_factory.mktemp("tree")
    random = np.random.default_rng(0)
    for label in ("normal", "abnormal"):
        (folder / label).mkdir()
        for n in range(24):
            pixels = random.integers(60, 140, (64, 64)).astype(np.uint8)
            if label == "abnormal":
                pixels[20:44, 20:44] += 90
            Image.fromarray(pixels).save(folder / label / f"{label}-{n:02d}.png")
    return folder


def _values(tree: Path) -> dict[str, object]:
    return {
        "seed": 7,
        "data": {"root": str(tree), "name": "squares", "workers": 1},
        "input": {"size": 64},
        "split": {"shares": (0.5, 0.3, 0.2)},
        "augment": None,
        "model": {"name": "chestxray_cnn", "weights": "none", "dropout": 0.5},
        "training": {"phases": ("full",), "full": {"epochs": 1}, "batch_size": 4, "accelerator": "cpu"},
    }


@pytest.fixture(scope="module")
def swept(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path, tuple[SweepRun, ...]]:
    config, out = parse_config(_values(tree)), tmp_path_factory.mktemp("sweep") / "out"
    return config, out, sweep(config, RATES, 1, out, steps=3, say=_silent)


def test_every_rate_and_seed_is_one_training_on_one_split_and_one_cache(
    swept: tuple[Config, Path, tuple[SweepRun, ...]],
) -> None:
    _, out, runs = swept
    assert [(run.lr, run.seed) for run in runs] == [(1e-3, 7), (1.0, 7)]
    folders = [out / "runs" / name for name in ("lr-0.001-seed-7", "lr-1-seed-7")]
    assert {(folder / "split.json").read_bytes() for folder in folders} == {(out / "split.json").read_bytes()}
    assert (out / "cache").is_dir()
    assert not any((folder / "cache").exists() for folder in folders)
    written = json.loads((out / "learning_rates.json").read_text())
    assert [run["verdict"] for run in written["runs"]] == [run.verdict for run in runs]
    assert set(written["runs"][0]["epochs"][0]) >= {"train_loss", "tune_loss", "tune_accuracy", "tune_auc"}
    assert set(written["counts"]["tune"]) == {"normal", "abnormal"}
    assert written["provenance"]["seed"] == 7
    assert (out / "learning_rates.svg").stat().st_size > 0


def test_a_huge_rate_kills_the_units_in_its_first_step(swept: tuple[Config, Path, tuple[SweepRun, ...]]) -> None:
    small, huge = swept[2]
    assert huge.verdict != "learns"
    assert huge.first_steps[0]["dead_share"] == small.first_steps[0]["dead_share"]  # the same weights and batch
    after, after_small = huge.first_steps[1]["dead_share"], small.first_steps[1]["dead_share"]
    assert after is not None
    assert after_small is not None
    assert min(after, after_small) > 0.4
    assert huge.probe["dead_share"] > 0.4


def test_the_first_step_of_adam_moves_a_weight_by_the_rate(
    swept: tuple[Config, Path, tuple[SweepRun, ...]],
) -> None:
    for run in swept[2]:
        first = run.first_steps[0]
        assert first["weight_step"] is not None
        assert 0.4 * run.lr < first["weight_step"] <= 1.001 * run.lr  # weights without a gradient stay
        assert first["shift"] is not None
        assert first["spread"] is not None
        assert first["shift"] > first["spread"]  # thousands of small moves of one sign outweigh the random start


def test_the_steps_followed_are_those_of_the_training(tree: Path, tmp_path: Path) -> None:
    values = _values(tree)
    training = {"phases": ("full",), "full": {"epochs": 1}, "batch_size": 16, "accelerator": "cpu"}
    (run,) = sweep(parse_config({**values, "training": training}), [1e-4], 1, tmp_path / "out", steps=9, say=_silent)
    counts = json.loads((tmp_path / "out" / "learning_rates.json").read_text())["counts"]["train"]
    images = sum(counts.values())
    sizes = [min(16, images - start) for start in range(0, images, 16)]
    losses = [step["loss"] for step in run.first_steps]
    assert len(losses) == len(sizes)
    mean = sum(loss * size for loss, size in zip(losses, sizes, strict=True) if loss is not None) / images
    assert run.epochs[0]["train_loss"] == pytest.approx(mean, abs=1e-4)


def test_what_is_finished_is_not_run_again(
    swept: tuple[Config, Path, tuple[SweepRun, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out, runs = swept

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("run again")

    monkeypatch.setattr(learning_rates, "train", refused)
    monkeypatch.setattr(learning_rates, "follow", refused)
    assert sweep(config, RATES, 1, out, steps=3, say=_silent) == runs
    with pytest.raises(AssertionError, match="run again"):
        sweep(config, RATES, 2, out, steps=3, say=_silent)


def test_a_run_that_was_stopped_goes_on(
    swept: tuple[Config, Path, tuple[SweepRun, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _, runs = swept
    out = tmp_path / "out"

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cxreader.training.train.fit_phase", stopped)
        with pytest.raises(KeyboardInterrupt):
            sweep(config, RATES[:1], 1, out, steps=3, say=_silent)
    (run,) = sweep(config, RATES[:1], 1, out, steps=3, say=_silent)
    without_time = [{name: v for name, v in epoch.items() if name != "seconds"} for epoch in run.epochs]
    assert without_time == [{name: v for name, v in e.items() if name != "seconds"} for e in runs[0].epochs]
    assert (out / "runs" / "lr-0.001-seed-7" / PROBE).exists()


def test_two_phases_and_another_config_are_refused(
    swept: tuple[Config, Path, tuple[SweepRun, ...]], tmp_path: Path
) -> None:
    config, out, _ = swept
    two = config.model_copy(update={"training": config.training.model_copy(update={"phases": ("head", "fine_tune")})})
    with pytest.raises(UsageError, match="one phase"):
        sweep(two, RATES, 1, tmp_path / "out", say=_silent)
    with pytest.raises(UsageError, match="another configuration"):
        sweep(config.model_copy(update={"seed": 8}), RATES, 1, out, say=_silent)


@pytest.mark.parametrize(
    ("loss", "auc", "expected"),
    [
        (math.log(2), 0.9, "stays"),
        (0.702, 0.9, "stays"),
        (0.66, 0.5, "stays"),
        (0.66, math.nan, "stays"),
        (0.66, 0.45, "stays"),  # the bounds of chance belong to it
        (0.66, 0.55, "stays"),
        (0.66, 0.4499, "learns"),
        (0.66, 0.5501, "learns"),
        (0.703, 0.9, "stays"),  # 0.0099 above ln 2
        (0.704, 0.9, "neither"),  # 0.0109 above it
        (0.644, 0.5, "stays"),  # 0.0491 below it
        (0.642, 0.5, "learns"),  # 0.0511 below it
        (0.66, 0.6, "learns"),
        (0.3, 0.5, "learns"),  # by heart
        (math.nan, 0.5, "neither"),
        (0.3, 0.9, "learns"),
        (3.0, 0.9, "neither"),
    ],
)
def test_the_verdict_is_the_rule(loss: float, auc: float, expected: str) -> None:
    assert verdict({"train_loss": loss, "tune_auc": auc}) == expected


def test_the_figure_has_a_panel_a_rate_and_a_line_a_run() -> None:
    lines = [(rate, kind, [0.7, 0.5]) for rate in (1e-5, 1e-4, 1e-3, 1e-2) for kind in ("learns", "stays")]
    figure = draw_losses(lines)
    assert [axes.get_title("left") for axes in figure.axes] == [
        f"{rate}: 1 of 2 learn" for rate in ("1e-05", "0.0001", "0.001", "0.01")
    ]
    assert [len(axes.lines) for axes in figure.axes] == [3] * 4  # ln 2 and the runs


def test_the_command_prints_a_row_a_rate(
    swept: tuple[Config, Path, tuple[SweepRun, ...]], tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml = tmp_path / "sweep.toml"
    toml.write_text(
        f"seed = 7\naugment = false\n[data]\nroot = {str(tree)!r}\nname = 'squares'\nworkers = 1\n[input]\nsize = 64\n"
        "[split]\nshares = [0.5, 0.3, 0.2]\n[model]\nname = 'chestxray_cnn'\nweights = 'none'\ndropout = 0.5\n"
        "[training]\nphases = ['full']\nbatch_size = 4\naccelerator = 'cpu'\n[training.full]\nepochs = 1\n"
    )
    out = str(swept[1])  # finished: nothing is trained here
    arguments = ["--quiet", "study", "learning-rates", str(toml), "--lr", "1e-3", "--lr", "1", "--seeds", "1"]
    assert command([*arguments, "--out", out]) == 0
    printed = capsys.readouterr().out
    assert "0.001" in printed
    assert "0/1" in printed
    assert "ln 2" in printed

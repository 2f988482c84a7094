"""Several devices train together: what they learn is what one device learns, and no process of theirs outlives the training."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.boxed_world import boxed_config
from tests.training.on_devices import (
    EPOCHS,
    RECIPE,
    SETTINGS,
    SPEC,
    STEPS,
    Acting,
    Parts,
    fail,
    look,
    make_parts,
    network,
    train_into,
)

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from safetensors.torch import load_file

from cxreader.config import parse_config, with_values
from cxreader.data.augment import Augmentation
from cxreader.data.dataset import CachedImages, derive_seed, grey, normalise
from cxreader.errors import ConfigError, DataError, ModelError, UsageError
from cxreader.models.artifact import load_artifact
from cxreader.progress import no_bar, silent
from cxreader.training.activation_cache import ActivationPlan, build_activation_caches
from cxreader.training.devices import on_each_device, require_devices
from cxreader.training.fit import BEST, fit_phase
from cxreader.training.phases import Phase, PhaseResult
from cxreader.training.train import train

FIGURES = ("train_loss", "tune_loss", "tune_auc", "tune_accuracy")


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXREADER_CORES", "2")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(tmp_path_factory.mktemp("pixels") / "pixels.bin")


def _apart(a: Path, b: Path) -> float:
    """The root mean square difference of all weights, as a share of that between the first and those it began with."""
    one, other, begun = load_file(a / BEST), load_file(b / BEST), network().state_dict()
    apart = torch.cat([(one[name] - other[name]).double().flatten() for name in one])
    moved = torch.cat([(one[name] - begun[name]).double().flatten() for name in one])
    return float(apart.norm() / moved.norm())


def _figures(result: PhaseResult) -> list[float]:
    return [epoch[name] for epoch in result.history for name in FIGURES]


@pytest.fixture(scope="module")
def alone(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhaseResult, float]:
    """What one device learns, and how far two and three threads in place of one move its weights."""
    folder, before, results = tmp_path_factory.mktemp("alone"), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(train_into(folder / str(threads), parts))
    finally:
        torch.set_num_threads(before)
    bound = max(_apart(folder / "1", folder / threads) for threads in "23")
    assert 0 < bound < 1e-4, "another order of summation was not tried, or moves more than rounding does"
    return folder / "1", results[0], bound


def test_two_processes_learn_from_pixels_what_one_does(
    parts: Parts, alone: tuple[Path, PhaseResult, float], tmp_path: Path
) -> None:
    """The weights within ten times what another number of threads moves them by; every figure of every epoch."""
    folder, expected, bound = alone
    found = train_into(tmp_path, parts, devices=2)
    assert _apart(folder, tmp_path) <= 10 * bound
    assert _figures(found) == pytest.approx(_figures(expected), abs=1e-5)
    assert [epoch["devices"] for epoch in found.history] == [2] * EPOCHS
    assert not list(tmp_path.glob("*.ckpt"))
    assert len(next(tmp_path.glob("csv/*/metrics.csv")).read_text().splitlines()) > EPOCHS


def test_two_processes_learn_from_stored_activations_what_one_does(parts: Parts, tmp_path: Path) -> None:
    recipe, stage = replace(RECIPE, class_weights=(0.6, 3.0)), "block2"
    labelled = {name: CachedImages(part.pixels, part.rows, part.labels) for name, part in parts.items()}
    plan = ActivationPlan(SPEC, Augmentation(), 3, views=2, dtype="float32")
    stored = build_activation_caches(network(), [stage], labelled, plan, tmp_path, say=silent, bar=no_bar)[stage]

    def learn(folder: Path, devices: int = 1) -> PhaseResult:
        phase, settings = Phase("fine_tune", "last_block", 1e-4, 3, 3), replace(SETTINGS, devices=devices)
        return fit_phase(network(), phase, recipe, labelled, folder, settings, activations=stored)

    expected, found = learn(tmp_path / "alone"), learn(tmp_path / "together", 2)
    assert _apart(tmp_path / "alone", tmp_path / "together") < 1e-4
    assert _figures(found) == pytest.approx(_figures(expected), abs=1e-5)


def test_a_killed_process_ends_the_training_in_a_line_and_one_two_and_one_devices_learn_what_one_does(
    parts: Parts, alone: tuple[Path, PhaseResult, float], tmp_path: Path
) -> None:
    """One device for an epoch, two for two more, of whom one is killed in the fourth, and one to the end."""

    def stop(_: str, epoch: Mapping[str, Any]) -> None:
        if epoch["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_into(tmp_path / "run", parts, watch=stop)
    deadly = {**parts, "train": Acting(parts["train"], tmp_path, last=2 * STEPS + 2)}
    with pytest.raises(ModelError) as caught:
        train_into(tmp_path / "run", deadly, devices=2)
    assert str(caught.value).startswith("training.devices: the process of device ")
    assert " of 2 ended by SIGKILL, perhaps for want of memory; give the same command with --resume" in str(
        caught.value
    )
    assert _gone(tmp_path) == 2
    folder, expected, bound = alone
    found = train_into(tmp_path / "run", parts)
    assert [epoch["devices"] for epoch in found.history] == [1, 2, 2, 1]
    assert _apart(folder, tmp_path / "run") <= 10 * bound
    assert _figures(found) == pytest.approx(_figures(expected), abs=1e-5)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_ends_every_process(parts: Parts, tmp_path: Path, name: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background work ignores it

    def interrupt() -> None:
        _wait_for(lambda: bool(list((tmp_path / "run").glob("last-*.ckpt"))))
        os.kill(os.getpid(), getattr(signal, name))

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        train_into(tmp_path / "run", {**parts, "train": Acting(parts["train"], tmp_path)}, devices=2, epochs=1000)
    signal.signal(signal.SIGINT, ignored)
    thread.join()
    assert _gone(tmp_path) == 2
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_processes_end_with_the_one_that_started_them(parts: Parts, tmp_path: Path) -> None:
    images = {**parts, "train": Acting(parts["train"], tmp_path)}
    parent = mp.get_context("forkserver").Process(target=train_into, args=(tmp_path / "run", images, 2, 1000))
    parent.start()
    _wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    parent.kill()
    parent.join()
    assert _gone(tmp_path) == 2


def _wait_for(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _gone(folder: Path) -> int:
    """How many processes left their number, once all have ended."""
    numbers = [int(path.stem) for path in folder.glob("*.pid")]
    _wait_for(lambda: not any(map(_is_alive, numbers)))
    return len(numbers)


def _is_alive(number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(number, 0)
        return True
    return False


def test_each_process_has_its_share_of_the_cores_and_maps_the_same_file(parts: Parts, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        on_each_device(partial(look, parts["train"], tmp_path), 2, "cpu")
    finally:
        torch.set_num_threads(before)
    pixels = parts["train"].pixels
    assert isinstance(pixels, np.memmap)
    same = {"sum": 1.0, "threads": 2, "mapped": str(pixels.filename), "pixels": int(pixels.sum()), "deaf": True}
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert found == [{"share": [rank, 2], **same} for rank in range(2)]


def test_what_one_process_raises_is_raised_not_what_the_others_make_of_it() -> None:
    with pytest.raises(DataError, match=r"^here: image 7 is torn; mend it$"):
        on_each_device(partial(fail, "tree"), 2, "cpu")
    with pytest.raises(RuntimeError, match=r"(?s)^a device's process failed: Traceback.*ValueError: a bug$"):
        on_each_device(partial(fail, "bug"), 2, "cpu")


def test_batch_norm_keeps_the_mean_of_what_the_processes_saw(parts: Parts, tmp_path: Path) -> None:
    """Against each process's statistics of two steps, worked out here: at a rate of almost nothing no weight moves."""
    recipe, phase = replace(RECIPE, augmentation=None, batch_statistics=True), Phase("full", "all", 1e-12, 1, 1)
    images = {"train": parts["train"].chosen(range(16)), "tune": parts["tune"]}
    fit_phase(network(), phase, recipe, images, tmp_path, replace(SETTINGS, devices=2))
    order = np.arange(16)
    np.random.default_rng(derive_seed(3, "full", 0)).shuffle(order)
    first = network().block1[0]
    mean, variance = torch.zeros(2, 32).double(), torch.ones(2, 32).double()
    for step in (order[:8], order[8:]):
        x = first(normalise(grey(images["train"][step.tolist()][0]), SPEC)).double()
        for rank in range(2):
            mean[rank] = 0.9 * mean[rank] + 0.1 * x[rank::2].mean((0, 2, 3))
            variance[rank] = 0.9 * variance[rank] + 0.1 * x[rank::2].var((0, 2, 3))
    kept = load_file(tmp_path / BEST)
    torch.testing.assert_close(kept["block1.1.running_mean"].double(), mean.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(kept["block1.1.running_var"].double(), variance.mean(0), rtol=1e-4, atol=1e-6)


def test_a_run_says_how_many_devices_trained_it_and_is_the_same_run_on_another_number(
    boxed_world: Path, tmp_path: Path
) -> None:
    one = {
        "training.full": {"epochs": 1},
        "training.boxes": {"epochs": 1},
        "training.accelerator": "cpu",
        "input.size": 32,
    }
    config, said = with_values(boxed_config(boxed_world), one), list[str]()
    two = with_values(config, {"training.devices": 2})
    artifact = train(two, tmp_path / "run", say=said.append).artifact
    expected = (
        "2 devices share each batch of 16; BatchNorm normalises by each one's own images, which one device would not"
    )
    assert expected in said
    assert "phase region: learns on one device" in said
    assert [phase["devices"] for phase in artifact.provenance["phases"]] == [[2]]
    history = json.loads((tmp_path / "run/history.json").read_text())
    assert [epoch["devices"] for epoch in history["full"]] == [2]
    assert train(config, tmp_path / "run", resume=True, say=silent).artifact.id == artifact.id
    assert load_artifact(tmp_path / "run/artifact").id == artifact.id


def test_devices_that_are_not_here_are_refused(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = r"^training\.devices: 3 devices are asked for; {} here: {}; set it to {}$"
    with pytest.raises(UsageError, match=line.format("CPU cores", 2, "2 or less")):
        require_devices("cpu", 3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match=line.format("GPUs", 1, "1")):
        require_devices("auto", 3)
    require_devices("auto", 1)
    monkeypatch.undo()
    few = {**parts, "tune": parts["tune"].chosen([0])}
    with pytest.raises(UsageError, match=r"^training\.devices: 2 devices for 1 image of the tune part; set it lower$"):
        train_into(tmp_path, few, devices=2)


def test_a_batch_has_two_images_for_each_device() -> None:
    text = r"training.*2 devices for a batch of 3: set batch_size to 4 or more"
    with pytest.raises(ConfigError, match=text):
        parse_config({"data": {"root": "x"}, "training": {"devices": 2, "batch_size": 3}})
    assert parse_config({"data": {"root": "x"}, "training": {"devices": 2, "batch_size": 4}}).training.devices == 2

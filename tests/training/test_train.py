"""From images to an Artifact: what is learnt, what is frozen, what is written, and that it can be repeated."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from PIL import Image
from safetensors.torch import load_file
from tests.world import make_world, world_config

from cxreader.assessment.cohort import cohort_of_run
from cxreader.config import Config, parse_config
from cxreader.data.sources import open_source
from cxreader.data.split import Split, make_split, patient_hash
from cxreader.errors import DataError, ModelError, SplitError, StorageError, UsageError, WeightsError
from cxreader.evaluation.calibration.temperature import apply_temperature
from cxreader.inference.reader import Reader
from cxreader.models.artifact import WEIGHTS, load_artifact
from cxreader.models.weights import NO_TRANSFER
from cxreader.records import Reading
from cxreader.runs import RunFolder, only_process
from cxreader.training import fit
from cxreader.training.phases import Phase, PhaseResult, best_epoch, better, ended, planned_phases
from cxreader.training.train import PATIENT_SALT, train

pytestmark = pytest.mark.usefixtures("few_images_suffice")


def _silent(_: str) -> None:
    return


def _with(config: Config, **sections: object) -> Config:
    """The configuration with keys of its sections replaced."""
    values = config.model_dump()
    for name, value in sections.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) and values[name] else value
    return parse_config(values)


@pytest.fixture(scope="module")
def trained(small_world: Path, small_run: Path) -> tuple[Config, Path]:
    return world_config(small_world), small_run


def test_two_phases_give_an_artifact_with_all_it_needs(trained: tuple[Config, Path], small_world: Path) -> None:
    config, out = trained
    run = RunFolder(out)
    artifact = load_artifact(run.artifact)
    assert artifact.transfer == "file resnet18.safetensors"
    assert [phase["name"] for phase in artifact.provenance["phases"]] == ["head", "fine_tune"]
    assert artifact.provenance["config"] == config.model_dump(mode="json")
    assert 0 <= artifact.operating_point("youden").threshold <= 1
    split = Split.load(run.split)
    calibrate = len(split.parts["calibrate"])
    assert artifact.calibration["n_positive"] + artifact.calibration["n_negative"] == calibrate
    assert [point.name for point in artifact.operating_points] == ["youden", "screening", "rule-in"]
    assert artifact.venn_abers is not None
    assert artifact.venn_abers["n_positive"] + artifact.venn_abers["n_negative"] == calibrate
    assert artifact.conformal is None  # fewer than 9 images of a class allow no error bound of 0.1
    rows = dict(line.split(",")[::2] for line in (small_world / "labels.csv").read_text().split())
    for part in ("train", "tune", "calibrate"):
        people = {rows[image] for image in split.parts[part]}
        assert set(artifact.patients.parts[part]) == {patient_hash(PATIENT_SALT, "world", p) for p in people}
    text = json.dumps(artifact.provenance) + json.dumps(artifact.patients.parts)
    assert '"p1"' not in text
    history = json.loads(run.history.read_text())
    assert {"epoch", "train_loss", "tune_loss", "tune_accuracy", "tune_auc", "seconds"} <= set(history["head"][0])
    assert list(run.phase("head").glob("csv/*/metrics.csv"))


def test_the_artifact_holds_the_better_phase(trained: tuple[Config, Path]) -> None:
    _, out = trained
    run = RunFolder(out)
    done = {name: json.loads((run.phase(name) / "done.json").read_text()) for name in ("head", "fine_tune")}
    best = max(done, key=lambda name: (done[name]["best_score"], name == "head"))
    chosen, kept = load_file(run.phase(best) / "best.safetensors"), load_file(run.artifact / WEIGHTS)
    assert all(torch.equal(chosen[k], kept[k]) for k in chosen)
    for name, result in done.items():
        scores = [epoch["tune_auc"] for epoch in result["history"]]
        assert result["best_score"] == max(scores)
        assert result["best_epoch"] == scores.index(max(scores)), name


def test_the_head_phase_moves_the_head_alone_and_phase_two_starts_from_its_best(
    trained: tuple[Config, Path], small_world: Path
) -> None:
    run = RunFolder(trained[1])
    start = load_file(small_world / "resnet18.safetensors")
    head = load_file(run.phase("head") / "best.safetensors")
    tuned = load_file(run.phase("fine_tune") / "best.safetensors")
    assert torch.equal(head["last_block.0.conv1.weight"], start["layer4.0.conv1.weight"])
    assert torch.equal(head["stem.1.running_mean"], start["bn1.running_mean"])
    assert torch.equal(tuned["layer3.0.conv1.weight"], start["layer3.0.conv1.weight"])
    assert not torch.equal(tuned["last_block.0.conv1.weight"], start["layer4.0.conv1.weight"])
    # At 1e-4 and a few steps of Adam no weight moves further than their sum: it started where the head phase ended.
    moved = (tuned["head.weight"] - head["head.weight"]).abs().max().item()
    assert 0 < moved <= 1e-4 * 2 * 10


def test_reader_and_calibration_agree_with_the_trainers_own_pixels(
    trained: tuple[Config, Path], small_world: Path
) -> None:
    """The reader decodes the file; training read the cache: the same logits mean the same pixels, to 0."""
    from cxreader.data.pixel_cache.cache import PixelCache

    _, out = trained
    reader = Reader.load(out)
    run = RunFolder(out)
    image = Split.load(run.split).parts["test"][0]
    cache = PixelCache.open(run.cache, reader.artifact.spec)
    cached = reader.artifact.spec.normalise(np.asarray(cache.pixels[cache.row(image)]))
    from cxreader.imaging.read import read

    np.testing.assert_array_equal(
        cached, reader.artifact.spec.normalise(reader.artifact.spec.pixels(read(small_world / image)))
    )
    logits = reader.backend.logits(cached[None])
    expected = apply_temperature(logits, reader.artifact.calibration["temperature"])[0]
    reading = reader.read(small_world / image)
    assert reading.interval is not None
    low, high = reading.interval
    # Inside its interval, at most a hundredth of whose width is kept for the order of scores.
    assert reading.probability == pytest.approx(np.clip(expected, low, high), abs=0.01 * (high - low) + 1e-6)


def test_the_artifact_keeps_how_its_scores_lie_on_calibrate(trained: tuple[Config, Path], small_world: Path) -> None:
    """As a reader that decodes the files finds them, counted here."""
    reader, split = Reader.load(trained[1]), Split.load(RunFolder(trained[1]).split)
    stored = reader.artifact.reference_scores
    assert stored is not None
    images = split.parts["calibrate"]
    labels = dict(line.split(",")[:2] for line in (small_world / "labels.csv").read_text().split())
    found = list(reader.read_many([small_world / image for image in images], refuse=False))
    classes: dict[str, list[Reading]] = {"all": found, "normal": [], "abnormal": []}
    for image, reading in zip(images, found, strict=True):
        classes[labels[image]].append(reading)
    assert (stored.n_positive, stored.n_negative) == (len(classes["abnormal"]), len(classes["normal"]))
    assert (reader.only.ood_detector is None) == (stored.ood_score is None)
    kinds = ["probability"] if stored.ood_score is None else ["probability", "ood_score"]
    for kind in kinds:
        for name, readings in classes.items():
            scores = sorted(getattr(reading, kind) for reading in readings)
            ranks = [max(1, math.ceil(round(level * len(scores), 9))) for level in stored.levels]
            expected = [scores[rank - 1] for rank in ranks]
            assert getattr(getattr(stored, kind), name) == pytest.approx(expected, rel=1e-4, abs=1e-6), (kind, name)


def test_same_seed_same_weights_other_seed_other_weights(trained: tuple[Config, Path], tmp_path: Path) -> None:
    config, out = trained
    again = train(config, tmp_path / "again", say=_silent)
    first, second = load_file(out / "artifact" / WEIGHTS), load_file(again.folder / WEIGHTS)
    assert all(torch.equal(first[k], second[k]) for k in first)
    other = train(_with(config, seed=8, training={"phases": ["head"]}), tmp_path / "other", say=_silent)
    assert not torch.equal(load_file(other.folder / WEIGHTS)["head.weight"], first["head.weight"])


def test_a_finished_run_is_not_started_again_without_resume(trained: tuple[Config, Path]) -> None:
    config, out = trained
    with pytest.raises(UsageError, match=r"holds a run already.*--resume"):
        train(config, out, say=_silent)
    with pytest.raises(UsageError, match="another configuration"):
        train(_with(config, seed=8), out, resume=True, say=_silent)


def test_without_weights_every_stage_learns_and_it_says_so(small_config: Config, tmp_path: Path) -> None:
    config = _with(
        small_config,
        model={"weights": "none"},
        training={"full": {**small_config.training.full.model_dump(), "epochs": 1}},
    )
    result = train(config, tmp_path / "run", say=_silent)
    assert [phase.name for phase in result.phases] == ["full"]
    assert result.artifact.transfer == NO_TRANSFER
    assert planned_phases(config.training, pretrained=False)[0].learn == "all"


def test_absent_weights_stop_the_run_or_are_said(small_config: Config, tmp_path: Path) -> None:
    config = _with(small_config, model={"weights": "nowhere.safetensors"})
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors"):
        train(config, tmp_path / "stops", say=_silent)
    said: list[str] = []
    lenient = _with(
        config,
        model={"weights": "nowhere.safetensors", "if_absent": "none"},
        training={"full": {**small_config.training.full.model_dump(), "epochs": 1}},
    )
    train(lenient, tmp_path / "goes on", say=said.append)
    assert any(NO_TRANSFER in line for line in said)


@pytest.mark.parametrize(
    "training",
    [
        {"monitor": "loss", "optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine"},
        {"monitor": "accuracy", "class_weights": "balanced", "label_smoothing": 0.1, "tensorboard": True},
        {"monitor": "auc", "precision": "bf16-mixed", "phases": ["full"], "schedule": "one-cycle"},
    ],
    ids=["cosine", "weights", "bf16"],
)
def test_every_knob_trains(small_config: Config, training: dict[str, object], tmp_path: Path) -> None:
    phases = {
        name: {**getattr(small_config.training, name).model_dump(), "epochs": 1}
        for name in ("head", "fine_tune", "full")
    }
    result = train(_with(small_config, training={**phases, **training}), tmp_path / "run", say=_silent)
    assert np.isfinite([r.best_score for r in result.phases]).all()
    if training.get("tensorboard"):
        assert list((tmp_path / "run/phases/head/tensorboard").rglob("events*"))


def test_early_stopping_waits_for_patience(small_config: Config, tmp_path: Path) -> None:
    """With a learning rate of nothing the first epoch stays the best, and training ends `patience` epochs later."""
    phase = {"learn": "head", "lr": 1e-30, "epochs": 9, "patience": 2}
    result = train(
        _with(small_config, augment=None, training={"phases": ["head"], "head": phase}), tmp_path / "run", say=_silent
    )
    assert result.phases[0].best_epoch == 0
    assert len(result.phases[0].history) == 3


def test_a_loss_that_is_no_number_ends_in_one_line(small_config: Config, tmp_path: Path) -> None:
    phase = {"learn": "all", "lr": 1e30, "epochs": 3, "patience": 3}
    with pytest.raises(
        ModelError, match=r"phase full, epoch 1: the loss is no longer a number; lower its learning rate"
    ):
        train(_with(small_config, training={"phases": ["full"], "full": phase}), tmp_path / "run", say=_silent)


def test_a_full_disk_ends_in_one_line_and_goes_on_from_the_last_epoch(
    trained: tuple[Config, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the third checkpoint; with room again, the weights are those of an undisturbed run."""
    config, out = trained
    honest, written = TorchCheckpointIO.save_checkpoint, []

    def full(self: TorchCheckpointIO, *arguments: object, **named: object) -> None:
        written.append(arguments)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(self, *arguments, **named)

    monkeypatch.setattr(TorchCheckpointIO, "save_checkpoint", full)
    with pytest.raises(StorageError, match=r"no room for a checkpoint.*--resume"):
        train(config, tmp_path / "run", say=_silent)
    monkeypatch.undo()
    train(config, tmp_path / "run", resume=True, say=_silent)
    first, second = (load_file(RunFolder(place).artifact / WEIGHTS) for place in (out, tmp_path / "run"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_corrupt_image_is_left_out_and_said(small_world: Path, small_config: Config, tmp_path: Path) -> None:
    import shutil

    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    (world / "003_0.png").write_bytes(b"torn")
    said: list[str] = []
    config = _with(small_config, data={"root": str(world)}, split={"balance": "natural"}, training={"phases": ["head"]})
    result = train(config, tmp_path / "run", say=said.append)
    unread = tmp_path / "run" / "unread.json"
    line = f"1 of 120 images cannot be read and is left out, '003_0.png' first; reasons: {unread}"
    assert line in said
    assert list(json.loads(unread.read_text())) == ["003_0.png"]
    assert sum(map(sum, result.artifact.provenance["counts"].values())) == 119


def test_a_split_file_of_another_source_is_refused(
    small_config: Config, trained: tuple[Config, Path], tmp_path: Path
) -> None:
    split = json.loads(RunFolder(trained[1]).split.read_text())
    loaded = Split.load(RunFolder(trained[1]).split)
    from dataclasses import replace

    parts = {**loaded.parts, "test": (*loaded.parts["test"], "stranger.png")}
    replace(loaded, parts=parts).save(tmp_path / "split.json")
    assert split["kind"] == "patient"
    with pytest.raises(SplitError, match=r"stranger\.png"):
        train(_with(small_config, split={"file": str(tmp_path / "split.json")}), tmp_path / "run", say=_silent)


def test_a_split_with_a_patient_in_two_parts_is_refused(small_config: Config, small_run: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    split = Split.load(RunFolder(small_run).split)
    moved, *rest = split.parts["test"]
    other = next(image for image in rest if image[:3] == moved[:3])
    parts = {**split.parts, "test": tuple(rest), "train": (*split.parts["train"], moved)}
    replace(split, parts=parts).save(tmp_path / "split.json")
    with pytest.raises(SplitError, match="one patient stands in two parts") as caught:
        train(_with(small_config, split={"file": str(tmp_path / "split.json")}), tmp_path / "run", say=_silent)
    assert other in str(caught.value) or moved in str(caught.value)


def test_the_better_phase_is_the_earlier_of_equals() -> None:
    def result(name: str, score: float) -> PhaseResult:
        return PhaseResult(name, 0, score, (), 0.0)

    assert better(result("a", 0.8), result("b", 0.8), "auc").name == "a"
    assert better(result("a", 0.8), result("b", 0.9), "accuracy").name == "b"
    assert better(result("a", 0.8), result("b", 0.9), "loss").name == "a"


KILLED = """
import json, os, signal, sys
from cxreader import torch_setup
from cxreader.config import parse_config
from cxreader.training.module import PhaseModule
from cxreader.training.train import train

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born deaf to Ctrl-C
phase, epoch, step = sys.argv[3].split(":")
honest = PhaseModule.training_step

def deadly(self, batch, batch_idx):
    if (self.phase.name, self.current_epoch, batch_idx) == (phase, int(epoch), int(step)):
        os.kill(os.getpid(), getattr(signal, sys.argv[4]))
    return honest(self, batch, batch_idx)

PhaseModule.training_step = deadly
if __name__ == "__main__":
    train(parse_config(json.loads(sys.argv[1])), sys.argv[2], resume=True, say=lambda line: None)
"""


@pytest.mark.slow
def test_killed_inside_an_epoch_of_each_phase_it_resumes_to_the_same_weights(
    trained: tuple[Config, Path], tmp_path: Path
) -> None:
    """SIGKILL in the second epoch of each phase, Ctrl-C in the last; the tail of three resumptions equals no interruption."""
    config, out = trained
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    arguments = [sys.executable, str(script), json.dumps(config.model_dump(mode="json")), str(tmp_path / "run")]
    for moment, name in (
        ("head:0:2", "SIGKILL"),
        ("head:1:3", "SIGKILL"),
        ("fine_tune:1:2", "SIGKILL"),
        ("fine_tune:1:1", "SIGINT"),
    ):
        killed = subprocess.run([*arguments, moment, name], capture_output=True, text=True, check=False)
        expected = -signal.SIGKILL if name == "SIGKILL" else None
        assert killed.returncode == expected or (expected is None and "KeyboardInterrupt" in killed.stderr), (
            killed.stderr
        )
    subprocess.run([*arguments, "none:0:0", "SIGKILL"], check=True, env={**os.environ})
    straight, resumed = load_file(out / "artifact" / WEIGHTS), load_file(tmp_path / "run/artifact" / WEIGHTS)
    for name, tensor in straight.items():
        assert torch.equal(tensor, resumed[name]), name
    histories = [json.loads(RunFolder(place).history.read_text()) for place in (out, tmp_path / "run")]
    for history in histories:
        for epochs in history.values():
            for epoch in epochs:
                epoch.pop("seconds")
    assert histories[0] == histories[1]


def _history(*figures: float) -> list[dict[str, float]]:
    return [{"tune_auc": figure, "tune_loss": -figure} for figure in figures]


@pytest.mark.parametrize(
    ("figures", "best", "over"),
    [
        ((0.5, 0.7, 0.6), 1, False),
        ((0.5, 0.7, 0.6, 0.7), 1, True),  # an equal figure is no improvement, and the earlier epoch stays
        ((0.5, 0.6, 0.7), 2, False),
        ((0.5, 0.6, 0.7, 0.8, 0.9), 4, True),  # as many epochs as there are
        ((float("nan"), 0.6, float("nan")), 1, False),
        ((float("nan"), float("nan")), None, True),
        ((), None, False),
    ],
)
def test_a_phase_has_ended_when_its_history_says_so(figures: tuple[float, ...], best: int | None, over: bool) -> None:
    phase = Phase("head", "head", 1e-3, epochs=5, patience=2)
    for monitor in ("auc", "loss"):
        assert best_epoch(_history(*figures), monitor) == best
        assert ended(_history(*figures), phase, monitor) is over


def test_killed_between_the_last_epoch_and_its_result_and_moved_then_ends_the_same(
    small_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early stopping is not in Lightning's checkpoint, and its record of the best epoch does not survive a move."""
    phases = {"phases": ["full"], "full": {"epochs": 6, "patience": 1, "lr": 3e-2}, "monitor": "accuracy"}
    config = _with(
        small_config, training=phases, model={"name": "chestxray_cnn", "weights": "none"}, input={"size": 32}
    )
    whole = train(config, tmp_path / "whole", say=_silent)
    assert 1 < len(whole.phases[0].history) < 6  # it stopped early, or this test shows nothing
    finish = fit._finish
    monkeypatch.setattr(fit, "_finish", _dies)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "killed", say=_silent)
    monkeypatch.setattr(fit, "_finish", finish)
    (tmp_path / "killed").rename(tmp_path / "moved")
    resumed = train(config, tmp_path / "moved", resume=True, say=_silent)
    assert len(resumed.phases[0].history) == len(whole.phases[0].history)
    assert resumed.phases[0].best_epoch == whole.phases[0].best_epoch
    assert (resumed.folder / WEIGHTS).read_bytes() == (whole.folder / WEIGHTS).read_bytes()


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_two_processes_do_not_train_in_one_folder(small_config: Config, tmp_path: Path) -> None:
    with only_process(tmp_path / "run", "training"), pytest.raises(UsageError, match="another training works here"):
        train(small_config, tmp_path / "run", say=_silent)
    (tmp_path / "run" / ".config.json.123.tmp").write_text("{")  # what a kill in the first write leaves
    with pytest.raises(UsageError, match="no gpu is at hand"):
        train(_with(small_config, training={"accelerator": "gpu"}), tmp_path / "run", say=_silent)
    RunFolder.create(tmp_path / "run", small_config, resume=False)


def test_a_run_goes_on_where_its_images_lie_now_and_refuses_other_images(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    world = make_world(tmp_path / "here")
    config = world_config(world)
    scratch = {"phases": ["full"], "full": {"epochs": 1, "patience": 1}}
    config = _with(config, training=scratch, model={"name": "chestxray_cnn", "weights": "none"}, input={"size": 32})
    out = tmp_path / "run"
    first = train(config, out, say=_silent)
    world.rename(tmp_path / "there")
    for tried in (lambda: train(config, out, resume=True, say=_silent), lambda: cohort_of_run(out)):
        with pytest.raises(DataError, match="nothing is there"):
            tried()
    with pytest.raises(DataError, match=r"if they moved, .*--resume --set data\.root="):
        cohort_of_run(out)
    moved = _with(config, data={"root": str(tmp_path / "there")})
    again = train(moved, out, resume=True, say=_silent)
    assert again.artifact.id == first.artifact.id
    assert json.loads((out / "split.json").read_text())["source"]["path"] == str(tmp_path / "there" / "labels.csv")
    assert len(cohort_of_run(out).records) > 0
    with pytest.raises(UsageError, match=r"another configuration \(seed, data\.name\)"):
        train(_with(moved, seed=8, data={"name": "other"}), out, resume=True, say=_silent)
    image = Image.open(tmp_path / "there" / "000_0.png")
    part = next(part for part, images in Split.load(out / "split.json").parts.items() if "000_0.png" in images)
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "there" / "000_0.png")
    with pytest.raises(UsageError, match=f"part {part} has other images than those the run began with"):
        train(moved, out, resume=True, say=_silent)


def test_a_run_keeps_the_split_it_began_with(small_config: Config, tmp_path: Path) -> None:
    config = _with(small_config, training={"phases": ["head"], "head": {"epochs": 1, "patience": 1}})
    index = open_source(small_config.data.root, name="world")
    make_split(index, size=60).save(tmp_path / "a.json")
    make_split(index, size=80).save(tmp_path / "b.json")
    train(_with(config, split={"file": str(tmp_path / "a.json")}), tmp_path / "run", say=_silent)
    with pytest.raises(UsageError, match=r"another split than the run began with"):
        train(_with(config, split={"file": str(tmp_path / "b.json")}), tmp_path / "run", resume=True, say=_silent)
    (tmp_path / "a.json").rename(tmp_path / "c.json")
    train(_with(config, split={"file": str(tmp_path / "c.json")}), tmp_path / "run", resume=True, say=_silent)

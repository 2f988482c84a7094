"""A search: every point once whatever dies, chosen by train and tune alone, with its records."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.study.search.world import EPOCHS, SPACE, Fake, learning_config, learnt_by, record_of, silent

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.cli import run as command
from cxreader.config import Config, with_values
from cxreader.data.split import Split
from cxreader.errors import ModelError, UsageError
from cxreader.locks import is_held
from cxreader.study.search.record import ATTEMPTS
from cxreader.study.search.search import SearchResult, search
from cxreader.study.search.winner import Winner


def test_every_point_is_tried_once_and_recorded(searched: SearchResult) -> None:
    points = [(trial.point["training.fine_tune.lr"], trial.point["model.dropout"]) for trial in searched.trials]
    assert sorted(points) == [(1e-3, 0.0), (1e-3, 0.4), (1e-1, 0.0), (1e-1, 0.4)]
    assert searched.others == ()
    folders = sorted(path.name for path in (searched.folder / "trials").iterdir())
    assert folders == ["01-0.1-0", "02-0.1-0.4", "03-0.001-0", "04-0.001-0.4"]
    for trial in searched.trials:
        record = record_of(trial)
        assert record["config"] == with_values(searched.config, trial.point).model_dump(mode="json")
        (phase,) = record["phases"]
        assert len(phase["epochs"]) == trial.epochs == EPOCHS
        accuracies = [epoch["tune_accuracy"] for epoch in phase["epochs"]]
        assert record["best"]["score"] == trial.score == max(accuracies)
        assert record["best"]["epoch"] == 1 + accuracies.index(max(accuracies))
        assert record["best"]["tune_loss"] == phase["epochs"][record["best"]["epoch"] - 1]["tune_loss"]
        assert set(record["versions"]) >= {"optuna", "torch", "python"}
        assert record["git_revision"]
        assert record["seeds"]["training"] == 7
        assert record["threads"] == 1
        assert record["worker"] == {"pid": os.getpid(), "attempt": 1}
        assert 1e8 < record["peak_memory"]["bytes"] < 1e11
        assert trial.seconds == sum(epoch["seconds"] for epoch in phase["epochs"])
    rows = (searched.folder / "trials.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == folders
    assert searched.winner_config.training.fine_tune.lr == searched.winner.point["training.fine_tune.lr"]


def test_the_points_make_a_difference(searched: SearchResult) -> None:
    """A search whose settings never reach the training would rank four equal trials."""
    assert len({trial.tune_loss for trial in searched.trials}) == 4


def test_only_train_and_tune_are_opened(searched: SearchResult, world: Path, tmp_path: Path) -> None:
    """Every calibrate and test image is torn: the search does not notice."""
    torn = tmp_path / "world"
    shutil.copytree(world, torn)
    split = Split.load(searched.folder / "split.json")
    sealed = [*split.parts["calibrate"], *split.parts["test"]]
    assert len(sealed) >= 40
    for image in sealed:
        (torn / image).write_bytes(b"torn")
    said: list[str] = []
    first = {key: values[:1] for key, values in SPACE.items()}
    config = with_values(searched.config, {"data.root": str(torn), "study.space": first})
    again = search(config, tmp_path / "out", say=said.append)
    assert not [line for line in said if "cannot be read" in line]
    assert [learnt_by(trial) for trial in again.trials] == [learnt_by(t) for t in searched.trials if t.number == 1]


@pytest.mark.slow
def test_a_worker_killed_inside_a_trial_costs_nothing(searched: SearchResult, tmp_path: Path) -> None:
    """SIGKILL once a trial has an epoch behind it: all points complete, distinct, counted once, the same to the last epoch."""
    killed: list[str] = []
    murderer = threading.Thread(target=_kill_one, args=(tmp_path / "out", killed), daemon=True)
    murderer.start()
    result = search(searched.config, tmp_path / "out", workers=2, say=silent)
    murderer.join(timeout=5)
    assert len(killed) == 1
    assert [learnt_by(trial) for trial in result.trials] == [learnt_by(trial) for trial in searched.trials]
    attempts = {trial.folder.name: record_of(trial)["worker"]["attempt"] for trial in result.trials}
    assert attempts == {name: 2 if name == killed[0] else 1 for name in attempts}
    begun = {trial.folder.name: len((trial.folder / ATTEMPTS).read_text().splitlines()) for trial in result.trials}
    assert begun == attempts
    assert not [trial for trial in result.trials if is_held(trial.folder / ATTEMPTS)]
    assert not (result.folder / "search.db").exists()  # a grid needs no Optuna


def _kill_one(out: Path, killed: list[str]) -> None:
    """Kill the worker of the first trial that has kept an epoch and is far from its end."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in out.glob("trials/*/phases/fine_tune/last-epoch=*.ckpt"):
            place = path.parents[2]
            if not (place / "record.json").exists():
                (attempt,) = (place / ATTEMPTS).read_text().splitlines()
                os.kill(int(attempt.split()[1]), signal.SIGKILL)
                killed.append(place.name)
                return
        time.sleep(0.002)


def test_a_failed_trial_is_recorded_and_resume_tries_it_again(
    fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    broken = True

    def curve(config: Config) -> list[float]:
        if broken and config.model.dropout == 0.4:
            raise RuntimeError("CUDA out of memory.\nTried to allocate")
        return [0.6, 0.7]

    trained = fake(curve)
    config, out = learning_config(world), tmp_path / "out"
    first = search(config, out, say=silent)
    assert [trial.state for trial in first.others] == ["failed", "failed"]
    assert first.others[0].reason == "RuntimeError: CUDA out of memory."
    assert len(first.trials) == 2
    with pytest.raises(UsageError, match=r"holds a search already.*--resume"):
        search(config, out, say=silent)
    with pytest.raises(UsageError, match="another configuration"):
        search(with_values(config, {"seed": 8}), out, resume=True, say=silent)
    broken = False
    trained.seen.clear()
    second = search(config, out, resume=True, say=silent)
    assert trained.seen == [(1e-1, 0.4), (1e-3, 0.4)]
    assert len(second.trials) == 4
    assert second.others == ()
    trained.seen.clear()
    assert search(config, out, resume=True, say=silent).trials == second.trials
    assert trained.seen == []


def test_when_nothing_is_complete_it_says_why(fake: Callable[..., Fake], world: Path, tmp_path: Path) -> None:
    def curve(_: Config) -> list[float]:
        raise ModelError("the loss is no longer a number", mend="lower its learning rate")

    fake(curve)
    with pytest.raises(ModelError, match=r"none of 4 trials is complete.*no longer a number.*--resume"):
        search(learning_config(world), tmp_path / "out", say=silent)


def test_an_interruption_gives_the_point_back(fake: Callable[..., Fake], world: Path, tmp_path: Path) -> None:
    pressed = False

    def curve(config: Config) -> list[float]:
        nonlocal pressed
        if config.model.dropout == 0.4 and not pressed:
            pressed = True
            raise KeyboardInterrupt
        return [0.5]

    trained = fake(curve)
    with pytest.raises(KeyboardInterrupt):
        search(learning_config(world), tmp_path / "out", say=silent)
    result = search(learning_config(world), tmp_path / "out", resume=True, say=silent)
    assert len(result.trials) == 4
    assert trained.seen.count((1e-1, 0.0)) == 1


def test_the_command_prints_the_best_and_the_optimism(
    searched: SearchResult,
    won: Winner,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("cxreader.config.load_config", lambda *_: searched.config)
    monkeypatch.setattr("cxreader.study.search.winner.finish_winner", lambda *_, **__: won)  # told in another test
    arguments = ["--quiet", "study", "search", "grid.toml", "--out", str(searched.folder)]
    assert command(arguments) == 2
    assert "--resume" in capsys.readouterr().err
    assert command([*arguments, "--resume"]) == 0  # finished: nothing is trained here
    printed = capsys.readouterr().out
    tune = searched.parts["tune"]
    assert f"{round((searched.winner.tune_accuracy or 0) * tune.images)}/{tune.images}" in printed
    assert "optimism" in printed.lower()
    assert "chose" in printed

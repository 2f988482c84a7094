"""A search: every point once whatever dies, chosen by train and tune alone, with its records, its effects and its winner."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.world import make_world, world_config

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from cxreader.study.search.process import Process
from cxreader.study.search.store import DEATHS, SearchStore

from cxreader.cli import run as command
from cxreader.config import Config, load_config, parse_config, with_values
from cxreader.data.split import Split
from cxreader.errors import ConfigError, ModelError, UsageError
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.models.weights import Transfer
from cxreader.study.search import search as search_module
from cxreader.study.search import worker as search_worker
from cxreader.study.search.effects import main_effects
from cxreader.study.search.record import Trial, rank, read_trial, reason_of
from cxreader.study.search.report import write_report
from cxreader.study.search.search import SearchResult, search
from cxreader.study.search.space import network_variants, read_space, require_effect
from cxreader.study.search.winner import Judged, Winner, finish_winner, optimism
from cxreader.training.phases import PhaseResult
from cxreader.training.train import Learnt

PROJECT = Path(__file__).resolve().parents[3]
SPACE: dict[str, Any] = {"training.fine_tune.lr": [1e-1, 1e-3], "model.dropout": [0.0, 0.4]}
EPOCHS = 8


def _silent(_: str) -> None:
    return


def _config(world: Path, space: Mapping[str, Any] = SPACE, **study: Any) -> Config:
    """The head alone of a pretrained ResNet18 at 32 px: a trial takes a second."""
    phase = {"learn": "head", "epochs": EPOCHS, "patience": EPOCHS}
    values = {"training.phases": ["fine_tune"], "training.fine_tune": phase, "training.monitor": "accuracy"}
    section = {"study.space": dict(space), **{f"study.{key}": value for key, value in study.items()}}
    views = {"input.size": 32, "training.views": 1, "training.accelerator": "cpu", "split.shares": (0.5, 0.25, 0.25)}
    return with_values(world_config(world), {**values, **views, **section})


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As the spawned workers have it: sums in another order may differ in the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def searched(world: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return search(_config(world), tmp_path_factory.mktemp("search") / "out", say=_silent)


@pytest.fixture(scope="module")
def won(searched: SearchResult) -> Winner:
    return finish_winner(searched, say=_silent)


def _record(trial: Trial) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((trial.folder / "record.json").read_text())
    return found


def _learnt(trial: Trial) -> dict[str, Any]:
    """What a trial learnt, without its clock."""
    record = _record(trial)
    for phase in record["phases"]:
        for epoch in phase["epochs"]:
            epoch.pop("seconds")
    return {key: record[key] for key in ("number", "point", "state", "phases", "best")}


# The whole search


def test_every_point_is_tried_once_and_recorded(searched: SearchResult) -> None:
    points = [(trial.point["training.fine_tune.lr"], trial.point["model.dropout"]) for trial in searched.trials]
    assert sorted(points) == [(1e-3, 0.0), (1e-3, 0.4), (1e-1, 0.0), (1e-1, 0.4)]
    assert searched.others == ()
    folders = sorted(path.name for path in (searched.folder / "trials").iterdir())
    assert folders == ["01-0.1-0", "02-0.1-0.4", "03-0.001-0", "04-0.001-0.4"]
    for trial in searched.trials:
        record = _record(trial)
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
    config = with_values(searched.config, {"data.root": str(torn), "model.weights": searched.config.model.weights})
    again = search(config, tmp_path / "out", say=said.append)
    assert not [line for line in said if "cannot be read" in line]
    assert [_learnt(trial) for trial in again.trials] == [_learnt(trial) for trial in searched.trials]


@pytest.mark.slow
def test_a_worker_killed_inside_a_trial_costs_nothing(searched: SearchResult, tmp_path: Path) -> None:
    """SIGKILL once a trial has an epoch behind it: all points complete, distinct, counted once, the same to the last epoch."""
    killed: list[str] = []
    murderer = threading.Thread(target=_kill_one, args=(searched.config, tmp_path / "out", killed), daemon=True)
    murderer.start()
    result = search(searched.config, tmp_path / "out", workers=2, say=_silent)
    murderer.join(timeout=5)
    assert len(killed) == 1
    assert [_learnt(trial) for trial in result.trials] == [_learnt(trial) for trial in searched.trials]
    attempts = {trial.folder.name: _record(trial)["worker"]["attempt"] for trial in result.trials}
    assert attempts == {name: 2 if name == killed[0] else 1 for name in attempts}
    with SearchStore(result.folder, result.space, result.config) as store:
        trials = store.study.get_trials()
    states = [trial.state.name for trial in trials]
    assert (states.count("COMPLETE"), states.count("FAIL"), len(states)) == (4, 1, 5)
    assert [trial.user_attrs["ended"] for trial in trials if trial.state.name == "FAIL"] == ["stale"]


def _kill_one(config: Config, out: Path, killed: list[str]) -> None:
    """Kill the worker of the first trial that has kept an epoch and is far from its end."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in out.glob("trials/*/phases/fine_tune/last-epoch=*.ckpt"):
            place = path.parents[2]
            if not (place / "record.json").exists():
                with SearchStore(out, read_space(config), config) as store:
                    running = [t for t in store.study.get_trials() if t.state.name == "RUNNING"]
                number = int(place.name[:2]) - 1
                (pid,) = [t.user_attrs["worker"][0] for t in running if t.user_attrs.get("place") == number] or [None]
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(place.name)
                    return
        time.sleep(0.002)


# The space


@pytest.mark.parametrize(
    ("space", "study", "message"),
    [
        ({"training.fine_tune.lrr": [1.0]}, {}, r"training\.fine_tune\.lrr: unknown key; did you mean 'lr'\?"),
        ({"modl.dropout": [0.1]}, {}, r"modl: unknown key; did you mean 'model'\?"),
        ({"training.batch_size.x": [1]}, {}, r"'batch_size' holds a value, not a section"),
        ({"training.fine_tune.learn": ["head", "heads"]}, {}, r"training\.fine_tune\.learn: .*got 'heads'"),
        ({"training.fine_tune": [1]}, {}, r"training\.fine_tune"),
        ({"seed": [1, 2]}, {}, "same images and the same seed"),
        ({"training.monitor": ["auc", "loss"]}, {}, "not comparable"),
        ({"model.dropout": [0.1, 0.1]}, {}, "a value stands twice"),
        ({"model.dropout": []}, {}, "no value"),
        ({}, {}, "nothing to search"),
        ({"model.dropout": {"low": 0.1, "high": 0.5}}, {}, r"study\.trials: is needed"),
        ({"model.dropout": {"low": 0.5, "high": 0.1}}, {"trials": 3}, "is no range"),
        ({"model.dropout": {"low": 0.0, "high": 0.1, "log": True}}, {"trials": 3}, "logarithmic"),
        ({"model.dropout": {"low": 0.1, "high": 0.5}}, {"trials": 3, "sampler": "grid"}, "a grid has no ranges"),
        ({"model.dropout": {"low": 0.1, "high": 1.5}}, {"trials": 3}, r"model\.dropout"),
        ({"model.dropout": [0.1, 0.2]}, {"trials": 2}, "a grid takes every point once"),
        ({"model.dropout": [0.1, 0.2]}, {"trials": 3, "sampler": "tpe"}, "3 trials of 2 distinct points"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_space_is_refused_before_anything_runs(
    space: dict[str, Any], study: dict[str, Any], message: str, world: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        search(_config(world, space, **study), tmp_path / "out", say=_silent)
    assert not (tmp_path / "out").exists()


def test_values_are_held_as_the_configuration_reads_them(world: Path) -> None:
    space = read_space(
        _config(
            world,
            {"training.batch_size": {"low": 8, "high": 10}, "model.dropout": {"low": 0.1, "high": 0.2}},
            trials=5,
        )
    )
    assert space.whole == {"training.batch_size"}
    assert space.size() is None
    whole = read_space(_config(world, {"training.batch_size": {"low": 8, "high": 10}}, trials=3))
    assert [point["training.batch_size"] for point in whole.points()] == [8, 9, 10]


def test_without_pretrained_weights_a_space_of_frozen_stages_is_refused(world: Path, tmp_path: Path) -> None:
    config = with_values(_config(world), {"model.weights": "none"})
    with pytest.raises(
        UsageError, match=r"without pretrained weights.*training\.fine_tune\.lr has no effect.*training\.full"
    ):
        search(config, tmp_path / "out", say=_silent)
    searches_full = with_values(config, {"model.dropout": 0.1})
    space = read_space(parse_config({**searches_full.model_dump(), "study": {"space": {"training.full.lr": [1e-3]}}}))
    require_effect(space, config, ["full"], pretrained=False)
    with pytest.raises(UsageError, match=r"'full' is not among training\.phases"):
        require_effect(space, config, ["fine_tune"], pretrained=True)


def test_the_frozen_outputs_of_one_network_are_prepared_in_one_pass(world: Path) -> None:
    space = {"training.fine_tune.learn": ["head", "last_block"], "model.name": ["resnet18", "densenet121"], **SPACE}
    config = _config(world, space)
    variants = network_variants(read_space(config), config)
    found = [[(c.model.name, c.training.fine_tune.learn) for c in together] for together in variants]
    assert found == [[(name, "head"), (name, "last_block")] for name in ("resnet18", "densenet121")]


def test_the_shipped_grid_is_the_studys_sixteen() -> None:
    config = load_config(PROJECT / "src/cxreader/configs/grid.toml")
    space = read_space(config)
    assert space.size() == 16
    assert (config.model.name, config.seed, config.training.optimizer) == ("efficientnet_b0", 42, "adam")
    assert (config.training.fine_tune.epochs, config.training.fine_tune.patience) == (15, 4)
    assert config.training.phases == ("fine_tune",)
    assert config.training.monitor == "accuracy"
    assert config.augment is not None


# Claims, deaths, resumption, failures: the same machinery with a training that takes no time


@dataclass
class Fake:
    """Stands for `learn`: a tune accuracy by epoch, given the configuration; counts how often each point was trained."""

    curve: Callable[[Config], list[float]]
    seen: list[tuple[float, float]]

    def __call__(self, config: Config, *_: object, watch: Any, **__: object) -> Learnt:
        self.seen.append((config.training.fine_tune.lr, config.model.dropout))
        history = []
        for n, accuracy in enumerate(self.curve(config)):
            figures = {"train_loss": 0.5, "tune_loss": 1 - accuracy, "tune_accuracy": accuracy, "tune_auc": math.nan}
            history.append({"epoch": n, "seconds": 0.1, **figures})
            watch("fine_tune", history[-1])
        scores = [epoch["tune_accuracy"] for epoch in history]
        best = scores.index(max(scores))
        result = PhaseResult("fine_tune", best, max(scores), tuple(history), 0.1 * len(history))
        return Learnt((result,), result, None)  # type: ignore[arg-type] # nobody asks for the recipe


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Config], list[float]]], Fake]:
    def install(curve: Callable[[Config], list[float]]) -> Fake:
        stand_in = Fake(curve, [])
        monkeypatch.setattr(search_worker, "learn", stand_in)
        monkeypatch.setattr(search_worker, "build_model", lambda _: (None, Transfer("file", pretrained=True)))
        monkeypatch.setattr(search_module, "_prepare_outputs", lambda *_: None)
        return stand_in

    return install


def test_a_failed_trial_is_recorded_and_resume_tries_it_again(
    fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    broken = True

    def curve(config: Config) -> list[float]:
        if broken and config.model.dropout == 0.4:
            raise RuntimeError("CUDA out of memory.\nTried to allocate")
        return [0.6, 0.7]

    trained = fake(curve)
    config, out = _config(world), tmp_path / "out"
    first = search(config, out, say=_silent)
    assert [trial.state for trial in first.others] == ["failed", "failed"]
    assert first.others[0].reason == "RuntimeError: CUDA out of memory."
    assert len(first.trials) == 2
    with pytest.raises(UsageError, match=r"holds a search already.*--resume"):
        search(config, out, say=_silent)
    with pytest.raises(UsageError, match="another configuration"):
        search(with_values(config, {"seed": 8}), out, resume=True, say=_silent)
    broken = False
    trained.seen.clear()
    second = search(config, out, resume=True, say=_silent)
    assert trained.seen == [(1e-1, 0.4), (1e-3, 0.4)]
    assert len(second.trials) == 4
    assert second.others == ()
    trained.seen.clear()
    assert search(config, out, resume=True, say=_silent).trials == second.trials
    assert trained.seen == []


def test_when_nothing_is_complete_it_says_why(fake: Callable[..., Fake], world: Path, tmp_path: Path) -> None:
    def curve(_: Config) -> list[float]:
        raise ModelError("the loss is no longer a number", mend="lower its learning rate")

    fake(curve)
    with pytest.raises(ModelError, match=r"none of 4 trials is complete.*no longer a number.*--resume"):
        search(_config(world), tmp_path / "out", say=_silent)


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
        search(_config(world), tmp_path / "out", say=_silent)
    result = search(_config(world), tmp_path / "out", resume=True, say=_silent)
    assert len(result.trials) == 4
    assert trained.seen.count((1e-1, 0.0)) == 1


def test_a_point_that_kills_its_workers_is_given_up(world: Path, tmp_path: Path) -> None:
    config = _config(world)
    space = read_space(config)
    with SearchStore(tmp_path, space, config) as store:
        store.begin()
        for death in range(1, DEATHS + 1):
            claim = store.claim()
            assert claim is not None
            while claim.place != 0:  # the points of others wait
                store.end(claim, "released")
                claim = store.claim()
                assert claim is not None
            claim.trial.set_user_attr("worker", [os.getpid(), -1])  # this number, started at another time: dead
            standing = store.reclaim_dead()[0]
            assert standing.state == ("failed" if death == DEATHS else "waiting")
        assert [s.state for s in store.reclaim_dead()] == ["failed", "waiting", "waiting", "waiting"]
        search_worker.record_deaths(config, store)
        (place,) = (tmp_path / "trials").iterdir()
        assert "died 3 times" in (read_trial(place).reason or "")
        store.begin()
        assert store.reclaim_dead()[0].state == "waiting"


def test_claims_are_distinct_and_end(world: Path, tmp_path: Path) -> None:
    config = _config(world)
    with (
        SearchStore(tmp_path, read_space(config), config) as one,
        SearchStore(tmp_path, read_space(config), config) as two,
    ):
        one.begin(session := one.begin())
        two.begin(session)
        claims = [claim for store in (one, two, two, one) if (claim := store.claim()) is not None]
        assert [claim.place for claim in claims] == [0, 1, 2, 3]
        assert one.claim() is None
        assert two.claim() is None


def test_a_process_that_ended_is_known_by_its_start() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = Process(child.pid, Process.from_list([child.pid, None]).started)
        own = Process.own()
        assert own.is_alive()
        assert found.is_alive()
        assert not replace(own, started=(own.started or 0) + 1).is_alive()
        child.kill()
        child.wait()
    assert not found.is_alive()


def test_tpe_draws_distinct_points_within_the_range_and_prunes_what_lies_behind(
    fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    """Accuracy falls with distance from dropout 0.3; pruned are those below the median of earlier ones at their epoch."""
    trained = fake(lambda config: [0.9 - abs(config.model.dropout - 0.3) - config.training.fine_tune.lr] * 2)
    space = {"model.dropout": {"low": 0.0, "high": 0.9}, "training.fine_tune.lr": [0.1, 0.2]}
    result = search(_config(world, space, trials=14, pruning="median"), tmp_path / "out", say=_silent)
    assert len(trained.seen) == len(set(trained.seen)) == 14
    assert all(0 <= dropout <= 0.9 for _, dropout in trained.seen)
    pruned = [trial for trial in result.others if trial.state == "pruned"]
    assert pruned
    assert len(pruned) + len(result.trials) == 14
    scores = [0.9 - abs(dropout - 0.3) - lr for lr, dropout in trained.seen]
    for trial in pruned:
        earlier = scores[: trial.number - 1]
        assert scores[trial.number - 1] < np.median(earlier)
        assert trial.number > 5
        assert "behind the median" in (trial.reason or "")
    again = fake(trained.curve)
    search(_config(world, space, trials=14, pruning="median"), tmp_path / "again", say=_silent)
    assert again.seen == trained.seen


def test_tpe_exhausts_a_small_space_without_repeating(fake: Callable[..., Fake], world: Path, tmp_path: Path) -> None:
    trained = fake(lambda config: [0.5 + config.model.dropout / 2])
    result = search(_config(world, SPACE, sampler="tpe", trials=4), tmp_path / "out", say=_silent)
    assert sorted(trained.seen) == [(1e-3, 0.0), (1e-3, 0.4), (1e-1, 0.0), (1e-1, 0.4)]
    assert len(result.trials) == 4


# Ranking, effects, the winner


def _trial(number: int, score: float, loss: float = 0.5, **point: Any) -> Trial:
    return Trial(number, Path(f"{number}"), "complete", point, "p", score, score, loss, 1, 1, 1.0, None, None, 1, None)


def test_ties_go_to_the_lower_loss_then_the_earlier_point() -> None:
    trials = [_trial(1, 0.8), _trial(2, 0.9, 0.4), _trial(3, 0.9, 0.3), _trial(4, 0.9, 0.3)]
    assert [trial.number for trial in rank(trials, lower_is_better=False)] == [3, 4, 2, 1]
    assert [trial.number for trial in rank(trials, lower_is_better=True)] == [1, 3, 4, 2]


def test_main_effects_of_a_factorial_are_the_textbooks(world: Path) -> None:
    """2 x 2 with y = 1 + 2 a + 3 b + 0.5 a b: effect of a is 2 + 0.25, its t interval from the pairs 2 and 2.5."""
    space = read_space(_config(world, {"model.dropout": [0.0, 0.1], "training.fine_tune.lr": [0.1, 0.2]}))
    trials = [
        _trial(
            1 + 2 * a + b,
            1 + 2 * a + 3 * b + 0.5 * a * b,
            **{"model.dropout": a / 10, "training.fine_tune.lr": (b + 1) / 10},
        )
        for a in (0, 1)
        for b in (0, 1)
    ]
    first, second = main_effects(space, trials)
    assert (first.key, first.levels, first.pairs) == ("model.dropout", (0.0, 0.1), 2)
    assert first.value == pytest.approx(2.25)
    half = 12.7062047 * 0.25  # t(0.975; 1) times the standard error: the pairs' deviation is 0.5 / sqrt 2, over sqrt 2
    assert first.low == pytest.approx(2.25 - half)
    assert first.high == pytest.approx(2.25 + half)
    assert second.value == pytest.approx(3.25)
    lone = main_effects(space, trials[:3])[0]
    assert lone.pairs == 1
    assert math.isnan(lone.low)
    assert lone.reason == "1 matched pair"


def test_optimism_is_tune_minus_test_with_patients_resampled_apart() -> None:
    """Independent parts of one image a patient: the interval's width is that of two binomials."""
    random = np.random.default_rng(0)

    def judged(n: int, rate: float) -> Judged:
        right = np.arange(n) < rate * n
        return Judged(right, Sample(random.integers(0, 2, n), np.arange(n)))

    tune, test, gap = optimism(judged(400, 0.9), judged(200, 0.8), n_resamples=4000)
    assert (tune.value, test.value) == (0.9, 0.8)
    assert gap.value == pytest.approx(0.1)
    assert math.isnan(tune.low)
    assert "chose" in (tune.reason or "")
    error = math.sqrt(0.9 * 0.1 / 400 + 0.8 * 0.2 / 200)
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert gap.n_patients == 600


def test_optimism_counts_patients_not_images() -> None:
    """Each patient's ten images are right or wrong together: the interval is as wide as that of as many patients."""
    groups = np.repeat(np.arange(40), 10)
    part = Judged(groups % 4 != 0, Sample(np.zeros(400, int), groups))
    _, test, _ = optimism(part, part, n_resamples=4000)
    assert test.high - test.low == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 40), rel=0.08)


def test_the_winner_is_its_own_weights_judged_on_test(searched: SearchResult, won: Winner) -> None:
    from safetensors.torch import load_file

    best = load_file(searched.winner.folder / "phases" / "fine_tune" / "best.safetensors")
    kept = load_file(won.folder / "artifact" / "model.safetensors")
    assert all(torch.equal(best[name], kept[name]) for name in best)
    split = Split.load(searched.folder / "split.json")
    images = [
        line.split(",")[0] for line in (won.folder / "evaluation" / "predictions.csv").read_text().splitlines()[1:]
    ]
    assert sorted(images) == sorted(split.parts["test"])
    assert won.tune.value == pytest.approx(searched.winner.tune_accuracy, abs=1e-6)
    confusion = [
        line.split(",")[2:4] for line in (won.folder / "evaluation" / "predictions.csv").read_text().splitlines()[1:]
    ]
    right = [(label == "abnormal") == (float(probability) >= 0.5) for label, probability in confusion]
    assert won.test.value == pytest.approx(np.mean(right))
    assert won.optimism.value == pytest.approx(won.tune.value - won.test.value)


def test_the_report_shows_the_ranking_and_the_winner(searched: SearchResult, won: Winner) -> None:
    write_report(searched, won)
    page = (searched.folder / "report.html").read_text()
    numbers = json.loads((searched.folder / "search.json").read_text())
    assert [row["number"] for row in numbers["rows"]] == [trial.number for trial in searched.trials]
    assert numbers["winner"]["optimism"]["value"] == pytest.approx(won.optimism.value)
    assert {path.name for path in (searched.folder / "figures").iterdir()} >= {"parallel.png", "parallel.svg"}
    tune = searched.parts["tune"]
    assert f"{tune.images} images ({tune.abnormal} abnormal, {tune.normal} normal; {tune.patients} patients)" in page
    assert "These images chose the configurations" in page
    assert "src=" in page
    assert 'src="http' not in page


def test_reasons_name_no_file_of_a_patient() -> None:
    from cxreader.errors import ImageError

    assert "p17" not in reason_of(ImageError("is torn", where="/data/p17/a.png"))
    assert reason_of(FileNotFoundError(2, "No such file or directory", "/data/p17/a.png")) == (
        "FileNotFoundError: No such file or directory"
    )
    assert reason_of(ValueError("one\ntwo")) == "ValueError: one"


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


def test_a_key_that_is_no_key_is_a_configuration_error(world: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'dropout'"):
        read_space(_config(world, {"model.dropuot": [0.1]}))

"""A search grows: what is finished keeps its number and its folder, new points are tried, and nothing is taken away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.study.search.world import Fake, learning_config, silent
from tests.world import make_world

from cxreader.config import Config, with_values
from cxreader.errors import UsageError
from cxreader.study.search.search import SearchResult, search

LR, DROPOUT = "training.fine_tune.lr", "model.dropout"


def _flat(_: Config) -> list[float]:
    return [0.5, 0.6]


def _numbers(result: SearchResult) -> dict[tuple[Any, Any], tuple[int, str]]:
    return {
        (trial.point[LR], trial.point.get(DROPOUT)): (trial.number, trial.folder.name)
        for trial in (*result.trials, *result.others)
    }


@pytest.mark.parametrize("pruning", ["none", "median"])
def test_a_grid_gains_values_in_any_place_and_keeps_what_it_tried(
    fake: Callable[..., Fake], world: Path, tmp_path: Path, pruning: str
) -> None:
    trained = fake(_flat)
    begun = learning_config(world, {LR: [1e-1, 1e-3], DROPOUT: [0.0, 0.4]}, pruning=pruning)
    first = _numbers(search(begun, tmp_path / "out", say=silent))
    trained.seen.clear()
    grown = learning_config(world, {LR: [1e-2, 1e-1, 1e-3], DROPOUT: [0.0, 0.2, 0.4]}, pruning=pruning)
    said: list[str] = []
    result = search(grown, tmp_path / "out", resume=True, say=said.append)
    assert "9 points to try, 4 of them tried already" in said
    assert sorted(trained.seen) == sorted({(1e-2, d) for d in (0.0, 0.2, 0.4)} | {(1e-1, 0.2), (1e-3, 0.2)})
    second = _numbers(result)
    assert {point: second[point] for point in first} == first
    assert sorted(number for number, _ in second.values()) == list(range(1, 10))
    trained.seen.clear()
    assert _numbers(search(grown, tmp_path / "out", resume=True, say=silent)) == second
    assert trained.seen == []


def test_a_grid_of_a_version_without_its_points_file_grows_too(
    fake: Callable[..., Fake], world: Path, tmp_path: Path
) -> None:
    fake(_flat)
    first = _numbers(
        search(learning_config(world, {LR: [1e-1, 1e-3], DROPOUT: [0.0, 0.4]}), tmp_path / "out", say=silent)
    )
    (tmp_path / "out" / "points.json").unlink()
    grown = learning_config(world, {LR: [1e-1, 1e-2, 1e-3], DROPOUT: [0.0, 0.4]})
    second = _numbers(search(grown, tmp_path / "out", resume=True, say=silent))
    assert {point: second[point] for point in first} == first
    assert len(second) == 6


def test_drawn_points_become_more(fake: Callable[..., Fake], world: Path, tmp_path: Path) -> None:
    trained = fake(_flat)
    space = {LR: {"low": 1e-4, "high": 1e-1, "log": True}}
    first = _numbers(search(learning_config(world, space, trials=3), tmp_path / "out", say=silent))
    assert len(first) == 3
    second = _numbers(search(learning_config(world, space, trials=5), tmp_path / "out", resume=True, say=silent))
    assert {point: second[point] for point in first} == first
    assert len(second) == 5
    assert len(trained.seen) == 5
    with pytest.raises(UsageError, match=r"another configuration \(study\.trials\)"):
        search(learning_config(world, space, trials=4), tmp_path / "out", resume=True, say=silent)
    wider = {LR: {"low": 1e-5, "high": 1e-1, "log": True}}
    with pytest.raises(UsageError, match=r"another configuration \(study\.space\)"):
        search(learning_config(world, wider, trials=5), tmp_path / "out", resume=True, say=silent)


@pytest.mark.parametrize(
    ("space", "named"),
    [
        ({LR: [1e-1], DROPOUT: [0.0, 0.4]}, r"study\.space\.training\.fine_tune\.lr"),
        ({LR: [1e-1, 1e-3]}, r"study\.space\.model\.dropout"),
        ({LR: [1e-1, 1e-3], DROPOUT: [0.0, 0.4], "training.batch_size": [8]}, r"study\.space\.training\.batch_size"),
    ],
)
def test_a_space_that_loses_something_is_another_search(
    fake: Callable[..., Fake], world: Path, tmp_path: Path, space: dict[str, Any], named: str
) -> None:
    fake(_flat)
    search(learning_config(world, {LR: [1e-1, 1e-3], DROPOUT: [0.0, 0.4]}), tmp_path / "out", say=silent)
    kept = (tmp_path / "out" / "config.json").read_bytes()
    with pytest.raises(UsageError, match=rf"another configuration \({named}\)"):
        search(learning_config(world, space), tmp_path / "out", resume=True, say=silent)
    assert (tmp_path / "out" / "config.json").read_bytes() == kept


def test_a_search_goes_on_where_its_images_lie_now_if_they_are_the_same(
    fake: Callable[..., Fake], tmp_path: Path
) -> None:
    trained = fake(_flat)
    (tmp_path / "here").mkdir()
    world = make_world(tmp_path / "here")
    weights = shutil.copy(world / "resnet18.safetensors", tmp_path)
    config = with_values(learning_config(world, {LR: [1e-1]}), {"model.weights": str(weights)})
    search(config, tmp_path / "out", say=silent)
    world.rename(tmp_path / "there")
    moved = with_values(config, {"data.root": str(tmp_path / "there")})
    moved = with_values(moved, {"study.space": {LR: [1e-1, 1e-2]}})
    assert len(search(moved, tmp_path / "out", resume=True, say=silent).trials) == 2
    assert len(trained.seen) == 2
    split = json.loads((tmp_path / "out" / "split.json").read_text())
    assert split["source"]["path"] == str(tmp_path / "there" / "labels.csv")

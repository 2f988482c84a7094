"""A search on a Ray cluster of two machines (both this one): whatever dies, its trials are those of one machine."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.two_machines import ENVIRONMENT, TwoMachines, kill
from tests.study.search.world import learning_config, silent

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.config import Config, with_values
from cxreader.study.search.search import search

pytest.importorskip("ray")

from tests.study.search.cluster.ray_world import drive, in_a_trial, records, wait_for

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SPACE = {
    "training.fine_tune.lr": [1e-1, 1e-2, 1e-3, 1e-4],
    "model.dropout": [0.0, 0.4],
    "training.batch_size": [8, 16],
}
CLOCKS = ("seconds", "peak_memory", "gpu_memory")


@pytest.fixture
def config(world: Path) -> Config:
    """Sixteen points of one epoch."""
    return with_values(learning_config(world, SPACE), {"training.fine_tune.epochs": 1})


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[TwoMachines]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
            patch.setenv(name, value)
        two = TwoMachines()
        yield two
        two.stop()


def table_of(out: Path) -> list[dict[str, Any]]:
    with (out / "trials.csv").open(newline="") as file:
        return [{key: cell for key, cell in row.items() if key not in CLOCKS} for row in csv.DictReader(file)]


def test_a_worker_dies_then_the_driver_then_a_machine_and_sixteen_points_are_tried_once_each(
    machines: TwoMachines, config: Config, tmp_path: Path
) -> None:
    out, inside = tmp_path / "out", tmp_path / "inside"
    inside.mkdir()
    driver = drive(config, out, machines.address, inside)
    wait_for(out, 1, driver)
    pid, killed = in_a_trial(inside)
    kill(pid)
    (inside / str(pid)).unlink()
    wait_for(out, 3, driver)
    driver.kill()
    driver.join()
    driver = drive(config, out, machines.address, inside, resume=True)
    wait_for(out, 6, driver)
    machines.kill_second()
    driver.join(240)
    said = out.with_name("out.said").read_text()
    assert driver.exitcode == 0, said

    search(config, tmp_path / "alone", say=silent)
    assert table_of(out) == table_of(tmp_path / "alone")
    found = [json.loads(path.read_text()) for path in records(out)]
    points = {json.dumps(record["point"]) for record in found}
    assert len(found) == len(points) == 16
    told = re.findall(r"^trial (\d+): .* of 16 tried\)$", said, re.MULTILINE)
    assert len(told) == len(set(told)) >= 15  # one may have its record, and not be told, when the driver dies
    assert found[killed]["worker"]["attempt"] > 1
    assert f"Ray: a worker ended in trial {killed + 1}" in said
    assert said.count("Ray: room for 2 workers of 1 core on 2 machines") == 2
    weights = [sorted(folder.glob("trials/*/phases/*/best.safetensors")) for folder in (out, tmp_path / "alone")]
    assert len(weights[0]) == 16
    assert [path.read_bytes() for path in weights[0]] == [path.read_bytes() for path in weights[1]]
    assert not list((tmp_path / "cache" / "cxreader" / "search").glob("*/trials/*/trial"))

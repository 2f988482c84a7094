"""Reading on a Ray cluster of two machines (both this one): whatever dies, the table is that of one machine.

One cluster serves all tests: each begins what the one before it has killed.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import hand_made
from tests.cluster.two_machines import ENVIRONMENT, TwoMachines, kill
from tests.inference.batch.ray_world import (
    POISON,
    drive,
    reading_worker,
    wait_for,
    workers,
)
from tests.inference.batch.world import committed, distinct
from tests.s3_server import s3_server

from cxreader import Reader
from cxreader.inference.batch.read_files import read_files
from cxreader.inference.batch.table import Row

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="no ray here")]
SLOW = 0.04


@pytest.fixture(scope="module")
def machines(stored: list[str]) -> Iterator[TwoMachines]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        two = TwoMachines()
        yield two
        two.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from cxreader.inference.runtimes.export import export_onnx
    from cxreader.models.registry import create_model

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    network = create_model("resnet18", dropout=0.2, size=64)
    hand_made(folder, "resnet18", network.state_dict(), 64)
    export_onnx(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """200: two of them have one content, far apart, and one is empty."""
    folder = tmp_path_factory.mktemp("images")
    made = distinct(folder, 198)
    (folder / "again.png").write_bytes(Path(made[3]).read_bytes())
    (folder / "empty.png").touch()
    return [*made[:100], str(folder / "empty.png"), *made[100:], str(folder / "again.png")]


@pytest.fixture(scope="module")
def stored(files: list[str]) -> Iterator[list[str]]:
    """The same, in a store that speaks S3. The cluster begins within: its workers know the store by the environment."""
    import pyarrow.fs as pafs

    with s3_server("archive"):
        store = pafs.FileSystem.from_uri("s3://archive")[0]
        names = [Path(file).name for file in files]
        for file, name in zip(files, names, strict=True):
            with store.open_output_stream(f"archive/{name}") as out:
                out.write(Path(file).read_bytes())
        yield [f"s3://archive/{name}" for name in names]


@pytest.fixture(scope="module")
def alone(model: Path, files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of one machine, of the same files."""
    out = tmp_path_factory.mktemp("alone") / "o.json"
    read_files(Reader.load(model, backend="onnx"), files, out)
    return out


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    folder = tmp_path / "pids"
    folder.mkdir()
    return folder


def table_of(path: Path) -> list[Row]:
    found: list[Row] = json.loads(path.read_text("utf-8"))
    return found


def ended(driver: Any, seconds: float = 300) -> int:
    driver.join(seconds)
    assert driver.exitcode is not None, "it hangs"
    return int(driver.exitcode)


def test_files_in_a_store_whose_worker_dies_and_one_that_ends_each_worker(
    machines: TwoMachines, stored: list[str], model: Path, alone: Path, tmp_path: Path, pids: Path
) -> None:
    """The one is a row with its reason, as a key that is missing is; all others have the answers of one machine."""
    out = tmp_path / "o.json"
    place = stored[0].rpartition("/")[0]
    given = [*stored[:30], f"{place}/{POISON}.png", *stored[30:], f"{place}/gone.png"]
    driver = drive(model, given, out, machines.address, pids=str(pids), seconds=SLOW)
    wait_for(out, 0, driver)
    kill(workers(pids)[0])
    assert ended(driver) == 0
    table = {row["image"]: row for row in table_of(out)}
    assert list(table) == given
    odd = [table.pop(f"{place}/{name}.png") for name in (POISON, "gone")]
    assert [row["acceptance"] for row in odd] == ["not read", "not read"]
    assert odd[0]["reasons"].startswith("three workers ended while they read it")
    assert odd[1]["reasons"] == "no such file; check the path"
    names = {"image": "", "rank": 0}
    assert [row | names for row in table.values()] == [row | names for row in table_of(alone)]


def test_the_driver_dies_then_a_machine_and_the_same_call_ends_with_the_table_of_one_machine(
    machines: TwoMachines, model: Path, files: list[str], alone: Path, tmp_path: Path, pids: Path
) -> None:
    out = tmp_path / "o.json"
    driver = drive(model, files, out, machines.address, pids=str(pids), seconds=SLOW)
    done = wait_for(out, 0, driver)
    driver.kill()
    driver.join()
    assert not out.exists()
    driver = drive(model, files, out, machines.address, pids=str(pids), seconds=SLOW)
    wait_for(out, done + 8, driver)
    machines.kill_second()
    assert committed(out) < len(files)
    assert ended(driver) == 0
    assert out.read_bytes() == alone.read_bytes()
    said = out.with_name("o.json.said").read_text()
    assert said.count("Ray: room for 2 workers of 1 core on 2 machines") == 2
    assert {path.read_text() for path in pids.iterdir()} == {"1"}  # cores, which Ray binds nobody to
    assert not out.with_name("o.json.work").exists()
    assert not workers(pids)


def test_a_worker_with_another_version_reads_nothing(
    machines: TwoMachines, model: Path, files: list[str], tmp_path: Path, pids: Path
) -> None:
    out = tmp_path / "o.json"
    driver = drive(model, files[:4], out, machines.address, pids=str(pids), seconds=0.0, version="0.0.1")
    assert ended(driver) == 2
    said = out.with_name("o.json.said").read_text().splitlines()
    assert "no worker can be used; the last has another version of cxreader" in said[-1]
    assert not out.exists()


def test_the_command_connects_by_itself_and_a_dead_worker_is_not_told_of_in_the_table(
    machines: TwoMachines, model: Path, files: list[str], alone: Path
) -> None:
    """Ray tells of it on standard output, where the table goes."""
    command = [sys.executable, "-m", "cxreader", "read", "--model", str(model), *files, "--out", "-"]
    command += ["--engine", "ray", "--address", machines.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        kill(reading_worker())
        table, said = driver.communicate(timeout=300)
    assert driver.returncode == 0, said
    rows = {row["image"]: row["score"] or row["probability"] for row in csv.DictReader(table.splitlines())}
    expected = {row["image"]: row["score"] or row["probability"] for row in table_of(alone)}
    assert rows == {image: "" if number is None else str(number) for image, number in expected.items()}
    assert len(table.splitlines()) == 1 + len(files)
    assert "Ray: room for" in said
    assert "asks for no token" not in said

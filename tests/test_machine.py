"""How many cores a process takes for its own: bound, bounded by its container, or told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxreader import machine
from cxreader.atomic import writing_whole
from cxreader.errors import UsageError


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def quotas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of this test alone, on a machine of eight cores."""
    monkeypatch.delenv("CXREADER_CORES", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    real = machine._quotas
    monkeypatch.setattr(machine, "_quotas", lambda *_: real(tmp_path / "cgroup", tmp_path / "groups"))
    return tmp_path


def test_without_a_quota_it_is_what_the_process_is_bound_to(quotas: Path) -> None:
    assert machine.cores() == 8
    (quotas / "cgroup").write_text("0::/\n")
    group(quotas / "groups", cpu__max="max 100000\n")
    assert machine.cores() == 8


@pytest.mark.parametrize(
    ("quota", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("400000 100000", 4), ("9900000 100000", 8)]
)
def test_a_containers_quota_bounds_it_rounded_up(quotas: Path, quota: str, cores: int) -> None:
    """Version 2, as a container sees it: the group's own files at the top, its name outside not there."""
    (quotas / "cgroup").write_text("0::/../outside/of/it\n")
    group(quotas / "groups", cpu__max=quota)
    assert machine.cores() == cores


def test_the_smallest_quota_of_the_groups_around_counts(quotas: Path) -> None:
    (quotas / "cgroup").write_text("0::/job/step\n")
    group(quotas / "groups" / "job", cpu__max="300000 100000")
    group(quotas / "groups" / "job" / "step", cpu__max="max 100000")
    assert machine.cores() == 3


def test_version_1_has_its_own_files(quotas: Path) -> None:
    (quotas / "cgroup").write_text("4:memory:/job\n3:cpu,cpuacct:/job\n0::/\n")
    group(quotas / "groups" / "cpu,cpuacct" / "job", cpu__cfs_quota_us="250000\n", cpu__cfs_period_us="100000\n")
    group(quotas / "groups" / "cpu,cpuacct", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert machine.cores() == 3


def test_the_variable_says_otherwise_and_must_be_a_number(quotas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, cores in (("3", 3), (" 20 ", 20), ("", 8)):
        monkeypatch.setenv("CXREADER_CORES", text)
        assert machine.cores() == cores
    for text in ("0", "two", "-1", "1.5"):
        monkeypatch.setenv("CXREADER_CORES", text)
        with pytest.raises(UsageError, match=r"CXREADER_CORES: .* is no number of cores; give 1 or more"):
            machine.cores()


def test_two_that_write_one_file_under_one_process_number_each_write_it_whole(tmp_path: Path) -> None:
    """Two machines that share a folder have the same process numbers; here two writers of one process stand for them."""
    target = tmp_path / "table.csv"
    with writing_whole(target) as first:
        first.write(b"first, ")
        first.flush()
        with writing_whole(target) as second:
            second.write(b"second")
        assert target.read_bytes() == b"second"
        first.write(b"whole")
    assert target.read_bytes() == b"first, whole"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]

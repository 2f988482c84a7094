"""Killed at any moment, on a full disk, in several processes: one row a file, computed twice only what was in flight."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from tests.assessment.shortcut_world import make_reader
from tests.inference.batch.world import Watched, committed, distinct, start, wait_for

from cxreader.inference.batch.read_files import read_files

BATCH = 4
IN_FLIGHT = 2 * BATCH
"""The batch that is being committed, and the one that the network works on meanwhile."""


def test_killed_at_ten_random_moments_it_ends_with_the_rows_of_a_run_that_was_not(tmp_path: Path) -> None:
    files = distinct(tmp_path / "images", 240)
    out, log = tmp_path / "o.json", tmp_path / "log"
    moments, before = random.Random(1), 0
    for _ in range(10):
        process = start(files, out, log, seconds=0.02, batch_size=BATCH, sort=True)
        wait_for(out, before, process)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        before = committed(out)
        assert 0 < before < len(files)
        assert not out.exists()
    process = start(files, out, log, batch_size=BATCH, sort=True)
    process.join()
    assert process.exitcode == 0
    read_files(make_reader(Watched()), files, tmp_path / "whole.json", sort=True)
    assert out.read_bytes() == (tmp_path / "whole.json").read_bytes()
    shown = log.stat().st_size
    assert len(files) <= shown <= len(files) + 10 * IN_FLIGHT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "log", "o.json", "whole.json"]


def test_two_processes_share_the_files_and_a_third_takes_over_what_a_dead_one_held(tmp_path: Path) -> None:
    files = distinct(tmp_path / "images", 160)
    out, log = tmp_path / "o.csv", tmp_path / "log"
    dying, first = (start(files, out, log, seconds=0.03, batch_size=BATCH) for _ in range(2))
    wait_for(out, 20, first)
    dying.kill()
    dying.join()
    assert dying.exitcode == -signal.SIGKILL
    second = start(files, out, log, seconds=0.03, batch_size=BATCH)
    for process in (first, second):
        process.join()
        assert process.exitcode == 0
    read_files(make_reader(Watched()), files, tmp_path / "whole.csv")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(files) <= log.stat().st_size <= len(files) + IN_FLIGHT
    assert not out.with_name("o.csv.work").exists()


def test_a_full_disk_ends_it_with_one_line_and_nothing_done_is_lost(tmp_path: Path) -> None:
    """The largest file that the process may write stands for the disk: the journal reaches it midway."""
    files = distinct(tmp_path / "images", 160)
    out, log = tmp_path / "o.csv", tmp_path / "log"
    full = start(files, out, log, batch_size=BATCH, largest_file=400_000)
    full.join()
    assert full.exitcode == 6  # StorageError
    done = committed(out)
    assert 0 < done < len(files)
    shown = log.stat().st_size
    assert shown <= done + IN_FLIGHT
    network = Watched()
    read_files(make_reader(network), files, out, batch_size=BATCH)
    assert network.shown == len(files) - done
    read_files(make_reader(Watched()), files, tmp_path / "whole.csv")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()

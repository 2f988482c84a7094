"""Locks: one holder or several that share, freed by any death, and always on the file that the path names."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cxreader.errors import StorageError
from cxreader.locks import is_held, lock, try_lock

_HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from cxreader.locks import lock\n"
    "held = lock(Path(sys.argv[1]), shared=sys.argv[2] == 'shared')\n"
    "print('held', flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.mark.parametrize("kind", ["shared", "alone"])
def test_another_process_holds_it_until_it_is_killed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(path), kind], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_held(path)
        assert try_lock(path) is None
        if kind == "shared":
            before = time.monotonic()
            lock(path, shared=True).close()
            assert time.monotonic() - before < 30  # the holder's 60 seconds were not waited for
        holder.kill()
    assert not is_held(path)
    held = try_lock(path)
    assert held is not None
    with held:
        assert is_held(path)  # between two of one process too
    assert not is_held(path)


def test_who_waits_has_it_when_the_holder_gives_it_back(tmp_path: Path) -> None:
    path, order = tmp_path / "a.lock", list[str]()

    def wait() -> None:
        with lock(path):
            order.append("waiter")

    with lock(path):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.05)
        order.append("holder")
    waiting.join()
    assert order == ["holder", "waiter"]


def test_what_a_file_holds_stays_and_may_be_written_by_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_bytes(b"before")
    with lock(path) as held:
        assert held.read() == b"before"
        held.write(b", after")
        assert path.read_bytes() == b"before, after"


def test_a_file_that_was_replaced_while_it_was_waited_for_is_locked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "a.lock", fcntl.flock

    def replaced(file: int, how: int) -> None:
        monkeypatch.undo()
        flock(file, how)
        path.unlink()
        path.touch()

    monkeypatch.setattr(fcntl, "flock", replaced)
    with lock(path) as held:
        assert os.path.samestat(os.fstat(held.fileno()), path.stat())
        assert is_held(path)


def test_folders_are_made_where_that_is_asked_for_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.lock"
    for missing in (lock, try_lock):
        with pytest.raises(FileNotFoundError):
            missing(path)
    assert not is_held(path)
    assert list(tmp_path.iterdir()) == []
    lock(path, make_folder=True).close()
    assert path.stat().st_size == 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOLCK])
def test_where_there_is_no_lock_to_be_had_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(StorageError, match=rf"^{tmp_path}: cannot be written \({os.strerror(number)}\)"):
        lock(tmp_path / "a.lock")
    monkeypatch.undo()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file, not a folder"):
        lock(tmp_path / "file" / "a.lock")

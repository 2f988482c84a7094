"""The parent of the workers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxreader.errors import CxreaderError
from cxreader.study.search import pool


def test_workers_that_die_before_they_try_anything_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As where a script calls the search without `if __name__ == "__main__":`."""
    started: list[Any] = []

    def start(task: Any) -> Any:
        started.append(begin(task))
        return started[-1]

    begin = pool._start
    monkeypatch.setattr(pool, "_start", start)
    monkeypatch.setattr(pool, "spawned", sys.exit)
    task: Any = SimpleNamespace(folder=tmp_path, session="s")
    with pytest.raises(CxreaderError, match=r"workers end before they try anything \(exit code 1\).*__main__"):
        pool.run_workers(task, 4, 2, lambda _: None)
    assert 3 <= len(started) <= 5
    assert not [process for process in started if process.is_alive()]
    capfd.readouterr()  # what sys.exit prints of its argument

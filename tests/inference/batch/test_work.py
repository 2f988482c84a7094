"""The work folder: shards and the table belong to one living process, and what another version began is refused."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.assessment.shortcut_world import make_reader
from tests.inference.batch.world import Watched, committed, distinct, start, wait_for

from cxreader.errors import StorageError, UsageError
from cxreader.inference.batch import work as work_module
from cxreader.inference.batch.journal import Journal
from cxreader.inference.batch.read_files import read_files
from cxreader.inference.batch.work import Work, shard_sizes
from cxreader.inference.reader import BATCH
from cxreader.inference.runtimes.backend import runtime_version
from cxreader.locks import lock

NAMES = [f"{n:03d}.png" for n in range(3 * BATCH)]
"""Of three shards; they are never opened."""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "o.json"


def opened(out: Path) -> Work:
    return Work.open(out, make_reader(Watched()), NAMES)


def taken(todo: Iterator[tuple[int, str]], count: int) -> list[int]:
    return [position for position, _ in (next(todo) for _ in range(count))]


def test_shards_are_whole_batches_at_least_32_where_that_is_possible_and_at_most_2048_files() -> None:
    assert shard_sizes(0) == []
    assert shard_sizes(10) == [10]
    assert shard_sizes(40) == [16, 16, 8]
    assert shard_sizes(512) == [16] * 32
    assert shard_sizes(513) == [32] * 16 + [1]
    assert shard_sizes(100_000) == [2048] * 48 + [100_000 - 48 * 2048]


def test_a_shard_belongs_to_one_process_until_that_ends(out: Path) -> None:
    with opened(out) as second:
        first = opened(out)
        of_first = first.todo()
        assert taken(of_first, BATCH + 1) == list(range(BATCH + 1))  # two shards are claimed
        of_second = second.todo()
        assert taken(of_second, BATCH) == list(range(2 * BATCH, 3 * BATCH))
        assert next(of_second, None) is None
        assert len(list(first.folder.glob("lease-*.lock"))) == 2
        first.close()
        assert len(list(first.folder.glob("lease-*.lock"))) == 1
        assert [position for position, _ in second.todo()] == list(range(2 * BATCH))
        assert next(second.todo(), None) is None  # its own are under way


def test_names_keep_their_bytes_and_their_order(out: Path) -> None:
    names = ["b\udcff.png", "a\nb.png", "ü.png", "b\udcff.png"]
    with Work.open(out, make_reader(Watched()), names) as work:
        assert list(work.todo()) == list(enumerate(names))


@pytest.mark.parametrize("finished", [True, False])
def test_one_process_ends_the_work_and_another_waits_for_it_or_takes_over(out: Path, finished: bool) -> None:
    first, second = opened(out), opened(out)
    (out.parent / ".o.json.work.1.old").mkdir()  # half deleted by a process that was killed
    ends: list[bool] = []

    def end() -> None:
        with second.finishing() as ours:
            ends.append(ours)

    ending = first.finishing()
    assert ending.__enter__()
    waiting = threading.Thread(target=end)
    waiting.start()
    time.sleep(2 * work_module.PATIENCE)
    assert ends == []
    if finished:
        ending.__exit__(None, None, None)
    else:
        assert not ending.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)  # it is raised on
        assert first.folder.exists()
    first.close()
    waiting.join()
    assert ends == [not finished]
    second.close()
    assert list(out.parent.iterdir()) == []


def test_work_that_ended_while_it_was_being_opened_is_begun_anew(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each moment at which the folder may go, with and without a new one in its place."""
    for moment in ("lock", "Journal"):
        for replaced in (True, False):
            opened(out).close()
            there, moved = getattr(work_module, moment), out.with_name(f"moved-{moment}-{replaced}")

            def gone(*arguments: Path, **options: bool) -> object:
                monkeypatch.undo()
                (out.parent / "o.json.work").rename(moved)  # noqa: B023
                if replaced:  # noqa: B023
                    opened(out).close()
                return there(*arguments, **options)  # noqa: B023

            monkeypatch.setattr(work_module, moment, gone)
            with opened(out) as work:
                assert len(taken(work.todo(), 3 * BATCH)) == 3 * BATCH
                with Journal(work.folder / "journal.db") as other:
                    assert other.claim("another", work._is_dead) is None
                with pytest.raises(UsageError, match="another process is reading there"):
                    Work.open(out, make_reader(Watched()), NAMES, fresh=True)
            Work.open(out, make_reader(Watched()), NAMES, fresh=True).close()


def test_what_a_killed_process_held_is_read_on_at_once(tmp_path: Path, out: Path) -> None:
    files = distinct(tmp_path / "images", 48)
    killed = start(files, out, tmp_path / "log", seconds=0.05, batch_size=4)
    wait_for(out, 0, killed)
    killed.kill()
    killed.join()
    done = committed(out)
    folder = tmp_path / "o.json.work"
    assert len(list(folder.glob("lease-*.lock"))) == 1
    network = Watched()
    read_files(make_reader(network), files, out)
    assert network.shown == len(files) - done
    assert [row["image"] for row in json.loads(out.read_text())] == files
    assert not folder.exists()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_of_the_version_before_is_refused_in_one_line_and_left_as_it_is(tmp_path: Path, out: Path) -> None:
    """Made by revision 03eec38, interrupted when 8 of 20 files were answered."""
    folder = tmp_path / "o.json.work"
    with zipfile.ZipFile(Path(__file__).with_name("work_version_1.zip")) as made:
        made.extractall(folder)
    before = contents(folder)
    assert {"manifest.json", "files.parquet", "journal.db"} < set(before)
    files, network = distinct(tmp_path / "images", 20), Watched()
    with pytest.raises(UsageError) as refused:
        read_files(make_reader(network), files, out)
    assert str(refused.value) == (
        f"{folder}: the reading begun there is of an earlier version of cxreader, which kept it in other files; "
        "finish it with that version, or begin anew with --fresh"
    )
    with lock(folder / "in-use.lock", shared=True), pytest.raises(UsageError, match="another process is reading there"):
        read_files(make_reader(network), files, out, fresh=True)  # a process of that version holds this lock
    assert contents(folder) == before
    assert network.shown == 0
    assert read_files(make_reader(network), files, out, fresh=True) is not None
    assert network.shown == 20
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"version": 3}, "another version of this folder"),
        ({"cxreader": "0.0"}, "another version of cxreader"),
        ({"runtimes": ["onnxruntime 0.1"]}, "another version of the runtime"),
    ],
)
def test_a_folder_of_another_version_is_refused(out: Path, changed: dict[str, object], words: str) -> None:
    opened(out).close()
    with closing(sqlite3.connect(out.parent / "o.json.work" / "journal.db")) as db, db:
        (there,) = db.execute("SELECT manifest FROM work").fetchone()
        db.execute("UPDATE work SET manifest = ?", (json.dumps(json.loads(there) | changed),))
    with pytest.raises(UsageError, match=f"begun there is of {words}; give another --out, or begin anew with --fresh"):
        opened(out)


def test_a_folder_that_holds_the_journal_of_the_version_before_alone_is_damaged(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "o.json.work"
    with zipfile.ZipFile(Path(__file__).with_name("work_version_1.zip")) as made:
        made.extract("journal.db", folder)
    with pytest.raises(StorageError, match="the journal is damaged; begin anew with --fresh"):
        opened(out)


def test_the_manifest_names_the_runtimes_version_and_one_written_without_it_is_gone_on_with(out: Path) -> None:
    assert runtime_version("onnx") == f"onnxruntime {version('onnxruntime')}"
    assert runtime_version("patches") is None  # no runtime of ours
    opened(out).close()
    with closing(sqlite3.connect(out.parent / "o.json.work" / "journal.db")) as db, db:
        (there,) = db.execute("SELECT manifest FROM work").fetchone()
        older = json.loads(there)
        assert older.pop("runtimes") == [None]
        db.execute("UPDATE work SET manifest = ?", (json.dumps(older),))
    opened(out).close()

"""Many files: a row each whatever they hold, one content once, the same call goes on, memory that does not grow."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.assessment.shortcut_world import make_reader
from tests.inference.batch.world import Watched, distinct, rows

from cxreader import Reader
from cxreader.errors import StorageError, UsageError
from cxreader.inference.batch import pipeline
from cxreader.inference.batch import read_files as batch_module
from cxreader.inference.batch.paths import listed
from cxreader.inference.batch.pipeline import read_shard
from cxreader.inference.batch.read_files import Summary, read_files
from cxreader.inference.batch.table import Row
from cxreader.inference.batch.work import Work
from cxreader.inference.member import Member
from cxreader.records import OperatingPoint


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return distinct(tmp_path_factory.mktemp("images"), 50)


def table_of(path: Path) -> list[Row]:
    found: list[Row] = json.loads(path.read_text("utf-8"))
    return found


def work_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.work")


@pytest.mark.parametrize("sort", [False, True])
def test_the_table_says_what_the_reader_says_one_by_one(files: list[str], tmp_path: Path, sort: bool) -> None:
    """The order comes from SQL there and from Python's sort here."""
    reader = make_reader(Watched())
    (tmp_path / "empty.png").touch()
    Image.fromarray(np.full((80, 80), 9, np.uint8)).save(tmp_path / "blank.png")
    bad = [str(tmp_path / "empty.png"), str(tmp_path / "absent.png"), str(tmp_path), str(tmp_path / "blank.png")]
    mixed = [*files[:20], *bad, *files[20:]]
    summary = read_files(reader, mixed, tmp_path / "o.json", sort=sort)
    assert table_of(tmp_path / "o.json") == rows([next(reader.read_many([f])) for f in mixed], sort=sort)
    assert summary is not None
    assert "1 refused, 3 not read" in summary.text()
    assert not work_of(tmp_path / "o.json").exists()


def test_the_last_line_says_what_the_warnings_belong_to() -> None:
    answers = [("abnormal", "warning"), ("abnormal", "warning"), ("normal", "accepted"), ("", "not read")]
    summary = Summary(different=4)
    list(summary.counted({"decision": decision, "acceptance": verdict} for decision, verdict in answers))
    assert summary.text() == "4 files: 2 abnormal, 1 normal, 0 refused, 1 not read; 2 of the answers with a warning"


def test_probabilities_do_not_depend_on_the_batch(small_run: Path, small_world: Path) -> None:
    reader = Reader.load(small_run)
    named = list(enumerate(str(path) for path in sorted(small_world.glob("0*.png"))[:23]))
    alone = [reader.read(name, heat_map=False).value for _, name in named]
    for size in (1, 5, 16):
        found = [f.answer["score"] for batch in read_shard(reader, named, batch_size=size) for f in batch]
        assert found == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_one_content_under_many_names_is_shown_to_the_network_once(
    files: list[str], tmp_path: Path, batch_size: int
) -> None:
    """Twins in one batch, in the next, and far behind; with a journal and without."""
    copies = [shutil.copy(files[0], tmp_path / f"{n}.png") for n in range(3)]
    named = [files[0], str(copies[0]), *files[1:9], str(copies[1]), *files[9:], str(copies[2]), files[0]]
    network = Watched()
    reader = make_reader(network)
    summary = read_files(reader, named, tmp_path / "o.json", batch_size=batch_size)
    assert network.shown == len(files)
    assert summary is not None
    assert (summary.files, summary.different) == (len(files) + 4, len(files))
    table = table_of(tmp_path / "o.json")
    assert [row["image"] for row in table] == named
    twins = [row for row in table if row["image"] in {files[0], *map(str, copies)}]
    assert len({row["score"] for row in twins}) == 1
    found = [f for b in read_shard(reader, enumerate(named), batch_size=batch_size) for f in b]
    assert network.shown == 2 * len(files)
    assert [f.answer["score"] for f in found] == [row["score"] for row in table]


def test_what_no_decoder_should_raise_is_a_row_too(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = make_reader(Watched())
    prepare = reader.prepare

    def failing(source: bytes, *, name: str | None = None) -> object:
        if name == files[3]:
            raise ZeroDivisionError
        return prepare(source, name=name)

    monkeypatch.setattr(reader, "prepare", failing)
    read_files(reader, files[:6], tmp_path / "o.json")
    table = table_of(tmp_path / "o.json")
    assert [row["acceptance"] == "not read" for row in table] == [n == 3 for n in range(6)]
    assert "ZeroDivisionError" in table[3]["reasons"]


class Interrupted(Watched):
    """Ctrl-C at the image given."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        answer = super().logits(batch)
        if self.shown >= self.at:
            raise KeyboardInterrupt
        return answer


def test_after_ctrl_c_the_same_call_goes_on_and_says_so(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    with pytest.raises(KeyboardInterrupt):
        read_files(make_reader(Interrupted(20)), files, out, batch_size=4)
    assert not out.exists()
    said: list[str] = []
    network = Watched()
    read_files(make_reader(network), files, out, batch_size=4, say=said.append)
    found = re.search(r": (\d+) of 50 files were read before", said[0])
    assert found is not None
    kept = int(found[1])
    assert kept in (12, 16)  # the batch answered last may be lost with the one that was interrupted
    assert network.shown == len(files) - kept
    read_files(make_reader(Watched()), files, tmp_path / "whole.json")
    assert out.read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_a_work_of_other_options_models_or_files_is_refused_until_fresh(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    reader = make_reader(Watched())
    with pytest.raises(KeyboardInterrupt):
        read_files(make_reader(Interrupted(20)), files, out, batch_size=4)
    member = reader.members[0]
    moved = Reader([Member(member.artifact, member.backend, OperatingPoint.given(0.6))])
    retrained = Reader(
        [Member(replace(member.artifact, weights_sha256="1" * 64), member.backend, member.operating_point)]
    )
    for other, named, words in (
        (moved, files, "another operating point"),
        (retrained, files, "other models"),
        (reader, files[1:], "another number of files"),
        (reader, files[::-1], "other files"),
    ):
        with pytest.raises(UsageError, match=rf"{words}; give another --out, or begin anew with --fresh"):
            read_files(other, named, out)
    network = Watched()
    read_files(make_reader(network), files[::-1], out, fresh=True)
    assert network.shown == len(files)
    assert [row["image"] for row in table_of(out)] == files[::-1]


def test_fresh_deletes_no_folder_that_is_not_ours_and_none_in_use(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    reader = make_reader(Watched())
    with (
        Work.open(out, reader, files),
        pytest.raises(UsageError, match="another process"),
    ):
        read_files(reader, files, out, fresh=True)
    shutil.rmtree(work_of(out))
    work_of(out).mkdir()
    (work_of(out) / "thesis.tex").touch()
    with pytest.raises(UsageError, match="no work folder"):
        read_files(reader, files, out, fresh=True)
    with pytest.raises(StorageError, match="no work folder"):
        read_files(reader, files, out)
    assert (work_of(out) / "thesis.tex").exists()


def test_where_nothing_can_be_written_nothing_is_read(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Watched()
    reader = make_reader(network)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    mistakes = {
        tmp_path / "folder.csv": "is a folder",
        tmp_path / "file" / "o.csv": "is a file, not a folder",
        tmp_path / f"{'n' * 250}.csv": "the name is too long",
        tmp_path / f"{'n' * 240}.csv": "the name is too long",  # what stands beside it meanwhile has a longer one
    }
    for out, message in mistakes.items():
        with pytest.raises(StorageError, match=message):
            read_files(reader, files, out)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StorageError, match="Permission denied"):
        read_files(reader, files, tmp_path / "o.csv")
    assert network.shown == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv"]


@pytest.mark.parametrize("name", ["in-use.lock", "lease-"])
def test_a_work_folder_of_another_user_is_one_line(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out, reader = tmp_path / "o.json", make_reader(Watched())
    Work.open(out, reader, files).close()
    there = os.open

    def opened(path: Path, *rest: int) -> int:
        if Path(path).name.startswith(name):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return there(path, *rest)

    monkeypatch.setattr("cxreader.locks.os.open", opened)
    with pytest.raises(StorageError, match="Permission denied"):
        read_files(reader, files, out)


@pytest.mark.parametrize("torn", [True, False])
def test_a_damaged_work_folder_says_so_and_begins_anew_with_fresh(files: list[str], tmp_path: Path, torn: bool) -> None:
    out, reader = tmp_path / "o.json", make_reader(Watched())
    Work.open(out, reader, files).close()
    path = work_of(out) / "journal.db"
    if torn:
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    with pytest.raises(StorageError, match="damaged; begin anew with --fresh"):
        read_files(reader, files, out)
    assert read_files(reader, files, out, fresh=True) is not None
    assert len(table_of(out)) == len(files)


def test_a_kill_or_a_full_disk_while_the_table_is_written_costs_no_answer(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old table stays, and the next call writes the new one without the network; no half a table lies about."""
    out = tmp_path / "o.json"
    out.write_text("old")

    def killed(*_: object, **__: object) -> None:
        (tmp_path / ".o.json.99999999.tmp").write_text("half")
        raise KeyboardInterrupt

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(batch_module, "write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        read_files(make_reader(Watched()), files, out)
    monkeypatch.undo()
    network, said = Watched(), list[str]()
    monkeypatch.setattr("cxreader.atomic.os.fsync", full)
    with pytest.raises(StorageError, match="no room"):
        read_files(make_reader(network), files, out)
    assert out.read_text() == "old"
    monkeypatch.undo()
    read_files(make_reader(network), files, out, say=said.append)
    assert network.shown == 0
    assert "replaced" in said[1]
    assert len(table_of(out)) == len(files)
    assert [path.name for path in tmp_path.iterdir()] == ["o.json"]


def test_no_file_is_a_table_without_rows(tmp_path: Path) -> None:
    for kind in ("json", "csv", "parquet"):
        summary = read_files(make_reader(Watched()), [], tmp_path / f"o.{kind}")
        assert summary is not None
        assert not summary.nothing_read
    assert table_of(tmp_path / "o.json") == []


def test_files_are_decoded_while_the_network_works(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither far behind nor far ahead: what waits for the network is bounded."""
    reader = make_reader(Watched(seconds=0.02))
    begun, lead = [0], []
    prepare, answer = reader.prepare, reader.answer

    def preparing(source: bytes, *, name: str | None = None) -> object:
        begun[0] += 1
        return prepare(source, name=name)

    def answering(shown: list[object], **options: bool) -> object:
        found = answer(shown, **options)  # type: ignore[arg-type]
        lead.append(begun[0])
        return found

    monkeypatch.setattr(reader, "prepare", preparing)
    monkeypatch.setattr(reader, "answer", answering)
    list(read_shard(reader, enumerate(files), batch_size=4))
    ahead = [begun - 4 * n for n, begun in enumerate(lead[:9], 1)]
    assert min(ahead) > 0
    assert max(ahead) <= (pipeline.BATCHES_AHEAD + 1) * 4  # and the batch that waits behind the network's own


def test_memory_does_not_grow_with_the_files(files: list[str], tmp_path: Path) -> None:
    """Twenty times as many names of one content; answers kept in memory would be some 10 MB more.

    Twice, since the interpreter's own table of names may grow by megabytes once, whenever its turn comes.
    """
    reader = make_reader(Watched())
    peaks = []
    for count in (500, 10_000, 10_000):
        named = [files[0]] * count
        tracemalloc.start()
        summary = read_files(reader, named, tmp_path / f"{count}.csv", sort=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert summary is not None
        assert (summary.files, summary.different) == (count, 1)
    assert min(peaks[1:]) - peaks[0] < 2e6


def test_a_member_of_a_zip_archive_is_a_file_like_others(files: list[str], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(files[0], "one.png")
        archive.write(files[1], "deep/two.png")
    named, _ = listed([files[0], str(tmp_path / "a.zip")])
    network = Watched()
    read_files(make_reader(network), named, tmp_path / "o.json")
    table = table_of(tmp_path / "o.json")
    assert [row["image"] for row in table] == [
        files[0],
        *(f"{tmp_path}/a.zip!/{n}" for n in ("one.png", "deep/two.png")),
    ]
    assert network.shown == 2
    assert table[0]["probability"] == table[1]["probability"] != table[2]["probability"]

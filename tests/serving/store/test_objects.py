"""The object store: what was put is there whole, by its own digest, in a folder and in a store behind a URL."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cxreader.errors import MissingObjectError, StorageError
from cxreader.remote import RemoteFolder
from cxreader.serving.store.files.objects import FolderStore, ObjectStore
from cxreader.serving.store.files.remote_store import RemoteStore

DATA = b"a radiograph" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["folder", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Each kind; the remote one on pyarrow's file system of this machine."""
    (tmp_path / "objects").mkdir()
    return (
        FolderStore(tmp_path / "objects") if request.param == "folder" else RemoteStore((tmp_path / "objects").as_uri())
    )


def test_bytes_come_back_by_their_digest(store: ObjectStore) -> None:
    assert not store.has(DIGEST)
    assert store.put(DATA) == store.put(DATA) == DIGEST
    assert store.has(DIGEST)
    assert store.get(DIGEST) == DATA
    assert list(store.digests()) == [DIGEST]
    store.delete(DIGEST)
    store.delete(DIGEST)
    assert list(store.digests()) == []
    with pytest.raises(MissingObjectError):
        store.get(DIGEST)


def test_what_was_damaged_is_no_answer(store: ObjectStore, tmp_path: Path) -> None:
    store.put(DATA)
    (place,) = (tmp_path / "objects").rglob(DIGEST)
    place.write_bytes(DATA[:-1])
    with pytest.raises(MissingObjectError, match="damaged"):
        store.get(DIGEST)


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, DIGEST[:-1]])
def test_only_digests_are_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="no digest"):
        FolderStore(tmp_path).get(name)


def test_bytes_are_forced_to_the_disk_before_their_name_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    forced, renamed = os.fsync, Path.rename

    def fsync(file: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{file}").is_dir() else "file")
        forced(file)

    def rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return renamed(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    FolderStore(tmp_path).put(DATA)
    assert steps == ["folder", "file", "rename", "folder"]  # the first is the new folder's own name
    steps.clear()
    FolderStore(tmp_path).put(b"other" + DATA, durable=False)
    assert "file" not in steps


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no room"):
        FolderStore(tmp_path).put(DATA)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("url", ["s3:/", "nothing://a/b", "s3://bucket/a?no_such_option=1"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="no store that can be opened"):
        RemoteFolder(url)


def test_what_a_killed_process_began_is_removed_once_it_is_old(store: ObjectStore, tmp_path: Path) -> None:
    store.put(DATA)
    (place,) = (tmp_path / "objects").rglob(DIGEST)
    old, fresh = (place.parent / f".{name}.tmp" for name in ("old", "fresh"))
    for one in (old, fresh):
        one.write_bytes(DATA[:10])
    for one in (old, place):
        os.utime(one, (100, 100))
    store.tidy(before=1000)
    if isinstance(store, FolderStore):  # elsewhere nothing is there before it is whole
        assert [one.exists() for one in (old, fresh)] == [False, True]
    assert store.get(DIGEST) == DATA


@pytest.mark.parametrize("damaged", [b"", DATA[:-1], b"b" + DATA[1:]], ids=["empty", "cut", "other bytes"])
def test_bytes_that_come_again_heal_what_was_damaged(tmp_path: Path, damaged: bytes) -> None:
    store = FolderStore(tmp_path)
    store.put(DATA)
    (place,) = tmp_path.rglob(DIGEST)
    place.write_bytes(damaged)
    store.put(DATA)
    assert store.get(DIGEST) == DATA
    assert store.size(DIGEST) == len(DATA)


def test_bytes_that_were_there_are_forced_to_the_disk_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote them did not wait, or was killed between name and folder."""
    store, forced, real = FolderStore(tmp_path), list[str](), os.fsync
    store.put(DATA, durable=False)

    def noted(file: int) -> None:
        forced.append(Path(f"/proc/self/fd/{file}").resolve().name)
        real(file)

    monkeypatch.setattr(os, "fsync", noted)
    store.put(DATA)
    assert forced == [DIGEST, DIGEST[:2]]

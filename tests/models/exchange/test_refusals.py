"""What is refused while fetching: files that are not as listed, folders that take nothing; none leaves an artifact."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.models.exchange.published import changed, published
from tests.models.exchange.server import Shelf

from cxreader.cli import run
from cxreader.errors import ArtifactError, StorageError, UsageError
from cxreader.models.artifact import MANIFEST, WEIGHTS, load_artifact
from cxreader.models.exchange import fetch as fetching
from cxreader.models.exchange.fetch import fetch
from cxreader.models.exchange.listing import CARD, LISTING
from cxreader.models.exchange.places import place_of
from cxreader.progress import no_bar

OTHER = "give the command again, it is fetched anew; if it stays so, ask whoever published it"


def _listed(data: bytes, name: str, content: bytes) -> bytes:
    """A listing in which the file of this name has other bytes."""
    number = next(n for n, part in enumerate(data.split(b'"name"')) if f'"{name}"'.encode() in part) - 1
    data = changed(data, "files", number, "sha256", to=hashlib.sha256(content).hexdigest())
    return changed(data, "files", number, "bytes", to=len(content))


@pytest.mark.parametrize("tells_length", [True, False])
@pytest.mark.parametrize(
    ("name", "change", "told", "untold"),
    [
        (WEIGHTS, lambda data: data[:-1] + b"x", OTHER, OTHER),
        (MANIFEST, lambda data: data[:-2] + b" }", OTHER, OTHER),
        (WEIGHTS, lambda data: data + b"x", "the listing says .*; ask whoever", "longer than the .*; ask whoever"),
        (
            WEIGHTS,
            lambda data: data[:-1],
            r"has [\d,]+ bytes, the listing says",
            r"ended after .*it goes on where it ended",
        ),
        (WEIGHTS, lambda _: b"", "has 0 bytes, the listing says", f"ends after 0 of .*; {OTHER}"),
        (CARD, lambda data: data + b"x", "has 14 bytes, the listing says 13; ask", "longer than the 13 bytes"),
        (LISTING, lambda data: data + b" " * 2**20, "too long for the listing", "too long for the listing"),
    ],
)
def test_what_is_not_as_listed_is_refused_and_leaves_no_artifact(
    folder: Path,
    shelf: Shelf,
    tmp_path: Path,
    name: str,
    change: Callable[[bytes], bytes],
    told: str,
    untold: str,
    tells_length: bool,
) -> None:
    published(folder, shelf.address)
    shelf.files[f"/shelf/{name}"] = change(shelf.files[f"/shelf/{name}"])
    shelf.tells_length = tells_length
    with pytest.raises(ArtifactError, match=f"/{name}: .*{told if tells_length else untold}") as caught:
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert not (tmp_path / "a" / MANIFEST).exists()
    # What goes on has something to go on from, and nothing else has.
    assert (tmp_path / "a" / f".{name}.part").exists() == ("where it ended" in str(caught.value))


def test_a_file_that_ends_too_early_on_its_server_is_not_gone_on_with_for_ever(
    folder: Path, shelf: Shelf, tmp_path: Path
) -> None:
    published(folder, shelf.address)
    shelf.files[f"/shelf/{WEIGHTS}"] = shelf.files[f"/shelf/{WEIGHTS}"][:-1]
    shelf.tells_length = False
    with pytest.raises(ArtifactError, match="it goes on where it ended"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    with pytest.raises(ArtifactError, match=f"ends after .*; {OTHER}"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert not (tmp_path / "a" / f".{WEIGHTS}.part").exists()


def test_a_damaged_part_is_removed_and_fetched_anew(folder: Path, shelf: Shelf, tmp_path: Path) -> None:
    published(folder, shelf.address)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f".{WEIGHTS}.part").write_bytes(b"of another version")
    with pytest.raises(ArtifactError, match=OTHER):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert fetch(shelf.address, tmp_path / "a", bar=no_bar)[0].id == load_artifact(folder).id


def test_a_listing_of_another_artifact_is_refused_before_its_weights_are_fetched(
    folder: Path, shelf: Shelf, tmp_path: Path
) -> None:
    published(folder, shelf.address)
    right = shelf.files[f"/shelf/{LISTING}"]
    export = load_artifact(folder).exports["onnx"]["file"]
    more = {"name": "model-000000000000.onnx", "sha256": "0" * 64, "bytes": 1}
    wrong = {
        r"is artifact [0-9a-f]{12} \(chestxray_cnn\), the listing says 0{12}": changed(right, "artifact", to="0" * 12),
        r"the listing says [0-9a-f]{12} \(resnet18\)": changed(right, "model", to="resnet18"),
        f"does not fit its listing: another {WEIGHTS}": _listed(right, WEIGHTS, b"other"),
        f"does not fit its listing: another {export}": _listed(right, export, b"other"),
        f"another {export}, or one of them has none": right.replace(export.encode(), b"model-000000000000.onnx"),
        "another model-0{12}.onnx, or one": changed(right, "files", to=[*json.loads(right)["files"], more]),
    }
    for message, listing in wrong.items():
        shelf.files[f"/shelf/{LISTING}"] = listing
        shelf.asked.clear()
        with pytest.raises(ArtifactError, match=f"/shelf/{MANIFEST}: .*{message}.*; ask whoever published it"):
            fetch(shelf.address, tmp_path / "a", bar=no_bar)
        assert [path for _, path, _ in shelf.asked] == [f"/shelf/{LISTING}", f"/shelf/{MANIFEST}"]
        assert not list((tmp_path / "a").iterdir())  # neither an artifact nor its manifest under another name
        with pytest.raises(ArtifactError, match="no artifact here"):
            load_artifact(tmp_path / "a")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [(b"[" * 100_000, "brackets nested too deep"), (b'{"schema": 6, "x": NaN}', "the digest does not fit")],
)
def test_a_manifest_that_is_no_artifact_is_one_line(
    folder: Path, shelf: Shelf, tmp_path: Path, manifest: bytes, message: str
) -> None:
    published(folder, shelf.address)
    shelf.files[f"/shelf/{MANIFEST}"] = manifest
    shelf.files[f"/shelf/{LISTING}"] = _listed(shelf.files[f"/shelf/{LISTING}"], MANIFEST, manifest)
    with pytest.raises(ArtifactError, match=f"/shelf/{MANIFEST}: damaged: .*{message}"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert not list((tmp_path / "a").iterdir())


def test_an_artifact_that_is_there_outlives_a_wrong_listing(folder: Path, shelf: Shelf, tmp_path: Path) -> None:
    published(folder, shelf.address)
    fetch(shelf.address, tmp_path / "a", bar=no_bar)
    shelf.files[f"/shelf/{WEIGHTS}"] = b"other"
    shelf.files[f"/shelf/{LISTING}"] = _listed(shelf.files[f"/shelf/{LISTING}"], WEIGHTS, b"other")
    with pytest.raises(ArtifactError, match=f"does not fit its listing: another {WEIGHTS}"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert load_artifact(tmp_path / "a").id == load_artifact(folder).id


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    folder: Path, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = published(folder, shelf.address)
    right = shelf.files[f"/shelf/{LISTING}"]
    shelf.files[f"/shelf/{LISTING}"] = changed(right, "files", 1, "bytes", to=10**15)
    shelf.asked.clear()
    message = (
        r"/a: no room for the 1,000,[\d,]+ bytes that the listing names: [\d,]+ are free; free space .*ask whoever"
    )
    with pytest.raises(StorageError, match=message):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert [path for _, path, _ in shelf.asked] == [f"/shelf/{LISTING}"]
    # What is there already needs no room.
    shelf.files[f"/shelf/{LISTING}"] = right
    weights = next(file.bytes for file in listing.files if file.name == WEIGHTS)
    free = sum(file.bytes for file in listing.files) - weights
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, free=free))
    with pytest.raises(StorageError, match=f"{free:,} are free"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    shutil.copy(folder / WEIGHTS, tmp_path / "a" / f".{WEIGHTS}.part")
    fetch(shelf.address, tmp_path / "a", bar=no_bar)


def test_a_folder_that_takes_nothing_is_named_and_not_the_publisher(
    folder: Path, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published(folder, shelf.address)
    assert run(["models", "get", shelf.address, "--out", "/proc/x"]) == 6
    told = capsys.readouterr().err
    assert told.startswith("cxreader: /proc/x: cannot be written (")
    assert "publish" not in told
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").write_text("a file where the folder of the artifacts is to be")
    assert run(["models", "get", shelf.address]) == 6
    assert "models: is a file, not a folder" in capsys.readouterr().err
    (tmp_path / "a" / CARD).mkdir(parents=True)
    with pytest.raises(StorageError, match=f"a/{CARD}: "):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)


@pytest.mark.parametrize("far", [True, False])
def test_a_disk_that_fills_while_a_file_comes_is_this_machines(
    folder: Path, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    address = shelf.address if far else str(tmp_path / "usb")
    published(folder, address)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching, "_write", full)
    with pytest.raises(StorageError, match=r"/a: no room for the [\d,]+ bytes .*; free space there"):
        fetch(address, tmp_path / "a", bar=no_bar)


def test_a_file_that_is_gone_and_a_server_that_refuses_are_told(folder: Path, shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"/published.json: no published artifact is there"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    published(folder, shelf.address)
    del shelf.files[f"/shelf/{WEIGHTS}"]
    with pytest.raises(ArtifactError, match=r"/model.safetensors: is in the listing, but not there"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    for status in (401, 403):
        shelf.refuses = {"GET": status}
        with pytest.raises(ArtifactError, match=f"answers {status} .*whether the address is right and is read without"):
            fetch(shelf.address, tmp_path / "b", bar=no_bar)
    shelf.refuses = {}
    shelf.redirect = (folder / WEIGHTS).as_uri()
    with pytest.raises(ArtifactError, match=r"published.json: .*Redirection to url 'file:"):
        fetch(shelf.address, tmp_path / "b", bar=no_bar)
    shelf.redirect = "ftp://127.0.0.1/shelf"
    with pytest.raises(ArtifactError, match=r"published.json: the server answers 302 Found"):
        fetch(shelf.address, tmp_path / "b", bar=no_bar)
    shelf.shutdown()
    shelf.server_close()
    with pytest.raises(ArtifactError, match="refused"):
        fetch(shelf.address, tmp_path / "b", bar=no_bar)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ftp://user:secret@x/y", "ftp:: no address of a published artifact"),
        ("hf:no-owner", "no address of a published artifact"),
        ("https://user:secret@x/y", "an address with a password ends in histories and logs"),
        ("https://user:secret@[x/y", "no address of the web"),
        ("https:///y", "no address of the web"),
        ("https://x:port/y", "no address of the web"),
        ("https://x/ä", "no address of the web; such as .*; signs beyond ASCII as %XX"),
        ("https://x/a b", "no address of the web"),
    ],
)
def test_an_address_that_is_none_is_refused_and_a_password_not_repeated(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        place_of(address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["x.zip", "./x.zip", LISTING])
def test_a_file_is_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"PK")
    told = f"{name}: is a file, not a folder; give the folder where published.json lies or is to lie; an archive is"
    assert run(["models", "get", name, "--out", "a"]) == 2
    assert told in capsys.readouterr().err
    card = str(folder.parent / "card.md")
    assert run(["models", "publish", str(folder), name, "--terms", "The images: CC BY 4.0.", "--card", card]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("address", "code"), [("x.zip/inside", 4), ("x" * 300, 2), (f"./{'x' * 300}", 4)])
def test_a_place_that_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.zip").write_bytes(b"PK")
    assert run(["models", "get", address, "--out", "a"]) == code
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("source", [".", "..", "/", "https://user:secret@x/.."])
def test_an_address_without_a_name_needs_out(capsys: pytest.CaptureFixture[str], source: str) -> None:
    assert run(["models", "get", source]) == 2
    told: Any = capsys.readouterr().err
    assert "names no folder for the artifact; give --out" in told
    assert "secret" not in told

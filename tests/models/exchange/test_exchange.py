"""An artifact is published to a folder, a server and the Hub, and fetched again: whole, checked, from where it broke off."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import torch
from tests.artifacts import hand_made, random_region_head, region_bytes
from tests.models.exchange.published import TERMS, WEIGHTS_TERMS, published
from tests.models.exchange.server import Shelf

from cxreader.cli import run
from cxreader.errors import ArtifactError, UsageError
from cxreader.models.artifact import MANIFEST, WEIGHTS, load_artifact
from cxreader.models.exchange import fetch as fetching
from cxreader.models.exchange.fetch import fetch, published_names
from cxreader.models.exchange.listing import CARD, LISTING
from cxreader.models.exchange.places import place_of
from cxreader.models.exchange.prepare import list_artifact
from cxreader.models.exchange.publish import publish
from cxreader.models.registry import create_model
from cxreader.progress import no_bar


def _put(shelf: Shelf) -> list[str]:
    return [path.removeprefix("/shelf/") for method, path, _ in shelf.asked if method == "PUT"]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_fetched_from_a_server_is_what_was_published(folder: Path, shelf: Shelf, tmp_path: Path) -> None:
    listing = published(folder, f"{shelf.address}/")
    export = load_artifact(folder).exports["onnx"]["file"]
    assert _put(shelf) == [CARD, WEIGHTS, export, MANIFEST, LISTING]
    artifact, told = fetch(f"{shelf.address}/{LISTING}", tmp_path / "a", bar=no_bar)
    assert (artifact.id, told) == (load_artifact(folder).id, listing)
    assert told.terms == (WEIGHTS_TERMS, TERMS)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([*(f.name for f in told.files), LISTING])
    for name in (WEIGHTS, export, MANIFEST):
        assert (tmp_path / "a" / name).read_bytes() == (folder / name).read_bytes()
    # The hashes are those that any other program computes.
    files = {file["name"]: file for file in json.loads((tmp_path / "a" / LISTING).read_text())["files"]}
    assert {name: (_sha256(tmp_path / "a" / name), (tmp_path / "a" / name).stat().st_size) for name in files} == {
        name: (file["sha256"], file["bytes"]) for name, file in files.items()
    }
    shelf.asked.clear()
    fetch(shelf.address, tmp_path / "a", bar=no_bar)  # again: nothing but the listing is asked for
    assert [path for _, path, _ in shelf.asked] == [f"/shelf/{LISTING}"]


@pytest.mark.parametrize("ignores_range", [False, True])
def test_a_download_that_broke_off_goes_on_where_it_ended(
    folder: Path, shelf: Shelf, tmp_path: Path, ignores_range: bool
) -> None:
    published(folder, shelf.address)
    shelf.cut, shelf.ignores_range = 100_000, ignores_range
    with pytest.raises(ArtifactError, match=r"model.safetensors: .*give the command again, it goes on where it ended"):
        fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert not (tmp_path / "a" / MANIFEST).exists()  # no artifact yet
    have = (tmp_path / "a" / f".{WEIGHTS}.part").stat().st_size
    assert 0 < have <= 100_000
    shelf.asked.clear()
    artifact, _ = fetch(shelf.address, tmp_path / "a", bar=no_bar)
    assert ("GET", f"/shelf/{WEIGHTS}", f"bytes={have}-") in shelf.asked
    assert artifact.id == load_artifact(folder).id
    assert _sha256(tmp_path / "a" / WEIGHTS) == _sha256(folder / WEIGHTS)


def test_a_publication_that_broke_off_sends_the_rest_and_the_listing_last(folder: Path, shelf: Shelf) -> None:
    listing, files = list_artifact(folder, folder.parent / "card.md", [TERMS])
    shelf.files[f"/shelf/{WEIGHTS}"] = (folder / WEIGHTS).read_bytes()
    shelf.files[f"/shelf/{CARD}"] = b"an older card"
    assert publish(listing, files, shelf.address, bar=no_bar) == len(files) - 1
    assert WEIGHTS not in _put(shelf)
    assert shelf.files[f"/shelf/{CARD}"] == b"# Model card\n"
    assert _put(shelf)[-2:] == [MANIFEST, LISTING]


def test_a_folder_is_a_place_and_another_artifact_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    published(folder, str(tmp_path / "usb"))
    artifact, _ = fetch(str(tmp_path / "usb"), tmp_path / "a", bar=no_bar)
    assert artifact.id == load_artifact(folder).id
    torch.manual_seed(1)
    other = tmp_path / "other"
    hand_made(other, "chestxray_cnn", create_model("chestxray_cnn", size=32).state_dict(), 32)
    with pytest.raises(UsageError, match=r"another artifact is there; give another --out"):
        fetch(str(tmp_path / "usb"), other, bar=no_bar)


def test_a_region_head_goes_along(tmp_path: Path) -> None:
    model = create_model("chestxray_cnn", size=32)
    record, head = random_region_head(model, 32)
    hand_made(tmp_path / "artifact", "chestxray_cnn", model.state_dict(), 32, regions=(record, region_bytes(head)))
    (tmp_path / "card.md").write_text("# Model card\n")
    published(tmp_path / "artifact", str(tmp_path / "usb"))
    artifact, _ = fetch(str(tmp_path / "usb"), tmp_path / "fetched", bar=no_bar)
    assert artifact.region_head == record
    assert (tmp_path / "fetched" / record.file).read_bytes() == region_bytes(head)


def test_a_name_stands_for_one_listing(folder: Path, shelf: Shelf, tmp_path: Path, monkeypatch: Any) -> None:
    listing = published(folder, shelf.address)
    entry = {"address": shelf.address, "sha256": hashlib.sha256(listing.to_bytes()).hexdigest(), "about": "a test"}
    monkeypatch.setattr(fetching, "published_names", lambda: {"adult": entry})
    assert fetch("adult", tmp_path / "a", bar=no_bar)[0].id == load_artifact(folder).id
    with pytest.raises(
        UsageError, match=r"no published model is named 'adlt'; did you mean 'adult'\?; or give an address"
    ):
        fetch("adlt", tmp_path / "b", bar=no_bar)
    shelf.files[f"/shelf/{LISTING}"] += b"\n"
    with pytest.raises(ArtifactError, match="another listing than the one that this name stands for"):
        fetch("adult", tmp_path / "b", bar=no_bar)


def test_every_name_that_comes_with_the_program_is_whole() -> None:
    for name, entry in published_names().items():
        assert set(entry) == {"address", "sha256", "about"}, name
        assert len(entry["sha256"]) == 64
        place_of(entry["address"])


def test_the_hub_is_given_each_file_and_read_by_its_addresses(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    calls: list[tuple[str, dict[str, Any]]] = []
    api = SimpleNamespace(
        create_repo=lambda repository, **options: calls.append((repository, options)),
        upload_file=lambda **options: calls.append((options["path_in_repo"], options)),
    )
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    place = place_of("hf:someone/adult-reader@v1")
    assert place.address == "https://huggingface.co/someone/adult-reader/resolve/v1"
    assert place_of("hf:someone/adult-reader").address.endswith("/resolve/main")
    place.write(WEIGHTS, folder / WEIGHTS)
    assert calls[0] == ("someone/adult-reader", {"exist_ok": True})
    about = {"path_or_fileobj": folder / WEIGHTS, "path_in_repo": WEIGHTS, "repo_id": "someone/adult-reader"}
    assert calls[1] == (WEIGHTS, {**about, "revision": "v1"})


def test_the_commands_publish_only_when_told_to_and_print_the_terms(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "usb")
    asked = ["models", "publish", str(folder), place, "--terms", TERMS, "--card", str(folder.parent / "card.md")]
    assert run(asked) == 0
    printed = capsys.readouterr()
    assert "nothing was sent; add --yes to publish it" in printed.err
    assert "hashes of its training patients" in printed.err
    assert f"- {TERMS}" in printed.out
    assert not (tmp_path / "usb").exists()
    assert run([*asked, "--yes"]) == 0
    assert "published: 4 files sent, 0 there before" in capsys.readouterr().err
    assert run(["models", "get", place, "--out", str(tmp_path / "got")]) == 0
    printed = capsys.readouterr()
    assert f"- {TERMS}" in printed.out
    assert "- The weights: " in printed.out
    # What was fetched can be handed on with the card that came with it.
    assert run(["models", "publish", str(tmp_path / "got"), place, "--terms", TERMS, "--yes"]) == 0
    assert "published: 0 files sent, 4 there before" in capsys.readouterr().err
    assert run(["models", "get", "nobody"]) == 2
    assert "no published model is named 'nobody'; none has a name yet" in capsys.readouterr().err


def test_fetching_loads_no_torch(folder: Path, tmp_path: Path) -> None:
    import subprocess

    published(folder, str(tmp_path / "usb"))
    code = (
        "import sys; from cxreader.cli import run;"
        f"assert run(['-q', 'models', 'get', {str(tmp_path / 'usb')!r}, '--out', {str(tmp_path / 'a')!r}]) == 0;"
        "assert 'torch' not in sys.modules and 'huggingface_hub' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

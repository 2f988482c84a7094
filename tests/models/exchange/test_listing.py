"""A listing is written by others: whatever is wrong in it is one line that names the field, before a file is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.models.exchange.published import TERMS, changed, published
from tests.models.exchange.server import Shelf

from cxreader.cli import run
from cxreader.errors import ArtifactError, UsageError
from cxreader.models.artifact import MANIFEST, WEIGHTS
from cxreader.models.exchange.listing import CARD, LISTING, parse_listing
from cxreader.models.exchange.prepare import list_artifact


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("files", 0, "bytes"), "12", 'files[0].bytes is "12", not a whole number from 1 to 2^53'),
        (("files", 0, "bytes"), None, "files[0].bytes is null, not a whole number"),
        (("files", 1, "bytes"), 1.5, "files[1].bytes is 1.5, not a whole number"),
        (("files", 0, "bytes"), True, "files[0].bytes is true, not a whole number"),
        (("files", 0, "bytes"), -1, "files[0].bytes is -1, not a whole number"),
        (("files", 0, "bytes"), 0, "files[0].bytes is 0, not a whole number"),
        (("files", 0, "bytes"), 10**400, "files[0].bytes is 1000000000000000000000000000000000000000..., not"),
        (("files", 0, "bytes"), [], "files[0].bytes is a list, not a whole number"),
        (("files", 0, "name"), None, "files[0].name is null, not that of a file which an artifact holds"),
        (("files", 0, "name"), "../../x", 'files[0].name is "../../x", not that of a file which an artifact holds'),
        (("files", 0, "name"), "weights.pt", 'files[0].name is "weights.pt", not that'),
        (("files", 0, "name"), WEIGHTS, 'files[1].name is "model.safetensors", as that of files[0]'),
        (("files", 2, "sha256"), 5, "files[2].sha256 is 5, not a SHA-256 of 64 hex digits"),
        (("files", 2, "sha256"), "A" * 64, "files[2].sha256 is"),
        (("files", 0), "x", 'files[0] is "x", not an object'),
        (("files", 0), {"name": CARD}, "files[0].bytes is missing"),
        (("files", 0, "more"), 1, "files[0].more is not known"),
        (("files",), {}, "files is an object, not a list"),
        (("files",), [], "files names no artifact.json"),
        (("terms",), "CC BY", 'terms is "CC BY", not a list'),
        (("terms",), ["CC BY", 5], "terms[1] is 5, not a text"),
        (("artifact",), 5, "artifact is 5, not an artifact's id of 12 hex digits"),
        (("artifact",), "x", 'artifact is "x", not an artifact\'s id'),
        (("model",), None, "model is null, not the name of a network"),
        (("model",), " ", 'model is " ", not the name of a network'),
        (("schema",), True, "schema is true, not a whole number"),
        (("schema",), "1", 'schema is "1", not a whole number'),
        (("schema",), 9, "a listing of another schema than 1; update cxreader"),
        (("more",), 1, "more is not known"),
    ],
)
def test_a_wrong_field_is_named_before_anything_is_fetched(
    folder: Path,
    shelf: Shelf,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: tuple[str | int, ...],
    value: Any,
    message: str,
) -> None:
    published(folder, shelf.address)
    shelf.files[f"/shelf/{LISTING}"] = changed(shelf.files[f"/shelf/{LISTING}"], *path, to=value)
    shelf.asked.clear()
    assert run(["models", "get", shelf.address, "--out", str(tmp_path / "a")]) == 4
    told = capsys.readouterr().err
    assert told.startswith(f"cxreader: {shelf.address}/{LISTING}: ")
    assert message in told
    assert told.count("\n") == 1
    assert [name for _, name, _ in shelf.asked] == [f"/shelf/{LISTING}"]
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "no JSON from line 1, column 1 on"),
        (b"[" * 100_000, "brackets nested too deep"),
        (b'{"schema": ' + b"[" * 100_000, "brackets nested too deep"),
        (b"[]", "it is a list, not an object"),
        (b"null", "it is null, not an object"),
        (b"5", "it is 5, not an object"),
        (b"{}", "schema is missing"),
        (b'{"schema": NaN}', "schema is NaN, not a whole number"),
        (b'{"schema": 1}', "artifact is missing"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "no listing of an artifact"),
        (b"\xff\x00", "no UTF-8 text from byte 1 on"),
    ],
)
def test_what_is_no_listing_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        parse_listing(data, "there")
    assert str(caught.value).startswith("there: ")
    assert message in str(caught.value)


def test_a_listing_is_read_as_it_was_written_and_lacks_what_it_lacks(folder: Path) -> None:
    listing, _ = list_artifact(folder, folder.parent / "card.md", [TERMS])
    assert parse_listing(listing.to_bytes(), "x") == listing
    assert listing.lacks() == ()
    for name in (WEIGHTS, MANIFEST):
        without = json.loads(listing.to_bytes())
        without["files"] = [file for file in without["files"] if file["name"] != name]
        with pytest.raises(ArtifactError, match=f"files names no {name}"):
            parse_listing(json.dumps(without).encode(), "x")
    bare = json.loads(listing.to_bytes())
    bare |= {"terms": [" "], "files": [file for file in bare["files"] if file["name"] != CARD]}
    lacks = parse_listing(json.dumps(bare).encode(), "x").lacks()
    assert lacks == ("no terms of its weights and training data", "no model card (README.md)")
    with pytest.raises(UsageError, match="no model card is there; write one: cxreader evaluate RUN"):
        list_artifact(folder, folder / "absent.md", [TERMS])
    with pytest.raises(UsageError, match="no terms are given"):
        list_artifact(folder, folder.parent / "card.md", [" "])


def test_a_listing_that_lacks_terms_or_a_card_is_fetched_with_a_warning(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, got = tmp_path / "usb", tmp_path / "got"
    published(folder, str(place))
    listing = changed((place / LISTING).read_bytes(), "terms", to=[])
    (place / LISTING).write_bytes(changed(listing, "files", to=json.loads(listing)["files"][1:]))
    assert run(["models", "get", str(place), "--out", str(got)]) == 0
    told = capsys.readouterr().err
    assert "warning: it came with no terms of its weights and training data; ask whoever published it" in told
    assert "warning: it came with no model card (README.md)" in told

"""What publishing asks for: terms of every source, a card that is a text, a place that takes files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.models.exchange.published import TERMS, WEIGHTS_TERMS, learnt_from, published
from tests.models.exchange.server import Shelf

from cxreader.cli import run
from cxreader.errors import ArtifactError, UsageError
from cxreader.models.artifact import load_artifact
from cxreader.models.exchange.fetch import fetch
from cxreader.models.exchange.listing import LISTING
from cxreader.models.exchange.prepare import list_artifact
from cxreader.models.exchange.publish import publish
from cxreader.models.exchange.terms import sources_of
from cxreader.progress import no_bar

ADULT = {
    "config": {
        "data": {
            "sources": [
                {"root": "nih_expert", "name": "nih", "readings": "readings.csv", "weight": 1.0},
                {"root": "/data/shenzhen", "name": None, "readings": None, "weight": 1.0},
                {"root": "nih_boxes", "name": "boxes", "only_train": True, "weight": 0.0},
            ]
        }
    },
    "data": {"name": "nih+shenzhen"},
}
"""Where an artifact says that it learnt from two hospitals, a table of readings, and boxes of weight 0."""
ALL = ("NIH: no restriction.", "nih readings: cite Nabulsi.", "Shenzhen: cite Jaeger.", "boxes: none.")


@pytest.fixture
def adult(folder: Path, tmp_path: Path) -> Path:
    """An artifact of several sources, with a card beside its folder."""
    shutil.copytree(folder, tmp_path / "made" / "artifact")
    shutil.copy(folder.parent / "card.md", tmp_path / "made")
    learnt_from(tmp_path / "made" / "artifact", ADULT)
    return tmp_path / "made" / "artifact"


def test_every_source_of_the_training_data_has_its_terms(
    adult: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sources_of(load_artifact(adult)) == ("nih", "nih readings", "shenzhen", "boxes")
    card = str(adult.parent / "card.md")
    asked = ["models", "publish", str(adult), str(tmp_path / "usb"), "--card", card, "--yes"]
    assert run([*asked, "--terms", "NIH: cite"]) == 2
    told = capsys.readouterr().err
    assert "--terms: no terms are given of nih readings, shenzhen, boxes; give for each a sentence" in told
    assert '--terms "nih readings: ..."; what the public sets ask: cxreader data layouts' in told
    assert run([*asked, *(part for line in (*ALL[:3], "boxes:  ") for part in ("--terms", line))]) == 2
    assert "no terms are given of boxes;" in capsys.readouterr().err
    assert run(asked) == 2
    assert "it learnt from nih, nih readings, shenzhen, boxes" in capsys.readouterr().err
    assert not (tmp_path / "usb").exists()
    assert run([*asked, *(part for line in ALL for part in ("--terms", line))]) == 0
    assert fetch(str(tmp_path / "usb"), tmp_path / "got", bar=no_bar)[1].terms[1:] == ALL


@pytest.mark.parametrize(
    ("provenance", "sources"),
    [
        ({}, ()),
        ({"data": {"name": "kermany"}}, ("kermany",)),
        ({"data": {"name": "kermany"}, "config": {"data": {"root": "x", "sources": []}}}, ("kermany",)),
        ({"data": "kermany", "config": {"data": {"sources": "x"}}}, ()),
        ({"data": {"name": "kermany"}, "config": {"data": {"sources": [5, {"root": 7}]}}}, ("7",)),
        ({"config": []}, ()),
    ],
)
def test_the_sources_are_those_that_the_provenance_names(
    adult: Path, provenance: dict[str, Any], sources: tuple[str, ...]
) -> None:
    learnt_from(adult, provenance)
    assert sources_of(load_artifact(adult)) == sources


def test_the_terms_of_a_single_source_need_no_name(adult: Path, tmp_path: Path) -> None:
    learnt_from(adult, {"data": {"name": "kermany"}})
    asked = ["models", "publish", str(adult), str(tmp_path / "usb"), "--card", str(adult.parent / "card.md"), "--yes"]
    assert run([*asked, "--terms", " "]) == 2
    assert run([*asked, "--terms", "CC BY 4.0"]) == 0


def test_an_artifact_that_names_no_source_needs_terms_all_the_same(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no terms are given"):
        list_artifact(folder, folder.parent / "card.md", [], weights=WEIGHTS_TERMS)


def test_a_fetched_reader_is_handed_on_with_the_terms_it_came_with(
    adult: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = published(adult, str(tmp_path / "usb"), *ALL)
    fetch(str(tmp_path / "usb"), tmp_path / "got", bar=no_bar)
    again, _ = list_artifact(tmp_path / "got", tmp_path / "got" / "README.md", [], weights=WEIGHTS_TERMS)
    assert again == listing
    asked = [
        "models",
        "publish",
        str(tmp_path / "got"),
        str(tmp_path / "on"),
        "--terms",
        "nih: and thank them.",
        "--yes",
    ]
    assert run(asked) == 0
    terms = fetch(str(tmp_path / "on"), tmp_path / "there", bar=no_bar)[1].terms
    assert set(ALL) < set(terms)
    assert terms[-1] == "nih: and thank them."
    # The listing of another artifact says nothing of this one.
    shutil.copy(tmp_path / "got" / LISTING, adult)
    learnt_from(adult, {})
    with pytest.raises(
        ArtifactError, match=r"published.json: is the listing of artifact .*; fetch the reader again, or"
    ):
        list_artifact(adult, adult.parent / "card.md", [TERMS])
    (tmp_path / "got" / LISTING).write_bytes(b"[]")
    capsys.readouterr()
    assert run(asked) == 4
    assert "got/published.json: no listing of an artifact: it is a list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (b"\x89PNG\r\n\x1a\n", "card.x: no model card: no UTF-8 text from byte 1 on; give Markdown in UTF-8"),
        ("# Card".encode("utf-16-le"), "card.x: no model card: holds zero bytes; give Markdown in UTF-8"),
        (b"", "card.x: the model card is empty; write one: cxreader evaluate RUN"),
        (b"\xef\xbb\xbf \n", "card.x: the model card is empty"),
        (None, "card.x: no model card: Is a directory"),
    ],
)
def test_a_card_is_a_text(folder: Path, tmp_path: Path, card: bytes | None, message: str) -> None:
    if card is None:
        (tmp_path / "card.x").mkdir()
    else:
        (tmp_path / "card.x").write_bytes(card)
    with pytest.raises(UsageError) as caught:
        list_artifact(folder, tmp_path / "card.x", [TERMS])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (405, "the server must accept PUT, as WebDAV does"),
        (501, "the server must accept PUT, as WebDAV does"),
        (401, "it asks for credentials, and cxreader sends none"),
        (403, "it asks for credentials, and cxreader sends none"),
        (404, "make the folder on the server, which must accept PUT in it"),
        (409, "make the folder on the server"),
        (413, "the server takes no file so large"),
        (503, "give the command again, what is there already is not sent again"),
    ],
)
def test_a_server_that_takes_no_files_is_told_with_its_mend(
    folder: Path, shelf: Shelf, capsys: pytest.CaptureFixture[str], status: int, mend: str
) -> None:
    shelf.refuses = {"PUT": status}
    card = str(folder.parent / "card.md")
    assert run(["models", "publish", str(folder), shelf.address, "--terms", TERMS, "--card", card, "--yes"]) == 4
    told = capsys.readouterr().err
    assert f"{shelf.address}: README.md: the server answers {status} " in told
    assert f"; {mend}" in told
    assert "goes on where it ended" not in told


@pytest.mark.parametrize("status", [401, 403])
def test_what_cannot_be_read_there_is_sent(folder: Path, shelf: Shelf, status: int) -> None:
    """The Hub answers so where a repository is not made yet."""
    listing, files = list_artifact(folder, folder.parent / "card.md", [TERMS])
    shelf.refuses = {"GET": status}
    assert publish(listing, files, shelf.address, bar=no_bar) == len(files)
    shelf.refuses = {}
    assert publish(listing, files, shelf.address, bar=no_bar) == 0

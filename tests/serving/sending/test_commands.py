"""Destinations and dead letters by command, as a person gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.serving.sending.peer import Peer

from cxreader.cli import run
from cxreader.errors import UsageError
from cxreader.serving.sending import addresses
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FILE
from cxreader.serving.store.tables.sending import OutboxEntry

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets


@pytest.fixture
def home(secret: TriageService, url: str) -> Path:
    (secret.settings.home / FILE).write_text(f'database = "{url}"\n')
    return secret.settings.home


@pytest.fixture
def said(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def call(*words: str) -> tuple[int, str]:
        code = run(["serve", *words, "--home", str(home)])
        written = capsys.readouterr()
        return code, " ".join((written.out + written.err).split())

    return call


def test_a_destination_is_added_asked_listed_and_removed(said: Callable[..., tuple[int, str]], peer: Peer) -> None:
    assert said("destination", "list")[1].startswith("no destinations")
    node = f"PACS@127.0.0.1:{peer.port}"
    code, text = said("destination", "add", "pacs", "--node", node, "--send", "sr", "--send", "gsps")
    assert (code, text) == (0, f"pacs: {node}, is sent sr, gsps")
    assert said("destination", "echo", "pacs") == (0, "pacs: answers")
    code, text = said("destination", "list")
    assert node in text.replace(" ", "")
    assert said("destination", "add", "gone", "--node", "PACS@127.0.0.1:1")[0] == 0
    assert said("destination", "echo", "gone") == (1, "gone: no connection")
    code, text = said("destination", "echo", "pacz")
    assert (code, "did you mean 'pacs'" in text) == (3, True)
    assert said("destination", "remove", "gone")[0] == 0
    assert "gone" not in said("destination", "list")[1]
    assert said("audit", "verify")[0] == 0


def test_dead_letters_are_listed_and_sent_again(
    secret: TriageService, said: Callable[..., tuple[int, str]], read: Callable[..., None]
) -> None:
    assert said("destination", "add", "pacs", "--node", "PACS@127.0.0.1:1", "--send", "sr")[0] == 0
    read(1)
    assert said("outbox", "dead") == (0, "no dead letters")
    with secret.database.writing() as session:
        session.execute(update(OutboxEntry).values(state="dead", error="C-STORE status A900", ended_at=1.0))
    code, text = said("outbox", "dead")
    assert (code, "C-STORE status A900" in text, "P1" in text) == (1, True, False)
    code, text = said("destination", "remove", "pacs")
    assert (code, "1 objects for it were not sent" in text) == (2, True)
    assert said("outbox", "again", "pacs") == (0, "1 object waits to be sent again")
    assert said("outbox", "dead") == (0, "no dead letters")


@pytest.mark.parametrize(
    "node", ["PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@:104", "A_TITLE_THAT_IS_TOO_LONG@h:104"]
)
def test_what_is_no_node_is_refused(node: str) -> None:
    with pytest.raises(UsageError):
        addresses.by_store(node)


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "https://", "https://user:word@host/dicom-web", "http://pacs.example/dicom-web"]
)
def test_what_is_no_service_or_not_encrypted_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        addresses.by_stow(url)
    assert addresses.by_stow("http://127.0.0.1:8042/dicom-web")["credentials"] is None


def test_one_address_is_needed(said: Callable[..., tuple[int, str]]) -> None:
    assert said("destination", "add", "pacs")[0] == 2
    code, text = said("destination", "add", "pacs", "--node", "PACS@127.0.0.1:1", "--send", "srr")
    assert (code, "did you mean 'sr'" in text) == (2, True)

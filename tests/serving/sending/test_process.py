"""The sender's rounds: a destination that is down holds up no other, and a silent service answers commitments alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.serving.sending.conftest import Added
from tests.serving.sending.peer import Peer

from cxreader.errors import StorageError
from cxreader.serving.clock import SetClock
from cxreader.serving.sending import process, store_scu
from cxreader.serving.sending.process import Sender
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.sending import Commitment, OutboxEntry
from cxreader.serving.store.work import commitments

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")  # pynetdicom's own sockets


def test_one_that_hangs_holds_up_no_other(
    secret: TriageService, peer: Peer, added: Added, read: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, let_go, send = threading.Event(), threading.Event(), store_scu.send

    def slow(section: Any, address: dict[str, Any], files: list[bytes]) -> Any:
        if address["ae_title"] == "SLOW":
            hung.set()
            assert let_go.wait(30)
        return send(section, address, files)

    monkeypatch.setattr(store_scu, "send", slow)
    added(peer.address | {"ae_title": "SLOW"}, name="slow", sends=("sr",))
    added(peer.address, name="quick", sends=("sr",))
    read(1)
    with ThreadPoolExecutor(4) as pool:
        sender = Sender(secret, pool, "a sender")
        sender.look()
        assert hung.wait(30)
        for _ in range(100):
            sender.look()
            if peer.got:
                break
            threading.Event().wait(0.1)
        assert len(peer.got) == 1
        let_go.set()


def test_a_silent_service_sends_nothing_that_waits_and_answers_commitments(
    secret: TriageService, peer: Peer, added: Added, read: Callable[..., None], clock: SetClock
) -> None:
    added(peer.address, sends=("sr",))
    read(1)
    with secret.database.writing() as session:
        commitments.keep(session, clock.now, "1.2.9", "GONE", [("1.2", "1.2.3")])
    secret.settings = secret.settings.model_copy(update={"silent": True})
    with ThreadPoolExecutor(4) as pool:
        Sender(secret, pool, "a sender").look()
    with secret.database.reading() as session:
        assert [row.state for row in session.query(OutboxEntry)] == ["waiting"]
        assert [row.attempts for row in session.query(Commitment)] == [1]
    assert peer.got == []


def test_what_a_round_raises_ends_the_process(secret: TriageService, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise RuntimeError

    monkeypatch.setattr(process, "answer_due", broken)
    with ThreadPoolExecutor(1) as pool:
        sender = Sender(secret, pool, "a sender")
        sender.look()
        threading.Event().wait(0.5)
        with pytest.raises(RuntimeError):
            sender.look()


def test_results_leave_at_once_after_the_clock_was_set_back(
    secret: TriageService, peer: Peer, added: Added, read: Callable[..., None], clock: SetClock
) -> None:
    added(peer.address, sends=("sr",))
    read(1)
    clock.forward(-7200)
    with ThreadPoolExecutor(4) as pool:
        sender = Sender(secret, pool, "a sender")
        sender.look()
    assert len(peer.got) == 1


def test_what_killed_processes_left_in_the_store_is_removed(secret: TriageService) -> None:
    folder = secret.settings.home / "objects" / "ab"
    folder.mkdir(parents=True)
    (folder / ".left.tmp").write_bytes(b"half a radiograph")
    os.utime(folder / ".left.tmp", (0, 0))
    looks = iter((False, True))
    process.run(secret.settings, lambda: next(looks), "a sender")
    assert list(folder.iterdir()) == []


def test_the_sender_outlasts_a_database_that_is_away(secret: TriageService, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look(_: Sender) -> None:
        looks.append(1)
        if len(looks) == 1:
            raise StorageError("the database cannot be reached")

    monkeypatch.setattr(Sender, "look", look)
    monkeypatch.setattr(process, "LOOK", 0.01)
    process.run(secret.settings, lambda: len(looks) == 2, "a sender")
    assert len(looks) == 2

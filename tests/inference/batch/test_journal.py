"""The journal by itself: what is committed twice counts once, and shards go from hand to hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxreader.inference.batch.journal import Journal
from cxreader.inference.batch.pipeline import Found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    Journal.make(tmp_path / "journal.db", {"files": 5}, [f"{n}.png" for n in range(5)], [2, 2, 1])
    with Journal(tmp_path / "journal.db") as opened:
        yield opened


def found(position: int, *, content: int | None = None, step: int = 3, height: float = 0.5) -> Found:
    sha256 = None if content is None else bytes([content] * 32)
    return Found(position, f"{position}.png", sha256, {"decision": str(content)}, step, height)


def positions(shard: list[tuple[int, str]] | None) -> list[int] | None:
    return None if shard is None else [position for position, _ in shard]


def test_a_shard_is_claimed_once_and_again_when_its_holder_is_dead_and_only_for_what_is_left(journal: Journal) -> None:
    def alive(lease: str) -> bool:
        return False

    assert positions(journal.claim("a", alive)) == [0, 1]
    assert positions(journal.claim("b", alive)) == [2, 3]
    journal.commit([found(0), found(1), found(2)])
    asked: list[str] = []

    def dead(lease: str) -> bool:
        asked.append(lease)
        return lease == "b"

    assert positions(journal.claim("c", dead)) == [3]  # of the first nothing is left
    assert asked == ["b"]
    assert positions(journal.claim("c", dead)) == [4]  # not its own again
    assert journal.claim("c", dead) is None
    assert not journal.is_done()
    journal.commit([found(3), found(4)])
    assert journal.is_done()


def test_what_is_answered_twice_keeps_its_first_answer_and_counts_once(journal: Journal) -> None:
    journal.commit([found(0, content=1), found(1, content=1), found(2, content=2)])
    journal.commit([found(0, content=3), found(1, content=1)])
    assert journal.count()[0] == 3
    assert [row["decision"] for row in journal.rows(sort=False)] == ["1", "1", "2"]
    assert journal.known(bytes([1] * 32)) == {"decision": "1"}
    assert journal.known(bytes([9] * 32)) is None
    assert positions(journal.claim("a", lambda _: False)) == [3]


def test_an_error_amid_a_commit_leaves_nothing_of_it(journal: Journal) -> None:
    torn = Found(1, "1.png", b"1" * 32, {"probability": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        journal.commit([found(0, content=1), torn])
    assert journal.count() == (0, 0)
    journal.commit([found(0, content=1)])
    assert journal.count() == (1, 1)


def test_ranks_are_by_step_then_height_then_position(journal: Journal) -> None:
    journal.commit([found(4, content=4, step=0, height=0.5), found(3, content=3, step=0, height=0.5)])
    journal.commit(
        [found(0, content=0), found(1, content=1, step=0, height=0.9), found(2, content=2, step=1, height=1)]
    )
    ranked = {row["image"]: row["rank"] for row in journal.rows(sort=False)}
    assert ranked == {"0.png": 5, "1.png": 1, "2.png": 4, "3.png": 2, "4.png": 3}
    assert [row["image"] for row in journal.rows(sort=True)] == ["1.png", "3.png", "4.png", "2.png", "0.png"]

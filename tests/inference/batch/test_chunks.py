"""Which file is given up when workers die: counted by hand."""

from __future__ import annotations

import pytest

from cxreader.inference.batch.chunks import Chunk, Chunks


def positions(chunk: Chunk) -> list[int]:
    return list(chunk.left)


def files(count: int) -> list[tuple[int, str]]:
    return [(n, f"{n}.png") for n in range(count)]


def test_files_come_in_their_order_and_are_taken_as_they_are_needed() -> None:
    taken = []
    chunks = Chunks((taken.append(n) or (n, "") for n in range(5)), 2)  # type: ignore[func-returns-value]
    assert positions(chunks.take()) == [0, 1]
    assert taken == [0, 1]
    assert [positions(chunks.take()), positions(chunks.take())] == [[2, 3], [4]]
    assert not chunks
    with pytest.raises(IndexError):
        chunks.take()


def test_a_chunk_comes_whole_after_one_death_and_in_halves_after_two_without_what_was_answered() -> None:
    chunks = Chunks(files(5), 5)
    chunk = chunks.take()
    del chunk.left[0]
    assert chunks.died(chunk) is None
    again = chunks.take()
    assert positions(again) == [1, 2, 3, 4]
    assert chunks.died(again) is None
    assert [positions(chunks.take()), positions(chunks.take())] == [[1, 2], [3, 4]]


def test_the_one_that_ends_its_workers_is_found_and_no_other_is_given_up() -> None:
    """In eight files, workers that answer nothing before they die: 8, 8, 4, 2, then alone a third time."""
    chunks, deaths, read, given_up = Chunks(files(8), 8), [], [], None
    while chunks:
        chunk = chunks.take()
        if 5 in chunk.left:
            deaths.append(len(chunk.left))
            given_up = chunks.died(chunk) or given_up
        else:
            read += positions(chunk)
    assert deaths == [8, 8, 4, 2, 1, 1]
    assert given_up == (5, "5.png")
    assert sorted(read) == [0, 1, 2, 3, 4, 6, 7]


def test_what_a_worker_had_not_begun_counts_no_death_and_nothing_is_left_of_what_is_answered() -> None:
    chunks = Chunks(files(2), 2)
    chunk = chunks.take()
    for _ in range(5):
        chunks.give_back(chunk)
        chunk = chunks.take()
    assert chunk.deaths == 0
    chunk.left.clear()
    assert chunks.died(chunk) is None
    assert not chunks

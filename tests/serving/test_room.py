"""The bound on what is held in memory while it is received."""

from __future__ import annotations

from threading import Event, Thread

from cxreader.serving.room import Room


def asking(room: Room, size: int) -> tuple[Thread, Event, Event]:
    """A thread that takes so much: whether it has it, and what lets it go."""
    has, go = Event(), Event()

    def work() -> None:
        with room.taken(size):
            has.set()
            go.wait(30)

    thread = Thread(target=work)
    thread.start()
    return thread, has, go


def test_what_fits_is_held_together_and_the_rest_waits_in_turn() -> None:
    room = Room(10)
    threads = [asking(room, size) for size in (4, 6, 7)]
    assert threads[0][1].wait(30)
    assert threads[1][1].wait(30)
    assert not threads[2][1].wait(0.1)
    late = asking(room, 1)
    threads[1][2].set()
    assert not threads[2][1].wait(0.1)
    assert not late[1].wait(0.1)  # it comes behind the one before it, which would else wait for ever
    threads[0][2].set()
    assert threads[2][1].wait(30)
    assert late[1].wait(30)
    for thread, _, go in (*threads, late):
        go.set()
        thread.join()


def test_what_is_larger_than_all_of_it_has_it_alone() -> None:
    room = Room(10)
    first = asking(room, 1)
    assert first[1].wait(30)
    huge = asking(room, 1000)
    assert not huge[1].wait(0.1)
    first[2].set()
    assert huge[1].wait(30)
    huge[2].set()
    huge[0].join()
    with room.taken(10):
        pass

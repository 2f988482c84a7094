"""Work that asks while it is being done: each question is a message to who drives it, and it waits for the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Ask = Callable[[Any], Any]


class Dialogue:
    """`work` in a thread of its own, which runs only while `go_on` waits for it."""

    def __init__(self, work: Callable[[Ask], Any]) -> None:
        self._said: SimpleQueue[Any] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def go_on(self, answer: Any = None) -> Any:
        """What it says next, given the answer to what it said before (at first any): a question, or at last its result.

        Raises what the work raises.
        """
        self._answers.put(answer)
        said = self._said.get()
        if isinstance(said, BaseException):
            raise said
        return said

    def _run(self, work: Callable[[Ask], Any]) -> None:
        self._answers.get()
        try:
            said = work(self._ask)
        except BaseException as error:  # noqa: BLE001 - it is raised where the work is waited for
            said = error
        self._said.put(said)

    def _ask(self, message: Any) -> Any:
        self._said.put(message)
        return self._answers.get()

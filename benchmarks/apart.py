"""Measurements in a process of their own: OpenMP's waiting, the allocator and Lightning's switches are set once a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


def apart(program: str, **given: object) -> Any:
    """What the file `program` beside this one answers (see `answer`) to these plain values, in a new process.

    OMP_WAIT_POLICY is not handed on: a side that wants it sets it, as `cxreader.torch_setup` does.
    """
    done = subprocess.run(_command(program, given), check=True, stdout=subprocess.PIPE, text=True, env=_environment())
    return json.loads(done.stdout.splitlines()[-1])


def answer(measure: Callable[..., object]) -> None:
    """The other end of `apart`: call `measure` with what was given, and print what it returns as one line of JSON."""
    print(json.dumps(measure(**json.loads(sys.argv[1]))))


def sides_in_turns(program: str, sides: Sequence[str], repetitions: int, **given: object) -> dict[str, list[Any]]:
    """The answers of `program` for each of `sides`, a process each, the order turning from repetition to repetition."""
    found: dict[str, list[Any]] = {side: [] for side in sides}
    for turn in range(repetitions):
        shift = turn % len(sides)
        for side in (*sides[shift:], *sides[:shift]):
            found[side].append(apart(program, side=side, **given))
    return found


@contextmanager
def kept(program: str, **given: object) -> Iterator[Callable[[object], Any]]:
    """A process that lives on: what it answers (see `answer_each`) to one plain value after another. It waits in between."""
    pipe = subprocess.PIPE
    with subprocess.Popen(_command(program, given), stdin=pipe, stdout=pipe, text=True, env=_environment()) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        options, answers = process.stdin, process.stdout

        def ask(question: object) -> Any:
            print(json.dumps(question), file=options, flush=True)
            return json.loads(answers.readline())

        yield ask


@contextmanager
def kept_sides(program: str, sides: Sequence[str], **given: object) -> Iterator[dict[str, Callable[[object], Any]]]:
    """Each of `sides` as `kept`: turns may be short, since nothing is loaded in between."""
    with ExitStack() as stack:
        yield {side: stack.enter_context(kept(program, side=side, **given)) for side in sides}


def answer_each(prepare: Callable[..., Callable[[Any], object]]) -> None:
    """The other end of `kept`: `prepare` is given what was given, and what it returns answers every question."""
    measure = prepare(**json.loads(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(measure(json.loads(line))), flush=True)


def _command(program: str, given: dict[str, object]) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name(program)), json.dumps(given)]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}

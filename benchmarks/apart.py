"""Measurements in a process of their own: OpenMP's waiting, the allocator and Lightning's switches are set once a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def apart(program: str, **given: object) -> Any:
    """What the file `program` beside this one answers (see `answer`) to these plain values, in a new process.

    OMP_WAIT_POLICY is not handed on: a side that wants it sets it, as `cxreader.torch_setup` does.
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, str(Path(__file__).with_name(program)), json.dumps(given)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
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

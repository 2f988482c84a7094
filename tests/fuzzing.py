"""The command line that the searches for files that crash a reader share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable


def search_from_the_command_line(
    about: str | None, search: Callable[[float, int], int], what: str, seconds: float
) -> None:
    """Search for so long, unless asked for another time, and say how many files were tried; `about`: what --help tells."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--seed", type=int, default=None, help="another one, other files; by the clock when left out")
    options = parser.parse_args()
    tried = search(options.seconds, int(time.time()) if options.seed is None else options.seed)
    print(f"{tried:,} damaged {what}: each was read, or refused by an error of the tree")

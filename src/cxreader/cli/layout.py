"""How wide the columns of a table on a terminal are: words wrap, and a number, an interval or a short name is never broken."""

from __future__ import annotations

import re
from collections.abc import Sequence

BETWEEN = 3
"""Characters between two columns of a table."""
UNBROKEN = 20
"""A word of so many characters, such as a column's name, stays whole; a longer one does where it is a number or an interval."""
_NUMBER = re.compile(r"[\d.,:;%+\-/()\[\]<>=\u2013\u2212\u2265\u2264\u00a0]+")
_INTERVAL = re.compile(r"[+\-]?\d[\d.,]* to [+\-]?\d[\d.,]*")


def column_widths(columns: Sequence[Sequence[str]], room: int, last: Sequence[int] = ()) -> list[int] | None:
    """The width of each column, given its header and cells, in a terminal `room` characters wide; None where no table fits.

    Every column gets what its longest unbreakable word needs (an interval `A to B` is one where all of them have room), then as
    much as it has use for: columns that need least first, those at the places `last` (sentences) at the end.
    """
    from rich.cells import cell_len

    natural = [max(cell_len(line) for text in column for line in text.split("\n")) for column in columns]
    space = room - BETWEEN * len(columns) - 1
    for words in (_words, str.split):
        widths = [max([1, *(_least(word) for text in column for word in words(text))]) for column in columns]
        left = space - sum(widths)
        if left >= 0:
            break
    else:
        return None
    for at in sorted(range(len(columns)), key=lambda k: (k in last, natural[k] - widths[k])):
        more = min(max(natural[at] - widths[at], 0), left)
        widths[at] += more
        left -= more
    return widths


def shortened(path: str, width: int) -> str:
    """A path in `width` characters, its middle left out: the end tells the file, the beginning the place."""
    if len(path) <= width or "/" not in path or " " in path:
        return path
    end = (width - 3) * 2 // 3
    return f"{path[: width - 3 - end]}...{path[len(path) - end :]}"


def title_within(title: str, width: int) -> str:
    """The title in a line of `width` characters, as far as its paths can give: the longest lose their middles first."""
    words = title.split(" ")
    for at in sorted(range(len(words)), key=lambda k: -len(words[k])):
        over = len(" ".join(words)) - width
        if over > 0:
            words[at] = shortened(words[at], max(len(words[at]) - over, UNBROKEN))
    return " ".join(words)


def stacked(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows one below the other, where a table would break its numbers: a line for each cell that is not empty."""
    names = [" ".join(name.split()) for name in header]
    lines = []
    for first, *cells in rows:
        lines.append(f"{names[0]} {' '.join(first.split())}".strip())
        named = zip(names[1:], cells, strict=True)
        lines += [f"  {name}: {' '.join(text.split())}" for name, text in named if text.strip()]
    return lines


def _words(text: str) -> list[str]:
    """What must not be broken: the words, an interval such as `-0.485 to +0.375` as one of them."""
    return _INTERVAL.sub(lambda found: found[0].replace(" ", "-"), text).split()


def _least(word: str) -> int:
    from rich.cells import cell_len

    return cell_len(word) if len(word) <= UNBROKEN or _NUMBER.fullmatch(word) else UNBROKEN

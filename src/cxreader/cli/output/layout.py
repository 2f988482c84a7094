"""How wide the columns of a table on a terminal are: words wrap, and a number, an interval or a short name is never broken."""

from __future__ import annotations

import re
from collections.abc import Sequence

BETWEEN = 3
"""Characters between two columns of a table."""
UNBROKEN = 16
"""A word of so many characters, such as a column's name, stays whole; a longer one does where it is a number or an interval."""
_JOINED = "\ue000"
"""Stands for a space at which no line may end, until the text is shown."""
_NUMBER = re.compile(rf"(?:[\d.,:;%+\-/()\[\]<>=\u2013\u2212\u2265\u2264\u00a0]|{_JOINED}(?:to{_JOINED})?)+")
_INTERVAL = re.compile(r"(?<=[\d%]) (?:to )?(?=[+-]?[\d.]|%)|(?<=\bp) (?:< )?(?=\d)")


def column_widths(columns: Sequence[Sequence[str]], room: int, last: Sequence[int] = ()) -> list[int] | None:
    """The width of each column, given its header and cells, in a terminal `room` characters wide; None where no table fits.

    Every column gets what its longest unbreakable word needs (an interval `A to B` is one), then as much as it has use for:
    columns that need least first, those at the places `last` (sentences) at the end.
    """
    from rich.cells import cell_len

    natural = [max(cell_len(line) for text in column for line in text.split("\n")) for column in columns]
    widths = [max([1, *(_least(word) for text in column for word in _joined(text).split())]) for column in columns]
    left = room - BETWEEN * len(columns) - 1 - sum(widths)
    if left < 0:
        return None
    for at in sorted(range(len(columns)), key=lambda k: (k in last, natural[k] - widths[k])):
        more = min(max(natural[at] - widths[at], 0), left)
        widths[at] += more
        left -= more
    return widths


def wrapped(text: str, width: int, indent: str = "") -> str:
    """The text in lines of at most `width` characters, broken between words alone, and never inside an interval.

    A word that is longer stands on a line of its own. `indent` begins every line that was broken off.
    """
    from rich.cells import cell_len

    lines = []
    for whole in _joined(text).split("\n"):
        line, *words = whole.split(" ")
        for word in words:
            if cell_len(f"{line} {word}") <= width:
                line = f"{line} {word}"
                continue
            lines.append(line)
            line = f"{indent}{word}"
        lines.append(line)
    return "\n".join(lines).replace(_JOINED, " ")


def broken(text: str, width: int) -> str:
    """The text whose words of more than `width` characters go on in a new line behind a hyphen, underscore, slash or dot.

    A number or an interval stays whole, and so does what has no such place.
    """

    def cut(found: re.Match[str]) -> str:
        word, parts = found[0], []
        while len(word) > width and not _NUMBER.fullmatch(word):
            end = max(word.rfind(mark, 0, width) for mark in "-_/.") + 1
            if not end:
                break
            parts.append(word[:end])
            word = word[end:]
        return "\n".join((*parts, word))

    return re.sub(r"\S+", cut, text)


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


def stacked(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The rows one below the other, where a table would break its numbers: the cells that are not empty in as few lines as go."""
    names = [" ".join(name.split()) for name in header]
    lines = []
    for first, *cells in rows:
        lines.append(f"{names[0]} {' '.join(first.split())}".strip())
        named = zip(names[1:], cells, strict=True)
        told = "; ".join(f"{name}: {' '.join(text.split())}" for name, text in named if text.strip())
        lines += [wrapped(f"  {told}", width, "  ")] if told else []
    return lines


def _joined(text: str) -> str:
    """The text with the spaces of its intervals (`-0.03 to 0.01`, `0.7 to 2.2 %`) and p-values marked as unbreakable."""
    return _INTERVAL.sub(lambda found: found[0].replace(" ", _JOINED), text)


def _least(word: str) -> int:
    from rich.cells import cell_len

    return cell_len(word) if len(word) <= UNBROKEN or _NUMBER.fullmatch(word) else UNBROKEN

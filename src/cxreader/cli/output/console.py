"""What every command shares: where text goes, progress, tables, and how an error becomes one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from cxreader.cli.output.layout import BETWEEN, broken, column_widths, shortened, stacked, title_within, wrapped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

DISCLAIMER = "For research; not a medical device."
_SENTENCE = 24
"""Characters a line that a column of sentences needs to be read."""


class State:
    """What the options before the command said; set once by `cxreader.cli`."""

    quiet: bool = False
    debug: bool = False


def console(*, errors: bool = False) -> Console:
    """A rich console on standard output, or on standard error."""
    from rich.console import Console

    return Console(stderr=errors, highlight=False, soft_wrap=True)


def on_lines(text: object) -> str:
    r"""Text whose lines stay lines and whose other control characters stand as `\x1b`."""
    from cxreader.inference.batch.names import on_one_line

    return "\n".join(map(on_one_line, str(text).split("\n")))


def as_written(text: object, style: str = "") -> Text:
    r"""Text for a terminal, whoever wrote it: "[dicom]" is no markup, control characters stand as `\x1b`, lines stay lines."""
    from rich.text import Text

    return Text(on_lines(text), style)


def say(text: str = "") -> None:
    """A line of news on standard error, so that standard output holds results alone; silent with --quiet."""
    if not State.quiet:
        errors = console(errors=True)
        errors.print(_prose(text, errors))


def show(text: str, style: str = "") -> None:
    """Lines of a result on standard output."""
    output = console()
    output.print(_prose(text, output, style))


def _prose(text: str, place: Console, style: str = "") -> Text:
    """Sentences: on a terminal broken between words, in a file or a pipe a line each."""
    written = on_lines(text)
    if place.is_terminal:
        lines = written.split("\n")
        written = "\n".join(wrapped(line, place.width, "  " if line.startswith("- ") else "") for line in lines)
    return as_written(written, style)


def table(
    title: str | None,
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    note: str | None = None,
    left: Sequence[str] = (),
    folding: Sequence[str] = (),
) -> None:
    """A table on standard output: the first column and those named in `left` to the left, the others to the right.

    Words wrap, numbers and intervals stay whole, paths in the first column lose their middle where it is too narrow. Where all
    but `folding`, columns of sentences, have room, only these wrap. Where even the longest numbers have no room beside each
    other, the rows stand one below the other.
    """
    from rich import box
    from rich.table import Table

    lines = [[on_lines("" if cell is None else cell) for cell in row] for row in rows]
    names = list(map(on_lines, header))
    last = [i for i, name in enumerate(header) if name in folding]
    widths = column_widths(list(zip(names, *lines, strict=True)), console().width, last)
    if widths is None:
        _show_stacked(title, names, lines, note)
        return
    grid = Table(box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    grid.title = None if title is None else _prose(title, console(), "bold")
    grid.caption = None if note is None else _prose(note, console(), "table.caption")
    for i, (name, width) in enumerate(zip(header, widths, strict=True)):
        justify: Literal["left", "right"] = "left" if i == 0 or name in left else "right"
        grid.add_column(as_written(name), justify=justify, overflow="fold", width=width)
    for first, *cells in lines:
        shown = (shortened(first, widths[0]), *cells)
        grid.add_row(
            *(as_written(wrapped(broken(cell, width), width)) for cell, width in zip(shown, widths, strict=True))
        )
    console().print(grid)


def one_line(title: str) -> str:
    """A title in one line of the terminal: its paths lose their middles."""
    return title_within(title, console().width)


def _show_stacked(title: str | None, names: Sequence[str], lines: Sequence[Sequence[str]], note: str | None) -> None:
    if title is not None:
        show(title, "bold")
    show("\n".join(stacked(names, lines, console().width)))
    if note is not None:
        show(note, "table.caption")


def fits(header: Sequence[str], rows: Sequence[Sequence[str]], *, folding: Sequence[str]) -> bool:
    """True when the terminal has room for each column of a `table` in full, and for a readable line of those in `folding`."""
    from rich.cells import cell_len

    widths = {
        name: max(cell_len(line) for text in column for line in text.split("\n"))
        for name, *column in zip(header, header, *rows, strict=True)
    }
    wanted = [min(width, _SENTENCE) if name in folding else width for name, width in widths.items()]
    return sum(wanted) + BETWEEN * len(wanted) < console().width


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error with rate and remaining time; yields f(done, total), or None with --quiet."""
    if State.quiet:
        yield None
        return
    from rich import progress as bars_of

    columns = (
        bars_of.TextColumn("{task.description}", markup=False),
        bars_of.BarColumn(),
        bars_of.MofNCompleteColumn(),
        bars_of.TextColumn("{task.fields[rate]}", markup=False),
        bars_of.TimeElapsedColumn(),
        bars_of.TimeRemainingColumn(),
    )
    place = console(errors=True)
    bars = bars_of.Progress(*columns, console=place)
    # Where nothing is redrawn, a bar begins with its first count.
    whole: AbstractContextManager[object] = bars if place.is_terminal else nullcontext()
    with whole:
        task = bars.add_task(what, total=None, rate="")

        def update(done: int, total: int) -> None:
            bars.start()
            speed = bars.tasks[0].speed
            early = speed is None or (bars.tasks[0].elapsed or 0) < 1  # a rate over a moment says nothing
            bars.update(task, completed=done, total=total, rate="" if early else f"{speed:,.0f}/s")

        try:
            yield update
        finally:
            if bars.tasks[0].total is None:
                bars.update(task, visible=False)  # there was nothing to do
            elif not place.is_terminal:
                bars.stop()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on standard error while something without measure takes its seconds; nothing with --quiet."""
    if State.quiet:
        yield
        return
    with console(errors=True).status(as_written(f"{what} ...")):
        yield


def fail(error: Exception, exit_code: int) -> int:
    """One line on standard error; returns the exit code."""
    from cxreader.inference.batch.names import on_one_line

    sys.stderr.write(f"cxreader: {on_one_line(str(error))}\n")
    return exit_code

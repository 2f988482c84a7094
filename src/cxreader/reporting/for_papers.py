"""What a paper takes from a report: tables as CSV and LaTeX, figures as PDF and SVG; the same report gives the same bytes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxreader.atomic import write_whole
from cxreader.reporting.style import render_figure
from cxreader.reporting.tables import Cell, Table
from cxreader.runs import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLES, FIGURES = "tables", "figures"
_BELOW = ("interval", "further", "further still")
_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "\u00a0": "~",
    "\u2013": "--",
    "\u201c": "``",
    "\u201d": "''",
    "\u2212": "$-$",
    "\u00d7": r"$\times$",
    "\u2265": r"$\geq$",
    "\u2264": r"$\leq$",
    "\u2713": "yes",
    "\u2717": "no",
}


def write_tables(tables: Mapping[str, Table], out: Path) -> None:
    """Each table by its name as `out/tables/NAME.csv` and `NAME.tex`. Raises StorageError."""
    for name, table in tables.items():
        write_text(out / TABLES / f"{name}.csv", table_csv(table))
        write_text(out / TABLES / f"{name}.tex", table_latex(name, table))


def write_figures(figures: Mapping[str, Figure], out: Path, drawn: Mapping[str, Path] | None = None) -> None:
    """Each figure by its name as `out/figures/NAME.pdf` and `NAME.svg`. Raises StorageError.

    `drawn`: by name, SVGs that `save_figure` wrote of the same figures, which are not drawn again.
    """
    for name, figure in figures.items():
        write_whole(out / FIGURES / f"{name}.pdf", render_figure(figure, "pdf"))
        svg, there = out / FIGURES / f"{name}.svg", (drawn or {}).get(name)
        if there != svg:
            write_whole(svg, render_figure(figure, "svg") if there is None else there.read_bytes())


def table_csv(table: Table) -> str:
    """The table with its values, intervals and notes in columns of their own, UTF-8, one header line; no caption."""
    heads = _heads(table)
    depth = [max((len(row.cells[k].below) for row in table.rows), default=0) for k in range(len(heads))]
    noted = max((len(row.notes) for row in table.rows), default=0)
    header = [table.head[0], *(f"{table.head[0]}, note {n + 1}" for n in range(noted))]
    for head, deep in zip(heads, depth, strict=True):
        header += [head, *(f"{head}, {_below(n)}" for n in range(deep))]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        line = [row.name, *_filled(row.notes, noted)]
        for cell, deep in zip(row.cells, depth, strict=True):
            value, *below = cell.in_full
            line += [value, *_filled(tuple(below), deep)]
        writer.writerow(line)
    return text.getvalue()


def _heads(table: Table) -> list[str]:
    """The names of all columns but the first, with the group that stands over them."""
    over = [title for title, columns in table.over for _ in range(columns)]
    names = table.head[1:]
    return [f"{group}: {name}" for group, name in zip(over, names, strict=True)] if over else list(names)


def _below(n: int) -> str:
    return _BELOW[n] if n < len(_BELOW) else f"line {n + 1}"


def _filled(lines: Sequence[str], count: int) -> list[str]:
    return [*lines, *[""] * (count - len(lines))]


def table_latex(name: str, table: Table) -> str:
    r"""The table for `\usepackage{booktabs}`, with its caption and the label `tab:NAME`."""
    columns = len(table.head)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(table.caption)}}}",
        rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}",
        r"\toprule",
    ]
    if table.over:
        groups = [rf"\multicolumn{{{n}}}{{c}}{{{latex(title)}}}" for title, n in table.over]
        ends = 1
        rules = []
        for _, n in table.over:
            rules.append(rf"\cmidrule(lr){{{ends + 1}-{ends + n}}}")
            ends += n
        lines += [_line(["", *groups]), " ".join(rules)]
    lines += [_line(map(latex, table.head)), r"\midrule"]
    lines += [_line([latex(row.name), *map(_latex_cell, row.cells)]) for row in table.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _latex_cell(cell: Cell) -> str:
    """The value with its interval in brackets; why there is none stands in the caption."""
    lines = [latex(line) for line in cell.below]
    text = f"{latex(cell.value)} ({'; '.join(lines)})" if lines else latex(cell.value)
    return re.sub(r"(?<=\d)-(?=\d)", "--", text)


def _line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def latex(text: str) -> str:
    """Text with what LaTeX takes for commands written out."""
    return "".join(_LATEX.get(character, character) for character in text.replace("\n", " "))

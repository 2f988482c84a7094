"""What is printed is what was meant: brackets, control characters and long words, in narrow and in wide terminals."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

import pytest
from tests.conftest import PROJECT

from cxreader import errors
from cxreader.cli.output.console import as_written, fail, progress, say, show, table, waiting

ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
STAND_IN = "a[dicom]/[bold]b[/bold]"
"""Where a message names a file, a column or a package."""


def _messages() -> Iterator[tuple[str, str]]:
    """What and mend of every error that the package raises, with a stand-in for what is only known when it is raised."""
    for path in sorted((PROJECT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "mend")]
                if texts := [text for argument in given if (text := _text(argument))]:
                    yield f"{path.name}:{node.lineno}", "; ".join(texts)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else STAND_IN for part in node.values)
    return ""


MESSAGES = list(_messages())
FOREIGN = "[/red]\x1b[31m[link=x]y[/link]"


def test_the_scan_finds_the_messages_there_are() -> None:
    assert len(MESSAGES) > 300
    assert any("cxreader[" in text for _, text in MESSAGES)


def _bare(text: str) -> str:
    """Without the blanks and lines that a terminal's width decides."""
    return re.sub(r"\s", "", text)


PRINTED: dict[str, Callable[[list[str]], object]] = {
    "news": lambda texts: say("\n".join(texts)),
    "result": lambda texts: show("\n".join(texts)),
    "error": lambda texts: [fail(errors.DataError(text), 3) for text in texts],
    "cells": lambda texts: table(None, ("", "reason"), [("", text) for text in texts], left=("reason",)),
    "note": lambda texts: table(None, ("image",), [("i",)], note="\n".join(texts)),
    "title": lambda texts: table("\n".join(texts), ("image",), [("i",)]),
    "header": lambda texts: table(None, ("image", texts[0]), [("i", "")]),
}


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("printed", PRINTED)
def test_every_message_is_printed_whole(
    printed: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    texts = [FOREIGN] if printed == "header" else [FOREIGN, *(text for _, text in MESSAGES)]
    PRINTED[printed](texts)
    shown = "".join(capsys.readouterr())
    whole = _bare(shown)
    assert [text for text in texts if _bare(text.replace("\x1b", "\\x1b")) not in whole] == []
    assert "\x1b[31m" not in shown


def test_a_recipe_stays_a_recipe_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table("read", ("image", "reasons"), [("a.dcm", "no decoder")], note="pip install 'cxreader[dicom]'")
    assert "pip install 'cxreader[dicom]'" in capsys.readouterr().out


def test_a_waiting_line_is_no_markup() -> None:
    with waiting("reading [dicom]"):
        pass
    assert as_written("[dicom]\nb\tc").plain == "[dicom]\nb\\tc"
    assert as_written("4\u00a0000 \ud800").plain == "4\u00a0000 \\ud800"


def test_a_redirected_log_has_a_line_of_each_work_that_counted_and_no_empty_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress("intervals"):
        pass
    with progress("reading") as bar:
        assert bar is not None
        bar(1, 2)
        bar(2, 2)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["reading"]
    assert " 2/2 " in lines[0]

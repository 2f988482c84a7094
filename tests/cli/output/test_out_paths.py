"""A place that cannot be written is refused while the options are read, whatever the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cxreader.cli import app, run
from cxreader.cli.output.console import State
from cxreader.errors import StorageError

FILES = {"data index", "data split", "audit split"}
"""Commands whose --out is a file; that of `read` is judged with its name's ending, before anything is read."""


def _outs(command: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    for own, further in getattr(command, "commands", {}).items():
        yield from _outs(further, f"{name} {own}".strip())
    yield from ((name, command, p) for p in command.params if p.name == "out" and name != "read")


OUTS = {name: (command, option) for name, command, option in _outs(typer.main.get_command(app))}


def test_there_are_some() -> None:
    assert {"evaluate", "explain", "train", "study run", "audit readers", "data phantom"} <= OUTS.keys()
    assert len(OUTS) > 18


@pytest.mark.parametrize("name", OUTS)
def test_what_is_no_place_to_write_is_refused(name: str, tmp_path: Path) -> None:
    command, option = OUTS[name]
    there = tmp_path / "there.csv"
    there.write_bytes(b"kept")
    wrong = tmp_path if name in FILES else there
    with (
        command.context_class(command) as context,
        pytest.raises(StorageError, match="is a folder, not a file" if name in FILES else "is a file, not a folder"),
    ):
        option.process_value(context, str(wrong))
    with command.context_class(command) as context:
        with pytest.raises(StorageError, match=r"there\.csv: is a file, not a folder"):
            option.process_value(context, str(there / "below"))
        option.process_value(context, str(tmp_path / "new" / "deeper"))
    assert not (tmp_path / "new").exists()
    assert there.read_bytes() == b"kept"


def test_a_table_given_as_the_report_is_one_line_before_anything_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(State, "quiet", False)
    table = tmp_path / "p.csv"
    table.write_text("no table of predictions\n")
    assert run(["evaluate", "--predictions", str(table), "--out", str(table)]) == StorageError.exit_code
    assert capsys.readouterr().err == f"cxreader: {table}: is a file, not a folder; give the name of a folder\n"

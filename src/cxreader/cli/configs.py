"""`cxreader configs`: the example configurations that come with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxreader.cli.output.console import one_line, say, table
from cxreader.errors import UsageError


def configs(
    folder: Annotated[Path, typer.Argument(help="Where they are written.")] = Path("configs"),
) -> None:
    """Write the example configurations that the documents use into a folder, to run as they are or to change."""
    from importlib.resources import files

    from cxreader.atomic import write_whole

    examples = {e.name: e.read_bytes() for e in (files("cxreader") / "configs").iterdir() if e.name.endswith(".toml")}
    for name, content in sorted(examples.items()):
        place = folder / name
        if place.exists() and place.read_bytes() != content:
            raise UsageError("a file that was changed is not overwritten", where=place, mend="give another folder")
    for name, content in examples.items():
        write_whole(folder / name, content)
    rows = [(name, text.decode().partition("\n")[0].lstrip("# ")) for name, text in sorted(examples.items())]
    table(one_line(f"Written to {folder}"), ("file", "what it is"), rows, left=("what it is",))
    say(f"train with one: cxreader train {folder / 'kermany.toml'} --out runs/a --set data.root=FOLDER")

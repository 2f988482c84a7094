"""`cxreader serve backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxreader.cli.output.console import say
from cxreader.cli.serving.opened import service
from cxreader.counting import format_count


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, a tar archive.")],
    home: Annotated[Path, typer.Option(help="The service's folder.")] = Path("cxreader-home"),
) -> None:
    """Keep the service in one file: database, images, settings, secret. It may run meanwhile.

    The file holds patients and the secret: keep it as the home is kept.
    """
    from cxreader.serving.operations.backup import backup as save

    with service(home) as opened:
        done = save(opened, file)
    missing = f", {done.missing:,} missing from the store" if done.missing else ""
    say(f"{file}: {format_count(done.rows, '[row|rows]')}, {format_count(done.objects, '[object|objects]')}{missing}")


def restore(
    file: Annotated[Path, typer.Argument(help="What `cxreader serve backup` wrote.")],
    home: Annotated[Path, typer.Option(help="The folder to make; nothing may be in it.")] = Path("cxreader-home"),
) -> None:
    """Make a home from a backup; then `cxreader serve` goes on where it was."""
    from cxreader.serving.operations.backup import restore as fill

    done = fill(file, home)
    say(f"{home}: {format_count(done.rows, '[row|rows]')}, {format_count(done.objects, '[object|objects]')}")

"""`cxreader serve audit`: the service's log of who did what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxreader.cli.output.console import say
from cxreader.counting import format_count
from cxreader.errors import UsageError

app = typer.Typer(help="The service's log of who did what.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """The service's log of who did what."""


@app.command()
def verify(
    home: Annotated[Path, typer.Option(help="The service's folder.")] = Path("cxreader-home"),
    known: Annotated[
        str | None, typer.Option(help="NUMBER:HASH of an entry, kept elsewhere: shows that the log was not cut off.")
    ] = None,
) -> None:
    """Check that no entry of the audit log was changed or taken out; the exit code is 1 where one was."""
    from cxreader.serving.settings import Settings
    from cxreader.serving.store.audit import verify as check
    from cxreader.serving.store.opened import opened_database

    database = opened_database(Settings.load(home))
    with database.reading() as session:
        found = check(session, known=_known(known))
    database.close()
    if found.number is not None:
        typer.echo(f"entry {found.number:,} {found.why}")
        raise typer.Exit(1)
    typer.echo(f"{found.entries}:{found.hash}")
    say(f"{format_count(found.entries, '[entry|entries]')}, none changed; keep the line above elsewhere, for --known")


def _known(text: str | None) -> tuple[int, str] | None:
    number, sign, digest = (text or "").partition(":")
    if text is not None and not (sign and number.isdigit()):
        raise UsageError(
            f"{text!r} is no NUMBER:HASH", where="--known", mend="give the line that an earlier call printed"
        )
    return None if text is None else (int(number), digest)

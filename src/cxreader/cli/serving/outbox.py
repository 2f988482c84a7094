"""`cxreader serve outbox`: what could not be sent."""

from __future__ import annotations

from typing import Annotated

import typer

from cxreader.cli.output.console import say, table
from cxreader.cli.serving.destination import ACTOR, HOME, Home, opened
from cxreader.counting import format_count

app = typer.Typer(help="What could not be sent.", no_args_is_help=True)


@app.command()
def dead(home: Home = HOME) -> None:
    """The dead letters: objects that a destination refused, or did not take in time; the exit code is 1 where there are any."""
    from cxreader.serving.store.work import outbox

    with opened(home) as (_, database), database.reading() as session:
        found = outbox.dead_letters(session)
    if not found:
        say("no dead letters")
        return
    rows = [(name, key, entry.kind, f"{entry.attempts:,}", entry.error) for entry, name, key in found]
    table(None, ("destination", "result", "object", "attempts", "reason"), rows)
    raise typer.Exit(1)


@app.command()
def again(
    name: Annotated[str | None, typer.Argument(help="The destination's name; all when left out.")] = None,
    home: Home = HOME,
) -> None:
    """Send dead letters again."""
    from cxreader.serving.administration import sending

    with opened(home) as (_, database), database.writing() as session:
        count = sending.revive(session, database.now(session), ACTOR, name)
    say(f"{format_count(count, '[object waits|objects wait]')} to be sent again")

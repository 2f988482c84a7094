"""`cxreader serve token`: keys of programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxreader.cli.output.console import say
from cxreader.cli.serving.opened import within

app = typer.Typer(help="API tokens: keys of programs.", no_args_is_help=True)
Home = Annotated[Path, typer.Option(help="The service's folder.")]
HOME = Path("cxreader-home")
ACTOR = "command line"
User = Annotated[str, typer.Argument(help="The name of the user whose token it is.")]


@app.command()
def add(
    user: User,
    name: Annotated[str, typer.Option(help="The program that will use it.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do, of what its user may; again for each: upload, read, verdict, ...")
    ],
    days: Annotated[float, typer.Option(help="Days until it ends.")] = 90,
    home: Home = HOME,
) -> None:
    """Make a token and print it, this once."""
    from cxreader.serving.access import people, tokens

    given: Any = {"name": name, "scopes": scope, "days": days, "actor": ACTOR}
    made = within(home, lambda s, now: tokens.add(s, now, people.named(s, user), **given))
    typer.echo(made.text)
    say("shown once and kept nowhere; programs send it as `Authorization: Bearer ...`")


@app.command("list")
def list_tokens(user: User, home: Home = HOME) -> None:
    """A user's tokens, the newest first, without their texts."""
    from cxreader.serving.access import people, tokens

    rows = within(home, lambda s, now: [(one, one.ends_at > now) for one in tokens.of_user(s, people.named(s, user))])
    for row, lasts in rows:
        state = "revoked" if row.revoked_at is not None else "lasts" if lasts else "over"
        typer.echo(f"{row.key}\t{row.name}\t{','.join(row.scopes)}\t{state}")


@app.command()
def revoke(
    user: User, key: Annotated[str, typer.Argument(help="The token's key, as `list` shows it.")], home: Home = HOME
) -> None:
    """End a token."""
    from cxreader.serving.access import people, tokens

    within(home, lambda s, now: tokens.revoke(s, now, people.named(s, user), key, actor=ACTOR))
    say("it opens nothing any more")

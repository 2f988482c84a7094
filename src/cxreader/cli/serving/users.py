"""`cxreader serve user`: the people who may enter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxreader.cli.output.console import say
from cxreader.cli.serving.opened import within

app = typer.Typer(help="The people who may enter.", no_args_is_help=True)
Home = Annotated[Path, typer.Option(help="The service's folder.")]
HOME = Path("cxreader-home")
Name = Annotated[str, typer.Argument(help="The user's name.")]
Password = Annotated[
    str | None,
    typer.Option(envvar="CXREADER_PASSWORD", help="At least 12 characters; one is made up when left out."),
]
ACTOR = "command line"


@app.command("list")
def list_users(home: Home = HOME) -> None:
    """Everybody, with role and state."""
    from cxreader.serving.access.people import everybody

    for user in within(home, lambda session, _: everybody(session)):
        typer.echo(f"{user.name}\t{user.role}\t{'enabled' if user.disabled_at is None else 'disabled'}")


@app.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="reader, admin or auditor.")] = "reader",
    password: Password = None,
    home: Home = HOME,
) -> None:
    """Add a user who signs in by a password."""
    from cxreader.serving.access import people

    given = password or people.new_password()
    held: Any = role
    within(home, lambda s, now: people.add(s, now, ACTOR, name=name, role=held, password=given))
    _tell(name, given, made_up=password is None)


@app.command("password")
def set_password(name: Name, password: Password = None, home: Home = HOME) -> None:
    """Give a user another password; every session of theirs ends."""
    from cxreader.serving.access import people

    given = password or people.new_password()
    within(home, lambda s, now: people.set_password(s, now, ACTOR, people.named(s, name), given))
    _tell(name, given, made_up=password is None)


@app.command("role")
def set_role(
    name: Name, role: Annotated[str, typer.Argument(help="reader, admin or auditor.")], home: Home = HOME
) -> None:
    """Give a user another role; every session of theirs ends."""
    from cxreader.serving.access import people

    held: Any = role
    within(home, lambda s, now: people.set_role(s, now, ACTOR, people.named(s, name), held))
    say(f"{name} is {role} now")


@app.command()
def disable(name: Name, home: Home = HOME) -> None:
    """Let nobody enter as this user any more; sessions and tokens end, verdicts stay."""
    from cxreader.serving.access import people

    within(home, lambda s, now: people.set_disabled(s, now, ACTOR, people.named(s, name), disabled=True))
    say(f"{name} cannot enter any more")


@app.command()
def enable(name: Name, home: Home = HOME) -> None:
    """Let a disabled user enter again."""
    from cxreader.serving.access import people

    within(home, lambda s, now: people.set_disabled(s, now, ACTOR, people.named(s, name), disabled=False))
    say(f"{name} may enter again")


def _tell(name: str, password: str, *, made_up: bool) -> None:
    if made_up:
        typer.echo(f"{name}'s password, shown once and kept nowhere: {password}")
    else:
        say(f"{name} may enter")

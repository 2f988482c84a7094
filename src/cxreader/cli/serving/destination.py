"""`cxreader serve destination`: where results go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import say, table
from cxreader.errors import UsageError

if TYPE_CHECKING:
    from cxreader.serving.settings import Settings
    from cxreader.serving.store.database import Database

Home = Annotated[Path, typer.Option(help="The service's folder.")]
HOME = Path("cxreader-home")
ACTOR = "command line"

app = typer.Typer(help="Where results go.", no_args_is_help=True)


@contextmanager
def opened(home: Path) -> Iterator[tuple[Settings, Database]]:
    """The settings and the database of a home."""
    from cxreader.serving.settings import Settings
    from cxreader.serving.store.opened import opened_database

    settings = Settings.load(home)
    database = opened_database(settings)
    try:
        yield settings, database
    finally:
        database.close()


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is called here.")],
    node: Annotated[str | None, typer.Option(help="AE_TITLE@HOST:PORT: by C-STORE.")] = None,
    url: Annotated[str | None, typer.Option(help="Of a DICOMweb service: by STOW-RS.")] = None,
    send: Annotated[
        list[str] | None, typer.Option(help="sr, sr_regions, sc or gsps; again for each; all when left out.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="C-STORE by TLS, with the certificates of dicom.tls.")] = False,
    calling: Annotated[str, typer.Option(help="Our AE title there; the node's when left out.")] = "",
    credentials: Annotated[
        Path | None, typer.Option(help="For STOW-RS: a file that holds USER:PASSWORD, or a token.")
    ] = None,
    home: Home = HOME,
) -> None:
    """Send the results of what is read from now on to a PACS, as well."""
    from cxreader.serving.administration import sending
    from cxreader.serving.sending import addresses

    if (node is None) == (url is None):
        raise UsageError("one address is needed", mend="give --node AE_TITLE@HOST:PORT or --url URL")
    address = addresses.by_stow(url, credentials) if url else addresses.by_store(node or "", tls=tls, calling=calling)
    with opened(home) as (_, database), database.writing() as session:
        made = sending.add(session, database.now(session), ACTOR, name=name, address=address, sends=send or ())
        say(f"{name}: {addresses.place(made)}, is sent {', '.join(made.sends)}")


@app.command("list")
def list_(home: Home = HOME) -> None:
    """The destinations, what each is sent, and how many objects were sent, wait, or are dead letters."""
    from cxreader.serving.sending import addresses
    from cxreader.serving.store import destinations

    with opened(home) as (_, database), database.reading() as session:
        found, counts = destinations.every(session), destinations.counts(session)
    if not found:
        say("no destinations; results stay here until one is added: cxreader serve destination add")
        return
    states = ("sent", "waiting", "dead")
    rows = [
        (
            one.name,
            addresses.place(one),
            " ".join(one.sends),
            *(f"{counts.get(one.id, {}).get(s, 0):,}" for s in states),
        )
        for one in found
    ]
    table(None, ("destination", "address", "objects", *states), rows, left=("address", "objects"))


@app.command()
def echo(name: Annotated[str, typer.Argument(help="The destination's name.")], home: Home = HOME) -> None:
    """Ask a destination whether it answers; the exit code is 1 where it does not."""
    from cxreader.serving.sending import addresses
    from cxreader.serving.store import destinations

    with opened(home) as (settings, database), database.reading() as session:
        why = addresses.echo(settings, destinations.by_name(session, name))
    typer.echo(f"{name}: {why or 'answers'}")
    if why:
        raise typer.Exit(1)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The destination's name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Also where objects wait for it.")] = False,
    home: Home = HOME,
) -> None:
    """Send nothing there any more. What waits for it is dropped."""
    from cxreader.serving.administration import sending

    with opened(home) as (settings, database), database.writing() as session:
        sending.remove(session, database.now(session), ACTOR, name, unsent=yes, home=settings.home)
    say(f"{name}: removed")

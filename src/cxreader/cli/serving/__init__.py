"""`cxreader serve`: the service beside a PACS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxreader.cli.output.console import say
from cxreader.cli.serving import audit, backups, deletion, demo, destination, outbox, tokens, users
from cxreader.counting import format_count

Home = Annotated[Path, typer.Option(help="The service's folder.")]

app = typer.Typer()
app.add_typer(audit.app, name="audit")
app.add_typer(destination.app, name="destination")
app.add_typer(outbox.app, name="outbox")
app.add_typer(users.app, name="user")
app.add_typer(tokens.app, name="token")
app.add_typer(deletion.app, name="delete")
app.command()(deletion.hold)
app.command()(deletion.release)
app.command()(backups.backup)
app.command()(backups.restore)
app.command()(demo.demo)


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    model: Annotated[
        list[Path] | None,
        typer.Option("--model", "-m", help="An artifact's folder, exported; again for each further model."),
    ] = None,
    home: Home = Path("cxreader-home"),
    silent: Annotated[bool, typer.Option("--silent", help="Receive, read and keep; show and send nothing.")] = False,
) -> None:
    """Run the service of a home until Ctrl-C: receive images, read them, order them. For research; not a medical device.

    Everything else is a setting in HOME/serve.toml. `cxreader serve init` makes a home.
    """
    if context.invoked_subcommand is not None:
        return
    from cxreader.serving.parent import serve as run
    from cxreader.serving.settings import Settings

    given = ({"models": tuple(model)} if model else {}) | ({"silent": True} if silent else {})
    run(Settings.load(home, **given), say=say)


@app.command()
def reread(
    home: Home = Path("cxreader-home"),
    failed: Annotated[bool, typer.Option("--failed", help="Those whose reading failed for good, instead.")] = False,
) -> None:
    """Queue every image that the active models have not read: their answers are added to those of other models, as revisions."""
    from cxreader.serving.service import TriageService
    from cxreader.serving.settings import Settings

    service = TriageService.open(Settings.load(home))
    count = service.retry("command line") if failed else service.reread("command line")
    service.close()
    say(f"{format_count(count, '[image waits|images wait]')} to be read again")


@app.command()
def init(
    home: Home = Path("cxreader-home"),
    administrator: Annotated[str, typer.Option(help="Name of the first administrator.")] = "admin",
    password_file: Annotated[
        Path | None,
        typer.Option(help="Holds the password, of at least 12 characters; one is made up when left out."),
    ] = None,
) -> None:
    """Make a home: settings, secret, database, first administrator; or bring the database of an earlier version to this one."""
    from cxreader.imaging.files import load
    from cxreader.serving.home import init as make
    from cxreader.serving.settings import Settings

    settings, password = Settings.load(home), None if password_file is None else load(password_file).decode().strip()
    made = make(settings, administrator=administrator, password=password)
    say(f"{home}: ready; name the models in {home / 'serve.toml'}, or give them to `cxreader serve --model`")
    if made is not None:
        typer.echo(f"{administrator}'s password, shown once and kept nowhere: {made}")

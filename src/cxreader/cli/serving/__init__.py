"""`cxreader serve`: the service beside a PACS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cxreader.cli.console import say
from cxreader.cli.serving import audit, deletion, tokens, users

Home = Annotated[Path, typer.Option(help="The service's folder.")]

app = typer.Typer(help="A service beside a PACS: receives, reads, orders, sends back.")
app.add_typer(audit.app, name="audit")
app.add_typer(users.app, name="user")
app.add_typer(tokens.app, name="token")
app.add_typer(deletion.app, name="delete")
app.command()(deletion.hold)
app.command()(deletion.release)


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
def init(
    home: Home = Path("cxreader-home"),
    administrator: Annotated[str, typer.Option(help="Name of the first administrator.")] = "admin",
    password: Annotated[
        str | None,
        typer.Option(envvar="CXREADER_PASSWORD", help="At least 12 characters; one is made up when left out."),
    ] = None,
) -> None:
    """Make a home: settings, secret, database, first administrator; or bring the database of an earlier version to this one."""
    from cxreader.serving.home import init as make
    from cxreader.serving.settings import Settings

    made = make(Settings.load(home), administrator=administrator, password=password)
    say(f"{home}: ready; name the models in {home / 'serve.toml'}, or give them to `cxreader serve --model`")
    if made is not None:
        typer.echo(f"{administrator}'s password, shown once and kept nowhere: {made}")

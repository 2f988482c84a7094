"""`cxreader serve delete`, `hold` and `release`: what is kept, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import say
from cxreader.cli.serving.opened import service
from cxreader.counting import format_count
from cxreader.errors import UsageError
from cxreader.locks import try_lock

if TYPE_CHECKING:
    from cxreader.serving.retaining.retention import What

app = typer.Typer(help="Delete what is no longer to be kept; the audit log stays.", no_args_is_help=True)
Home = Annotated[Path, typer.Option(help="The service's folder.")]
HOME = Path("cxreader-home")
Keys = Annotated[list[str] | None, typer.Argument(help="Studies by their keys, as the worklist and the API call them.")]
Older = Annotated[float | None, typer.Option(help="All studies received more than so many days ago.")]
Days = Annotated[float, typer.Option(help="Only what is more than so many days old.")]
ACTOR = "command line"


@app.command()
def study(keys: Keys = None, older_than: Older = None, home: Home = HOME) -> None:
    """Delete studies whole: patient, images, answers, verdicts, and what waits to be sent of them."""
    _delete("study", keys, older_than, home)


@app.command()
def images(keys: Keys = None, older_than: Older = None, home: Home = HOME) -> None:
    """Delete the images of studies, files and pixels, once they are read; answers and verdicts stay."""
    _delete("images", keys, older_than, home)


@app.command()
def derived(keys: Keys = None, older_than: Older = None, home: Home = HOME) -> None:
    """Delete maps, and DICOM objects made of answers, sent or not; the answers stay."""
    _delete("derived", keys, older_than, home)


@app.command()
def cache(older_than: Days = 0, home: Home = HOME) -> None:
    """Delete decoded pixels; they are made again when somebody looks."""
    from cxreader.serving.retaining.retention import Retention

    with service(home) as opened:
        say(format_count(Retention(opened, ACTOR).clear_cache(older_than), "[object|objects] deleted"))


@app.command()
def outbox(older_than: Days = 30, home: Home = HOME) -> None:
    """Delete entries of the outbox that were sent or given up."""
    from cxreader.serving.retaining.retention import Retention

    with service(home) as opened:
        say(format_count(Retention(opened, ACTOR).clear_outbox(older_than), "[entry|entries] deleted"))


@app.command()
def orphans(home: Home = HOME) -> None:
    """Delete files that nothing names, as an interrupted deletion leaves them; the service must not run."""
    from cxreader.serving.home import LOCK
    from cxreader.serving.retaining.retention import Retention

    lock = try_lock(home / LOCK)
    if lock is None:
        raise UsageError("the service of this home runs", where=home, mend="end it first")
    with lock, service(home) as opened:
        say(format_count(Retention(opened, ACTOR).sweep(), "[object|objects] deleted"))


def hold(
    key: Annotated[str, typer.Argument(help="The study's key.")],
    reason: Annotated[str, typer.Option(help="Why, kept beside the study; no patient's name.")],
    home: Home = HOME,
) -> None:
    """Put a study under legal hold: no command deletes anything of it."""
    from cxreader.serving.retaining.retention import Retention

    if not reason.strip():
        raise UsageError("a legal hold needs its reason", where="--reason", mend="say why")
    with service(home) as opened:
        Retention(opened, ACTOR).hold(key, reason)
    say("held: nothing of it is deleted until `cxreader serve release`")


def release(key: Annotated[str, typer.Argument(help="The study's key.")], home: Home = HOME) -> None:
    """Lift the legal hold of a study."""
    from cxreader.serving.retaining.retention import Retention

    with service(home) as opened:
        Retention(opened, ACTOR).hold(key, "")
    say("released")


def _delete(what: What, keys: list[str] | None, days: float | None, home: Path) -> None:
    from cxreader.serving.retaining.retention import Retention

    with service(home) as opened:
        retention = Retention(opened, ACTOR)
        done = retention.delete(what, retention.chosen(keys or (), days))
    held = f", of which {done.held:,} under legal hold were left" if done.held else ""
    objects = format_count(done.objects, "[object|objects] deleted")
    say(f"{format_count(done.studies, '[study|studies]')}{held}; {objects}")

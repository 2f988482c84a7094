"""`cxreader models`: the networks; get and publish artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import progress, say, show, table
from cxreader.cli.output.out_paths import out_folder
from cxreader.counting import format_count

if TYPE_CHECKING:
    from cxreader.models.artifact import Artifact
    from cxreader.models.exchange.listing import Listing

app = typer.Typer(help="The networks; get a published reader, publish one.")


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """The networks; get a published reader, publish one."""
    if context.invoked_subcommand is not None:
        return
    from cxreader.models.exchange.fetch import published_names
    from cxreader.models.registry import list_models

    rows = [(m.name, m.pretrained or "none", m.reference) for m in list_models()]
    table(
        "Networks",
        ("name", "pinned ImageNet weights", "reference"),
        rows,
        left=("pinned ImageNet weights", "reference"),
    )
    known = [(name, about["about"]) for name, about in published_names().items()]
    if known:
        table("Published readers: cxreader models get NAME", ("name", "what it is"), known, left=("what it is",))


@app.command()
def get(
    source: Annotated[
        str, typer.Argument(help="A published name, or an address: hf:OWNER/NAME, https://..., a folder.")
    ],
    out: Annotated[
        Path | None, typer.Option(callback=out_folder, help="The artifact's new folder; models/NAME when left out.")
    ] = None,
) -> None:
    """Fetch a published artifact; every file is checked by its hash, and what broke off goes on."""
    from cxreader.models.exchange.fetch import fetch

    folder = out or _folder_of(source)
    artifact, listing = fetch(source, folder, bar=progress)
    _show(artifact, listing, f"Fetched to {folder}")
    for lacking in listing.lacks():
        say(f"warning: it came with {lacking}; ask whoever published it before you use it")
    say(f"read with it: cxreader read --model {folder} IMAGE")


@app.command()
def publish(
    artifact: Annotated[str, typer.Argument(help="An artifact's folder, or a run's.")],
    address: Annotated[str, typer.Argument(help="Where to: hf:OWNER/NAME, https://... that takes PUT, a folder.")],
    terms: Annotated[
        list[str] | None,
        typer.Option(
            help='The terms of a source of the training data, "NAME: a sentence"; for each source one. Those that a fetched '
            "artifact came with are carried on."
        ),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="The model card, Markdown; that of the run's evaluation when left out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Publish; without it only what would be sent is shown.")] = False,
) -> None:
    """Put an artifact, its model card, its terms and the hashes of all to a folder, a server or the Hugging Face Hub."""
    from cxreader.models.artifact import load_artifact
    from cxreader.models.exchange.places import place_of
    from cxreader.models.exchange.prepare import list_artifact
    from cxreader.models.exchange.publish import publish as publish_listed
    from cxreader.reporting.evaluation.model_facts import facts_of
    from cxreader.runs import artifact_folder

    place_of(address)  # one that is none is refused before anything is shown
    folder = artifact_folder(artifact)
    loaded = load_artifact(folder)
    weights = f"The weights: {facts_of(loaded)['Licence of the weights']}."
    listing, files = list_artifact(folder, card or _card(Path(artifact), folder), terms or (), weights=weights)
    _show(loaded, listing, f"To be published at {address}")
    say(_told(loaded))
    if not yes:
        say("nothing was sent; add --yes to publish it")
        return
    sent = publish_listed(listing, files, address, bar=progress)
    say(
        f"published: {format_count(sent, '[file|files]')} sent, {len(files) - sent} there before; the listing came last"
    )
    say(f"fetch it with: cxreader models get {address}")


def _folder_of(source: str) -> Path:
    """Where an artifact goes when nobody says: a folder of its address's name, in `models`."""
    from cxreader.errors import UsageError
    from cxreader.models.exchange.listing import LISTING

    name = source.rstrip("/").removesuffix(f"/{LISTING}").rpartition("/")[2].rpartition(":")[2]
    if name in ("", ".", "..", LISTING):
        raise UsageError("names no folder for the artifact", where="SOURCE", mend="give --out")
    return Path("models") / name


def _card(place: Path, folder: Path) -> Path:
    """The card of the run's evaluation, or the one that an artifact which was fetched came with."""
    from cxreader.models.exchange.listing import CARD
    from cxreader.runs import RunFolder

    fetched = folder / CARD
    return fetched if fetched.is_file() else RunFolder(place).evaluation / "model_card.md"


def _show(artifact: Artifact, listing: Listing, title: str) -> None:
    rows = [(file.name, f"{file.bytes:,}", file.sha256[:12]) for file in listing.files]
    table(title, ("file", "bytes", "sha256 begins"), rows)
    show(f"Artifact {artifact.id}: {artifact.model}, {artifact.transfer}. Terms:")
    show("\n".join(f"- {line}" for line in listing.terms))


def _told(artifact: Artifact) -> str:
    """What of the training goes along, for whoever answers for the patients."""
    patients = sum(len(hashes) for hashes in artifact.patients.parts.values())
    what = format_count(patients, "[hash|hashes]")
    return (
        f"it carries {what} of its training patients, with their salt, so that they are left out when it is judged: whoever "
        "has a list of identifiers can tell which of them are in it; and the configuration, with the names of folders"
    )

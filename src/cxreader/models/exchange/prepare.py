"""What is published of an artifact: its files, a model card, and the terms of its weights and of all that it learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxreader.codec import in_words
from cxreader.errors import ArtifactError, UsageError
from cxreader.models.artifact import MANIFEST, WEIGHTS, Artifact, hash_of, load_artifact
from cxreader.models.exchange.listing import CARD, LISTING, ListedFile, Listing, parse_listing
from cxreader.models.exchange.terms import require_terms


def list_artifact(
    folder: Path, card: Path, terms: Sequence[str], *, weights: str | None = None
) -> tuple[Listing, dict[str, Path]]:
    """The listing of the artifact in `folder`, every byte checked, with `card` as its README, and where each file lies.

    `terms`: of each source of its training data a sentence; those of a listing that lies beside the artifact, with which it was
    fetched, are carried on before them. `weights`: the sentence of the pretrained weights, which comes first. Raises
    ArtifactError for a damaged artifact or listing and for a quantised one, UsageError for a card that is not there or no text,
    and for a source without terms.
    """
    artifact = load_artifact(folder)
    if artifact.quantised is not None:
        mend = "publish the artifact that it was made from: who fetches it quantises it by `cxreader quantise`"
        raise ArtifactError("a quantised artifact is not published", where=folder, mend=mend)
    _require_text(card)
    lines = [line for line in dict.fromkeys([*_carried(folder, artifact), *terms]) if line != weights]
    require_terms(artifact, lines)
    exports = [str(export["file"]) for export in artifact.exports.values()]
    regions = [] if artifact.region_head is None else [artifact.region_head.file]
    places = {CARD: card, **{name: folder / name for name in (WEIGHTS, *regions, *exports, MANIFEST)}}
    files = tuple(ListedFile(name, hash_of(path), path.stat().st_size) for name, path in places.items())
    return Listing(artifact.id, artifact.model, (*([weights] if weights else []), *lines), files), places


def _require_text(card: Path) -> None:
    """Raise UsageError for a model card that is not there, or no text of people."""
    write = "write one: cxreader evaluate RUN, or give a file with --card"
    try:
        text = card.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError("no model card is there", where=card, mend=write) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"no model card: {in_words(error)}", where=card, mend="give Markdown in UTF-8") from None
    if "\0" in text:
        raise UsageError("no model card: holds zero bytes", where=card, mend="give Markdown in UTF-8")
    if not text.strip("\ufeff \t\r\n"):
        raise UsageError("the model card is empty", where=card, mend=write)


def _carried(folder: Path, artifact: Artifact) -> tuple[str, ...]:
    """The terms with which the artifact was fetched; none where no listing lies beside it."""
    path = folder / LISTING
    try:
        listing = parse_listing(path.read_bytes(), path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ArtifactError(f"cannot be read ({in_words(error)})", where=path, mend="fetch the reader again") from None
    if listing.artifact != artifact.id:
        what = f"is the listing of artifact {listing.artifact}, and beside it lies {artifact.id}"
        raise ArtifactError(what, where=path, mend="fetch the reader again, or remove the listing")
    return tuple(line for line in listing.terms if line.strip())

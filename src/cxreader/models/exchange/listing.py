"""The listing of a published artifact: its files with their hashes, and the terms of its weights and training data."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxreader.codec import Plain, in_words
from cxreader.errors import ArtifactError, UsageError
from cxreader.models.artifact import MANIFEST, WEIGHTS, hash_of, load_artifact
from cxreader.models.region_record import REGION_WEIGHTS

LISTING, CARD = "published.json", "README.md"
"""The card is named as the Hugging Face Hub and every host of code show it beside the files."""
SCHEMA = 1
_NAMES = "|".join(map(re.escape, (MANIFEST, WEIGHTS, REGION_WEIGHTS, CARD)))
_KNOWN = re.compile(rf"{_NAMES}|model-[0-9a-f]{{12}}\.onnx")
_HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ListedFile(Plain):
    """A file of a published artifact: its name in the folder, the SHA-256 (hex) and the number of its bytes."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Listing(Plain):
    """What is published: the artifact's id, its network, the terms in sentences, and the files, `artifact.json` last."""

    artifact: str
    model: str
    terms: tuple[str, ...]
    files: tuple[ListedFile, ...]

    def to_bytes(self) -> bytes:
        """The file `published.json`."""
        return (json.dumps({"schema": SCHEMA, **self.to_dict()}, indent=1) + "\n").encode()


def list_artifact(folder: Path, card: Path, terms: Sequence[str]) -> tuple[Listing, dict[str, Path]]:
    """The listing of the artifact in `folder`, every byte checked, with `card` as its README, and where each file lies.

    Raises ArtifactError for a damaged artifact and for a quantised one, UsageError for a card that is not there or terms that
    say nothing.
    """
    artifact = load_artifact(folder)
    if artifact.quantised is not None:
        mend = "publish the artifact that it was made from: who fetches it quantises it by `cxreader quantise`"
        raise ArtifactError("a quantised artifact is not published", where=folder, mend=mend)
    if not card.is_file():
        mend = "write one: cxreader evaluate RUN, or give a file with --card"
        raise UsageError("no model card is there", where=card, mend=mend)
    if not terms or not all(line.strip() for line in terms):
        raise UsageError("no terms are given", where="--terms", mend='such as --terms "CC BY 4.0, Kermany et al."')
    exports = [str(export["file"]) for export in artifact.exports.values()]
    regions = [] if artifact.region_head is None else [artifact.region_head.file]
    places = {CARD: card, **{name: folder / name for name in (WEIGHTS, *regions, *exports, MANIFEST)}}
    files = tuple(ListedFile(name, hash_of(path), path.stat().st_size) for name, path in places.items())
    return Listing(artifact.id, artifact.model, tuple(terms), files), places


def parse_listing(data: bytes, where: str) -> Listing:
    """The listing in these bytes. Raises ArtifactError when it is none, or names a file that an artifact does not have."""
    mend = f"give the address of a folder that holds {LISTING}, or ask whoever published it"
    try:
        values = json.loads(data)
        if values.pop("schema") != SCHEMA:
            raise ArtifactError(f"a listing of another schema than {SCHEMA}", where=where, mend="update cxreader")
        listing = Listing.from_dict(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"no listing of an artifact ({in_words(error)})", where=where, mend=mend) from None
    names = [file.name for file in listing.files]
    wrong = [name for name in names if not _KNOWN.fullmatch(name)]
    if wrong or len(set(names)) < len(names) or not {MANIFEST, WEIGHTS} <= set(names):
        what = f"names {wrong[0]!r}, which no artifact holds" if wrong else "does not name the files of an artifact"
        raise ArtifactError(f"the listing {what}", where=where, mend=mend)
    if any(not _HASH.fullmatch(file.sha256) or file.bytes < 0 for file in listing.files):
        raise ArtifactError("the listing holds no SHA-256 of a file", where=where, mend=mend)
    return listing

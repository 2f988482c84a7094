"""Publishing an artifact: its files, its card and its listing to a place, the listing last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from cxreader.atomic import write_whole
from cxreader.errors import ArtifactError
from cxreader.models.exchange.listing import LISTING, ListedFile, Listing
from cxreader.models.exchange.places import Place, place_of
from cxreader.progress import Bar


def publish(listing: Listing, files: Mapping[str, Path], address: str, *, bar: Bar) -> int:
    """Put the listed files at `address`, and the listing behind them; returns how many had to be sent.

    What lies there already with the same hash is not sent again, so that an interrupted publication goes on. Raises
    UsageError for an address that is none, ArtifactError, StorageError and MissingDependencyError for a place that takes nothing.
    """
    place, sent = place_of(address), 0
    with bar("files") as progress:
        for done, file in enumerate(listing.files, 1):
            if not _is_there(place, file):
                place.write(file.name, files[file.name])
                sent += 1
            if progress is not None:
                progress(done, len(listing.files))
    with TemporaryDirectory(prefix="cxreader-publish-") as scratch:
        place.write(LISTING, write_whole(Path(scratch) / LISTING, listing.to_bytes()))
    return sent


def _is_there(place: Place, file: ListedFile) -> bool:
    """Whether the file is there as it is listed; what cannot be read is sent: a Hub hides a repository that is not made yet."""
    digest = hashlib.sha256()
    try:
        opened = place.read(file.name, 0)
        if opened is None:
            return False
        with opened:
            if opened.total not in (None, file.bytes):
                return False
            for piece in opened.pieces():
                digest.update(piece)
    except ArtifactError:
        return False
    return digest.hexdigest() == file.sha256

"""Fetching a published artifact: file by file, from where it broke off, believed by its hashes alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from cxreader.atomic import storage_error, write_whole
from cxreader.errors import ArtifactError, UsageError, nearest
from cxreader.models.artifact import MANIFEST, Artifact, hash_of, load_artifact
from cxreader.models.exchange.listing import LISTING, ListedFile, Listing, parse_listing
from cxreader.models.exchange.places import Place, place_of
from cxreader.progress import Bar

_LARGEST_LISTING = 2**20
_PIECE = 2**20
_AGAIN = "give the command again, it goes on where it ended"

Progress = Callable[[int, int], None] | None


def published_names() -> dict[str, dict[str, str]]:
    """The models known by name: of each its `address`, the `sha256` of its listing, and what it is, `about`."""
    page = json.loads((files("cxreader.models.exchange") / "names.json").read_text("utf-8"))
    models: dict[str, dict[str, str]] = page["models"]
    return models


def fetch(source: str, folder: Path, *, bar: Bar) -> tuple[Artifact, Listing]:
    """The artifact of `source`, a published name or an address, in `folder`; `artifact.json` comes last, then it is whole.

    Nothing is unpickled or run. Raises UsageError for an unknown name and for a folder that holds another artifact,
    ArtifactError for what cannot be fetched or is not what the listing says, StorageError.
    """
    names = published_names()
    known = names.get(source)
    if known is None and not _is_address(source):
        mend = nearest(source, names) if names else "none has a name yet"
        mend = f"{mend}; or give an address: hf:OWNER/NAME, https://..., a folder"
        raise UsageError(f"no published model is named {source!r}", mend=mend)
    place = place_of(source if known is None else known["address"])
    listing = _listing(place, None if known is None else known["sha256"])
    _refuse_another(folder, listing)
    total, before = sum(file.bytes for file in listing.files), 0
    with bar("bytes") as progress:
        for file in sorted(listing.files, key=lambda file: file.name == MANIFEST):
            _fetch_file(place, file, folder, _from(progress, before, total))
            before += file.bytes
    artifact = load_artifact(folder)
    if artifact.id != listing.artifact:
        raise ArtifactError(f"artifact {artifact.id}, the listing says {listing.artifact}", where=place.address)
    write_whole(folder / LISTING, listing.to_bytes())
    return artifact, listing


def _is_address(source: str) -> bool:
    return ":" in source or "/" in source or Path(source).is_dir()


def _listing(place: Place, pinned: str | None) -> Listing:
    where = f"{place.address}/{LISTING}"
    try:
        with place.read(LISTING, 0) as (_, stream):
            data = stream.read(_LARGEST_LISTING + 1)
    except FileNotFoundError:
        mend = "see whether the address is that of a published artifact's folder"
        raise ArtifactError("no published artifact is there", where=where, mend=mend) from None
    if len(data) > _LARGEST_LISTING:
        raise ArtifactError("too long for the listing of an artifact", where=where)
    if pinned is not None and hashlib.sha256(data).hexdigest() != pinned:
        raise ArtifactError(
            "another listing than the one that this name stands for", where=where, mend="update cxreader"
        )
    return parse_listing(data, where)


def _refuse_another(folder: Path, listing: Listing) -> None:
    """Raise UsageError where `folder` holds an artifact that is not the listed one."""
    there = folder / MANIFEST
    wanted = next(file.sha256 for file in listing.files if file.name == MANIFEST)
    if there.is_file() and hash_of(there) != wanted:
        raise UsageError("another artifact is there", where=folder, mend="give another --out")


def _fetch_file(place: Place, file: ListedFile, folder: Path, progress: Progress) -> None:
    target, part = folder / file.name, folder / f".{file.name}.part"
    where = f"{place.address}/{file.name}"
    if target.is_file() and target.stat().st_size == file.bytes and hash_of(target) == file.sha256:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        have = part.stat().st_size if part.is_file() else 0
        if have != file.bytes:
            have = _append(place, file, part, have if have < file.bytes else 0, progress)
        if have < file.bytes:
            raise ArtifactError(f"ended after {have:,} of {file.bytes:,} bytes", where=where, mend=_AGAIN)
        if hash_of(part) != file.sha256:
            part.unlink()
            raise ArtifactError("damaged on the way: not the file of the listing", where=where, mend=_AGAIN)
        part.replace(target)
    except FileNotFoundError:
        raise ArtifactError("is in the listing, but not there", where=where, mend="ask whoever published it") from None
    except OSError as error:
        raise storage_error(error, folder, file.bytes) from None


def _append(place: Place, file: ListedFile, part: Path, have: int, progress: Progress) -> int:
    """Fetch what is missing behind the first `have` bytes; returns how many there are then, at most as many as listed."""
    with place.read(file.name, have) as (begin, stream), part.open("r+b" if begin else "wb") as out:
        out.seek(begin)
        out.truncate()
        while piece := stream.read(_PIECE):
            if out.tell() + len(piece) > file.bytes:
                raise ArtifactError("longer than its listing says", where=f"{place.address}/{file.name}")
            out.write(piece)
            if progress is not None:
                progress(out.tell(), file.bytes)
        return out.tell()


def _from(progress: Progress, before: int, total: int) -> Progress:
    return None if progress is None else lambda done, _: progress(before + done, total)

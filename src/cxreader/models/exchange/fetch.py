"""Fetching a published artifact: file by file, from where it broke off, believed by its hashes alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from cxreader.atomic import storage_error, write_whole
from cxreader.errors import ArtifactError, StorageError, UsageError, nearest
from cxreader.models.artifact import MANIFEST, WEIGHTS, Artifact, hash_of, load_artifact
from cxreader.models.exchange.listing import CARD, LISTING, ListedFile, Listing, parse_listing
from cxreader.models.exchange.places import Opened, Place, place_of
from cxreader.progress import Bar

_LARGEST_LISTING = 2**20
_ASK = "ask whoever published it"
_AGAIN = "give the command again, it goes on where it ended"
_ANEW = f"give the command again, it is fetched anew; if it stays so, {_ASK}"

Progress = Callable[[int, int], None] | None


def published_names() -> dict[str, dict[str, str]]:
    """The models known by name: of each its `address`, the `sha256` of its listing, and what it is, `about`."""
    page = json.loads((files("cxreader.models.exchange") / "names.json").read_text("utf-8"))
    models: dict[str, dict[str, str]] = page["models"]
    return models


def fetch(source: str, folder: Path, *, bar: Bar) -> tuple[Artifact, Listing]:
    """The artifact of `source`, a published name or an address, in `folder`; whole once `artifact.json` is in place.

    That file is fetched first, beside its place, and compared with the listing: what is refused leaves no artifact. Nothing is
    unpickled or run. Raises UsageError for an unknown name and for a folder that holds another artifact, ArtifactError for what
    cannot be fetched or is not what the listing says, StorageError for a folder that takes nothing.
    """
    place, pinned = _place(source)
    listing = _listing(place, pinned)
    _refuse_another(folder, listing)
    _require_room(folder, listing)
    total, before = sum(file.bytes for file in listing.files), 0
    manifest = folder / MANIFEST
    with bar("bytes") as progress:
        for file in sorted(listing.files, key=lambda file: file.name != MANIFEST):
            part = _fetch_file(place, file, folder, _from(progress, before, total))
            before += file.bytes
            if file.name == MANIFEST:
                manifest = part
                _checked(manifest, listing, place, whole=False)
            else:
                _put_in_place(part, folder / file.name)
    artifact = _checked(manifest, listing, place, whole=True)
    _put_in_place(manifest, folder / MANIFEST)
    write_whole(folder / LISTING, listing.to_bytes())
    return artifact, listing


def _place(source: str) -> tuple[Place, str | None]:
    """Where the artifact lies, and for a name the hash of its listing."""
    names = published_names()
    known = names.get(source)
    if known is not None:
        return place_of(known["address"]), known["sha256"]
    if not (":" in source or "/" in source or os.path.exists(source)):  # noqa: PTH110 - a name too long is no place
        mend = nearest(source, names) if names else "none has a name yet"
        mend = f"{mend}; or give an address: hf:OWNER/NAME, https://..., a folder"
        raise UsageError(f"no published model is named {source!r}", mend=mend)
    return place_of(source), None


def _listing(place: Place, pinned: str | None) -> Listing:
    where, data = f"{place.address}/{LISTING}", b""
    opened = place.read(LISTING, 0)
    if opened is None:
        mend = "see whether the address is that of a published artifact's folder"
        raise ArtifactError("no published artifact is there", where=where, mend=mend)
    with opened:
        for piece in opened.pieces():
            data += piece
            if len(data) > _LARGEST_LISTING:
                raise ArtifactError("too long for the listing of an artifact", where=where, mend=_ASK)
    if pinned is not None and hashlib.sha256(data).hexdigest() != pinned:
        raise ArtifactError(
            "another listing than the one that this name stands for", where=where, mend="update cxreader"
        )
    return parse_listing(data, where)


def _refuse_another(folder: Path, listing: Listing) -> None:
    """Raise UsageError where `folder` holds an artifact that is not the listed one."""
    there = folder / MANIFEST
    wanted = next(file.sha256 for file in listing.files if file.name == MANIFEST)
    with _storing(folder):
        another = there.is_file() and hash_of(there) != wanted
    if another:
        raise UsageError("another artifact is there", where=folder, mend="give another --out")


def _require_room(folder: Path, listing: Listing) -> None:
    """Make the folder. Raises StorageError where it cannot be, or its disk does not hold what is missing."""
    with _storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        disk = shutil.disk_usage(folder)
        missing = sum(file.bytes - _have(folder, file) for file in listing.files)
    if disk.total and missing > disk.free:  # a mounted store may tell no size
        what = f"no room for the {missing:,} bytes that the listing names: {disk.free:,} are free"
        raise StorageError(
            what, where=folder, mend=f"free space there or give another --out; if it is too large, {_ASK}"
        )


def _have(folder: Path, file: ListedFile) -> int:
    """How many bytes of a file are there already, by their number alone."""
    sizes = [path.stat().st_size for path in (folder / file.name, _part(folder, file)) if path.is_file()]
    return max((size for size in sizes if size <= file.bytes), default=0)


def _part(folder: Path, file: ListedFile) -> Path:
    return folder / f".{file.name}.part"


def _checked(manifest: Path, listing: Listing, place: Place, *, whole: bool) -> Artifact:
    """The artifact of a manifest that may not be in place yet, compared with the listing; one that is refused is removed.

    `whole`: every file of it is there, and is checked.
    """
    try:
        artifact = load_artifact(manifest.parent, weights=whole, exports=whole, manifest=manifest.name)
        _require_listed(artifact, listing)
    except (ArtifactError, RecursionError) as error:
        if manifest.name != MANIFEST:
            manifest.unlink(missing_ok=True)
        what = error.what if isinstance(error, ArtifactError) else "damaged: brackets nested too deep"
        raise ArtifactError(what, where=f"{place.address}/{MANIFEST}", mend=f"{_ASK}, or update cxreader") from None
    return artifact


def _require_listed(artifact: Artifact, listing: Listing) -> None:
    if (artifact.id, artifact.model) != (listing.artifact, listing.model):
        what = f"is artifact {artifact.id} ({artifact.model}), the listing says {listing.artifact} ({listing.model})"
        raise ArtifactError(what)
    wanted: dict[str, object] = {WEIGHTS: artifact.weights_sha256}
    if artifact.region_head is not None:
        wanted[str(artifact.region_head.file)] = artifact.region_head.weights_sha256
    for export in artifact.exports.values():
        if isinstance(export, Mapping):
            wanted[str(export.get("file"))] = export.get("sha256")
    listed = {file.name: file.sha256 for file in listing.files if file.name not in (MANIFEST, CARD)}
    for name in {**wanted, **listed}:
        if listed.get(name) != wanted.get(name):
            raise ArtifactError(f"does not fit its listing: another {name}, or one of them has none")


def _fetch_file(place: Place, file: ListedFile, folder: Path, progress: Progress) -> Path:
    """A file of the listing, whole and checked, where it lies: in its place already, or beside it, to be put there."""
    target, part = folder / file.name, _part(folder, file)
    with _storing(folder, file.bytes):
        if target.is_file() and target.stat().st_size == file.bytes and hash_of(target) == file.sha256:
            return target
        have = part.stat().st_size if part.is_file() else 0
    if have != file.bytes:
        _append(place, file, part, have if have < file.bytes else 0, progress)
    with _storing(folder):
        if hash_of(part) == file.sha256:
            return part
        part.unlink()
    what = "is not the file that the listing names, or was damaged on the way"
    raise ArtifactError(what, where=f"{place.address}/{file.name}", mend=_ANEW)


def _put_in_place(part: Path, target: Path) -> None:
    with _storing(target):
        part.replace(target)


def _append(place: Place, file: ListedFile, part: Path, have: int, progress: Progress) -> None:
    """Fetch what is missing behind the first `have` bytes; a part that cannot go on from there is removed."""
    where = f"{place.address}/{file.name}"
    opened = place.read(file.name, have)
    if opened is None:
        raise ArtifactError("is in the listing, but not there", where=where, mend=_ASK)
    with opened, _storing(part.parent, file.bytes):
        told = opened.total in (None, file.bytes)
        done = _write(opened, part, file.bytes, progress) if told else 0
        goes_on = (have if opened.begin else 0) < done < file.bytes
        if done != file.bytes and not goes_on:
            part.unlink(missing_ok=True)
    if not told:
        raise ArtifactError(f"has {opened.total:,} bytes, the listing says {file.bytes:,}", where=where, mend=_ASK)
    if done > file.bytes:
        raise ArtifactError(f"is longer than the {file.bytes:,} bytes of the listing", where=where, mend=_ASK)
    if goes_on:
        raise ArtifactError(f"ended after {done:,} of {file.bytes:,} bytes", where=where, mend=_AGAIN)
    if done < file.bytes:
        raise ArtifactError(f"ends after {done:,} of {file.bytes:,} bytes", where=where, mend=_ANEW)


def _write(opened: Opened, part: Path, most: int, progress: Progress) -> int:
    """Write what comes behind what is there; returns how many bytes there are then, more than `most` where more came."""
    with part.open("r+b" if opened.begin else "wb") as out:
        out.seek(opened.begin)
        out.truncate()
        for piece in opened.pieces():
            if out.tell() + len(piece) > most:
                return out.tell() + len(piece)
            out.write(piece)
            if progress is not None:
                progress(out.tell(), most)
        return out.tell()


@contextmanager
def _storing(where: Path, needed: int = 0) -> Iterator[None]:
    """What goes wrong inside is this machine's: raises StorageError for `where`, a folder or a file of it."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, where, needed) from None


def _from(progress: Progress, before: int, total: int) -> Progress:
    return None if progress is None else lambda done, _: progress(before + done, total)

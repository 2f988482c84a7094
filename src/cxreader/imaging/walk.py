"""One walk through folders, archives and DICOMDIRs, for reading, indexing and training: images by content, not by suffix."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cxreader import remote
from cxreader.counting import format_count
from cxreader.errors import ImageError
from cxreader.imaging import containers
from cxreader.imaging.dicom.objects import other_object
from cxreader.imaging.files import below, is_hidden
from cxreader.imaging.read import sniff
from cxreader.imaging.zip_directory import ZIP

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom"})
"""A file of such a name is taken for an image, whatever it holds, so that reading it says what is wrong."""
_KNOWN_SUFFIXES = frozenset(
    """
    .tif .tiff .bmp .gif .webp .heic .heif .avif .jp2 .j2k .jxl .svg .ico
    .nii .gz .mha .mhd .nrrd .hdr .img .raw .npy .npz .h5 .hdf5 .mat .pkl
    .zip .tar .tgz .7z .rar .csv .tsv .xls .xlsx .ods .parquet .json .jsonl
    .txt .md .xml .html .htm .pdf .rtf .doc .docx .odt .ppt .pptx .log .inf
    .py .ipynb .yaml .yml .toml .js .css .exe .dll .jar .mp4 .avi .pt .ini
    """.split()  # noqa: SIM905 (one a line is longer)
)
"""What may be told of a name: any other ending may be a part of a person's name."""
_READERS = 8
"""Threads: files often lie on a disk far away."""
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Met:
    """One file of a walk, its `name` as `read` takes it (a path, or `archive.zip!/member`), and `what` it is.

    `image`: by its content, or at least by its name; `kind` is DICOM, PNG or JPEG, None where only the name says so, and for
    an empty file, or one of zeros, whose name does not say that it is something else.
    `object`: another DICOM object, `kind` which one (`other_object`). `closed`: a folder, an archive or an archive in an
    archive that cannot be looked into; reading it says why. `directory`: a DICOMDIR, whose files lie beside it. `other`:
    nothing that is read, `kind` its suffix.
    """

    name: str
    what: Literal["image", "object", "closed", "directory", "other"]
    kind: str | None = None


@dataclass(slots=True)
class PassedOver:
    """What a walk left: `objects` by kind, `others` by suffix, `hidden` files, and `closed` folders and archives.

    Where the latter are taken for their reason, as in reading, they are not counted.
    """

    objects: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    closed: int = 0

    def __iadd__(self, other: PassedOver) -> PassedOver:
        self.objects += other.objects
        self.others += other.others
        self.hidden += other.hidden
        self.closed += other.closed
        return self

    def count(self, met: Met) -> None:
        """One file more."""
        if met.what == "object":
            self.objects[met.kind or ""] += 1
        elif met.what == "other":
            self.others[met.kind or ""] += 1
        self.closed += met.what == "closed"

    def notes(self) -> tuple[str, ...]:
        """A line for people of each that was left."""
        found = []
        if self.objects:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.objects.most_common())
            found.append(f"{format_count(self.objects.total(), 'other DICOM [object|objects]')} passed over: {kinds}")
        if self.others:
            kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.others.most_common())
            words = "[file of a kind that is|files of kinds that are] not read"
            found.append(f"{format_count(self.others.total(), words)}: {kinds}")
        if self.closed:
            found.append(
                format_count(self.closed, "[folder or archive|folders or archives] cannot be opened: left out")
            )
        if self.hidden:
            found.append(format_count(self.hidden, "hidden [file|files] (._*, __MACOSX) left out"))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Walk:
    """The images of a walk, in its order, and what it left."""

    images: tuple[Met, ...]
    passed_over: PassedOver


def walk(
    root: str | os.PathLike[str],
    *,
    deep: bool = True,
    known: Callable[[str], bool] = lambda _: False,
) -> Walk:
    """The images below a folder, in a zip archive, or of a DICOMDIR; a file that is none of these is looked at itself.

    Folders are walked as `files.below` says, in the order of names; an archive stands for its members, wherever it is met.
    Files that are `known` are not looked at, nor in the result.
    """
    images: list[Met] = []
    left = PassedOver()
    for met in met_in(root, left, deep=deep, known=known):
        if met.what == "image":
            images.append(met)
        else:
            left.count(met)
    return Walk(tuple(images), left)


def met_in(
    root: str | os.PathLike[str],
    left: PassedOver,
    *,
    deep: bool = True,
    known: Callable[[str], bool] = lambda _: False,
) -> Iterator[Met]:
    """Everything that `walk` meets, in its order; hidden files are counted in `left`."""
    label = os.fspath(root)
    closed: frozenset[str] = frozenset()
    if remote.is_remote(label):
        names = _in_store(label, left, deep=deep)
    elif not os.path.isdir(label):  # noqa: PTH112 (a name that is too long is none)
        yield from _named_in(label, left) if containers.is_dicomdir(label) else _look(label, left)
        return
    else:
        found = below(Path(label), deep=deep)
        left.hidden += found.hidden
        closed = frozenset(map(str, found.closed))
        names = list(map(str, sorted(found.files + found.closed)))
    names = [name for name in names if not known(name)]

    def looked(some: list[str]) -> list[Met]:
        return [met for name in some for met in (_closed(name) if name in closed else _look(name, left))]

    chunks = [names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE)]
    with ThreadPoolExecutor(_READERS, "walk") as pool:
        for some in pool.map(looked, chunks):
            yield from some


def _in_store(root: str, left: PassedOver, *, deep: bool) -> list[str]:
    """The files below an address, hidden ones left out; the file itself where it is one. Raises StorageError."""
    if remote.kind_of(root) != "folder":
        return [root]
    names = remote.below(root, deep=deep)[0]
    seen = [name for name in names if not any(map(is_hidden, name.removeprefix(root).split("/")))]
    left.hidden += len(names) - len(seen)
    return seen


def _look(name: str, left: PassedOver) -> list[Met]:
    """A file, or what is in it where it is an archive."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 (112,120 of them)
    try:
        head = containers.head(name)
    except ImageError:  # reading it says why; but not of a pipe, or a link to nothing
        taken = suffix in SUFFIXES or os.path.isfile(name)  # noqa: PTH113
        return [Met(name, "image" if taken else "other", None if taken else _told(suffix))]
    if head[:4] in ZIP and containers.is_archive(name):
        return _inside(name, left)
    return [_of_head(name, head, suffix)]


def _inside(archive: str, left: PassedOver) -> list[Met]:
    """The members of an archive; one that cannot be looked into is taken, for its reason."""
    found = []
    try:
        for name, head in containers.members(archive):
            if head is None:
                found.append(Met(name, "image"))
            elif containers.is_inner_archive(head):
                found.append(Met(name, "closed"))
            else:
                found.append(_of_head(name, head, os.path.splitext(name)[1].lower()))  # noqa: PTH122
        left.hidden += containers.hidden_members(archive)
    except ImageError:
        return _closed(archive)
    return found


def _named_in(dicomdir: str, left: PassedOver) -> list[Met]:
    """The files that a DICOMDIR names; one that is missing is taken, for its reason."""
    try:
        names = containers.referenced(dicomdir)
    except ImageError:
        return _closed(dicomdir)
    there = ((name, os.path.lexists(name)) for name in names)
    return [met for name, is_there in there for met in (_look(name, left) if is_there else [Met(name, "image")])]


def _closed(name: str) -> list[Met]:
    return [Met(name, "closed")]


def _of_head(name: str, head: bytes, suffix: str) -> Met:
    if containers.holds_directory(head):
        return Met(name, "directory")
    kind = sniff(head)
    if kind == "DICOM" and (other := other_object(head)) is not None:
        return Met(name, "object", other)
    # A copy that was broken off leaves no byte, or zeros.
    lost = not head.strip(b"\0") and suffix not in _KNOWN_SUFFIXES
    if kind is not None or suffix in SUFFIXES or lost:
        return Met(name, "image", kind)
    return Met(name, "other", _told(suffix))


def _told(suffix: str) -> str:
    return "no suffix" if not suffix else suffix if suffix in _KNOWN_SUFFIXES else "others"

"""A reader as plain values that another machine can be sent: the files its runtimes read, and how it was told to decide."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxreader.atomic import write_whole
from cxreader.errors import UsageError
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.inference.runtimes.backend import BACKENDS, exported_file, load_backend
from cxreader.models.artifact import MANIFEST, WEIGHTS, load_artifact
from cxreader.records import OperatingPoint


@dataclass(frozen=True, slots=True)
class CarriedMember:
    """One model: its `files` by name, the runtime's name and the operating point."""

    files: dict[str, bytes]
    backend: str
    operating_point: OperatingPoint


@dataclass(frozen=True, slots=True)
class CarriedReader:
    """All that makes a `Reader` on another machine: `CarriedReader.of(reader).opened()` answers as `reader` does.

    `site`: its words for what headers tell, as `SiteTerms.to_dict` has them.
    """

    members: tuple[CarriedMember, ...]
    site: dict[str, Any] | None

    @classmethod
    def of(cls, reader: Reader) -> CarriedReader:
        """The reader's own files: `artifact.json`, and of the network what its runtime reads.

        Raises UsageError for a model that was not read from a folder.
        """
        site = None if reader.site is None else reader.site.to_dict()
        return cls(tuple(map(_carried, reader.members)), site)

    def opened(self) -> Reader:
        """The reader, its files checked as `Reader.load` does, from a temporary folder that is gone when this returns.

        Raises ArtifactError, MissingDependencyError, and StorageError for a full disk.
        """
        with tempfile.TemporaryDirectory(prefix="cxreader-") as folder:
            members = [_opened(member, Path(folder) / str(n)) for n, member in enumerate(self.members)]
        return Reader(members, site=None if self.site is None else SiteTerms.from_dict(self.site))


def _carried(member: Member) -> CarriedMember:
    folder, backend = member.folder, member.backend.name
    if folder is None:
        raise UsageError(
            "a model that lies in no folder cannot be sent to other machines", mend="save its artifact first"
        )
    kind = BACKENDS[backend].reads
    head = member.artifact.region_head
    weights = [WEIGHTS] if head is None else [WEIGHTS, head.file]
    names = weights if kind is None else [exported_file(member.artifact, folder, kind).name]
    files = {name: (folder / name).read_bytes() for name in (MANIFEST, *names)}
    return CarriedMember(files, backend, member.operating_point)


def _opened(member: CarriedMember, folder: Path) -> Member:
    for name, content in member.files.items():
        write_whole(folder / name, content)
    artifact = load_artifact(folder, weights=False, exports=False)
    return Member(artifact, load_backend(member.backend, artifact, folder), member.operating_point)

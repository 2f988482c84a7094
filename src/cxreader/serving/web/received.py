"""Files that were sent become images of the service, one by one; archives are looked into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from cxreader.errors import ImageError
from cxreader.imaging.containers import is_archive, members, read_member
from cxreader.imaging.files import load
from cxreader.imaging.limits import MAX_BYTES
from cxreader.serving.store.reading.receiving import Receipt
from cxreader.serving.web.door import Door
from cxreader.serving.web.spooled import Spooled


@dataclass(frozen=True, slots=True)
class Received:
    """What became of the file of this `number`, counted from 1: its receipt, or the `reason` why there is none."""

    number: int
    receipt: Receipt | None
    reason: str = ""


def receive_files(door: Door, files: Sequence[Spooled], sender: str, *, name: str = "http") -> list[Received]:
    """Receive every file, and every file of an archive. Raises StorageError, and then the sender sends all of it again.

    Raises ImageError for an archive that is damaged or holds too much, before anything of it is received.
    """
    found = []
    for number, (data, size, called) in enumerate(_each(door, files), 1):
        try:
            with door.service.room.taken(size):
                receipt = door.service.receive(data(), door=name, sender=sender, name=called)
            found.append(Received(number, receipt))
        except ImageError as error:
            found.append(Received(number, None, error.what if error.mend is None else f"{error.what}; {error.mend}"))
    return found


def _each(door: Door, files: Sequence[Spooled]) -> Iterator[tuple[Callable[[], bytes], int, str]]:
    """What loads each image, how many bytes it has at most, and its name."""
    for file in files:
        if not is_archive(file.path):
            yield partial(load, file.path), file.path.stat().st_size, file.name
            continue
        names = [name for name, _ in members(file.path)]
        most = door.settings.web.upload_files
        if len(names) > most:
            raise ImageError(f"the archive holds {len(names):,} files", mend=f"at most {most:,} are taken at once")
        for name in names:
            yield partial(read_member, name), MAX_BYTES, name.rpartition("!/")[2]

"""The 1024-px files that decoding is measured on: the real originals where they lie, else phantoms."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cxreader.data.phantoms.write import PhantomSpec, write_phantoms
from cxreader.records import ImageRecord


@dataclass(frozen=True, slots=True)
class Images:
    """`records` name `count` images of 1024 x 1024 pixels, files repeated when there are fewer; `what` says whose they are."""

    records: tuple[ImageRecord, ...]
    what: str

    def paths(self) -> list[str]:
        """The file of every record."""
        return [str(record.path) for record in self.records]


def find_images(count: int, scratch: Path) -> Images:
    """The originals of ChestX-ray14 below CXREADER_IMAGES (`nih_originals`), or phantoms drawn into `scratch`."""
    originals = Path(os.environ.get("CXREADER_IMAGES") or "../shared/data") / "nih_originals"
    files = sorted(originals.rglob("*.png")) if originals.is_dir() else []
    if files:
        what = f"{len(files)} original ChestX-ray14 PNGs of 1024 px"
    else:
        write_phantoms(scratch / "phantoms", PhantomSpec(patients=min(40, count), seed=0, size=1024))
        files = sorted((scratch / "phantoms").rglob("*.png"))
        what = f"{len(files)} phantom PNGs of 1024 px"
    records = tuple(
        ImageRecord(f"{n:06d}", label=n % 2, path=str(files[n % len(files)].absolute())) for n in range(count)
    )
    return Images(records, f"{what}, repeated to {count}" if count > len(files) else f"{count} of {what}")

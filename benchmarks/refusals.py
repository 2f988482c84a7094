"""What a reader refuses of images that it was made for, as they are and otherwise: the table of docs/how-to/adult-reader.md.

    python benchmarks/refusals.py runs/adult --original-sizes Data_Entry_2017_v2020.csv

The run's test part, as its files are, turned, inverted, mirrored. With `--original-sizes`, the release's own table, those of its
images that were not square before their publisher squeezed them are given their aspect back, as a hospital would send them,
and are read by the artifact and by the same artifact with the other `fit`.
"""

from __future__ import annotations

import argparse
import csv
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.assessment.cohort import cohort_of_run
from cxreader.evaluation.statistics.exact import bounded_share
from cxreader.evaluation.statistics.intervals import Sample, bootstrap
from cxreader.imaging.read import read
from cxreader.inference.reader import Reader
from cxreader.machine import cores
from cxreader.models.artifact import save_manifest
from cxreader.records import ImageRecord
from cxreader.runs import artifact_folder, git_revision

Picture = NDArray[np.floating]
LOOKS: Mapping[str, Callable[[Picture], Picture]] = {
    "as it is": lambda p: p,
    "rotated by 90 degrees": np.rot90,
    "rotated by 180 degrees": lambda p: np.rot90(p, 2),
    "rotated by 270 degrees": lambda p: np.rot90(p, 3),
    "grey levels inverted": lambda p: 1 - p,
    "mirrored": lambda p: p[:, ::-1],
}
_SQUARE = 0.02  # sides that differ by less were hardly squeezed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--original-sizes", type=Path, help="Data_Entry_2017*.csv of ChestX-ray14")
    given = parser.parse_args()
    records = cohort_of_run(given.run).records
    pictures = [read(record.path or record.image).pixels for record in records]
    reader = Reader.load(given.run)
    today = datetime.now(UTC).date().isoformat()
    machine = f"{platform.system()} {platform.machine()}, {cores()} cores"
    print(
        f"Artifact {reader.artifact.id}, {today}, {machine}, revision {git_revision()}\n\n| shown | refused |\n|---|---|"
    )
    for name, look in LOOKS.items():
        print(f"| {name} | {_refused(reader, records, [look(picture) for picture in pictures])} |", flush=True)
    if given.original_sizes is None:
        return
    sizes = _original_sizes(given.original_sizes)
    found = [
        (record, picture, sizes.get(Path(record.image).stem)) for record, picture in zip(records, pictures, strict=True)
    ]
    squeezed = [(r, _in_aspect(p, *s)) for r, p, s in found if s is not None and abs(s[0] / s[1] - 1) > _SQUARE]
    theirs, shown = [r for r, _ in squeezed], [p for _, p in squeezed]
    other: Literal["pad", "squash"] = "pad" if reader.artifact.spec.fit == "squash" else "squash"
    for fit, reads in ((reader.artifact.spec.fit, reader), (other, _with_fit(given.run, other))):
        print(f"| in the aspect that it had, fit `{fit}` | {_refused(reads, theirs, shown)} |", flush=True)


def _refused(reader: Reader, records: Sequence[ImageRecord], pictures: Sequence[Picture]) -> str:
    """The share of images that are refused, with its interval by patient and its counts."""
    answers = reader.read_many([np.ascontiguousarray(picture, dtype=np.float32) for picture in pictures])
    wrong = np.array([answer.acceptance == "refused" for answer in answers])
    sample, own = Sample.of_records(records), np.ones(len(records), bool)
    share = bootstrap(lambda w: {"refused": w @ wrong / w.sum(axis=1)}, sample)["refused"]
    share = bounded_share(share, own, sample)
    return f"{wrong.sum()} of {len(wrong)} images of {sample.n_patients} patients: {share.value:.3f} ({share.interval})"


def _original_sizes(table: Path) -> dict[str, tuple[int, int]]:
    """Width and height of each original, by the image's name without its ending."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows)
        at = next(n for n, name in enumerate(header) if name.startswith("OriginalImage") and "Width" in name)
        return {Path(row[0]).stem: (int(row[at]), int(row[at + 1])) for row in rows}


def _in_aspect(picture: Picture, width: int, height: int) -> Picture:
    """The square picture in the aspect of its original: the shorter side is reduced, so that nothing is made up."""
    side, longer = max(picture.shape), max(width, height)
    size = (round(side * width / longer), round(side * height / longer))
    image = Image.fromarray(picture.astype(np.float32)).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(np.clip(np.asarray(image), 0, 1))


def _with_fit(run: Path, fit: Literal["pad", "squash"]) -> Reader:
    """The same artifact, but that it fits images to its square otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(artifact_folder(run), Path(folder) / "artifact")
        artifact = Reader.load(run).artifact
        save_manifest(replace(artifact, spec=replace(artifact.spec, fit=fit)), copy)
        return Reader.load(copy)


if __name__ == "__main__":
    main()

"""Maps against true boxes: heat maps and, where a model has a region head, what it says of where findings are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.cohort import cohort_of_run, without_training_patients
from cxreader.assessment.images import ReadImages, read_once
from cxreader.counting import format_count
from cxreader.data.split import group_of
from cxreader.errors import DataError, MissingDependencyError
from cxreader.explanation.boxes import BoxTable
from cxreader.explanation.localisation import localise
from cxreader.explanation.localisation_report import REGION_HEAD, LocalisationReport
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import size
from cxreader.inference.reader import BATCH, Reader
from cxreader.models.artifact import WEIGHTS
from cxreader.models.registry import CAM_TITLES, model_entry
from cxreader.progress import Bar
from cxreader.records import ImageRecord

if TYPE_CHECKING:
    from cxreader.inference.member import Member

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PlaceMaps:
    """Maps of images by name: `heat` (h, w), and of a region head `whole` (s, s), whatever the finding, and `each` by finding."""

    heat: dict[str, Map] = field(default_factory=dict)
    whole: dict[str, Map] = field(default_factory=dict)
    each: dict[tuple[str, str], Map] = field(default_factory=dict)

    def add(self, other: PlaceMaps) -> None:
        """Take up those of other images."""
        self.heat.update(other.heat)
        self.whole.update(other.whole)
        self.each.update(other.each)


def maps_of(reader: Reader, images: ReadImages, records: Sequence[ImageRecord], bar: Bar) -> PlaceMaps:
    """The raw maps of some images; none where no runtime at hand has heat maps."""
    found = PlaceMaps()
    if not records or (drawing := _with_maps(reader)) is None:
        return found
    head = reader.artifact.region_head
    with bar("heat maps") as progress:
        for start in range(0, len(records), BATCH):
            some = records[start : start + BATCH]
            output = drawing.backend.run(reader.artifact.spec.normalise(images.of(some)), maps=True)
            names = [record.image for record in some]
            found.heat.update(zip(names, () if output.maps is None else output.maps, strict=False))
            for name, maps in zip(names, () if output.regions is None else output.regions, strict=False):
                found.whole[name] = maps[-1]
                findings = () if head is None else head.findings
                found.each.update({(name, finding): own for finding, own in zip(findings, maps, strict=False)})
            if progress is not None:
                progress(start + len(some), len(records))
    return found


def boxes_of(spec: InputSpec, boxed: Iterable[ImageRecord]) -> BoxTable:
    """The boxes of these images on a network's square, with their patients."""
    placed = {record.image: spec.place(record.boxes, *size(record.path or record.image)) for record in boxed}
    patients = {record.image: group_of(record) for record in boxed}
    return BoxTable.of(placed, (spec.size, spec.size), patients)


def judge_places(
    maps: PlaceMaps, boxes: BoxTable, *, heat_maps: str, bar: Bar, seed: int = 0
) -> tuple[LocalisationReport, ...]:
    """The heat maps, by the method called `heat_maps`, against the boxes, and a region head's maps behind them.

    Those are judged whatever the finding and by finding; by finding, boxes of findings that the head has not learnt are left
    out, which a note says. Raises as `localise`.
    """
    with bar("boxes") as progress:
        heat = {image: maps.heat[image] for image in boxes.images}
        found = [localise(heat, boxes, name=heat_maps, seed=seed, progress=progress)]
    return (*found, *(judge_regions(maps, boxes, bar=bar, seed=seed) if maps.whole else ()))


def judge_regions(maps: PlaceMaps, boxes: BoxTable, *, bar: Bar, seed: int = 0) -> tuple[LocalisationReport, ...]:
    """The region head's maps against the boxes, whatever the finding and by finding, as `judge_places`."""
    with bar("boxes and the region head") as progress:
        whole = {image: maps.whole[image] for image in boxes.images}
        found = [localise(whole, boxes, name=REGION_HEAD, seed=seed, progress=progress)]
    pairs = list(zip(boxes.image.tolist(), boxes.finding.tolist(), strict=True))
    known = boxes.rows(np.array([pair in maps.each for pair in pairs]))
    if known is not None:
        with bar("boxes and the region head by finding") as progress:
            report = localise(
                {pair: maps.each[pair] for pair in pairs if pair in maps.each},
                known,
                name=REGION_HEAD,
                seed=seed,
                progress=progress,
            )
        missing = len(boxes) - len(known)
        left_out = format_count(missing, "[box of a finding|boxes of findings] that the head has not learnt left out.")
        found.append(replace(report, notes=(*report.notes, left_out)) if missing else report)
    return tuple(found)


def judge_places_of_folds(runs: Sequence[Path], *, bar: Bar, seed: int = 0) -> tuple[LocalisationReport, ...]:
    """Several runs as one, each with the boxes of its own test part, whose patients it has not met: folds of one set.

    Raises DataError for an image in the test parts of two of them, and where there are no boxes of two patients.
    """
    maps, boxed, spec, heat_maps = PlaceMaps(), dict[str, ImageRecord](), None, ""
    for run in runs:
        reader, cohort = Reader.load(run), cohort_of_run(run)
        records = [record for record in without_training_patients(reader.artifact, cohort.records)[0] if record.boxes]
        twice = next((record.image for record in records if record.image in boxed), None)
        if twice is not None:
            what = f"image {twice!r} is in the test part of another run too"
            raise DataError(what, where=run, mend="give the runs of one cross-validation, each once")
        if spec is not None and spec.pixel_key != reader.artifact.spec.pixel_key:
            raise DataError("the runs differ in size or fit", where=run, mend="give the runs of one cross-validation")
        spec, heat_maps = reader.artifact.spec, cam_title(reader)
        with read_once(reader, records, bar=bar) as images:
            maps.add(maps_of(reader, images, images.records, bar))
            boxed |= {record.image: record for record in images.records}
    if spec is None or len({group_of(record) for record in boxed.values()}) < 2:
        raise DataError("the test parts hold no boxes of two patients", mend="give runs whose data have boxes")
    return judge_places(maps, boxes_of(spec, boxed.values()), heat_maps=heat_maps, bar=bar, seed=seed)


def cam_title(reader: Reader) -> str:
    """How the one model's heat maps are made, by its name."""
    return CAM_TITLES[model_entry(reader.artifact.model).cam_method]


def weights_lie_there(member: Member) -> bool:
    """Whether the network's weights lie in the member's folder, so that torch can read them."""
    return member.folder is not None and (member.folder / WEIGHTS).exists()


def _with_maps(reader: Reader) -> Reader | None:
    """The reader, by torch where its export holds no heat maps; None where torch or the weights are missing then."""
    member = reader.only
    if not member.backend.has_maps and not weights_lie_there(member):
        return None
    try:
        return reader.with_maps()
    except MissingDependencyError:
        return None

"""Where a model looks: its heat maps against true boxes, and whether they depend on what it learnt."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.images import ReadImages
from cxreader.data.split import group_of
from cxreader.errors import MissingDependencyError
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.explanation.boxes import BoxTable
from cxreader.explanation.localisation import localise
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.explanation.sanity import randomisation_test
from cxreader.explanation.sanity_report import SanityReport
from cxreader.imaging.read import size
from cxreader.inference.reader import BATCH, Reader
from cxreader.models.artifact import WEIGHTS
from cxreader.models.registry import CAM_TITLES, model_entry
from cxreader.progress import Bar
from cxreader.records import ABNORMAL, ImageRecord

if TYPE_CHECKING:
    from cxreader.inference.member import Member
    from cxreader.inference.torch_backend import TorchBackend

RANDOMISED = 24
"""Images whose maps the randomisation test compares."""


@dataclass(frozen=True, slots=True)
class ExplanationEvaluation:
    """None where there is nothing to look at: no boxes of two patients, or a runtime whose stages cannot be redrawn.

    `maps`: raw heat maps (h, w) by image, of those with boxes and of those that were asked for besides; empty without a runtime
    that has any. `regions`: reports of maps that tell where findings are, whatever the finding and by finding.
    """

    localisation: LocalisationReport | None
    sanity: SanityReport | None
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    regions: tuple[LocalisationReport, ...] = ()


def evaluate_explanations(
    reader: Reader, images: ReadImages, *, bar: Bar, seed: int = 0, shown: Collection[str] = ()
) -> ExplanationEvaluation:
    """Judge the heat maps of the images that could be read: those with boxes, and some for the randomisation.

    `shown`: names of images whose maps are wanted for the eye; each map is drawn once.
    """
    boxed = [record for record in images.records if record.boxes]
    judged = len({group_of(record) for record in boxed}) >= 2
    wanted = {record.image for record in boxed if judged} | set(shown)
    maps = _maps(reader, images, [record for record in images.records if record.image in wanted], bar)
    localisation = _localisation(reader, boxed, maps, bar, seed) if judged and maps else None
    return ExplanationEvaluation(localisation, _sanity(reader, images, bar, seed), maps)


def _maps(
    reader: Reader, images: ReadImages, records: Sequence[ImageRecord], bar: Bar
) -> dict[str, NDArray[np.float32]]:
    """The raw heat maps of some images by name; none where no runtime at hand has any."""
    maps: dict[str, NDArray[np.float32]] = {}
    if not records or (drawing := _with_maps(reader)) is None:
        return maps
    with bar("heat maps") as progress:
        for start in range(0, len(records), BATCH):
            some = records[start : start + BATCH]
            found = drawing.backend.run(reader.artifact.spec.normalise(images.of(some)), maps=True).maps
            maps |= zip([record.image for record in some], () if found is None else found, strict=False)
            if progress is not None:
                progress(start + len(some), len(records))
    return maps


def _localisation(
    reader: Reader, boxed: Sequence[ImageRecord], maps: Mapping[str, NDArray[np.float32]], bar: Bar, seed: int
) -> LocalisationReport:
    spec = reader.artifact.spec
    boxes = {record.image: spec.place(record.boxes, *size(record.path or record.image)) for record in boxed}
    patients = {record.image: group_of(record) for record in boxed}
    table = BoxTable.of(boxes, (spec.size, spec.size), patients)
    with bar("boxes") as progress:
        found = {image: maps[image] for image in boxes}
        name = CAM_TITLES[model_entry(reader.artifact.model).cam_method]
        return localise(found, table, name=name, seed=seed, progress=progress)


def _sanity(reader: Reader, images: ReadImages, bar: Bar, seed: int) -> SanityReport | None:
    """The abnormal images first: their maps are the ones that are looked at."""
    backend = _torch_backend(reader.only)
    if backend is None or not images.records:
        return None
    import torch

    chosen = sorted(images.records, key=lambda record: record.label != ABNORMAL)[:RANDOMISED]
    x = torch.from_numpy(reader.artifact.spec.normalise(images.of(chosen)))
    with bar("randomising the stages") as progress:
        return randomisation_test(
            backend.model,
            x.to(backend.device),
            Sample.of_records(chosen),
            stage=backend.cam_stage,
            method=backend.cam_method,
            seed=seed,
            progress=progress,
        )


def _with_maps(reader: Reader) -> Reader | None:
    """The reader, by torch where its export holds no heat maps; None where torch or the weights are missing then."""
    member = reader.only
    if not member.backend.has_maps and not _weights_lie_there(member):
        return None
    try:
        return reader.with_maps()
    except MissingDependencyError:
        return None


def _torch_backend(member: Member) -> TorchBackend | None:
    """The network in torch, whose stages alone can be redrawn; None without torch, and where its weights do not lie."""
    if importlib.util.find_spec("torch") is None:
        return None
    from cxreader.inference.torch_backend import TorchBackend

    if isinstance(member.backend, TorchBackend):
        return member.backend
    if member.folder is None or not _weights_lie_there(member):
        return None
    return TorchBackend(member.artifact, member.folder)


def _weights_lie_there(member: Member) -> bool:
    return member.folder is not None and (member.folder / WEIGHTS).exists()

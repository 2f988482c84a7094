"""Where a model looks: its heat maps against true boxes, and whether they depend on what it learnt."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.images import ReadImages
from cxreader.assessment.places import boxes_of, cam_title, judge_places, maps_of, weights_lie_there
from cxreader.data.split import group_of
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.explanation.sanity import randomisation_test
from cxreader.explanation.sanity_report import SanityReport
from cxreader.inference.reader import Reader
from cxreader.progress import Bar
from cxreader.records import ABNORMAL

if TYPE_CHECKING:
    from cxreader.inference.member import Member
    from cxreader.inference.runtimes.torch_backend import TorchBackend

RANDOMISED = 24
"""Images whose maps the randomisation test compares."""


@dataclass(frozen=True, slots=True)
class ExplanationEvaluation:
    """None where there is nothing to look at: no boxes of two patients, or a runtime whose stages cannot be redrawn.

    `maps`: raw heat maps (h, w) by image, of those with boxes and of those that were asked for besides; empty without a runtime
    that has any. `regions`: reports of maps that tell where findings are, whatever the finding and by finding; `region_maps`
    (s, s): the former, by image.
    """

    localisation: LocalisationReport | None
    sanity: SanityReport | None
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    regions: tuple[LocalisationReport, ...] = ()
    region_maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


def evaluate_explanations(
    reader: Reader, images: ReadImages, *, bar: Bar, seed: int = 0, shown: Collection[str] = ()
) -> ExplanationEvaluation:
    """Judge the heat maps of the images that could be read: those with boxes, and some for the randomisation.

    `shown`: names of images whose maps are wanted for the eye; each map is drawn once.
    """
    boxed = [record for record in images.records if record.boxes]
    judged = len({group_of(record) for record in boxed}) >= 2
    wanted = {record.image for record in boxed if judged} | set(shown)
    maps = maps_of(reader, images, [record for record in images.records if record.image in wanted], bar)
    localisation, regions = None, tuple[LocalisationReport, ...]()
    if judged and maps.heat:
        localisation, *more = judge_places(
            maps, boxes_of(reader.artifact.spec, boxed), heat_maps=cam_title(reader), bar=bar, seed=seed
        )
        regions = tuple(more)
    return ExplanationEvaluation(localisation, _sanity(reader, images, bar, seed), maps.heat, regions, maps.whole)


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


def _torch_backend(member: Member) -> TorchBackend | None:
    """The network in torch, whose stages alone can be redrawn; None without torch, and where its weights do not lie."""
    if importlib.util.find_spec("torch") is None:
        return None
    from cxreader.inference.runtimes.torch_backend import TorchBackend

    if isinstance(member.backend, TorchBackend):
        return member.backend
    if member.folder is None or not weights_lie_there(member):
        return None
    return TorchBackend(member.artifact, member.folder)

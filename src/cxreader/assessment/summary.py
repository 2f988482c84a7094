"""What an artifact carries of its own evaluation: how it did on the test part of its run, for whoever uses it elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from cxreader.assessment.cohort import EvaluationCohort
from cxreader.codec import Plain, to_plain
from cxreader.errors import StorageError
from cxreader.evaluation.decisions.at_threshold import AtThreshold
from cxreader.evaluation.evaluate import Counts, Evaluation
from cxreader.explanation.localisation_report import GRAD_CAM, LocalisationByFinding, LocalisationReport
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact, load_artifact, save_manifest
from cxreader.progress import Say
from cxreader.runs import git_revision


@dataclass(frozen=True, eq=False)
class EvaluationSummary(Plain):
    """The block `evaluation` of `artifact.json`.

    What was judged: source `data`, `part` of the split with digest `split` and kind `split_kind`, and the `counts`. `points`:
    the artifact's operating points with counts and rates (sensitivity, PPV, NPV, ...) at that part's own prevalence, the one
    that decides first. `maps`: the scores of all boxes' heat maps (by the method `maps_by`), of maps that look at no image
    (`null`, `null_by_finding`), and the gains over them; None where no boxes were judged. `regions`: the same of maps that
    tell where findings are, by what they are called (`LocalisationReport.slug`: `region_head`, `region_head_by_finding`), and
    `regions_on` whose boxes judged them, where it was not the part itself. Who
    wants to show a map asks `explanation.judged` first. `warnings` must be shown with the numbers. `date`
    in UTC; `cxreader` and `git_revision` (None outside a checkout) say which program judged.
    """

    data: str
    part: str
    split: str
    split_kind: str
    counts: Counts
    points: tuple[AtThreshold, ...]
    maps: LocalisationByFinding | None
    warnings: tuple[str, ...]
    date: str
    cxreader: str
    git_revision: str | None
    regions: dict[str, LocalisationByFinding] = field(default_factory=dict)
    maps_by: str = GRAD_CAM
    regions_on: str | None = None

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        localisation: LocalisationReport | None,
        regions: Iterable[LocalisationReport] = (),
    ) -> Self:
        """Of an artifact's evaluation on a part of a split, and of its maps where boxes were judged."""
        made = evaluation.provenance
        points = () if evaluation.evidence is None else evaluation.evidence.points
        return cls(
            **{name: str(made[name]) for name in ("data", "part", "split", "split_kind", "date", "cxreader")},
            counts=evaluation.counts,
            points=tuple(replace(point, prevalence=None, deployed={}) for point in points),
            maps=None if localisation is None else localisation.all,
            warnings=evaluation.warnings,
            git_revision=git_revision(),
            regions={found.slug: found.all for found in regions},
            maps_by=GRAD_CAM if localisation is None else localisation.maps,
        )


def is_own_test(reader: Reader, cohort: EvaluationCohort) -> bool:
    """Whether `cohort` is the test part that the training of `reader` set aside, judged at the artifact's first point."""
    artifact, split = reader.artifact, cohort.split
    own = cohort.own and split is not None and artifact.provenance.get("split", {}).get("digest") == split.digest
    return own and cohort.part == "test" and reader.operating_point.name == artifact.operating_points[0].name


def store_summary(reader: Reader, summary: EvaluationSummary, say: Say) -> None:
    """Write the block into the reader's artifact where it lies; its id stays, and a failing write leaves it as it was.

    A block with scores of heat maps is not replaced by one without, and what folds found of regions (`store_regions`) stays
    where it rests on more boxes than the part has. Where the folder cannot be written, or another artifact
    lies there by now, that is said.
    """
    folder = reader.only.folder
    if folder is None:
        return
    artifact = load_artifact(folder, weights=False, exports=False)
    if artifact.id != reader.artifact.id:
        say(f"{folder}: another artifact lies there by now, so the evaluation was not stored in it")
        return
    if artifact.evaluation is not None and artifact.evaluation["maps"] is not None and summary.maps is None:
        return
    before, now = artifact.evaluation or {}, summary.to_dict()
    if _boxes(before) > _boxes(now):
        now |= {name: before[name] for name in ("regions", "regions_on") if name in before}
    _store(artifact, now, folder, say)


def store_regions(folder: Path, reports: Iterable[LocalisationReport], judged_on: str, say: Say) -> None:
    """Put what `reports` found of a region head into the evaluation of the artifact in `folder`; a failing write is said.

    `judged_on`: whose boxes those are. The artifact has an evaluation.
    """
    artifact = load_artifact(folder, weights=False, exports=False)
    found = {report.slug: to_plain(report.all) for report in reports}
    _store(artifact, {**(artifact.evaluation or {}), "regions": found, "regions_on": judged_on}, folder, say)


def _boxes(block: Mapping[str, Any]) -> int:
    """How many boxes judged the regions of an evaluation."""
    return max((int(found["boxes"]) for found in block.get("regions", {}).values()), default=0)


def _store(artifact: Artifact, evaluation: dict[str, Any], folder: Path, say: Say) -> None:
    try:
        save_manifest(replace(artifact, evaluation=evaluation), folder)
    except StorageError as error:
        say(f"the evaluation was not stored in the artifact: {error}")

"""The Reader: an image in, a Reading out. No torch here; the runtime stands behind `backend`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import UsageError
from cxreader.evaluation.calibration.calibrators import Calibrator
from cxreader.evaluation.calibration.venn_abers import VennAbers
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.evaluation.plausibility import contradictory
from cxreader.inference.combine import combine, combined_point
from cxreader.inference.member import Member
from cxreader.inference.pixel_budget import PixelBudget
from cxreader.inference.prepared import Prepared, prepare, prepare_or_reason
from cxreader.inference.runtimes.backend import Backend, require_maps
from cxreader.machine import cores
from cxreader.models.artifact import Artifact
from cxreader.models.population import drawn
from cxreader.records import Reading

if TYPE_CHECKING:
    from cxreader.imaging.preprocess import InputSpec
    from cxreader.imaging.vocabulary.site_terms import SiteTerms
    from cxreader.inference.prepared import Source

DECODERS = max(2, cores())
BATCH = 16
"""Images a batch: more gains no speed on a CPU."""


class Reader:
    """One model or several that read radiographs: accepted or refused, decision, calibrated probability, heat map.

    `Reader.load(path).read(image)`. For research; not a medical device. Safe to call from several threads.
    """

    def __init__(self, members: Sequence[Member], *, site: SiteTerms | None = None) -> None:
        if not members:
            raise UsageError("a reader needs a model", mend="give an artifact's folder")
        ids = [member.id for member in members]
        if len(set(ids)) < len(ids):
            raise UsageError("the same artifact was given twice", mend="give each model once")
        self.members = tuple(members)
        self.site = site
        """A site's own words for what DICOM headers tell, None without any."""
        self.specs = tuple({member.artifact.spec.pixel_key: member.artifact.spec for member in members}.values())
        points = [member.operating_point for member in members]
        self.operating_point = points[0] if len(points) == 1 else combined_point(points)
        self.disagreement = min(member.artifact.disagreement for member in members)
        """Probabilities further apart than this are referred: the smallest bound that the artifacts store."""
        self.pixel_budget = PixelBudget(DECODERS)
        """Of the pictures that `prepare` decodes at the same time."""

    @classmethod
    def load(
        cls,
        path_or_paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        operating_point: str | None = None,
        backend: str = "auto",
        site: SiteTerms | None = None,
    ) -> Self:
        """The reader of an artifact's folder, or of a run's; of several, when several are given.

        `operating_point`: by name, each artifact's first one when left out. `backend`: a key of `runtimes.backend.BACKENDS`, or
        "auto", which takes ONNX Runtime where the artifact has been exported and torch where it has not;
        `members[i].backend.name` says.
        `site`: a site's own words for what DICOM headers tell.
        Raises ArtifactError for a damaged or unknown artifact, MissingDependencyError when the runtime is not installed,
        UsageError for one artifact given twice, for operating points of different names and for what is no path or name.
        """
        if operating_point is not None and not isinstance(operating_point, str):
            raise UsageError(f"{operating_point!r} is no operating point", mend="give one's name, such as 'youden'")
        paths = _paths(path_or_paths)
        members = [Member.load(Path(p), operating_point=operating_point, backend=backend) for p in paths]
        return cls(members, site=site)

    def read(self, source: Source, *, heat_map: bool = True) -> Reading:
        """The Reading of one image: a path, the bytes of a file, a pydicom Dataset, an array (H, W), or a Radiograph.

        Raises ImageError when it cannot be read; `read_many` gives a Reading with its reason instead. Raises UsageError for a
        heat map that a model's export does not hold.
        """
        self._require_maps(heat_map=heat_map)
        return self.answer([prepare(source, self.specs, site=self.site)], heat_map=heat_map)[0]

    def read_many(
        self, sources: Iterable[Source], *, batch_size: int = BATCH, heat_map: bool = False, refuse: bool = True
    ) -> Iterator[Reading]:
        """One Reading a source, in their order, decoding the next batch while the network works on this one.

        A source that cannot be read gives a Reading without decision whose `reasons` say why; nothing is raised for it.
        With `refuse` off an image that would be refused is answered all the same, its verdict beside the answer: for
        measuring, never for reading. Raises UsageError, before anything is read, for a `batch_size` below 1 and for heat maps
        that a model's export does not hold.
        """
        _refuse_no_batch(batch_size)
        self._require_maps(heat_map=heat_map)
        return self._in_batches(sources, batch_size, heat_map=heat_map, refuse=refuse)

    def with_maps(self) -> Self:
        """The same models, with torch as the runtime of each whose export holds no heat maps. Raises as `load`."""
        return type(self)([member.with_maps() for member in self.members], site=self.site)

    def prepare(
        self, source: Source, *, name: str | None = None, further: Sequence[InputSpec] = (), digest: bool = False
    ) -> Prepared:
        """Decode a source, in any thread; one that cannot be read has its reason. `answer` takes what this gives.

        `further`: other sizes in which its pixels are wanted too; `digest`: hash a file's bytes too. Of large pictures one is
        decoded at a time, whatever the number of threads.
        """
        with self.pixel_budget.slot() as reserve:
            return prepare_or_reason(
                source, (*self.specs, *further), name=name, reserve=reserve, digest=digest, site=self.site
            )

    def prepared(
        self,
        sources: Iterable[Source],
        *,
        batch_size: int = BATCH,
        further: Sequence[InputSpec] = (),
        digest: bool = False,
    ) -> Iterator[list[Prepared]]:
        """Batches of `prepare`, in the order of the sources; the next one is decoded while the caller works on this one."""
        _refuse_no_batch(batch_size)
        waiting = iter(sources)
        with ThreadPoolExecutor(DECODERS) as pool:

            def submit() -> list[Future[Prepared]]:
                return [
                    pool.submit(self.prepare, s, further=further, digest=digest) for s in islice(waiting, batch_size)
                ]

            ahead = submit()
            while ahead:
                batch = [job.result() for job in ahead]
                ahead = submit()
                yield batch

    def answer(self, batch: Sequence[Prepared], *, heat_map: bool = False, refuse: bool = True) -> list[Reading]:
        """One Reading for each of `batch`, in their order; the networks see those that can be read and are not refused."""
        asked = [
            i for i, p in enumerate(batch) if p.intake is not None and not (refuse and p.intake.verdict == "refused")
        ]
        found = [self._of_member(member, batch, asked, heat_map=heat_map, refuse=refuse) for member in self.members]
        if len(self.members) == 1:
            return found[0]
        each = zip(*found, strict=True)
        return [combine(readings, self.operating_point, self.disagreement) for readings in each]

    def probabilities(self, pixels: NDArray[np.uint8], *, batch_size: int = 64) -> NDArray[np.float64]:
        """Calibrated probabilities of abnormal (n,) of images (n, S, S) uint8, as the artifact's `spec.pixels` gives them.

        Of several models the mean; nothing is refused. Raises UsageError for a `batch_size` below 1, and for models that are
        shown images of different sizes.
        """
        _refuse_no_batch(batch_size)
        if len(self.specs) > 1:
            raise UsageError("the models are shown images of different sizes", mend="give one model")
        each = [member.probabilities(pixels, batch_size) for member in self.members]
        return np.asarray(np.mean(each, axis=0), np.float64)

    @property
    def doubts(self) -> list[str]:
        """What must stand beside every answer of these models, in sentences; of several models with the model's id.

        That a model learnt from phantoms, and operating points that coincide or contradict their names.
        """
        several = len(self.members) > 1
        return [
            f"{member.id}: {doubt}" if several else doubt
            for member in self.members
            for doubt in (*_phantoms(member.artifact), *contradictory(member.answers.operating_points))
        ]

    @property
    def only(self) -> Member:
        """The one model. Raises UsageError when there are several."""
        if len(self.members) > 1:
            raise UsageError(f"{len(self.members)} models where one is wanted", mend="give one model")
        return self.members[0]

    @property
    def artifact(self) -> Artifact:
        """The one model's artifact. Raises UsageError when there are several."""
        return self.only.artifact

    @property
    def backend(self) -> Backend:
        """The one model's runtime. Raises UsageError when there are several."""
        return self.only.backend

    @property
    def calibrator(self) -> Calibrator:
        """The one model's map to probabilities. Raises UsageError when there are several."""
        return self.only.calibrator

    @property
    def venn_abers(self) -> VennAbers | None:
        """The one model's Venn-Abers predictor. Raises UsageError when there are several."""
        return self.only.venn_abers

    @property
    def conformal(self) -> ConformalRule | None:
        """The one model's conformal rule. Raises UsageError when there are several."""
        return self.only.conformal

    def _require_maps(self, *, heat_map: bool) -> None:
        for member in self.members if heat_map else ():
            require_maps(member.backend)

    def _in_batches(
        self, sources: Iterable[Source], batch_size: int, *, heat_map: bool, refuse: bool
    ) -> Iterator[Reading]:
        for batch in self.prepared(sources, batch_size=batch_size):
            yield from self.answer(batch, heat_map=heat_map, refuse=refuse)

    def _of_member(
        self, member: Member, batch: Sequence[Prepared], asked: Sequence[int], *, heat_map: bool, refuse: bool
    ) -> list[Reading]:
        """One model's Readings of the whole batch, of which it is shown the images `asked`."""
        answered: dict[int, Reading] = {}
        if asked:
            readings = member.readings([batch[i] for i in asked], heat_map=heat_map, refuse=refuse)
            answered = dict(zip(asked, readings, strict=True))
        return [answered.get(i) or member.unanswered(image) for i, image in enumerate(batch)]


def _phantoms(artifact: Artifact) -> list[str]:
    said = "It was trained on phantoms, drawn by a program, and never met a patient."
    return [said] if drawn(artifact.provenance) else []


def _paths(given: object) -> list[str | os.PathLike[str]]:
    """A path, or each of several. Raises UsageError for anything else."""
    several = [given] if isinstance(given, str | os.PathLike) else given
    if not isinstance(several, Iterable) or isinstance(several, bytes):
        raise UsageError(f"a {type(given).__name__} is no path", mend="give an artifact's folder, or several")
    paths = list(several)
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise UsageError(f"a {type(path).__name__} is no path", mend="give an artifact's folder, or several")
    return paths


def _refuse_no_batch(batch_size: int) -> None:
    if batch_size < 1:
        raise UsageError(f"a batch of {batch_size} images reads nothing", mend="give 1 or more, such as 16")

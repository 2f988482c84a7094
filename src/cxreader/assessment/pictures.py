"""Pictures recognised under other names: copies among the judged images, and those that set the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cxreader.counting import format_count
from cxreader.models.artifact import Artifact
from cxreader.models.training_images import TrainingImages
from cxreader.records import ImageRecord

COPY = "the same picture as another judged image"
UNKNOWN_PICTURES = (
    "whether a judged picture set this model cannot be known: the artifact, of an earlier version, holds no hashes of "
    "its images"
)


@dataclass
class Pictures:
    """Decides image by image, in their order, which picture is judged, and counts the others.

    `known`: the pictures that set the model, None where the artifact does not hold them. With `judge_met` they are counted and
    judged all the same. `excluded`: how many were left out, by reason.
    """

    known: TrainingImages | None
    judge_met: bool = False
    excluded: Counter[str] = field(default_factory=Counter)
    met: int = 0
    contrary: int = 0
    _first: dict[bytes, ImageRecord] = field(default_factory=dict)

    @classmethod
    def of(cls, artifact: Artifact, *, judge_met: bool) -> Pictures:
        """For the judging of an artifact."""
        return cls(artifact.images, judge_met)

    def judges(self, record: ImageRecord, digests: Iterable[bytes]) -> bool:
        """Whether the picture with these digests (`imaging.digests`) is to be judged."""
        marks = tuple(digests)
        part = None if self.known is None else self.known.part_of(marks)
        self.met += part is not None
        if part is not None and not self.judge_met:
            self.excluded[f"the picture set this model ({part})"] += 1
            return False
        first = next((self._first[mark] for mark in marks if mark in self._first), None)
        for mark in marks:
            self._first.setdefault(mark, first or record)
        if first is None:
            return True
        self.excluded[COPY] += 1
        self.contrary += first.label != record.label
        return False

    def warnings(self) -> list[str]:
        """What must be said of them beside the counts."""
        found = [UNKNOWN_PICTURES] if self.known is None else []
        if self.met and self.judge_met:
            found.append(
                format_count(
                    self.met,
                    "of the judged pictures set this model, and [is|are] judged all the same: to show that is what a split by "
                    "image is for",
                )
            )
        if self.contrary:
            found.append(
                format_count(
                    self.contrary,
                    "of the pictures left out as copies [carries|carry] the other label than the one that is judged: one of the "
                    "two is wrong",
                )
            )
        return found

"""What a study of several networks shows: frozen records, filled by whoever trained them, and their numbers as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isinf, nan
from typing import Any

from cxreader.codec import to_plain
from cxreader.errors import DataError
from cxreader.evaluation.comparison.records import Comparison, RowResult
from cxreader.evaluation.shortcuts.records import SUSPECTED, Verdict
from cxreader.evaluation.shortcuts.thumbnail import ThumbnailComparison
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.records import Label
from cxreader.reporting.study.published import PublishedRow
from cxreader.reporting.style import Picture

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class CohortPart:
    """One part of the split (train, tune, calibrate, test) in counts; `patients` None where no patient is known."""

    name: str
    images: int
    patients: int | None
    normal: int
    abnormal: int


@dataclass(frozen=True, eq=False)
class Example:
    """An image of the cohort, true boxes already drawn: PNG bytes, or pixels uint8 (H, W) or (H, W, 3)."""

    image: Picture
    caption: str


@dataclass(frozen=True, eq=False)
class Cohort:
    """On whom the study rests. `findings` and `views`: name -> images in each part, in the order of `parts`.

    `leak` says in words whether a patient stands in two parts.
    """

    parts: tuple[CohortPart, ...]
    leak: str
    findings: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    views: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Epoch:
    """Mean cross-entropy on the training and the tune images, and the accuracy in [0, 1] on the tune images.

    A loss that overflowed is NaN.
    """

    train_loss: float
    tune_loss: float
    tune_accuracy: float

    def __post_init__(self) -> None:
        for name in ("train_loss", "tune_loss"):
            if isinf(getattr(self, name)):
                object.__setattr__(self, name, nan)


@dataclass(frozen=True, slots=True)
class PhaseCurve:
    """One phase of a training; `best_epoch`, counted from 1, is the stopping point whose weights were kept."""

    name: str
    epochs: tuple[Epoch, ...]
    best_epoch: int


@dataclass(frozen=True, slots=True)
class Training:
    """One seed: its phases in order, the best accuracy on the tune images, and the seconds it took."""

    seed: int
    phases: tuple[PhaseCurve, ...]
    tune_accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs: weights in all and those that learn, multiply-adds doubled an image, images a second read.

    None where it was not measured; `note` says on what, or why not.
    """

    parameters: int
    learning_parameters: int
    flops: float | None = None
    images_per_second: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One network of the study; `name` is its contender's. `weights` and `settings` in words.

    `n_tune` images chose its best epochs. `published` is the study's own row, None where it has none.
    """

    name: str
    model: str
    weights: str
    settings: str
    trainings: tuple[Training, ...]
    n_tune: int
    cost: Cost
    published: PublishedRow | None = None


@dataclass(frozen=True, eq=False)
class Look:
    """What one network says of a panel's image: calibrated probability of abnormal, decision, heat map on the image."""

    name: str
    probability: float
    decision: Label
    overlay: Picture


@dataclass(frozen=True, eq=False)
class StudyPanel:
    """One image as all networks read it; `findings` names what is truly there."""

    title: str
    truth: Label
    image: Picture
    looks: tuple[Look, ...]
    findings: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration of a search by its rank on the tune images."""

    rank: int
    parameters: Mapping[str, Value]
    tune_accuracy: float
    epochs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Grid:
    """A search, ranked on `n_tune` images; `optimism` is by how much its winner's own figure flatters it."""

    trials: tuple[Trial, ...]
    n_tune: int
    optimism: Estimate | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class StudyReport:
    """All that the page of a study shows. `rows` stand in the order of `comparison.rows`, with their names and seeds.

    `panels` by group, such as "all right", "wrong", "networks disagree", of the networks that learned. `provenance` holds plain
    values (version, date, git revision, machine, seeds, split digest), `command` repeats the study. `thumbnail`: each network
    beside that baseline, None where none could be fitted.
    Raises DataError where rows and comparison do not belong together.
    """

    title: str
    cohort: Cohort
    rows: tuple[StudyRow, ...]
    comparison: Comparison
    panels: Mapping[str, tuple[StudyPanel, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    provenance: Mapping[str, Value] = field(default_factory=dict)
    command: str = ""
    grid: Grid | None = None
    thumbnail: ThumbnailComparison | None = None

    def __post_init__(self) -> None:
        trained = [(row.name, tuple(t.seed for t in row.trainings)) for row in self.rows]
        judged = [(row.name, row.seeds) for row in self.comparison.rows]
        if trained != judged:
            raise DataError(
                f"the rows {trained} are not those judged {judged}", mend="give one row a contender, in order"
            )

    @property
    def headline(self) -> str:
        """The first line: that no network is shown to see more than a thumbnail, else who is ahead, or that nobody is."""
        return self._beneath or self.comparison.headline()

    @property
    def detail(self) -> str:
        """What stands behind `headline`."""
        ahead = self.comparison.headline() if self._beneath else ""
        return f"{ahead} {self.comparison.detail()}".strip()

    @property
    def _beneath(self) -> str:
        learned = len(self.rows) - len(self.comparison.unlearned)
        if self.thumbnail is None or not self.suspected or len(self.suspected) < learned:
            return ""
        whom = "The network is not" if learned == 1 else "No network is"
        much = "much " if any(self.thumbnail.deciding[name].low > 0 for name in self.suspected) else ""
        return f"{whom} shown to see {much}more than a 16 x 16 thumbnail."

    @property
    def cautions(self) -> tuple[str, ...]:
        """What must be read before the figures: who did not learn, in whom a shortcut is suspected, and the study's warnings."""
        suspicions = () if self.thumbnail is None else self.thumbnail.suspicions(self.suspected)
        return (*self.comparison.cautions, *suspicions, *self.warnings)

    @property
    def shortcuts(self) -> Mapping[str, Verdict]:
        """Of each network that learned, what its lead over the thumbnail says of a shortcut; the others saw nothing at all."""
        verdicts = {} if self.thumbnail is None else self.thumbnail.verdicts
        return {name: verdict for name, verdict in verdicts.items() if name not in self.comparison.unlearned}

    @property
    def suspected(self) -> tuple[str, ...]:
        """The networks in which a shortcut is suspected."""
        return tuple(name for name, verdict in self.shortcuts.items() if verdict == SUSPECTED)

    @property
    def pairs(self) -> tuple[tuple[StudyRow, RowResult], ...]:
        """Each network as it was trained and as it was judged."""
        return tuple(zip(self.rows, self.comparison.rows, strict=True))


def numbers(report: StudyReport) -> dict[str, Any]:
    """Everything the figures and tables show as plain values for strict JSON; pictures are left out, NaN is None."""
    cohort, panels = report.cohort, report.panels
    values = _fields(report) | {
        "cohort": _fields(cohort) | {"examples": [_fields(example) for example in cohort.examples]},
        "comparison": report.comparison.to_dict(),
        "thumbnail": None if report.thumbnail is None else report.thumbnail.to_dict(),
        "panels": {
            group: [_fields(panel) | {"looks": [_fields(look) for look in panel.looks]} for panel in shown]
            for group, shown in panels.items()
        },
    }
    plain: dict[str, Any] = to_plain(values)
    return plain


def _fields(record: StudyReport | Cohort | Example | StudyPanel | Look) -> dict[str, Any]:
    """The fields of a record by name, without its picture."""
    return {f.name: getattr(record, f.name) for f in fields(record) if f.name not in ("image", "overlay")}

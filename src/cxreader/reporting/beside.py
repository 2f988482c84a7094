"""What else is known of a judged model, found by other commands from images: it stands beside the predictions' evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cxreader.evaluation.intervals import Estimate
from cxreader.reporting.figures import Picture

if TYPE_CHECKING:
    from cxreader.explanation.localization_report import LocalisationReport
    from cxreader.explanation.sanity_report import SanityReport


class Blind(Protocol):
    """Something that sees no disease, beside the model on the same images: its AUC, and the model's minus it, paired."""

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def auc(self) -> Estimate: ...
    @property
    def gain(self) -> Estimate: ...
    def says(self, limits: Any) -> str:
        """In words, what the two numbers mean."""
        ...


class ShortcutFindings(Protocol):
    """What an audit for shortcuts says: the verdict in one word and in one line, its reasons, and what it rests on."""

    @property
    def verdict(self) -> str: ...
    @property
    def line(self) -> str: ...
    @property
    def reasons(self) -> Sequence[str]: ...
    @property
    def cautions(self) -> Sequence[str]: ...
    @property
    def model(self) -> Estimate: ...
    @property
    def baselines(self) -> Sequence[Blind]: ...
    @property
    def views(self) -> Sequence[Blind]: ...
    @property
    def best(self) -> str | None: ...
    @property
    def limits(self) -> Any: ...


@dataclass(frozen=True, eq=False)
class Beside:
    """Findings from images; None where nobody looked.

    `contradicted`: by image name PNG bytes or pixels uint8 (H, W) or (H, W, 3), for the sheet of images whose label the
    model contradicts.
    """

    shortcuts: ShortcutFindings | None = None
    localisation: LocalisationReport | None = None
    sanity: SanityReport | None = None
    contradicted: Mapping[str, Picture] = field(default_factory=dict)


NOTHING = Beside()

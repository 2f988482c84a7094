"""Evidence from the images themselves, which the page of an evaluation shows with that of its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxreader.evaluation.shortcuts.records import ShortcutAudit
    from cxreader.explanation.localisation_report import LocalisationReport
    from cxreader.explanation.sanity_report import SanityReport


@dataclass(frozen=True, eq=False)
class ImageEvidence:
    """Audit for shortcuts, maps against boxes, and randomisation test, on the images that were judged; None: not measured.

    `localisation` is of the heat maps; `regions` of maps that tell where findings are, and not what moved the score.
    """

    shortcuts: ShortcutAudit | None = None
    localisation: LocalisationReport | None = None
    sanity: SanityReport | None = None
    regions: tuple[LocalisationReport, ...] = ()


NO_IMAGE_EVIDENCE = ImageEvidence()

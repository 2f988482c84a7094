"""What looked at the images: it stands beside the evidence of the predictions, on every page of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxreader.evaluation.shortcuts.records import ShortcutAudit
    from cxreader.explanation.localisation_report import LocalisationReport
    from cxreader.explanation.sanity_report import SanityReport


@dataclass(frozen=True, eq=False)
class ImageEvidence:
    """What was found from the images that the predictions belong to; None where nobody looked."""

    shortcuts: ShortcutAudit | None = None
    localisation: LocalisationReport | None = None
    sanity: SanityReport | None = None


NO_IMAGE_EVIDENCE = ImageEvidence()

"""The tables of an AUC that is adjusted: for labels of known quality, and for age, sex and view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxreader.counting import format_count
from cxreader.reporting.tables import Row, Table, estimate_cell, estimate_counts, methods_of

if TYPE_CHECKING:
    from cxreader.evaluation.readers.label_quality import CorrectedAuc
    from cxreader.evaluation.statistics.matched_pairs import MatchedPairs


def corrected_table(found: CorrectedAuc) -> Table:
    """The AUC against the labels, and against the truth as the labels' quality tells it."""
    quality = found.quality
    told = f"sensitivity {quality.sensitivity:g}, specificity {quality.specificity:g}"
    if quality.n_abnormal is not None and quality.n_normal is not None:
        told += f", measured on {quality.n_abnormal:,} abnormal and {quality.n_normal:,} normal images"
    else:
        told += ", taken for exact"
    rows = (
        Row("AUC against the labels as they are", (estimate_cell(found.observed),)),
        Row("AUC against the truth, corrected", (estimate_cell(found.corrected),)),
        Row("Share of truly abnormal images", (estimate_cell(found.prevalence),)),
    )
    caption = (
        f"The labels' quality as stated: {told}. Assumes that the labels err independently of the score; a model that learnt "
        f"from labels of this kind may share their errors, and is then promised too much. {estimate_counts(found.observed)}. "
        f"95 % intervals: {methods_of([found.observed, found.corrected, found.prevalence])}."
    )
    return Table(("", "Estimate"), rows, caption)


def matched_table(found: MatchedPairs) -> Table:
    """The AUC of all images beside that of pairs alike in age, sex and view."""
    alike = ", ".join(f"age within {found.years:g} years" if name == "age" else name for name in found.by)
    rows = (
        Row("AUC, all images", (estimate_cell(found.plain),)),
        Row(f"AUC, pairs alike in {alike}", (estimate_cell(found.matched),), (f"{found.n_pairs:,} pairs",)),
        Row("The second minus the first", (estimate_cell(found.change, signed=True),)),
    )
    drawn = f" {found.n_drawn:,} of the pairs were drawn." if found.n_drawn < found.n_pairs else ""
    caption = (
        f"A pair is an abnormal and a normal image. {format_count(found.unknown, '[image lacks|images lack]')} one of these, "
        f"{format_count(found.alone, '[has|have]')} no partner.{drawn} {estimate_counts(found.plain)}. 95 % intervals: "
        f"{methods_of([found.plain, found.matched, found.change])}."
    )
    return Table(("", "Estimate"), rows, caption)

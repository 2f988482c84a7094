"""The cohort section of a study's page: counts, findings and views by part, leakage and duplicates, a few pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from cxreader.counting import format_count
from cxreader.data.audit import audit_split
from cxreader.data.near import SIDE
from cxreader.data.split import PARTS, leak
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.imaging.overlay import overlay
from cxreader.records import LABEL_NAMES, ImageRecord
from cxreader.reporting.study.records import Cohort as CohortReport
from cxreader.reporting.study.records import CohortPart, Example
from cxreader.training.cohort import Cohort

EXAMPLES = 4
"""Pictures of each class."""


def cohort_facts(cohort: Cohort) -> CohortReport:
    """Counts by part, findings and views by part, the leak and the duplicates, example images of the training part."""
    whole = {part: cohort.split.records(cohort.index, part) for part in PARTS}
    records = {part: tuple(r for r in found if r.image in cohort.cache) for part, found in whole.items()}
    audit = audit_split(cohort.split, cohort.index, cohort.cache.whole) if cohort.cache.spec.size >= SIDE else None
    notes = [*cohort.split.notes]
    copies = len(cohort.cache.copies)
    unread = sum(map(len, whole.values())) - sum(map(len, records.values())) - copies
    if unread:
        notes.append(format_count(unread, "[image|images] cannot be read and [is|are] left out of every count here"))
    if copies:
        notes.append(
            format_count(copies, "[image|images] of the same picture as another [is|are] left out of every count here")
        )
    if audit is not None:
        pairs = f"{len(audit.exact)} exact and {len(audit.near)} near duplicates stand in two parts"
        notes.append(f"{pairs} (of {audit.compared:,} images compared)")
        if audit.shared_patients:
            notes.append(format_count(audit.shared_patients, "[patient stands|patients stand] in more than one part"))
    else:
        notes.append(f"duplicates were not looked for: that takes {SIDE} px or more")
    counted = (
        CohortPart(
            part,
            len(found),
            Sample.of_records(found).n_patients,
            sum(r.label == 0 for r in found),
            sum(r.label == 1 for r in found),
        )
        for part, found in records.items()
    )
    return CohortReport(
        parts=tuple(counted),
        leak=str(leak(cohort.split, cohort.index)),
        findings=_table(records, lambda r: r.findings or ((r.subtype,) if r.subtype else (LABEL_NAMES[r.label],))),
        views=_table(records, lambda r: (r.view,) if r.view else ()),
        notes=tuple(notes),
        examples=_examples(cohort, records["train"]),
    )


def _table(
    records: dict[str, tuple[ImageRecord, ...]], names: Callable[[ImageRecord], Iterable[str]]
) -> dict[str, tuple[int, ...]]:
    """Images of each name in each part, the most frequent name first."""
    counts = [Counter(name for record in found for name in set(names(record))) for found in records.values()]
    whole = sum(counts, Counter[str]())
    return {name: tuple(count[name] for count in counts) for name, _ in whole.most_common()}


def _examples(cohort: Cohort, records: tuple[ImageRecord, ...]) -> tuple[Example, ...]:
    """The first images of each class, as the network gets them."""
    chosen = [
        record
        for label in (0, 1)
        for record in [r for r in records if r.label == label and r.image in cohort.cache][:EXAMPLES]
    ]
    return tuple(
        Example(
            overlay(cohort.cache.pixels[cohort.cache.row(record.image)]),
            ", ".join(record.findings) or LABEL_NAMES[record.label],
        )
        for record in chosen
    )

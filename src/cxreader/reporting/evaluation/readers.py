"""The tables of a reader study: readers and model against one truth, who agrees, the second reader, other readers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.readers.performance import RATES
from cxreader.reporting.evaluation.answer import Answer
from cxreader.reporting.tables import (
    RATE_TITLES,
    Cell,
    Row,
    Table,
    estimate_cell,
    estimate_counts,
    format_counts,
    format_estimate,
    format_p_value,
    format_value,
    methods_of,
    text_cell,
)

if TYPE_CHECKING:
    from cxreader.evaluation.readers.arbitration import SchemeResult, SecondReader
    from cxreader.evaluation.readers.latent_class import LatentClass
    from cxreader.evaluation.readers.multi_reader import MultiReader
    from cxreader.evaluation.readers.performance import ReaderResult
    from cxreader.evaluation.readers.study import ReaderStudy
    from cxreader.evaluation.statistics.intervals import Estimate

SCHEME_TITLES = {
    "alone": "the reader alone",
    "arbiter": "an arbiter where reader and model differ",
    "either": "abnormal where either says so",
    "both": "abnormal where both say so",
}
"""The ways of reading with the model, in words."""
MEAN = "mean of the readers"
AGAINST_TRUTH, RATINGS = "Each reader against the truth", "Ratings against the truth"


def readers_tables(study: ReaderStudy) -> dict[str, Table]:
    """Every table of the study by its title; what was not asked has none."""
    found: dict[str, Table] = {}
    if study.readers:
        found[AGAINST_TRUTH] = readers_table(study)
    if study.ratings:
        found[RATINGS] = ratings_table(study)
    if study.agreements:
        found["Who agrees with whom"] = agreement_table(study)
    if study.second:
        found["With the model as second reader"] = second_reader_table(study)
    if study.comparisons:
        found["For other readers and patients"] = comparisons_table(study.comparisons)
    if study.latent is not None:
        found["Qualities without a truth"] = latent_table(study.latent)
    if study.readers or not found:
        return found
    first, table = next(iter(found.items()))
    return {**found, first: replace(table, caption=_with_notes(table.caption, study))}


def readers_table(study: ReaderStudy) -> Table:
    """Each reader, the table's label and the model; where there is a model, both of its differences from each reader."""
    judged = [*study.readers, *(one for one in (study.label, study.model) if one is not None)]
    rows = [_reader_row(one, model=study.model is not None) for one in judged]
    methods = methods_of(estimate for one in judged for estimate in reader_estimates(one))
    head: tuple[str, ...] = ("Reader", *(RATE_TITLES[rate] for rate in RATES), "Kappa with the truth")
    over: tuple[tuple[str, int], ...] = ()
    caption = f"Truth: {study.truth}. {study_counts(study)}. 95 % intervals: {methods}."
    if study.model is not None:
        head += (
            *(RATE_TITLES[rate] for rate in RATES),
            "Sensitivity at his specificity",
            "Specificity at his sensitivity",
        )
        at = f"from {study.threshold:.3f}" if study.threshold is not None else ""
        over = (("Alone", 3), (f"The model {at}, minus him", 2), ("The model moved to his point, minus him", 2))
        caption += " Differences are paired: above 0 the model is better."
    return Table(head, tuple(rows), _with_notes(caption, study), over)


def reader_estimates(reader: ReaderResult) -> list[Estimate]:
    """All that stands in a reader's row."""
    model = reader.model
    beside = [] if model is None else [*model.change.values(), *model.matched.values()]
    return [*reader.rates.values(), reader.kappa, *beside]


def _reader_row(reader: ReaderResult, *, model: bool) -> Row:
    rate = reader.rates["sensitivity"]
    cells = [estimate_cell(reader.rates[name]) for name in RATES] + [estimate_cell(reader.kappa)]
    if model and reader.model is not None:
        cells += [estimate_cell(reader.model.change[name], signed=True) for name in RATES]
        cells += [estimate_cell(reader.model.matched[name], signed=True) for name in RATES]
    elif model:
        cells += [text_cell("")] * 4
    notes = ["in the panel: judged by the others"] if reader.in_panel else []
    notes += [estimate_counts(rate)]
    notes += [format_count(reader.left_out, "[tie|ties] left out")] if reader.left_out else []
    return Row(reader.reader, tuple(cells), tuple(notes))


def ratings_table(study: ReaderStudy) -> Table:
    """The AUC of each reader's ratings, under each modality."""
    rows = tuple(
        Row(", ".join(filter(None, (one.reader, one.modality))), (estimate_cell(one.auc),), (estimate_counts(one.auc),))
        for one in study.ratings
    )
    methods = methods_of(one.auc for one in study.ratings)
    caption = f"Truth: {study.truth}. {study_counts(study)}. 95 % intervals: {methods}."
    return Table(("Reader", "AUC of the ratings"), rows, caption)


def agreement_table(study: ReaderStudy) -> Table:
    """Cohen's kappa of every two."""
    rows = tuple(
        Row(
            f"{pair.first} and {pair.second}",
            (estimate_cell(pair.kappa), estimate_cell(pair.agreement)),
            (f"{pair.kappa.n_positive + pair.kappa.n_negative:,} images by both",),
        )
        for pair in study.agreements
    )
    methods = methods_of(estimate for pair in study.agreements for estimate in (pair.kappa, pair.agreement))
    caption = f"Cohen's kappa: 1 is full agreement, 0 none beyond chance. 95 % intervals: {methods}."
    return Table(("Pair", "Kappa", "Share alike"), rows, caption)


def second_reader_table(study: ReaderStudy) -> Table:
    """For each reader and for their mean, every way of reading with the model."""
    rows = tuple(_scheme_row(one, scheme) for one in study.second for scheme in one.schemes)
    head: tuple[str, ...] = (
        "Way of reading",
        "Missed",
        "False alarms",
        "Sensitivity",
        "Specificity",
        "Sensitivity, change",
    )
    head += ("Specificity, change", "To the arbiter")
    methods = methods_of(
        rate for one in study.second for way in one.schemes for rate in (*way.rates.values(), *way.change.values())
    )
    lacking = sum(one.left_out for one in study.second if one.reader)
    caption = (
        "Changes are against the reader alone, paired. The arbiter is each remaining reader in turn, never one who sets the "
        f"truth; figures are the means over them. The model's threshold was fixed before. 95 % intervals: {methods}. "
        "The readers did not see the model's answers: what people make of an answer they see is not measured."
    )
    if lacking:
        caption += f" {format_count(lacking, '[reading is|readings are] left out: an arbiter did not read the image')}."
    if not any(one.arbiters for one in study.second):
        caption += " Nobody is left to arbitrate: all others set the truth."
    return Table(head, rows, caption)


def format_images(number: float) -> str:
    """A mean number of images, or `undefined`; the rate beside it has the reason."""
    return "undefined" if np.isnan(number) else f"{number:.1f}"


def without_images(mean: SecondReader) -> str:
    """How many readers the mean leaves out."""
    return format_count(mean.without_images, "[reader|readers] without an image that counts left out")


def _scheme_row(one: SecondReader, scheme: SchemeResult) -> Row:
    cells = [Cell(format_images(number).removesuffix(".0")) for number in (scheme.missed, scheme.false_alarms)]
    cells += [estimate_cell(scheme.rates[rate]) for rate in RATES]
    cells += [estimate_cell(scheme.change[rate], signed=True) if scheme.change else text_cell("") for rate in RATES]
    cells += [text_cell("") if scheme.asked is None else estimate_cell(scheme.asked)]
    notes = [f"{one.images:,} images"]
    if one.without_images:
        notes.append(without_images(one))
    if scheme.scheme == "arbiter" and one.arbiters:
        notes.append(f"arbiters: {', '.join(one.arbiters)}")
    return Row(f"{one.reader or MEAN}: {SCHEME_TITLES[scheme.scheme]}", tuple(cells), tuple(notes))


def comparisons_table(comparisons: tuple[MultiReader, ...]) -> Table:
    """Obuchowski and Rockette's analysis: random readers, and these readers alone."""
    rows = tuple(
        Row(
            f"{one.figure}: {_named(one.first)} minus {_named(one.second)}",
            (
                estimate_cell(one.mean_first),
                estimate_cell(one.mean_second),
                estimate_cell(one.random, signed=True, note=f"{format_p_value(one.p_random)}, {_freedom(one.df)}"),
                estimate_cell(one.fixed, signed=True, note=format_p_value(one.p_fixed)),
            ),
            (format_count(one.n_readers, "[reader|readers]"),),
        )
        for one in comparisons
    )
    methods = methods_of(one.random for one in comparisons)
    caption = (
        "Obuchowski and Rockette 1995, degrees of freedom by Hillis 2007. Random readers: what holds for readers and patients "
        f"like these; fixed: for these readers. 95 % intervals: {methods}. {estimate_counts(comparisons[0].random)}."
    )
    return Table(("Figure", "First", "Second", "Difference, random readers", "These readers"), rows, caption)


def latent_table(latent: LatentClass) -> Table:
    """Each rater's quality by the latent class."""
    rows = tuple(
        Row(
            rater.rater,
            (estimate_cell(rater.sensitivity), estimate_cell(rater.specificity)),
            (f"{rater.votes:,} images",),
        )
        for rater in latent.raters
    )
    methods = methods_of([latent.prevalence, *(rate for r in latent.raters for rate in (r.sensitivity, r.specificity))])
    caption = (
        "Dawid and Skene 1979: the truth is a hidden class, of which raters err independently. Where all find the same images "
        f"hard they do not, and all look better than they are. Share of abnormal images {format_estimate(latent.prevalence, 3)}; "
        f"on {format_count(latent.n_other, '[image|images]')} the class is another than the majority of the raters. 95 % "
        f"intervals: {methods}."
    )
    return Table(("Rater", "Sensitivity", "Specificity"), rows, caption)


def readers_answer(study: ReaderStudy) -> Answer | None:
    """How the model stands beside the readers, in one sentence; None without a model or without calls."""
    if study.model is None or not study.readers or study.model_auc is None:
        return None
    rates = study.model.rates
    text = (
        f"Sensitivity {format_estimate(rates['sensitivity'])}, specificity {format_estimate(rates['specificity'])}; the readers "
        f"{_span(study, 'sensitivity')} and {_span(study, 'specificity')}. "
    )
    beaten = [r for r in study.readers if r.model is not None and r.model.matched["sensitivity"].low > 0]
    below = [r for r in study.readers if r.model is not None and r.model.matched["sensitivity"].high < 0]
    of = format_count(len(study.readers), "[reader|readers]")
    text += f"At the reader's own specificity it is shown to find more than {len(beaten)} of {of}, and less than {len(below)}."
    return Answer(
        "Beside radiologists?",
        "readers",
        f"AUC {format_value(study.model_auc)}",
        text,
        study_counts(study),
        alert=bool(below) and not beaten,
    )


def study_counts(study: ReaderStudy) -> str:
    """How many images have a truth, how many none, and how many patients."""
    counts = format_counts(study.n_abnormal, study.n_normal, study.n_patients)
    return f"{counts}, {study.undecided:,} undecided" if study.undecided else counts


def _span(study: ReaderStudy, rate: str) -> str:
    values = [reader.rates[rate].value for reader in study.readers if not np.isnan(reader.rates[rate].value)]
    return f"{min(values):.2f} to {max(values):.2f}" if values else "undefined"


def _with_notes(caption: str, study: ReaderStudy) -> str:
    return " ".join((caption, *map(_sentence, study.notes))).strip()


def _named(side: str) -> str:
    return side or "no modality named"


def _freedom(df: float) -> str:
    return "degrees of freedom without bound" if np.isinf(df) else f"{df:.1f} degrees of freedom"


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."

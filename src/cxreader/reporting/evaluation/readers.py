"""The tables of a reader study: readers and model against one truth, who agrees, the second reader, other readers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.readers.multi_reader import MODEL
from cxreader.evaluation.readers.panel import joined
from cxreader.evaluation.readers.performance import RATES
from cxreader.reporting.evaluation.answer import Answer
from cxreader.reporting.evaluation.second_reader import second_reader_table
from cxreader.reporting.tables import (
    RATE_TITLES,
    Cell,
    Row,
    Table,
    cohort_counts,
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
    from cxreader.evaluation.evaluate import Evaluation
    from cxreader.evaluation.readers.latent_class import LatentClass
    from cxreader.evaluation.readers.multi_reader import MultiReader
    from cxreader.evaluation.readers.performance import ReaderResult
    from cxreader.evaluation.readers.study import ReaderStudy
    from cxreader.evaluation.statistics.intervals import Estimate

AGAINST_TRUTH, RATINGS = "Each reader against the truth", "Ratings against the truth"
OTHERS = "For other readers and patients"
MODEL_MINUS_HIM = "Differences are paired, the model minus him: above 0 the model is better."


def readers_tables(study: ReaderStudy, apart: str = "") -> dict[str, Table]:
    """Every table of the study by its title; what was not asked has none.

    `apart`: what `truths_apart` says of an evaluation, for the caption of the first.
    """
    found = _tables(study)
    if not found:
        return found
    first, table = next(iter(found.items()))
    caption = " ".join(filter(None, (table.caption, apart, *map(_sentence, study.notes))))
    return {**found, first: replace(table, caption=caption)}


def truths_apart(evaluation: Evaluation) -> str:
    """By which truth an evaluation judges, and by which its readers' section, with counts; empty where no panel makes one."""
    study = None if evaluation.evidence is None else evaluation.evidence.readers
    if study is None or not study.panel:
        return ""
    return (
        f"Truths: the verdict and the figures of all images are by the table's own label ({cohort_counts(evaluation.counts)}); "
        f"readers, and the model beside them, by the majority of {joined(study.panel)} ({study_counts(study)})."
    )


def _tables(study: ReaderStudy) -> dict[str, Table]:
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
        found[OTHERS] = comparisons_table(study.comparisons)
    if study.latent is not None:
        found["Qualities without a truth"] = latent_table(study.latent)
    return found


def readers_table(study: ReaderStudy) -> Table:
    """Each reader, the table's label and the model; where there is a model, both of its differences from each reader."""
    judged = _judged(study)
    rows = [_reader_row(one, model=study.model is not None) for one in judged]
    methods = methods_of(estimate for one in judged for estimate in reader_estimates(one))
    head: tuple[str, ...] = ("Reader", *(RATE_TITLES[rate] for rate in RATES), "Kappa with the truth")
    over: tuple[tuple[str, int], ...] = ()
    caption = f"Truth: {study.truth}. {study_counts(study)}. 95 % intervals: {methods}."
    caption = " ".join(filter(None, (caption, undecided_words(study))))
    if study.model is not None:
        head += (
            *(RATE_TITLES[rate] for rate in RATES),
            "Sensitivity at his specificity",
            "Specificity at his sensitivity",
        )
        at = f"from {study.threshold:.3f}" if study.threshold is not None else ""
        over = (("Alone", 3), (f"The model {at}, minus him", 2), ("The model moved to his point, minus him", 2))
        caption += f" {MODEL_MINUS_HIM}"
    return Table(head, tuple(rows), caption, over)


def reader_estimates(reader: ReaderResult) -> list[Estimate]:
    """All that stands in a reader's row."""
    model = reader.model
    beside = [] if model is None else [*model.change.values(), *model.matched.values()]
    return [*reader.rates.values(), reader.kappa, *beside]


def left_out_words(reader: ReaderResult) -> str:
    """How many images a reader called for which there is no truth: ties, or no label."""
    return f"{reader.left_out:,} undecided"


def undecided_words(study: ReaderStudy) -> str:
    """What `left_out_words` counts, as a sentence; empty where it counts nothing."""
    if not any(one.left_out for one in _judged(study)):
        return ""
    why = "those who judge him are divided or did not call them" if study.panel else "the table has no label of them"
    return f"Undecided images are left out: {why}."


def _judged(study: ReaderStudy) -> list[ReaderResult]:
    return [*study.readers, *(one for one in (study.label, study.model) if one is not None)]


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
    notes += [left_out_words(reader)] if reader.left_out else []
    return Row(reader.reader, tuple(cells), tuple(notes))


def ratings_table(study: ReaderStudy) -> Table:
    """The AUC of each reader's ratings, under each modality, and the model's against the same truth."""
    areas = [(", ".join(filter(None, (one.reader, one.modality))), one.auc) for one in study.ratings]
    areas += [] if study.model_auc is None else [("the model", study.model_auc)]
    rows = tuple(Row(name, (estimate_cell(auc),), (estimate_counts(auc),)) for name, auc in areas)
    methods = methods_of(auc for _, auc in areas)
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


def comparisons_table(comparisons: tuple[MultiReader, ...]) -> Table:
    """Obuchowski and Rockette's analysis: random readers, and these readers alone."""
    rows = tuple(
        Row(
            f"{one.figure}: {_named(one.first)} minus {_named(one.second)}",
            (
                estimate_cell(one.mean_first),
                estimate_cell(one.mean_second),
                _random_cell(one),
                estimate_cell(one.fixed, signed=True, note=format_p_value(one.p_fixed)),
            ),
            (format_count(one.n_readers, "[reader|readers]"),),
        )
        for one in comparisons
    )
    methods = methods_of(one.random for one in comparisons)
    better = ", so that above 0 the model is better" if any(one.first == MODEL for one in comparisons) else ""
    tested = " F: of all modalities together." if not all(np.isnan(one.f) for one in comparisons) else ""
    caption = (
        f"Differences are the first minus the second{better}. Obuchowski and Rockette 1995, degrees of freedom by Hillis 2007. "
        f"Random readers: what holds for readers and patients like these; fixed: for these readers.{tested} 95 % intervals: "
        f"{methods}. {estimate_counts(comparisons[0].random)}."
    )
    return Table(("Figure", "First", "Second", "Difference, random readers", "These readers"), rows, caption)


def _random_cell(one: MultiReader) -> Cell:
    """The difference with p and its degrees of freedom, and below it F of all modalities, where they are compared."""
    cell = estimate_cell(one.random, signed=True, note=f"{format_p_value(one.p_random)}, {_freedom(one.df)}")
    if np.isnan(one.f):
        return cell
    freedom = _freedom(one.f_df) if np.isnan(one.f_df_between) else f"{one.f_df_between:g} and {_freedom(one.f_df)}"
    return replace(cell, below=(*cell.below, f"F {one.f:.3f}, {freedom}, {format_p_value(one.f_p)}"))


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
        f"{study_counts(study)}, by the majority of {joined(study.panel)}" if study.panel else study_counts(study),
        alert=bool(below) and not beaten,
    )


def study_counts(study: ReaderStudy) -> str:
    """How many images have a truth, how many none, and how many patients."""
    counts = format_counts(study.n_abnormal, study.n_normal, study.n_patients)
    return f"{counts}, {study.undecided:,} undecided" if study.undecided else counts


def _span(study: ReaderStudy, rate: str) -> str:
    values = [reader.rates[rate].value for reader in study.readers if not np.isnan(reader.rates[rate].value)]
    return f"{min(values):.2f} to {max(values):.2f}" if values else "undefined"


def _named(side: str) -> str:
    return side or "no modality named"


def _freedom(df: float) -> str:
    return "degrees of freedom without bound" if np.isinf(df) else f"{df:.1f} degrees of freedom"


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."

"""The table of a model as second reader: each way of reading with it, reader by reader and in the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.readers.panel import joined
from cxreader.evaluation.readers.performance import RATES
from cxreader.reporting.tables import Cell, Row, Table, estimate_cell, methods_of, text_cell

if TYPE_CHECKING:
    from cxreader.evaluation.readers.arbitration import SchemeResult, SecondReader
    from cxreader.evaluation.readers.study import ReaderStudy

SCHEME_TITLES = {
    "alone": "the reader alone",
    "arbiter": "an arbiter where reader and model differ",
    "either": "abnormal where either says so",
    "both": "abnormal where both say so",
}
"""The ways of reading with the model, in words."""
MEAN = "mean of the readers"
CHANGES = "Changes are paired, reading so minus the reader alone: above 0 it is better than he."


def second_reader_table(study: ReaderStudy) -> Table:
    """For each reader and for their mean, every way of reading with the model."""
    rows = tuple(_scheme_row(one, scheme) for one in study.second for scheme in one.schemes)
    head: tuple[str, ...] = (
        "Way of reading",
        "Missed",
        "False alarms",
        "Sensitivity",
        "Specificity",
        "Change of sensitivity",
    )
    head += ("Change of specificity", "To the arbiter")
    methods = methods_of(
        rate for one in study.second for way in one.schemes for rate in (*way.rates.values(), *way.change.values())
    )
    lacking = sum(one.left_out for one in study.second if one.reader)
    caption = (
        f"{CHANGES} The arbiter is each remaining reader in turn, never one who sets the "
        f"truth; figures are the means over them. The model's threshold was fixed before. 95 % intervals: {methods}. "
        "The readers did not see the model's answers: what people make of an answer they see is not measured."
    )
    if lacking:
        caption += f" {format_count(lacking, '[reading is|readings are] left out: an arbiter did not read the image')}."
    caption = " ".join(filter(None, (caption, arbiter_words(study))))
    return Table(head, rows, caption)


def arbiter_words(study: ReaderStudy) -> str:
    """Who has no arbiter and why, and that a mean with one is over the others alone; empty where everybody has one."""
    each = [one for one in study.second if one.reader]
    without = [one.reader for one in each if not one.arbiters]
    if not without:
        return ""
    why = (
        "there is no other reader" if len(each) < 2 else "all others who called an image set the truth he is judged by"
    )
    if not any(one.arbiters for one in each):
        return f"Nobody is left to arbitrate: {why}."
    told = f"{joined(without)}: no arbiter, as {why}"
    over = next((scheme.n_readers for scheme in study.second[-1].schemes if scheme.scheme == "arbiter"), 0)
    if not over:
        return f"{told}."
    who = format_count(over, "[reader|readers]")
    return f"{told}; the mean with an arbiter is over {who}, its changes against these alone."


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
        notes.append(f"arbiters: {joined(one.arbiters)}")
    if scheme.n_readers:
        notes.append(f"of {format_count(scheme.n_readers, '[reader|readers]')}")
    return Row(f"{one.reader or MEAN}: {SCHEME_TITLES[scheme.scheme]}", tuple(cells), tuple(notes))

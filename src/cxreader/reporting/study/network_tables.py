"""The tables of a study's networks: the study's own, the published figures, and one for papers with every figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.comparison.records import RowResult
from cxreader.evaluation.comparison.trainings import ONE_TRAINING
from cxreader.evaluation.shortcuts.records import ELSEWHERE, HERE, Learnt, learnt_title
from cxreader.evaluation.shortcuts.thumbnail import ThumbnailComparison
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.evaluation.verdict import THUMBNAIL
from cxreader.reporting.study.figures import counts_of
from cxreader.reporting.study.published import STUDY_DATA, STUDY_NOTE, STUDY_TITLE
from cxreader.reporting.study.records import StudyReport, StudyRow
from cxreader.reporting.tables import (
    Cell,
    Row,
    Table,
    bootstrap_and_exact,
    estimate_cell,
    format_spread,
    short_title,
    text_cell,
)

FIRST = ("accuracy", "precision", "recall", "f1", "auc")
"""What the study's own table shows."""
FURTHER = ("specificity", "average_precision", "brier")
TUNE = "Best tune accuracy"
_FOR_PAPERS = ("auc", "accuracy", "recall", "specificity", "precision", "f1", "average_precision", "brier")
NOT_JUDGED = "not judged"
_GAINS = {
    "gains": f"AUC minus thumbnail, learnt {ELSEWHERE}",
    "gains_here": f"AUC minus thumbnail, learnt {HERE}",
}
_THUMBNAIL = {
    ELSEWHERE: "logistic regression on the training images; sees no disease",
    HERE: "logistic regression cross-fitted on the test images; sees no disease",
}
_EMPTY = text_cell("")
_TITLES = tuple("Test accuracy" if metric == "accuracy" else short_title(metric) for metric in FIRST)


def seeds_cell(estimate: Estimate, seeds: Sequence[float] = (), *, signed: bool = False) -> Cell:
    """A number with its interval and the lowest and highest of its trainings; why it is undefined tells of those too."""
    return estimate_cell(estimate, signed=signed, note="" if np.isnan(estimate.value) else format_spread(seeds))


def _tune(row: StudyRow) -> Cell:
    tune = [training.tune_accuracy for training in row.trainings]
    below = (f"{row.n_tune:,} images", format_spread(tune))
    return Cell(f"{np.mean(tune):.3f}", tuple(line for line in below if line))


def intervals_words(report: StudyReport) -> str:
    """How the intervals of a study's figures were made: for other trainings too, where a network has several."""
    patients = bootstrap_and_exact(report.comparison.all_agree.n_patients is not None, report.comparison.n_resamples)
    numbers = [len(row.trainings) for row in report.rows]
    joint = (
        "one for patients and trainings together, as if both were drawn at random (Obuchowski and Rockette 1995, degrees of "
        f"freedom by Hillis 2007, jackknife {report.comparison.by_whom})"
    )
    if min(numbers) > 1:
        return f"{joint}; where all trainings agree and none errs, exact (Clopper-Pearson)"
    alone = f"{patients}; {ONE_TRAINING}"
    return alone if max(numbers) == 1 else f"{joint}; of a network trained once, {alone}"


def _means(report: StudyReport) -> str:
    """What a cell holds, and how its interval was made."""
    several = _trained_several_times(report)
    each = "the mean over the trainings, its 95 % interval, and in brackets the lowest and highest training"
    return f"Each cell: {each if several else 'of one training, with its 95 % interval'}. Intervals: {intervals_words(report)}."


def _told_gains(thumbnail: ThumbnailComparison | None) -> dict[str, str]:
    """The titles of the gains over the thumbnail that could be had, by field."""
    if thumbnail is None:
        return {}
    return {name: title for name, title in _GAINS.items() if getattr(thumbnail, name)}


def _gains(thumbnail: ThumbnailComparison | None, name: str) -> tuple[Cell, ...]:
    return tuple(seeds_cell(getattr(thumbnail, own)[name], signed=True) for own in _told_gains(thumbnail))


def _thumbnails(thumbnail: ThumbnailComparison | None) -> dict[Learnt, Estimate]:
    """The thumbnail's AUC by where it was learnt."""
    if thumbnail is None:
        return {}
    found: dict[Learnt, Estimate] = {ELSEWHERE: thumbnail.auc}
    return found if thumbnail.auc_here is None else found | {HERE: thumbnail.auc_here}


def _why_not_here(report: StudyReport) -> str:
    """Why no thumbnail was learnt on the test images; empty where one was."""
    reason = None if report.thumbnail is None else report.thumbnail.here_reason
    return f" No thumbnail was learnt here: {reason}." if reason else ""


def networks_table(report: StudyReport) -> Table:
    """The study's own table: a line a network, the thumbnail's last."""
    thumbnail = report.thumbnail
    rows = [
        Row(
            row.name,
            (
                _tune(row),
                *(seeds_cell(result.metrics[m], result.by_seed[m]) for m in FIRST),
                *_gains(thumbnail, row.name),
            ),
            tuple(_notes(report, row, result)),
        )
        for row, result in report.pairs
    ]
    gains = tuple(_told_gains(thumbnail).values())
    for learnt, auc in _thumbnails(thumbnail).items():
        cells = (*(_EMPTY,) * len(FIRST), seeds_cell(auc), *(_EMPTY,) * len(gains))
        rows.append(Row(learnt_title(THUMBNAIL, learnt), cells, (_THUMBNAIL[learnt],)))
    caption = (
        f"Test part: {counts_of(report.comparison)}. {_means(report)} The best tune accuracy has no interval: the epoch was "
        f"chosen by it, so it flatters, and only the number of images is told.{_why_not_here(report)}"
    )
    return Table(("Network", TUNE, *_TITLES, *gains), tuple(rows), caption)


def _notes(report: StudyReport, row: StudyRow, result: RowResult) -> list[str]:
    suspected = "a shortcut is suspected" if row.name in report.suspected else None
    trained = format_count(len(row.trainings), "[training|trainings]") if len(row.trainings) > 1 else ONE_TRAINING
    said = trained if _trained_several_times(report) else None  # else the caption says it of all
    return [note for note in (f"{row.model}; {row.weights}", row.settings, said, result.one_class, suspected) if note]


def _trained_several_times(report: StudyReport) -> bool:
    """Whether any network has more than one training."""
    return any(len(row.trainings) > 1 for row in report.rows)


def published_table(report: StudyReport) -> Table:
    """What was published of the same networks; no line where the images are others than the published study's."""
    rows = tuple(
        Row(row.name, tuple(text_cell(row.published.words(name)) for name in ("tune_accuracy", *FIRST)))
        for row in report.rows
        if row.published is not None
    )
    caption = (
        f"Published: \u201c{STUDY_TITLE}\u201d, on other data ({STUDY_DATA}), so no difference to it is a difference of "
        f"networks. {STUDY_NOTE}"
    )
    return Table(("Network", "Tune accuracy", *_TITLES), rows, caption)


def further_table(report: StudyReport) -> Table:
    """What the study's own table leaves out."""
    rows = tuple(
        Row(r.name, tuple(seeds_cell(r.metrics[m], r.by_seed[m]) for m in FURTHER)) for r in report.comparison.rows
    )
    caption = f"{_means(report)} {counts_of(report.comparison)}; specificity rests on the normal images alone."
    return Table(("Network", *map(short_title, FURTHER)), rows, caption)


def short_table(report: StudyReport) -> Table:
    """The study's table for 80 columns: who it is, tune and test accuracy, AUC, and what a thumbnail leaves of it."""
    thumbnail, rows = report.thumbnail, []
    for row, result in report.pairs:
        tune = np.mean([training.tune_accuracy for training in row.trainings])
        figures = [seeds_cell(result.metrics[metric]) for metric in ("accuracy", "auc")]
        gain = _gains(thumbnail, row.name)[:1] or (text_cell(NOT_JUDGED),)
        name = row.name if result.learned else f"{row.name} (did not learn)"
        seeds = (
            f"; {format_count(len(row.trainings), '[training|trainings]')}" if _trained_several_times(report) else ""
        )
        rows.append(Row(f"{name}\n{row.weights}{seeds}", (text_cell(f"{tune:.3f}"), *figures, *gain)))
    for learnt, auc in _thumbnails(thumbnail).items():
        rows.append(Row(f"{THUMBNAIL}\nlearnt {learnt}", (_EMPTY, _EMPTY, seeds_cell(auc), _EMPTY)))
    head = ("network,\nweights", "tune\naccuracy", "test\naccuracy", "AUC", "AUC minus\nthumbnail")
    against = "" if thumbnail is None else f"AUC minus thumbnail: the one learnt elsewhere.{_why_not_here(report)} "
    return Table(head, tuple(rows), f"{against}Intervals: {intervals_words(report)}.")


def paper_table(report: StudyReport) -> Table:
    """Every figure of every network in one table, the thumbnail's line last."""
    comparison, thumbnail = report.comparison, report.thumbnail
    rows = [
        Row(
            row.name,
            (
                text_cell(row.weights),
                text_cell(str(len(row.trainings))),
                _tune(row),
                *(seeds_cell(result.metrics[m], result.by_seed[m]) for m in _FOR_PAPERS),
                *_gains(thumbnail, row.name),
            ),
        )
        for row, result in report.pairs
    ]
    gains = tuple(_told_gains(thumbnail).values())
    blank = (_EMPTY,) * (len(_FOR_PAPERS) - 1 + len(gains))
    for learnt, auc in _thumbnails(thumbnail).items():
        cells = (text_cell("logistic regression"), _EMPTY, _EMPTY, seeds_cell(auc), *blank)
        rows.append(Row(learnt_title(THUMBNAIL, learnt), cells))
    caption = (
        f"Test part: {counts_of(comparison)}. {_means(report)} Called abnormal from a probability of "
        f"{comparison.threshold:.2f} on. Best tune accuracy: of the images that chose the epoch, so without an interval."
        f"{_why_not_here(report)}"
    )
    return Table(
        ("Network", "Weights", "Trainings", TUNE, *map(short_title, _FOR_PAPERS), *gains), tuple(rows), caption
    )

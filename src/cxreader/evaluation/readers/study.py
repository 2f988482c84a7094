"""A reader study as one record: each reader and the model against the same truth, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import DataError
from cxreader.evaluation.readers.agreement import Agreement, agreements_of
from cxreader.evaluation.readers.arbitration import SecondReader, second_reader
from cxreader.evaluation.readers.latent_class import LatentClass, latent_class
from cxreader.evaluation.readers.multi_reader import MODEL, MultiReader, compare_readers
from cxreader.evaluation.readers.panel import NO_PANEL, OPTION, joined
from cxreader.evaluation.readers.performance import ModelAnswers, ReaderResult, judge_reader
from cxreader.evaluation.readers.ratings import ReaderRatings, judge_ratings
from cxreader.evaluation.readers.readings import Readings
from cxreader.evaluation.readers.truths import NO_TRUTH, Truths, is_majority, makers_of, truths_of
from cxreader.evaluation.statistics.curves import RocCurve, roc_curve
from cxreader.evaluation.statistics.delong import auc_delong
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample

Votes = NDArray[np.int8]
LABEL = "the table's label"
THREE = 3
"""Raters that a latent class needs."""


@dataclass(frozen=True, eq=False)
class ReaderStudy(Plain):
    """Readers, and the model where there is one, on the same images.

    `truth` in words and the `panel` that makes it (empty: the table's own label). Of `images` that somebody read, `n_abnormal`
    and `n_normal` have a truth for the model, `undecided` have none (a tie). `threshold`: the model's, fixed before. `model`
    and `label` (the table's label where a panel is the truth and the label is not its majority, else None) are judged as
    readers are. `model_auc` and `roc`: the model against the same truth. `second`: the model as second reader.
    `comparisons`: what holds for other readers too. `latent`: qualities without any truth. `ratings`: each reader's AUC, where
    there are ratings. Without any truth `readers` and `ratings` are empty. `notes`: what a reader of the numbers must know.
    `provenance`: date, seed, versions and machine, where the study is written alone.
    """

    truth: str
    panel: tuple[str, ...]
    images: int
    n_abnormal: int
    n_normal: int
    undecided: int
    n_patients: int | None
    readers: tuple[ReaderResult, ...]
    agreements: tuple[Agreement, ...]
    threshold: float | None = None
    model: ReaderResult | None = None
    model_auc: Estimate | None = None
    roc: RocCurve | None = None
    label: ReaderResult | None = None
    second: tuple[SecondReader, ...] = ()
    comparisons: tuple[MultiReader, ...] = ()
    latent: LatentClass | None = None
    ratings: tuple[ReaderRatings, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)


def study_readers(
    readings: Readings,
    *,
    groups: NDArray[np.integer],
    patients_known: bool,
    panel: tuple[str, ...] | None = None,
    label: Votes | None = None,
    probability: NDArray[np.floating] | None = None,
    threshold: float | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> ReaderStudy:
    """Judge readings (aligned to n images) by a panel's majority or by `label` (n,), -1 where unknown.

    `panel`: the readers who make the truth; empty for the label, whoever made it. With None it is the label, but where that is
    the majority of some of the readers on every image, they are the panel.
    `groups` (n,) integers, one a patient. `probability` (n,) and `threshold` are the model's; None without one. Images that
    nobody read are left out. Every interval is by patient and comes from `seed`.
    Raises DataError as `truths_of` does, and where nothing can be said: without a truth two readers agree or do not, but neither
    a model, nor one reader, nor ratings alone can be judged.
    """
    seen = np.asarray(((readings.label >= 0) | ~np.isnan(readings.score)).any(axis=(0, 1)))
    readings = readings.part(seen)
    label = None if label is None else label[seen]
    made = () if panel or label is None else makers_of(readings.first, label)
    makers = tuple(readings.reader[k] for k in made)
    truths = truths_of(readings, makers if panel is None else panel, label)
    called = bool((readings.first >= 0).any())
    told = truths.words != NO_TRUTH
    if not told:
        _require_agreement(readings, called, model=probability is not None)
    sample = Sample(truths.common.astype(np.int64), groups[seen], patients_known)
    model = None
    if probability is not None and threshold is not None:
        own = np.asarray(probability, dtype=np.float64)[seen]
        model = ModelAnswers(own, own >= threshold)
    resampled: dict[str, Any] = {"seed": seed, "n_resamples": n_resamples}
    known = sample.label >= 0
    rater = label if truths.panel and label is not None and not is_majority(label, truths) else None
    votes = _votes(readings, rater)
    voters = {name: own for name, own in votes.items() if (own >= 0).any()}
    notes = [*readings.notes, *_truth_notes(truths, makers, label)]
    comparisons, more = _compared(readings, truths, sample, model, seed) if told else ((), _without_truth(voters))
    judged = sample.part(known)
    return ReaderStudy(
        truth=truths.words,
        panel=tuple(readings.reader[k] for k in truths.panel),
        images=len(sample.label),
        n_abnormal=judged.n_positive,
        n_normal=judged.n_negative,
        undecided=int(np.count_nonzero(~known)),
        n_patients=sample.n_patients,
        readers=_readers(readings, truths, sample, model, resampled) if called and told else (),
        agreements=agreements_of(_with_model(votes, model), sample, **resampled) if called else (),
        threshold=threshold,
        model=None
        if model is None
        else judge_reader(MODEL, model.called.astype(np.int8), truths.common, sample, **resampled),
        model_auc=None if model is None else auc_delong(judged, model.probability[known]),
        roc=None if model is None else roc_curve(judged.label, model.probability[known]),
        label=None if rater is None else judge_reader(LABEL, rater, truths.common, sample, **resampled),
        second=second_reader(readings.first, readings.reader, truths, model.called, sample, **resampled)
        if called and model is not None
        else (),
        comparisons=comparisons,
        latent=latent_class(voters, sample, **resampled) if len(voters) >= THREE else None,
        ratings=judge_ratings(readings, truths, sample) if told else (),
        notes=(*notes, *more),
    )


def _require_agreement(readings: Readings, called: bool, *, model: bool) -> None:
    """Raises DataError where nothing can be said without a truth."""
    what = "nothing says which images are abnormal"
    if model:
        raise DataError(what, mend="name the panel, or give labels")
    if len(readings.reader) < 2:
        raise DataError(f"{what}, and one reader agrees with nobody", mend="give labels, or more readers")
    if not called:
        mend = "give labels, or a column truth; for kappas a column label with normal and abnormal"
        raise DataError(f"{what}, and ratings alone cannot be judged", mend=mend)


def _without_truth(votes: Mapping[str, Votes]) -> list[str]:
    """What could not be said for want of a truth, and of readers."""
    found = [f"the truth is {NO_TRUTH}, so that no sensitivity and no specificity stands here"]
    return found if len(votes) >= THREE else [*found, f"qualities without a truth need {THREE} readers"]


def _readers(
    readings: Readings, truths: Truths, sample: Sample, model: ModelAnswers | None, resampled: Mapping[str, Any]
) -> tuple[ReaderResult, ...]:
    return tuple(
        judge_reader(name, readings.first[k], truths.each[k], sample, model, in_panel=k in truths.panel, **resampled)
        for k, name in enumerate(readings.reader)
    )


def _compared(
    readings: Readings, truths: Truths, sample: Sample, model: ModelAnswers | None, seed: int
) -> tuple[tuple[MultiReader, ...], list[str]]:
    without = "readers are not compared as a sample of readers: "
    try:
        found = compare_readers(readings, truths, sample, model, seed=seed)
    except DataError as error:
        return (), [f"{without}{error.what}"]
    if found or (model is None and len(readings.modality) < 2):
        return found, []
    alone = len(readings.reader) < 2
    return (), [without + ("there is one" if alone else "not all of them called, or rated, images of every modality")]


def _votes(readings: Readings, label: Votes | None) -> dict[str, Votes]:
    votes = {name: readings.first[k] for k, name in enumerate(readings.reader)}
    return votes if label is None else {**votes, LABEL: label}


def _with_model(votes: Mapping[str, Votes], model: ModelAnswers | None) -> dict[str, Votes]:
    return dict(votes) if model is None else {**votes, MODEL: model.called.astype(np.int8)}


def _truth_notes(truths: Truths, makers: Sequence[str], label: Votes | None) -> list[str]:
    """Where votes and truth are one: a label that `makers` made, and a panel's members, whose hardest images are ties."""
    made = f"{LABEL} is the majority of {joined(makers)} on every image: they are "
    if not truths.panel:
        return [f"{made}judged by their own votes; without {OPTION} {NO_PANEL} they are the panel"] if makers else []
    tied = "for whoever is in the panel, images on which the others are divided are left out: his are the easier ones"
    if makers:
        return [f"{made}taken for the panel, each judged by the others; {OPTION} {NO_PANEL}: all by the label", tied]
    if label is not None and is_majority(label, truths):
        return [tied, f"{LABEL} is the panel's majority: as a reader it says nothing, and has no row"]
    return [tied]

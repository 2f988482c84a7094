"""Readers against the model, or readers with and without help: what holds for other readers and other patients too.

The figures of merit go into `obuchowski_rockette`. An AUC is that of the ratings where every reader gave them, else that
of the one point which normal and abnormal leave, whose trapezoid is the mean of sensitivity and specificity; the model is
then taken by its decisions too, since its whole curve against one point would be no comparison. Covariances of AUCs are
DeLong's where all are judged by one truth on the same images, else all are the jackknife's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.codec import Plain
from cxreader.errors import DataError
from cxreader.evaluation.readers.obuchowski_rockette import (
    WaldTest,
    analyse_modalities,
    analyse_readers,
    jackknife_covariance,
)
from cxreader.evaluation.readers.performance import RATES, ModelAnswers, rates_of
from cxreader.evaluation.readers.readings import Readings
from cxreader.evaluation.readers.truths import Truths
from cxreader.evaluation.statistics.delong import Placements
from cxreader.evaluation.statistics.intervals import Estimate, Sample, Weights
from cxreader.evaluation.statistics.metrics import Ranking

Floats = NDArray[np.float64]
MODEL, READERS = "the model", "the readers"
AUC_OF_RATINGS, AUC_OF_POINT = "AUC of the ratings", "AUC of one point (mean of sensitivity and specificity)"
Column = Callable[[Weights], Floats]
"""Weights (b, n) -> (b,): one reader's figure."""


@dataclass(frozen=True, eq=False)
class MultiReader(Plain):
    """One figure of merit of `first` minus `second` (modalities, or the model and the readers).

    `mean_first`, `mean_second`: means over the readers, intervals for random readers; of the model its own. `random`: the
    difference as it would be among other readers and patients, `fixed`: among these readers. `df` and `p_random` of the random
    one (t, Hillis 2007), `p_fixed` by z. `f`: of all modalities together, with its degrees of freedom `f_df_between` and `f_df`,
    and `f_p`; NaN against a model.
    """

    figure: str
    first: str
    second: str
    n_readers: int
    mean_first: Estimate
    mean_second: Estimate
    random: Estimate
    fixed: Estimate
    df: float
    p_random: float
    p_fixed: float
    f: float = float("nan")
    f_df_between: float = float("nan")
    f_df: float = float("nan")
    f_p: float = float("nan")


@dataclass(frozen=True, eq=False)
class _Figures:
    """A figure of merit of every reader under every modality, and of the model on each reader's images and truth."""

    name: str
    readers: tuple[tuple[Column, ...], ...]
    model: tuple[Column, ...]
    scores: Floats | None
    """(m * r, n), then the model's: for DeLong, where all share truth and images; else None."""


def compare_readers(
    readings: Readings, truths: Truths, sample: Sample, model: ModelAnswers | None = None, *, seed: int = 0
) -> tuple[MultiReader, ...]:
    """Every two modalities, and the model against the readers of the first modality, by each figure that can be had.

    `sample`: the images of `readings` with the common truth as label, -1 where there is none. Empty for fewer than two
    readers, or without anything to compare. Raises DataError as `jackknife_covariance` does.
    """
    if len(readings.reader) < 2:
        return ()
    found: list[MultiReader] = []
    for figures in _all_figures(readings, truths, model):
        if len(readings.modality) > 1:
            found += _modalities(figures, readings.modality, sample, seed)
        if model is not None:
            found.append(_against_model(figures, sample, seed))
    return tuple(found)


def _all_figures(readings: Readings, truths: Truths, model: ModelAnswers | None) -> list[_Figures]:
    rated = ~np.isnan(readings.score).all(axis=2)
    found = []
    if rated.all():
        found.append(_auc(AUC_OF_RATINGS, readings.score, truths, None if model is None else model.probability))
    if (readings.label >= 0).any(axis=2).all():
        votes = np.where(readings.label >= 0, readings.label, np.nan).astype(np.float64)
        called = None if model is None else model.called.astype(np.float64)
        if not rated.all():
            found.append(_auc(AUC_OF_POINT, votes, truths, called))
        found += [_rate(rate, votes, truths, called) for rate in RATES]
    return found


def _auc(name: str, scores: Floats, truths: Truths, model: Floats | None) -> _Figures:
    def column(reader: int, score: Floats) -> Column:
        truth = truths.each[reader]
        keep = (truth >= 0) & ~np.isnan(score)
        ranking = Ranking.of(truth[keep], score[keep])
        return lambda weight: ranking.areas(weight[:, keep])[0]

    known = truths.common >= 0
    complete = not truths.panel and not np.isnan(scores[..., known]).any()
    rows = np.vstack([scores.reshape(-1, scores.shape[-1]), *([] if model is None else [model])])
    return _figures(name, scores, column, model, rows if complete else None)


def _rate(name: str, votes: Floats, truths: Truths, model: Floats | None) -> _Figures:
    def column(reader: int, called: Floats) -> Column:
        truth = np.where(np.isnan(called), np.int8(-1), truths.each[reader])
        shares = np.nan_to_num(called)
        return lambda weight: rates_of(weight, truth, shares)[name]

    return _figures(name, votes, column, model, None)


def _figures(
    name: str, values: Floats, column: Callable[[int, Floats], Column], model: Floats | None, scores: Floats | None
) -> _Figures:
    readers = tuple(tuple(column(k, values[m, k]) for k in range(values.shape[1])) for m in range(len(values)))
    if model is None:
        return _Figures(name, readers, (), scores)
    # The model on the images that the reader read, so that the difference is paired.
    there = [np.where(np.isnan(values[0, k]), np.nan, model) for k in range(values.shape[1])]
    return _Figures(name, readers, tuple(column(k, there[k]) for k in range(values.shape[1])), scores)


def _covariance(
    columns: Sequence[Column], scores: Floats | None, sample: Sample, seed: int
) -> tuple[Floats, Floats, str]:
    """The figures (k,), their covariance (k, k) and how it was had."""
    if scores is None:
        whole, covariance = jackknife_covariance(
            lambda weight: np.stack([column(weight) for column in columns], axis=1), sample.groups, seed=seed
        )
        return whole, covariance, "jackknife by patient" if sample.patients_known else "jackknife by image"
    known = sample.label >= 0
    placements = Placements.of(sample.part(known), scores[:, known])
    covariance = placements.covariance()
    if np.isnan(covariance).any():
        raise DataError("fewer than two patients of a class", mend="read more patients of each class")
    return placements.auc, covariance, "DeLong by patient" if sample.patients_known else "DeLong by image"


def _modalities(figures: _Figures, names: Sequence[str], sample: Sample, seed: int) -> list[MultiReader]:
    m, r = len(figures.readers), len(figures.readers[0])
    columns = [column for row in figures.readers for column in row]
    scores = None if figures.scores is None else figures.scores[: m * r]
    whole, covariance, how = _covariance(columns, scores, sample, seed)
    found = analyse_modalities(whole.reshape(m, r), covariance)
    return [
        MultiReader(
            figure=figures.name,
            first=names[i],
            second=names[j],
            n_readers=r,
            mean_first=_estimate(found.means[i], sample, how, least=0.0),
            mean_second=_estimate(found.means[j], sample, how, least=0.0),
            random=_estimate(random, sample, how),
            fixed=_estimate(fixed, sample, how, by="z, these readers"),
            df=random.df,
            p_random=random.p_value,
            p_fixed=fixed.p_value,
            f=found.f,
            f_df_between=found.df[0],
            f_df=found.df[1],
            f_p=found.p_value,
        )
        for (i, j), random, fixed in zip(found.pairs, found.random, found.fixed, strict=True)
    ]


def _against_model(figures: _Figures, sample: Sample, seed: int) -> MultiReader:
    r = len(figures.readers[0])
    if figures.scores is None:
        columns = [*figures.readers[0], *figures.model]
        whole, covariance, how = _covariance(columns, None, sample, seed)
        minus = np.hstack([-np.eye(r), np.eye(r)])
        of_model = np.concatenate([np.zeros(r), np.full(r, 1 / r)])
    else:
        whole, covariance, how = _covariance((), figures.scores[[*range(r), -1]], sample, seed)
        minus = np.hstack([-np.eye(r), np.ones((r, 1))])
        of_model = np.concatenate([np.zeros(r), [1.0]])
    random, fixed = analyse_readers(minus @ whole, minus @ covariance @ minus.T)
    own = WaldTest.of(float(of_model @ whole), float(np.sqrt(max(0.0, of_model @ covariance @ of_model))), float("inf"))
    readers = analyse_readers(whole[:r], covariance[:r, :r])[0]
    return MultiReader(
        figure=figures.name,
        first=MODEL,
        second=READERS,
        n_readers=r,
        mean_first=_estimate(own, sample, how, least=0.0, by="z"),
        mean_second=_estimate(readers, sample, how, least=0.0),
        random=_estimate(random, sample, how),
        fixed=_estimate(fixed, sample, how, by="z, these readers"),
        df=random.df,
        p_random=random.p_value,
        p_fixed=fixed.p_value,
    )


def _estimate(test: WaldTest, sample: Sample, how: str, *, least: float = -1.0, by: str = "") -> Estimate:
    known = sample.part(sample.label >= 0)
    t = f"t with {test.df:.1f} degrees of freedom, random readers"
    return Estimate(
        value=test.value,
        low=float(np.clip(test.low, least, 1)),
        high=float(np.clip(test.high, least, 1)),
        n_positive=known.n_positive,
        n_negative=known.n_negative,
        n_patients=known.n_patients,
        method=f"Obuchowski-Rockette, covariances by {how}; {by or t}",
        reason="the readers' figures do not vary, which bounds nothing" if np.isnan(test.low) else None,
    )

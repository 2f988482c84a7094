"""Is the model better than what sees no disease? The verdict on shortcuts, from probabilities and features alone.

A shortcut is suspected when (a) label and source coincide, so that nothing can be tested inside a label; or (b) the
border, the metadata or the image statistics reach an AUC whose lower bound is above 0.60, or the model itself does on
the border alone; or (c) the lower bound of the model's AUC minus that of the best baseline is at most 0.02. Otherwise
too few patients are said where the half-width of one of these numbers is above 0.05, and else nothing was found.

Precedence: what is shown is shown with few patients too, so (a) and (b) stand whatever the width, and so does (c) when
the whole interval lies at or below 0.02 or is narrow enough. A wide interval that merely begins below 0.02 shows nothing:
that is too few patients.

After Zech et al., PLoS Medicine 15, 2018, e1002683; DeGrave et al., Nature Machine Intelligence 3, 2021, 610-619.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import TableError
from cxreader.evaluation.evaluate import Counts, Provenance
from cxreader.evaluation.shortcuts.baselines import Baseline
from cxreader.evaluation.shortcuts.records import (
    BORDER,
    ELSEWHERE,
    IDENTITY,
    IMAGE_STATISTICS,
    METADATA,
    NOT_FOUND,
    SUSPECTED,
    TOO_FEW,
    BaselineComparison,
    Leakage,
    Limits,
    ShortcutAudit,
    SourceCount,
    Verdict,
    half_width,
    learnt_title,
)
from cxreader.evaluation.statistics.exact import least_auc, separation_method
from cxreader.evaluation.statistics.intervals import (
    LEVEL,
    N_RESAMPLES,
    Estimate,
    Sample,
    Statistic,
    Weights,
    estimates,
    resample,
)
from cxreader.evaluation.statistics.metrics import Ranking, undefined_reasons

Floats = NDArray[np.float64]

MODEL_BORDER, MODEL_CENTRE = "the model on the border alone", "the model on the centre alone"
VIEWS = {
    MODEL_BORDER: "the image with its central 80 % blanked",
    MODEL_CENTRE: "the image with the outer tenth on each side blanked",
}
SHORTCUTS = (METADATA, IMAGE_STATISTICS, BORDER, MODEL_BORDER)
SOURCES = 20
"""Of more, the record keeps the largest."""
_CHANCE = 0.001
_SAME = 1e-12


def audit_confounding(
    sample: Sample,
    probability: Floats,
    baselines: Sequence[Baseline],
    views: Mapping[str, Floats],
    *,
    source: NDArray[np.str_],
    leakage: Leakage,
    elsewhere: Sequence[Baseline] = (),
    excluded: Mapping[str, int] | None = None,
    limits: Limits | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    warnings: Sequence[str] = (),
    provenance: Provenance | None = None,
) -> ShortcutAudit:
    """The audit of a model that gave `probability` (n,) to the images of `sample`, in its order.

    `baselines` as `confounder_baselines` gives them; `views`: what the model itself says (n,) of the border alone and of
    the centre alone, by the names in `VIEWS`; `source` (n,): where each image comes from. The best baseline is the one of
    the largest AUC; patient identity counts among them only when `leakage` says that judged patients set the model, for
    otherwise the model cannot know them. `elsewhere`: baselines that learnt on the model's training images; they are shown, and
    the verdict leaves them out. Every interval comes from the same resamples of patients.
    Raises TableError for anything of another length.
    """
    limits = limits or Limits()
    model, found = _comparisons(sample, probability, (*baselines, *elsewhere), views, leakage, seed, n_resamples)
    trained = tuple(confounder for confounder in found if confounder.learnt == ELSEWHERE)
    confounders = tuple(confounder for confounder in found if confounder.learnt != ELSEWHERE)
    tested, shown = confounders[: len(baselines)], confounders[len(baselines) :]
    best = max((r for r in tested if r.counts and not isnan(r.auc.value)), key=lambda r: r.auc.value, default=None)
    sources = _sources(sample, source)
    coincide = labels_coincide(sample, source)
    verdict, reasons = decide(model, best, confounders, sources if coincide else (), limits)
    return ShortcutAudit(
        verdict=verdict,
        reasons=reasons,
        cautions=_cautions(confounders, sources, leakage),
        model=model,
        baselines=tested,
        views=shown,
        best=None if best is None else best.name,
        sources=sources[:SOURCES],
        n_sources=len(sources),
        coincide=coincide,
        leakage=leakage,
        counts=Counts.of(sample, excluded),
        limits=limits,
        elsewhere=trained,
        warnings=tuple(warnings),
        provenance=dict(provenance or {}),
    )


def decide(
    model: Estimate,
    best: BaselineComparison | None,
    confounders: Sequence[BaselineComparison],
    coinciding: Sequence[SourceCount],
    limits: Limits,
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons, each with its number; of several open shortcuts the widest comes first.

    `coinciding`: the sources that hold one label each, none where label and source do not coincide.
    """
    shown = []
    if coinciding:
        shown.append(
            f"label and source coincide ({_listed(coinciding)}): nothing can be tested inside a label, and every "
            "difference between the sources tells the label"
        )
    open_ones = [r for r in confounders if r.shortcut and r.auc.low > limits.shortcut_auc]
    open_ones.sort(key=lambda r: -r.auc.value)
    shown += [
        f"{r.title}: AUC {_with_interval(r.auc)} has its lower bound above {limits.shortcut_auc:.2f}" for r in open_ones
    ]
    if best is not None and _shown_small(best.gain, limits):
        what = f"the model's AUC minus that of the best baseline ({best.title}) is {_with_interval(best.gain)}"
        shown.append(f"{what}: its lower bound is at most {limits.gain:.2f}")
    if shown:
        return SUSPECTED, tuple(shown)
    if best is None:
        return TOO_FEW, (f"the model's AUC is undefined: {model.reason}",)
    needed = {r.title: r.auc for r in confounders if r.shortcut and not isnan(r.auc.value)}
    needed[f"the model minus {best.title}"] = best.gain
    wide = {name: e for name, e in needed.items() if half_width(e) > limits.half_width}
    if wide:
        return TOO_FEW, tuple(_wide(name, e, limits) for name, e in wide.items())
    return NOT_FOUND, (
        "label and source do not coincide, no shortcut that was tested reaches the label, and the model sees more than the "
        f"best baseline ({best.title}) by {_with_interval(best.gain)}: a shortcut that none of these tests sees would still "
        "be there",
    )


def labels_coincide(sample: Sample, source: NDArray[np.str_]) -> bool:
    """True when each of several sources holds one label alone, and that is no accident of small sources.

    With an abnormal share p of patients, a source of k patients holds one label alone with probability
    p^k + (1 - p)^k; the product over the sources must stay below 0.001.
    """
    names, index = np.unique(source, return_inverse=True)
    abnormal = np.bincount(index, weights=sample.label, minlength=len(names)) / np.bincount(index, minlength=len(names))
    if len(names) < 2 or len(np.unique(sample.label)) < 2 or not np.isin(abnormal, (0, 1)).all():
        return False
    patients = np.bincount(np.unique(np.stack([index, sample.groups]), axis=1)[0], minlength=len(names))
    share = patients @ abnormal / patients.sum()
    return bool(np.prod(share**patients + (1 - share) ** patients) < _CHANCE)


def _comparisons(
    sample: Sample,
    probability: Floats,
    baselines: Sequence[Baseline],
    views: Mapping[str, Floats],
    leakage: Leakage,
    seed: int,
    n_resamples: int,
) -> tuple[Estimate, tuple[BaselineComparison, ...]]:
    """The model's AUC, then baselines and views with theirs and with what the model gains over each."""
    titled = {learnt_title(b.name, b.learnt): b for b in baselines}
    others = {title: b.probability for title, b in titled.items() if b.probability is not None} | dict(views)
    statistic = _areas(sample, probability, others)
    points, draws = resample(statistic, sample, n_resamples=n_resamples, seed=seed)
    found = estimates(points, draws, sample, reasons=dict.fromkeys(points, undefined_reasons(sample.label)["auc"]))
    for name, values in draws.items():
        undefined = np.isnan(values)
        if undefined.mean() <= 1 - LEVEL and np.ptp(values[~undefined]) <= _SAME:
            found[name] = _settled(name, found, sample)
    return found["model"], (
        *(_beside(b, title, found, leakage) for title, b in titled.items()),
        *(
            BaselineComparison(
                name=name,
                what=VIEWS[name],
                auc=found[name],
                gain=found[f"model minus {name}"],
                shortcut=name in SHORTCUTS,
                counts=False,
                view=True,
            )
            for name in views
        ),
    )


def _beside(baseline: Baseline, title: str, found: Mapping[str, Estimate], leakage: Leakage) -> BaselineComparison:
    """A baseline with its AUC and what the model gains over it, or why neither could be had."""
    absent = None if baseline.probability is not None else _untested(found["model"], baseline.reason or "")
    own = baseline.learnt != ELSEWHERE
    return BaselineComparison(
        name=baseline.name,
        what=baseline.what,
        auc=absent or found[title],
        gain=absent or found[f"model minus {title}"],
        shortcut=own and baseline.name in SHORTCUTS,
        counts=own and (baseline.name != IDENTITY or leakage.judged_met),
        view=False,
        learnt=baseline.learnt,
    )


def _areas(sample: Sample, probability: Floats, others: Mapping[str, Floats]) -> Statistic:
    for name, p in {"the model": probability, **others}.items():
        if len(p) != len(sample.label):
            raise TableError(f"{name} has {len(p)} probabilities for {len(sample.label)} images")
    own = Ranking.of(sample.label, probability)
    rankings = {name: Ranking.of(sample.label, p) for name, p in others.items()}

    def statistic(weight: Weights) -> dict[str, Floats]:
        values = {"model": own.areas(weight)[0]}
        for name, ranking in rankings.items():
            values[name] = ranking.areas(weight)[0]
            values[f"model minus {name}"] = values["model"] - values[name]
        return values

    return statistic


def _settled(name: str, found: Mapping[str, Estimate], sample: Sample) -> Estimate:
    """What is the same in every resample, with the interval that the bootstrap cannot give.

    A complete separation (AUC 1, or 0 the other way round) has its bound, and so has a difference of which it is a part,
    on the side to which it may move; one answer for every image has AUC 0.5, whoever is drawn.
    """
    estimate, confounder = found[name], name.removeprefix("model minus ")
    gain = confounder != name
    up, down = (found["model"].value, found[confounder].value) if gain else (estimate.value, float("nan"))
    falls = (up > 1 - _SAME) + (down < _SAME)
    rises = (up < _SAME) + (down > 1 - _SAME)
    left, method = 0.0, "the same whoever is drawn"
    if falls or rises:
        left = 1 - least_auc(sample)
        method = separation_method(sample)
    low = max(-1.0 if gain else 0.0, estimate.value - falls * left)
    return replace(estimate, low=low, high=min(1.0, estimate.value + rises * left), method=method, reason=None)


def _shown_small(gain: Estimate, limits: Limits) -> bool:
    """True when a gain of at most the limit is shown: by the whole interval, or by one that is narrow enough."""
    return gain.high <= limits.gain or (gain.low <= limits.gain and half_width(gain) <= limits.half_width)


def _untested(model: Estimate, reason: str) -> Estimate:
    return replace(model, value=np.nan, low=np.nan, high=np.nan, reason=reason, method="not tested")


def _sources(sample: Sample, source: NDArray[np.str_]) -> tuple[SourceCount, ...]:
    if len(source) != len(sample.label):
        raise TableError(f"{len(source)} sources for {len(sample.label)} images")
    names, index = np.unique(source, return_inverse=True)
    images = np.bincount(index, minlength=len(names))
    abnormal = np.bincount(index, weights=sample.label, minlength=len(names)).astype(np.int64)
    largest = np.argsort(-images, kind="stable")
    return tuple(SourceCount(str(names[k]), int(images[k] - abnormal[k]), int(abnormal[k])) for k in largest)


def _cautions(
    confounders: Sequence[BaselineComparison], sources: Sequence[SourceCount], leakage: Leakage
) -> tuple[str, ...]:
    cautions = [f"{r.title} was not tested: {r.auc.reason}" for r in confounders if isnan(r.auc.value)]
    if len(sources) < 2:
        cautions.append("all images come from one source: whether the model tells sources apart was not tested")
    if leakage.judged_met:
        cautions.append(f"{leakage.met_images:,} judged images show patients who set the model: it may know them")
    return tuple(cautions)


def _wide(name: str, estimate: Estimate, limits: Limits) -> str:
    if isnan(estimate.low):
        return f"{name} has no interval: {estimate.reason}"
    width = f"half-width {half_width(estimate):.2f} is above {limits.half_width:.2f}"
    return f"{name}: {_with_interval(estimate)}, whose {width}"


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _listed(sources: Sequence[SourceCount]) -> str:
    counts = [f"{s.name}: {s.abnormal or s.normal:,} {'abnormal' if s.abnormal else 'normal'}" for s in sources[:4]]
    return "; ".join([*counts, *([f"and {len(sources) - 4} more"] if len(sources) > 4 else [])])

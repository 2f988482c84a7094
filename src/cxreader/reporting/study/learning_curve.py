"""Transfer against the number of training patients: its numbers, its verdict in words, its table and its figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cxreader.counting import format_count
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.style import BLUE, DASHED, LEGEND, SMALL, VERMILION, clean, single_axes
from cxreader.reporting.tables import format_estimate, format_patients

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Arm = Literal["scratch", "pretrained"]
ARMS: tuple[Arm, Arm] = ("scratch", "pretrained")
HEADER = ("patients", "normal + abnormal", "epochs", "weights", "test AUC", "seeds", "test accuracy", "gain in AUC")
INTERVALS = (
    "Means over the seeds with 95 % intervals by test patient, the seeds as they are: they tell of other patients of the same "
    "kind, not of other seeds, whose lowest and highest stand beside, nor of other training patients. Each interval is of "
    "its share alone, not corrected for the number of shares."
)
_TITLES = {"scratch": "none", "pretrained": "pretrained"}
_LEGEND = {"scratch": "from scratch", "pretrained": "pretrained"}
_STYLES: dict[Arm, dict[str, Any]] = {
    "scratch": {"color": VERMILION, "marker": "s", "linestyle": DASHED, "markerfacecolor": "white"},
    "pretrained": {"color": BLUE, "marker": "o", "linestyle": "-"},
}


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm at one share, on the test part: means over the seeds, and the value of every seed in the seeds' order."""

    auc: Estimate
    accuracy: Estimate
    auc_by_seed: tuple[float, ...]
    accuracy_by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ShareResult:
    """Both arms at one share of the training patients, and the paired differences pretrained minus scratch.

    `share` in (0, 1]; `patients`, `normal` and `abnormal` count the patients and images trained on (`patients` counts
    images where no patient is known).
    """

    share: float
    patients: int
    normal: int
    abnormal: int
    epochs: int
    arms: Mapping[Arm, ArmResult]
    auc_gain: Estimate
    accuracy_gain: Estimate


def verdict(results: Sequence[ShareResult], change: Estimate | None = None) -> str:
    """What the intervals allow to be said of every share, and of `change`: the gain at the first minus that at the last."""
    said = [_gain(result, " of the training patients" if n == 0 else "") for n, result in enumerate(results)]
    if change is not None:
        first, last = (_percent(result.share) for result in (results[0], results[-1]))
        said.append(_change(change, first, last))
    return " ".join(said)


def _gain(result: ShareResult, of: str) -> str:
    gain = result.auc_gain
    where = f"At {_percent(result.share)}{of} ({_unit(gain, result.patients)})"
    if np.isnan(gain.value) or np.isnan(gain.low):
        return f"{where} nothing can be said ({gain.reason})."
    pairs = list(zip(*(result.arms[arm].auc_by_seed for arm in ARMS), strict=True))
    up, down = sum(b > a for a, b in pairs), sum(b < a for a, b in pairs)
    if gain.low > 0:
        return f"{where} the weights gain {gain.value:.3f} AUC ({gain.interval}; higher in {up} of {len(pairs)} seeds)."
    if gain.high < 0:
        cost = f"{-gain.value:.3f} AUC ({-gain.high:.3f}-{-gain.low:.3f}; lower in {down} of {len(pairs)} seeds)"
        return f"{where} the weights cost {cost}."
    return f"{where} the interval includes 0 ({gain.value:.3f}; {gain.interval}): no difference shown."


def _change(change: Estimate, first: str, last: str) -> str:
    if np.isnan(change.value) or np.isnan(change.low):
        return f"Whether the gain depends on the number of patients cannot be said ({change.reason})."
    if change.low > 0:
        return f"The gain at {first} is larger than that at {last} by {change.value:.3f} ({change.interval})."
    if change.high < 0:
        flipped = f"{-change.value:.3f} ({-change.high:.3f}-{-change.low:.3f})"
        return f"The gain at {first} is smaller than that at {last} by {flipped}."
    size = f"{change.value:.3f}; {change.interval}"
    return f"That the gain differs between {first} and {last} is not shown: the interval of the change includes 0 ({size})."


def table_rows(results: Sequence[ShareResult]) -> Iterator[tuple[str, ...]]:
    """The cells of `HEADER`: two rows a share with its training patients and images, the difference beside the second."""
    for result in results:
        for arm in ARMS:
            found, first = result.arms[arm], arm == ARMS[0]
            yield (
                f"{_unit(result.auc_gain, result.patients)} ({_percent(result.share)})" if first else "",
                f"{result.normal:,} + {result.abnormal:,}" if first else "",
                f"{result.epochs}" if first else "",
                _TITLES[arm],
                format_estimate(found.auc, 3),
                _span(found.auc_by_seed),
                format_estimate(found.accuracy, 3),
                "" if first else format_estimate(result.auc_gain, 3),
            )


def counts(estimate: Estimate) -> str:
    """On how many test images of each class and patients an estimate rests."""
    images = f"{estimate.n_positive:,} abnormal and {estimate.n_negative:,} normal test images"
    return f"{images}, {format_patients(estimate.n_patients)}"


def markdown(results: Sequence[ShareResult], title: str, notes: Sequence[str]) -> str:
    """The table as Markdown under its title, and the notes as paragraphs."""
    rule = "|".join("---" for _ in HEADER)
    rows = [f"| {' | '.join(row)} |" for row in table_rows(results)]
    return "\n".join([title, "", f"| {' | '.join(HEADER)} |", f"|{rule}|", *rows, *(f"\n{note}" for note in notes), ""])


def draw_learning_curve(results: Sequence[ShareResult]) -> Figure:
    """Test AUC against the number of training patients (logarithmic): a line an arm, its intervals, a dot a seed."""
    from matplotlib.ticker import FixedLocator, NullLocator

    figure, axes = single_axes(5.6, 4.3)
    axes.set_xscale("log")
    for arm, aside in zip(ARMS, (0.965, 1.035), strict=True):  # side by side, so that no bar hides another
        _line(axes, arm, [aside * result.patients for result in results], [result.arms[arm] for result in results])
    places = [float(result.patients) for result in results]
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{result.patients:,}\n{_percent(result.share)}" for result in results])
    axes.set_xlim(places[0] / 1.4, places[-1] * 1.4)
    known = results[0].auc_gain.n_patients is not None
    axes.set(xlabel="Training patients" if known else "Training images (no patient known)", ylabel="Test AUC")
    clean(axes, grid="both")
    seeds = len(results[0].arms[ARMS[0]].auc_by_seed)
    rests = f"Mean of {format_count(seeds, '[seed|seeds]')} with 95 % interval; dots: single seeds"
    axes.set_title(f"{rests}\n{counts(results[0].auc_gain)}", **SMALL, loc="left")
    axes.legend(**LEGEND, loc="lower right")
    return figure


def _line(axes: Axes, arm: Arm, places: Sequence[float], found: Sequence[ArmResult]) -> None:
    means = np.array([result.auc.value for result in found])
    ends = np.array([(result.auc.low, result.auc.high) for result in found]).T
    reach = np.maximum(np.stack([means - ends[0], ends[1] - means]), 0)  # a mean may lie outside a percentile interval
    style = {"linewidth": 1.6, "markersize": 6, "elinewidth": 1.3, "capsize": 3, "zorder": 3, **_STYLES[arm]}
    axes.errorbar(places, means, yerr=reach, label=_LEGEND[arm], **style)
    for place, result in zip(places, found, strict=True):
        dots = [place] * len(result.auc_by_seed)
        axes.scatter(dots, result.auc_by_seed, s=9, color=_STYLES[arm]["color"], alpha=0.55, linewidths=0, zorder=4)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _unit(estimate: Estimate, count: int) -> str:
    return f"{count:,}" if estimate.n_patients is not None else f"{count:,} images, no patient known"


def _span(values: Sequence[float]) -> str:
    """Lowest to highest over the seeds."""
    return f"{min(values):.3f}-{max(values):.3f}" if values else ""

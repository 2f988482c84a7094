"""The page of a cross-validation: each fold, their mean, all images pooled, and what each of them means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxreader.codec import Plain
from cxreader.evaluation.comparison.folds import (
    GAIN,
    GAIN_HERE,
    GAIN_METADATA,
    MEASURES,
    METADATA,
    THUMBNAIL,
    THUMBNAIL_HERE,
    FoldsJudged,
)
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.for_papers import write_figures, write_tables
from cxreader.reporting.pages import environment
from cxreader.reporting.style import BLUE, CHANCE, INK, clean, interval_line, single_axes, to_data_uri
from cxreader.reporting.tables import (
    Cell,
    Row,
    Table,
    bootstrap_and_exact,
    estimate_cell,
    estimate_counts,
    format_estimate,
    format_value,
    text_cell,
)
from cxreader.runs import write_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, PAGE = "cross_validation", "report.html"
_NAMES = ("auc", "sensitivity", "specificity", "refused", THUMBNAIL, GAIN, THUMBNAIL_HERE, GAIN_HERE)
_TITLES = ("AUC", "Sensitivity", "Specificity", "Refused", "Thumbnail's AUC", "AUC minus thumbnail")
_HEAD = ("Fold", *_TITLES, "AUC of a thumbnail learnt here", "AUC minus that")
_NO_HERE = "too few patients to learn it"
MEAN, POOLED = "Mean of the folds", "All images pooled"
HOW = (
    "Every image is judged once, by the model of its own fold, which learnt from no image of the same patient. "
    "Sensitivity and specificity: all images together, each decided at its own fold's threshold, which was fitted on that fold's "
    "calibrate part. The mean of the folds' AUCs compares images under one model alone and is the figure to quote. "
    "The pooled AUC also compares images judged by different models, whose scores need not have one scale: where it is lower, "
    "the models' scales differ. Intervals resample the judged patients, with the models as they are: they do not tell how far "
    "other training patients would move the figures."
)


@dataclass(frozen=True, eq=False)
class FoldFacts(Plain):
    """What a fold was made of: `counts` by part (normal, abnormal), its artifact and the threshold that decides there."""

    number: int
    artifact: str
    transfer: str
    counts: dict[str, tuple[int, int]]
    operating_point: str
    threshold: float
    split: str
    excluded: dict[str, int]
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CrossValidation(Plain):
    """All that the page shows; `results.folds` stand in the order of `folds`. `judged_sources`: empty for all."""

    model: str
    data: str
    judged_sources: tuple[str, ...]
    folds: tuple[FoldFacts, ...]
    results: FoldsJudged
    notes: tuple[str, ...]
    provenance: dict[str, str | int | float | bool | None]
    command: str

    @property
    def counts(self) -> str:
        """On how many images and patients everything rests."""
        return estimate_counts(self.results.pooled["auc"])


def headline(made: CrossValidation) -> str:
    """The mean AUC with its interval, on whom, and whether a thumbnail does as well."""
    auc, gain = made.results.mean["auc"], made.results.mean[GAIN]
    thumbnail = made.results.mean[THUMBNAIL]
    beside = f"a 16 x 16 thumbnail learnt elsewhere reaches {format_value(thumbnail, 2)}"
    if not np.isnan(gain.low):
        better = "the network is better" if gain.low > 0 else "the thumbnail is better" if gain.high < 0 else None
        beside += f", and {better}" if better else ", and no difference is shown"
    return f"AUC {format_estimate(auc, why=False)}, mean of {len(made.folds)} folds; {beside}"


def results_table(made: CrossValidation) -> Table:
    """A line a fold, the mean over the folds, and all images pooled."""
    rows = [
        Row(f"Fold {facts.number}", _cells(found), (estimate_counts(found["auc"]), f"threshold {facts.threshold:.3f}"))
        for facts, found in zip(made.folds, made.results.folds, strict=True)
    ]
    rows += [Row(MEAN, _cells(made.results.mean)), Row(POOLED, _cells(made.results.pooled), (made.counts,))]
    known = made.results.pooled["auc"].n_patients is not None
    caption = (
        f"95 % intervals: {bootstrap_and_exact(known, made.results.n_resamples)}. Thumbnail: 16 x 16 pixels, logistic "
        "regression, learnt elsewhere, on the same training images; the one learnt here on other patients of the fold's own test "
        f"images, and its cells are empty where too few patients can teach it. {beside_metadata(made)}"
    )
    return Table(_HEAD, tuple(rows), caption)


def short_table(made: CrossValidation) -> Table:
    """The results within 80 columns: of thumbnails the lead over the one learnt elsewhere; the others in the caption."""
    found = [(str(f.number), one) for f, one in zip(made.folds, made.results.folds, strict=True)]
    found += [("mean", made.results.mean), ("pooled", made.results.pooled)]
    head = ("fold", "AUC", "sensitivity", "specificity", "AUC minus thumbnail")
    names = tuple(name for name in _NAMES if name in (*MEASURES, GAIN))
    refused = f"Refused, all images: {format_estimate(made.results.pooled['refused'], 3)}."
    here = made.results.mean.get(GAIN_HERE)
    told = _NO_HERE if here is None else format_estimate(here, 3, signed=True)
    learnt = f"AUC minus a thumbnail learnt elsewhere; minus one learnt here, mean: {told}. {beside_metadata(made)}"
    return Table(head, tuple(Row(name, _cells(one, names)) for name, one in found), f"{refused} {learnt}")


def beside_metadata(made: CrossValidation) -> str:
    """What age, sex, view and the like know without a picture, and the network's lead over them, all images pooled."""
    pooled = made.results.pooled
    if METADATA not in pooled:
        return "The table tells nothing beside the picture that could be learnt."
    return (
        "Metadata (age, sex, view, follow-up, source: what the table tells), learnt on other patients' judged images, reaches "
        f"{format_estimate(pooled[METADATA], 3)}, all images pooled; the network's AUC there minus that: "
        f"{format_estimate(pooled[GAIN_METADATA], 3, signed=True)}."
    )


def _cells(found: Mapping[str, Estimate], names: Sequence[str] = _NAMES) -> tuple[Cell, ...]:
    """A value with its interval of each name; nothing for what a mean over folds has not."""
    return tuple(
        estimate_cell(found[name], signed=name in (GAIN, GAIN_HERE)) if name in found else text_cell("")
        for name in names
    )


def parts_table(made: CrossValidation) -> Table:
    """Who learnt, chose, calibrated and was judged in each fold, and what was left out of its test part."""
    parts = tuple(made.folds[0].counts)
    rows = tuple(
        Row(
            f"Fold {fold.number}",
            (
                *(text_cell(" + ".join(f"{n:,}" for n in fold.counts[part])) for part in parts),
                text_cell("; ".join(f"{n:,}: {why}" for why, n in fold.excluded.items()) or "none"),
                text_cell(fold.artifact),
            ),
        )
        for fold in made.folds
    )
    return Table(("Fold", *parts, "Left out of test", "Artifact"), rows, "Images: normal + abnormal.")


def draw_folds(made: CrossValidation) -> Figure:
    """AUC of every fold, their mean and the pooled one, each with its interval; the thumbnail's as an open ring."""
    names = [*(f"Fold {fold.number}" for fold in made.folds), MEAN, POOLED]
    results: Sequence[Mapping[str, Estimate]] = (*made.results.folds, made.results.mean, made.results.pooled)
    figure, axes = single_axes(7.2, 0.38 * len(names) + 1.0)
    axes.axvline(0.5, **CHANCE)
    for y, found in enumerate(results):
        interval_line(axes, found["auc"], y, BLUE, markersize=6)
        axes.plot(
            [found[THUMBNAIL].value], [y], "o", markerfacecolor="white", markeredgecolor=INK, markersize=5.5, zorder=3
        )
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="AUC (ring: 16 x 16 thumbnail, learnt elsewhere; dotted: chance)")
    clean(axes, grid="x")
    return figure


def markdown(made: CrossValidation) -> str:
    """The results as Markdown, with how they were made."""
    table = results_table(made)
    lines = [f"**{headline(made)}**", "", f"| {' | '.join(table.head)} |", f"|{'---|' * len(table.head)}"]
    lines += [f"| {' | '.join(cell.replace(chr(10), '<br>') for cell in line)} |" for line in table.lines]
    lines += ["", f"{made.counts}. {table.caption} {HOW}", "", *(f"- {note}" for note in made.notes)]
    return "\n".join([*lines, "", "```", made.command, "```", ""])


def render_cross_validation(made: CrossValidation, figure: Figure) -> str:
    """The page as one HTML file that loads nothing."""
    page = environment().get_template("cross_validation.html.jinja")
    return page.render(
        title="Cross-validation",
        verdict=headline(made),
        made=made,
        how=HOW,
        counts=made.counts,
        results=results_table(made),
        parts=parts_table(made),
        picture=to_data_uri(figure),
        provenance=made.provenance,
        confusion=made.results.confusion,
    )


def write_cross_validation(made: CrossValidation, out: Path) -> None:
    """The page, its numbers as JSON, its table as Markdown, CSV and LaTeX, its figure as PDF and SVG. Raises StorageError."""
    figure = draw_folds(made)
    write_json(out / f"{NAME}.json", made.to_dict())
    write_text(out / f"{NAME}.md", markdown(made))
    write_tables({"folds": results_table(made), "parts": parts_table(made)}, out)
    write_figures({"folds": figure}, out)
    write_text(out / PAGE, render_cross_validation(made, figure))

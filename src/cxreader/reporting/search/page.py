"""The page of a search: the ranked configurations, what mattered, what it cost, and how far the winner flatters itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cxreader.codec import to_plain
from cxreader.evaluation.statistics.intervals import Estimate
from cxreader.reporting.pages import environment, format_duration
from cxreader.reporting.search.figures import draw_effects, draw_parallel
from cxreader.reporting.search.records import Effect, Judgement, OtherRow, SearchReport, SearchRow
from cxreader.reporting.style import to_data_uri
from cxreader.reporting.tables import Cell, Row, Table, estimate_counts, text_cell, tile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 5
"""Rows of the first table; all stand below."""
CHOSEN = (
    "These images chose the configurations and their best epochs, so that no interval of theirs would hold: the best of many "
    "is flattered. The winner's figure on the test images, which no trial was given, stands with its own."
)
_NAMES = {
    "lr": "learning rate",
    "learn": "unfrozen",
    "batch_size": "batch size",
    "name": "network",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "class_weights": "class weights",
}
_LEARN = {"head": "classifier only", "last_block": "last block", "all": "every stage"}
_ALTERNATIVES = {
    "parallel": "Parallel coordinates: one line a configuration through its settings to its tune figure; numbers in the table.",
    "effects": "Importances and main effects of the settings; numbers in the tables.",
}


def search_figures(report: SearchReport) -> dict[str, Figure]:
    """The figures by name: parallel, and effects where there is an importance or an effect to draw."""
    names = [(setting, setting_name(setting.key, report)) for setting in report.settings]
    lines = [([row.values[s.key] for s in report.settings], _score_of(row, report)) for row in report.rows]
    axes = [
        (name, [format_setting(s.key, v) for v in s.values] or None, list(s.values) or [s.low, s.high], s.log)
        for s, name in names
    ]
    figures = {
        "parallel": draw_parallel(axes, lines, f"tune {report.monitor}", lower_is_better=report.monitor == "loss")
    }
    shares = [(name, report.importances[s.key]) for s, name in names if s.key in report.importances]
    effects = [(effect_name(e, report), e.value, e.low, e.high) for e in report.effects if np.isfinite(e.value)]
    if shares or effects:
        figures["effects"] = draw_effects(shares, effects, f"tune {report.monitor}")
    return figures


def render_search(report: SearchReport, *, figures: Mapping[str, Figure] | None = None) -> str:
    """The page as one HTML file; `figures` by the names of `search_figures`, which draws them when left out."""
    drawn = search_figures(report) if figures is None else figures
    return (
        environment()
        .get_template("search.html.jinja")
        .render(
            title=f"Search: {report.model}",
            verdict=headline(report),
            report=report,
            provenance=report.provenance,
            lead=lead(report),
            tiles=_tiles(report),
            chosen=CHOSEN,
            top=TOP,
            names=[setting_name(setting.key, report) for setting in report.settings],
            rows=[_cells(row, report) for row in report.rows],
            others=[_other_cells(row, report) for row in report.others],
            effects=_effects(report),
            importances=_importance_rows(report),
            cost=_cost(report),
            judged=[] if report.winner is None else _judged(report.winner),
            figures={
                name: {"uri": to_data_uri(figure), "alt": _ALTERNATIVES.get(name, name)}
                for name, figure in drawn.items()
            },
        )
    )


def numbers(report: SearchReport) -> dict[str, Any]:
    """Everything the page shows as plain values for strict JSON: NaN is None."""
    values: dict[str, Any] = to_plain(report)
    return {"schema": 1, **values, "note": CHOSEN}


def ranked_table(report: SearchReport, most: int = TOP) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the best, for a terminal; the page and `trials.csv` have the memory too."""
    names = [setting_name(setting.key, report) for setting in report.settings]
    also = report.monitor != "accuracy"
    score = (f"tune {report.monitor}",) if also else ()
    header = ("rank", *names, *score, "tune accuracy", "tune loss", "best epoch", "time")
    rows = []
    for cells in (_cells(row, report) for row in report.rows[:most]):
        figures = (*((cells["score"],) if also else ()), f"{cells['accuracy']} ({cells['right']})", cells["loss"])
        rows.append((str(cells["rank"]), *cells["settings"], *figures, cells["epochs"], cells["time"]))
    return header, rows


def judged_rows(winner: Judgement | None) -> list[tuple[str, str, str]]:
    """The winner's figures with their intervals and counts, for a terminal."""
    return [] if winner is None else [(row["name"], row["value"], row["interval"]) for row in _judged(winner)]


def headline(report: SearchReport) -> str:
    """The winner's settings in one line; that there is no winner where all trials tie."""
    if no_winner(report):
        return tie_words(report)
    return f"{report.model}: {_settings(report.rows[0], report)}"


def _settings(row: SearchRow, report: SearchReport) -> str:
    return ", ".join(
        f"{setting_name(s.key, report)} {format_setting(s.key, row.values[s.key])}" for s in report.settings
    )


def no_winner(report: SearchReport) -> bool:
    """Whether several trials were run and all tie: what was finished is no winner."""
    return 1 < _tied(report) == len(report.rows)


def _tied(report: SearchReport) -> int:
    """How many trials have the best score: more than one where the score alone chose nobody."""
    return sum(row.score == report.rows[0].score for row in report.rows)


def tie_words(report: SearchReport) -> str:
    """At what all trials tie, or the best of them, and what chose the one that was finished; empty where one is the best."""
    n, first = _tied(report), report.rows[0]
    if n == 1:
        return ""
    score = f"at a tune {report.monitor} of {first.score:.4f}"
    chosen = f"trial {first.number} was finished, {_what_chose(report.rows[:n])}."
    if n == len(report.rows):
        return f"No winner: all {n} trials tie {score}; {chosen}"
    return f"The best {n} of {len(report.rows)} trials tie {score}; {chosen}"


def _what_chose(tied_rows: Sequence[SearchRow]) -> str:
    """Why the first of equals is the first: of equal scores the lower tune loss goes before, then the earlier point."""
    first, second = tied_rows[0].tune_loss, tied_rows[1].tune_loss
    if first is None or first == second:
        return "the earliest of them"
    if second is None:
        return f"as its tune loss is the only one known ({first:.3f})"
    digits = next((n for n in range(3, 9) if round(first, n) < round(second, n)), 9)
    return f"as its tune loss is the lower one ({first:.{digits}f}, the next {second:.{digits}f})"


def lead(report: SearchReport) -> str:
    """What was done, in a sentence, with its counts."""
    states = Counter(row.state for row in report.others)
    ends = [f"{len(report.rows)} complete", *(f"{count} {state}" for state, count in sorted(states.items()))]
    tune = report.parts["tune"]
    told = f"{report.method}: {', '.join(ends)}. Chosen by tune {report.monitor} on {tune}; calibrate and test were not given."
    return f"{told} {tie_words(report)}" if 1 < _tied(report) < len(report.rows) else told


def setting_name(key: str, report: SearchReport) -> str:
    """The key in the field's words, with its phase where two phases have one like it."""
    parents, _, last = key.rpartition(".")
    name = _NAMES.get(last, last.replace("_", " "))
    alike = sum(setting.key.rpartition(".")[2] == last for setting in report.settings) > 1
    return f"{name} ({parents.rpartition('.')[2]})" if alike else name


def format_setting(key: str, value: object) -> str:
    """The value of the setting `key` in words."""
    if key.endswith(".learn"):
        return _LEARN.get(str(value), f"from {value} on")
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def effect_name(effect: Effect, report: SearchReport) -> str:
    """`learning rate: 0.0003 minus 0.001`."""
    first, second = (format_setting(effect.key, level) for level in effect.levels)
    return f"{setting_name(effect.key, report)}: {second} minus {first}"


def _score_of(row: SearchRow, report: SearchReport) -> float:
    return row.score if report.monitor != "accuracy" else row.tune_accuracy


def _tiles(report: SearchReport) -> list[dict[str, str]]:
    best, tune = report.rows[0], report.parts["tune"]
    images = tune.normal + tune.abnormal
    right = f"{round(best.tune_accuracy * images):,} of {images:,} tune images, which chose it: no interval"
    whose = "Finished trial's" if no_winner(report) else "Winner's"
    tiles = [{"name": f"{whose} tune accuracy", "value": f"{best.tune_accuracy:.3f}", "interval": right}]
    if report.winner is not None:
        tiles.append(_tile("Its test accuracy", report.winner.test))
        tiles.append(_tile("Optimism: tune minus test", report.winner.optimism))
    return tiles


def _judged(winner: Judgement) -> list[dict[str, str]]:
    named = {
        "Accuracy on tune": winner.tune,
        "Accuracy on test": winner.test,
        "Optimism: tune minus test": winner.optimism,
        "AUC on test": winner.test_auc,
    }
    return [_tile(name, estimate) for name, estimate in named.items()]


def _tile(name: str, estimate: Estimate) -> dict[str, str]:
    return tile(name, estimate, basis=estimate_counts(estimate))


def _cells(row: SearchRow, report: SearchReport) -> dict[str, Any]:
    tune = report.parts["tune"]
    images = tune.normal + tune.abnormal
    return {
        "rank": row.rank,
        "number": row.number,
        "settings": [format_setting(s.key, row.values[s.key]) for s in report.settings],
        "score": f"{row.score:.4f}",
        "accuracy": f"{row.tune_accuracy:.3f}",
        "right": f"{round(row.tune_accuracy * images):,}/{images:,}",
        "loss": "not known" if row.tune_loss is None else f"{row.tune_loss:.3f}",
        "epochs": f"{row.best_epoch} of {row.epochs}",
        "time": format_duration(row.seconds),
        "memory": _memory(row.peak_memory) + ("" if row.gpu_memory is None else f", GPU {_memory(row.gpu_memory)}"),
    }


def _other_cells(row: OtherRow, report: SearchReport) -> dict[str, Any]:
    settings = [format_setting(s.key, row.values[s.key]) for s in report.settings]
    return {"number": row.number, "settings": settings, "state": row.state, "reason": row.reason}


def _memory(count: int | None) -> str:
    return "not known" if count is None else f"{count / 2**20:,.0f} MiB"


def _effects(report: SearchReport) -> Table:
    rows = []
    for e in report.effects:
        interval = f"no interval: {e.reason}" if np.isnan(e.low) else f"{e.low:+.3f} to {e.high:+.3f}"
        value = "undefined" if np.isnan(e.value) else f"{e.value:+.3f}"
        rows.append(Row(effect_name(e, report), (Cell(value), text_cell(interval), text_cell(str(e.pairs)))))
    caption = (
        f"Mean difference of tune {report.monitor} over pairs of configurations equal in all else; Student's 95 % interval for "
        "the mean of the pairs. It tells of other settings of the rest with these images and this seed, not of other patients or "
        "seeds; not corrected for the number of settings."
    )
    return Table(("Main effect", "Mean", "95 % interval", "Pairs"), tuple(rows), caption)


def _importance_rows(report: SearchReport) -> list[dict[str, str]]:
    ordered = sorted(report.importances.items(), key=lambda item: -item[1])
    return [{"name": setting_name(key, report), "value": f"{100 * share:.0f} %"} for key, share in ordered]


def _cost(report: SearchReport) -> dict[str, str]:
    seconds = [*(row.seconds for row in report.rows), *(row.seconds for row in report.others)]
    memory = [row.peak_memory for row in report.rows if row.peak_memory is not None]
    lowest, highest = min(memory, default=None), max(memory, default=None)
    epochs = [row.epochs for row in report.rows]
    return {
        "Trials": f"{len(seconds):,}",
        "Time in epochs, all trials": format_duration(sum(seconds)),
        "Time of a trial": f"{format_duration(min(seconds))} to {format_duration(max(seconds))}",
        "Epochs of a complete trial": f"{min(epochs)} to {max(epochs)}, {sum(epochs):,} in all",
        "Peak memory of a process": f"{_memory(lowest)} to {_memory(highest)}, with what it held from earlier trials",
    }

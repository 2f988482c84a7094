"""What a search found as a page, figures and numbers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cxreader.config import RangeSection
from cxreader.reporting.search.page import numbers, render_search, search_figures
from cxreader.reporting.search.records import Judgement, OtherRow, SearchReport, SearchRow, Setting
from cxreader.reporting.style import save_figure
from cxreader.runs import RunFolder, write_json, write_text
from cxreader.study.search.effects import importances, main_effects
from cxreader.study.search.record import Trial
from cxreader.study.search.search import SearchResult
from cxreader.study.search.space import augments
from cxreader.study.search.winner import Winner
from cxreader.training.phases import planned_phases

PAGE, NUMBERS, FIGURES = "report.html", "search.json", "figures"


def write_report(result: SearchResult, winner: Winner | None = None) -> SearchReport:
    """Write `report.html`, `search.json` and the figures (PNG and SVG) into the search's folder."""
    report = report_of(result, winner)
    figures = search_figures(report)
    for name, figure in figures.items():
        save_figure(figure, result.folder / FIGURES / name)
    write_json(result.folder / NUMBERS, numbers(report))
    write_text(result.folder / PAGE, render_search(report, figures=figures))
    return report


def report_of(result: SearchResult, winner: Winner | None = None) -> SearchReport:
    """Everything the page shows, in plain records."""
    config, folder = result.config, RunFolder(result.folder)
    shares, how = importances(result.space, result.trials, config.seed)
    pretrained = not result.transfer.startswith("no transfer")
    phases = [phase.name for phase in planned_phases(config.training, pretrained=pretrained)]
    run = json.loads(folder.provenance.read_text(encoding="utf-8"))
    return SearchReport(
        model=config.model.name,
        weights=result.transfer,
        monitor=config.training.monitor,
        settings=tuple(_setting(key, given) for key, given in result.space.values.items()),
        method=_method(result),
        rows=tuple(_row(rank, trial) for rank, trial in enumerate(result.trials, 1)),
        others=tuple(OtherRow(t.number, t.point, t.state, t.reason or "", t.seconds) for t in result.others),
        parts=result.parts,
        importances=shares,
        importance_method=how,
        effects=main_effects(result.space, result.trials),
        winner=None if winner is None else _judgement(winner),
        provenance={
            "cxreader": version("cxreader"),
            "date": datetime.now(UTC).date().isoformat(),
            "git revision": run["git_revision"],
            "machine": run["machine"],
            "torch": run["versions"]["torch"],
            "seed": config.seed,
            "data": config.data.name or Path(config.data.where).name,
            "optimizer": config.training.optimizer,
            "augmentation": "basic" if augments(result.space, config, phases) else "none",
            "input size": config.input.size,
        },
    )


def _method(result: SearchResult) -> str:
    study = result.config.study
    if result.space.is_grid:
        text = f"every point of a grid of {result.space.size()}, once"
    else:
        text = f"{result.space.trials} points drawn by TPE (Bergstra et al. 2011)"
    return text + ("; trials behind the median of the others were pruned" if study.pruning == "median" else "")


def _setting(key: str, given: tuple[object, ...] | RangeSection) -> Setting:
    if isinstance(given, RangeSection):
        return Setting(key, (), given.low, given.high, given.log)
    return Setting(key, given)


def _row(rank: int, trial: Trial) -> SearchRow:
    return SearchRow(
        rank=rank,
        number=trial.number,
        values=trial.point,
        score=trial.score or 0.0,
        tune_accuracy=trial.tune_accuracy or 0.0,
        tune_loss=trial.tune_loss,
        best_epoch=trial.best_epoch or 0,
        epochs=trial.epochs,
        seconds=trial.seconds,
        peak_memory=trial.peak_memory,
        gpu_memory=trial.gpu_memory,
    )


def _judgement(winner: Winner) -> Judgement:
    auc = winner.evaluation.metrics["auc"]
    return Judgement(winner.artifact.id, winner.tune, winner.test, winner.optimism, auc, winner.evaluation.warnings)

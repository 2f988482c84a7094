"""What a trial leaves: one JSON record, written at once when it ends, and a row of `trials.csv`."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from cxreader.codec import to_plain
from cxreader.errors import CxreaderError, DataError
from cxreader.locks import lock
from cxreader.runs import provenance, write_json, write_text
from cxreader.study.search.space import Point, slug, value_text

TRIALS, TABLE, DATABASE, LOCK = "trials", "trials.csv", "search.db", "search.lock"
RECORD, ATTEMPTS, POINTS = "record.json", "attempts.lock", "points.json"
State = Literal["complete", "pruned", "failed"]
_COLUMNS = (
    *("trial", "state", "score", "tune_accuracy", "tune_loss", "phase", "best_epoch", "epochs", "seconds"),
    *("peak_memory", "gpu_memory", "threads", "reason"),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One point as it ended. `number` from 1 in the order of the points; `score` is the monitored tune figure.

    `score`, `tune_accuracy`, `tune_loss` (all of the best epoch, counted from 1, of the better phase) are None unless
    the trial is complete. `epochs` and `seconds` count all phases; `peak_memory` in bytes, of the process and of the GPU.
    """

    number: int
    folder: Path
    state: State
    point: Point
    phase: str | None
    score: float | None
    tune_accuracy: float | None
    tune_loss: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    peak_memory: int | None
    gpu_memory: int | None
    threads: int | None
    reason: str | None


def trial_folder(search: Path, place: int, point: Point) -> Path:
    """Where a point is tried: the same folder every time, so that a trial that was interrupted goes on."""
    return search / TRIALS / f"{place + 1:02d}-{slug(point)}"


def begin_record(place: int, point: Point, config: Mapping[str, Any], **further: Any) -> dict[str, Any]:
    """The part of a record that is known before the trial; `further` says who runs it."""
    about = provenance(int(config["seed"]))
    about["versions"]["optuna"] = version("optuna")
    return {
        "schema": 1,
        "number": place + 1,
        "point": dict(point),
        "config": dict(config),
        "seeds": {"training": about.pop("seed"), "initial_weights": f"derived from {config['seed']}"},
        **about,
        **further,
    }


def write_record(folder: Path, record: Mapping[str, Any], state: State, reason: str | None, **results: Any) -> None:
    """Write the record whole or not at all; what is not a number becomes null."""
    write_json(folder / RECORD, to_plain({**record, "state": state, "reason": reason, **results}))


def read_trial(folder: Path) -> Trial:
    """The record of one folder. Raises DataError when it is gone or damaged."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        memory = found.get("peak_memory") or {}
        best = found.get("best") or {}
        phases: Sequence[Mapping[str, Any]] = found.get("phases", [])
        return Trial(
            number=found["number"],
            folder=folder,
            state=found["state"],
            point=found["point"],
            phase=best.get("phase"),
            score=best.get("score"),
            tune_accuracy=best.get("tune_accuracy"),
            tune_loss=best.get("tune_loss"),
            best_epoch=best.get("epoch"),
            epochs=sum(len(phase["epochs"]) for phase in phases),
            seconds=sum(epoch["seconds"] for phase in phases for epoch in phase["epochs"]),
            peak_memory=memory.get("bytes"),
            gpu_memory=memory.get("gpu_bytes"),
            threads=found.get("threads"),
            reason=found["reason"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = "search again with another --out"
        raise DataError(f"no whole record of a trial ({type(error).__name__})", where=folder, mend=mend) from None


def read_trials(search: Path) -> list[Trial]:
    """All records there are, in the order of the points. Raises DataError as `read_trial`."""
    return sorted((read_trial(path.parent) for path in (search / TRIALS).glob(f"*/{RECORD}")), key=lambda t: t.number)


def write_table(search: Path) -> list[Trial]:
    """Write `trials.csv` of all records there are, and return them, in the order of the points."""
    with lock(search / LOCK):
        trials = read_trials(search)
        write_text(search / TABLE, _table(trials))
    return trials


def _table(trials: Sequence[Trial]) -> str:
    keys = list(dict.fromkeys(key for trial in trials for key in trial.point))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS[:2], *keys, *_COLUMNS[2:]])
    for trial in trials:
        cells = [getattr(trial, name) for name in _COLUMNS[2:]]
        point = [trial.point.get(key) for key in keys]
        writer.writerow("" if cell is None else cell for cell in [trial.folder.name, trial.state, *point, *cells])
    return text.getvalue()


def reason_of(error: Exception) -> str:
    """The error's class and one line. Of an error in the data its class alone: its text may name a patient's file."""
    kind = type(error).__name__
    if isinstance(error, DataError):
        return f"{kind} (its text is not kept: it may name images)"
    if isinstance(error, CxreaderError):
        return f"{kind}: {error}"
    if isinstance(error, OSError):
        return f"{kind}: {error.strerror}"
    lines = str(error).strip().splitlines()
    return f"{kind}: {lines[0][:200]}" if lines else kind


def rank(trials: Iterable[Trial], *, lower_is_better: bool) -> tuple[Trial, ...]:
    """Complete trials, the best first; of equal ones the lower tune loss, then the earlier point."""

    def key(trial: Trial) -> tuple[float, float, int]:
        score, loss = trial.score or 0.0, trial.tune_loss
        return (score if lower_is_better else -score, math.inf if loss is None else loss, trial.number)

    return tuple(sorted((trial for trial in trials if trial.state == "complete"), key=key))


def point_text(point: Point) -> str:
    """The point in words, by the last word of each key: `lr 0.001, batch_size 16`."""
    return ", ".join(f"{key.rpartition('.')[2]} {value_text(value)}" for key, value in point.items())

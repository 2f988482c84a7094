"""Anybody's predictions judged: a table of another product is enough, no image and no model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from cxreader.assessment.background import ON_PHANTOMS
from cxreader.assessment.outputs import PREDICTIONS, write_evaluation
from cxreader.config import DEFAULT_POINTS
from cxreader.counting import format_count
from cxreader.errors import DataError, UsageError, nearest
from cxreader.evaluation.calibration.support import CalibrationSupport
from cxreader.evaluation.comparison.paired import align
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.evaluation.decisions.fitting import Decisions, fit_decisions
from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.evidence import EvaluationOptions, refuse_undrawable, refuse_unread
from cxreader.evaluation.plausibility import implausible
from cxreader.evaluation.predictions import ReadModels, TableOptions, read_models
from cxreader.evaluation.shortcuts.audit import labels_coincide
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.table_refusals import RefusedRows, refusals_told
from cxreader.evaluation.verdict import Background
from cxreader.identity import MEND, zero_twins
from cxreader.models.population import PHANTOMS
from cxreader.progress import Bar
from cxreader.records import OperatingPoint, PredictionTable
from cxreader.tables import parse_number

# Where no threshold is given or fitted: the larger of the two classes' probabilities decides.
HALF = OperatingPoint("half", 0.5, "none was given, and nothing to fit one on", 0, 0, "given")
SHARED_THRESHOLD = (
    "Another model stands beside this one at this one's threshold: what hangs on a threshold (accuracy, recall, "
    "specificity, McNemar's test) then compares scales too; AUC does not. --calibrate with all models gives each its own."
)
NOT_KNOWN_TO_THE_MODEL = (
    "Whether one of these patients or images set the model cannot be known: a table of predictions does not say what the "
    "model was trained on."
)
ONLY_PREDICTIONS = Background(
    cautions=(
        f"{NOT_KNOWN_TO_THE_MODEL[:1].lower()}{NOT_KNOWN_TO_THE_MODEL[1:-1]}",
        "shortcuts cannot be looked for without the images",
    )
)
UNKNOWN = (
    "No patient is known in the judged predictions, or in those that set the thresholds: only their images were compared, "
    "so a patient may be in both."
)


@dataclass(frozen=True, slots=True)
class Fitting:
    """What the decisions of the predictions rest on.

    `threshold`: one that is given. `calibrate`: predictions of other patients, on which `rules` and the error bound
    `alpha` are fitted; a file of several models gives the one that is judged. Neither: 0.5, and every report says so.
    """

    threshold: float | None = None
    calibrate: str | None = None
    rules: Sequence[str] = DEFAULT_POINTS
    alpha: float | Literal["none"] = 0.1


def judge_predictions(
    files: Sequence[str],
    out: Path,
    fitting: Fitting,
    *,
    options: EvaluationOptions,
    bar: Bar,
    model: str | None = None,
    tables: TableOptions | None = None,
    seed: int = 0,
    say: Callable[[str], object] = lambda _: None,
) -> Evaluation:
    """Judge the first model of the files, or the one named `model`, the others beside it, and write all to `out`.

    `files`: tables (`read_models`), each one model or several by its column `model`, and told by `tables`, that of `fitting`
    too. What a reader of the files must know is given to `say`, a line each. A table of readings that holds one threshold and
    one operating point is judged at it, where `fitting` gives none. Raises TableError for a file that cannot be read or for
    models that judge other images, UsageError for a model that is not there and for an `out` whose predictions are those
    to be judged, DataError when nothing can be fitted.
    """
    from cxreader.evaluation.shortcuts.baselines import confounder_baselines  # brings scikit-learn
    from cxreader.evaluation.shortcuts.records import learnt_title

    for file in files:
        if Path(file).resolve() == (out / PREDICTIONS).resolve():
            raise UsageError("would be written over", where=file, mend="give another --out")
    read, places = _read(files, tables or TableOptions())
    for note in read.notes:
        say(note)
    subject = next(iter(read.tables)) if model is None else model
    table = _named(read.tables, subject, None)
    others = {name: other for name, other in read.tables.items() if name != subject}
    align({subject: table, **others}, places)  # before anything is computed
    refuse_undrawable(table.label, options)
    refuse_unread(table.image.tolist(), options)
    models = {} if fitting.calibrate is None else read_models(fitting.calibrate, tables).tables
    points, conformal, warnings = _fitted(fitting, models, table, subject)
    thresholds = _others_thresholds(fitting, models, others)
    for name, other in others.items():
        warnings += [f"Of {name}: {doubt}" for doubt in implausible(Sample.of(other), other.probability)]
    if len(thresholds) < len(others):
        warnings.append(SHARED_THRESHOLD)
    calibrate = None if fitting.calibrate is None else Path(fitting.calibrate).name
    judged = ", ".join(Path(file).name for file in files)
    sample = Sample.of(table)
    with bar("baselines that see no image"):
        sightless = confounder_baselines(sample, columns=table.columns, seed=seed)
    with bar("intervals"):
        evaluation = evaluate(
            table,
            points[0],
            seed=seed,
            baselines={learnt_title(b.name, b.learnt): b.probability for b in sightless if b.probability is not None},
            excluded=read.excluded,
            warnings=[*warnings, *read.warnings, *_one_label_a_source(sample, table), NOT_KNOWN_TO_THE_MODEL],
            provenance={"predictions": judged, "model": subject, "calibrate": calibrate},
            options=replace(
                options, points=points, conformal=conformal, others=others, name=subject, thresholds=thresholds
            ),
            refusals=refusals_told(table, read.refused[subject], seed=seed),
            background=_background(table),
        )
    write_evaluation(evaluation, table, {}, out)
    return evaluation


def _background(table: PredictionTable) -> Background:
    """What no table of predictions can tell; that phantoms were judged, where its column `source` says so."""
    source = np.asarray(table.columns.get("source", np.array([], np.str_)), np.str_)
    drawn = bool(np.any(np.char.startswith(source, PHANTOMS)))
    return replace(ONLY_PREDICTIONS, obstacles=(ON_PHANTOMS,)) if drawn else ONLY_PREDICTIONS


def _one_label_a_source(sample: Sample, table: PredictionTable) -> list[str]:
    """The warning where sources and labels coincide."""
    source = table.columns.get("source")
    if source is None or not labels_coincide(sample, np.asarray(source, np.str_)):
        return []
    return [
        "Every source holds one label alone: whether the model tells the sources apart or the disease cannot be "
        "tested here."
    ]


def _read(files: Sequence[str], options: TableOptions) -> tuple[ReadModels, dict[str, str]]:
    """The models of all files by name, in their order, with all that was left out and must be said; and the place of each."""
    places: dict[str, str] = {}
    tables: dict[str, PredictionTable] = {}
    refused: dict[str, RefusedRows] = {}
    excluded, warnings, notes = Counter[str](), dict[str, None](), dict[str, None]()
    for file in files:
        read = read_models(file, options)
        for name, table in read.tables.items():
            if name in tables:
                raise UsageError(f"two models are named {name!r}", where=file, mend="name them in a column `model`")
            tables[name] = table
            places[name] = file if len(read.tables) == 1 else f"{file}, model {name}"
        refused |= read.refused
        excluded |= Counter(read.excluded)  # several models leave the same images out: the most of one file
        warnings |= dict.fromkeys(read.warnings)
        notes |= dict.fromkeys(f"{Path(file).name}: {note}" for note in read.notes)
    return ReadModels(tables, dict(excluded), tuple(warnings), tuple(notes), refused), places


def _named(tables: Mapping[str, PredictionTable], name: str, where: str | None) -> PredictionTable:
    if name not in tables:
        raise UsageError(f"no model is named {name!r}", where=where, mend=nearest(name, tables))
    return tables[name]


def _fitted(
    fitting: Fitting, models: Mapping[str, PredictionTable], table: PredictionTable, subject: str
) -> tuple[tuple[OperatingPoint, ...], ConformalRule | None, list[str]]:
    """The operating points, the first of which decides, the conformal rule, and what must be said of them.

    `models`: what the calibrate file holds.
    """
    given = () if fitting.threshold is None else (OperatingPoint.given(fitting.threshold),)
    if fitting.calibrate is None:
        own = None if given else _own_point(table)
        return given or (own or HALF,), None, [] if given or own else _several_thresholds(table)
    other = next(iter(models.values())) if len(models) == 1 else _named(models, subject, fitting.calibrate)
    fitted = _fit(other, table, fitting.rules, fitting.alpha, fitting.calibrate)
    warnings = [] if other.patient is not None and table.patient is not None else [UNKNOWN]
    warnings += [f"{note[0].upper()}{note[1:]}." for note in fitted.notes]
    few = CalibrationSupport(fitted.points[0].n_positive, fitted.points[0].n_negative).threshold_note
    warnings += [] if few is None else [f"What decides {few}."]
    doubts = implausible(Sample.of(other), other.probability)
    warnings += [f"Of the predictions that set the thresholds: {doubt}" for doubt in doubts]
    return (*given, *fitted.points), fitted.conformal, warnings


def _own_point(table: PredictionTable) -> OperatingPoint | None:
    """The operating point that every row of a table of readings names, or None."""
    named = [np.unique(table.columns.get(name, np.array([]))).tolist() for name in ("threshold", "operating_point")]
    if [len(values) for values in named] != [1, 1]:
        return None
    threshold = parse_number(str(named[0][0]))
    if threshold is None or not 0 <= threshold <= 1:
        return None
    return replace(
        OperatingPoint.given(threshold), name=str(named[1][0]) or "given", rule="it stands beside the readings"
    )


def _several_thresholds(table: PredictionTable) -> list[str]:
    """The warning where the rows of a table of readings were decided at several thresholds."""
    told = [parse_number(str(value)) for value in np.unique(table.columns.get("threshold", np.array([])))]
    held = sorted(value for value in told if value is not None and 0 <= value <= 1)
    if len(held) < 2:
        return []
    named = ", ".join(f"{value:.3f}" for value in held[:4]) + (f" and {len(held) - 4} more" if len(held) > 4 else "")
    return [
        f"The rows were decided at {len(held)} thresholds ({named}) and are judged here at {HALF.threshold:g}, so that these "
        "are not the decisions that were shown: judge the rows of each threshold alone, or give --threshold."
    ]


def _others_thresholds(
    fitting: Fitting, models: Mapping[str, PredictionTable], others: Mapping[str, PredictionTable]
) -> dict[str, float]:
    """The first rule fitted for each other model that the calibrate file holds; none where a threshold was given."""
    if fitting.calibrate is None or fitting.threshold is not None:
        return {}
    first = list(fitting.rules)[:1]
    return {
        name: _fit(models[name], judged, first, "none", fitting.calibrate).points[0].threshold
        for name, judged in others.items()
        if name in models
    }


def _fit(
    calibrate: PredictionTable,
    judged: PredictionTable,
    rules: Sequence[str],
    alpha: float | Literal["none"],
    where: str,
) -> Decisions:
    """What these predictions of other patients allow; raises DataError naming the file `where`."""
    _refuse_shared(calibrate, judged, where)
    try:
        return fit_decisions(calibrate.label, calibrate.probability, rules, alpha)
    except DataError as error:
        place = where if error.where is None else f"{where}, {error.where}"
        raise DataError(error.what, where=place, mend=error.mend) from None


def _refuse_shared(calibrate: PredictionTable, test: PredictionTable, where: str) -> None:
    """No figure is judged on patients that set it."""
    for who, own, other in (
        ("patient", calibrate.patient, test.patient),
        ("image", calibrate.image, test.image),
    ):
        shared = 0 if own is None or other is None else len(np.intersect1d(own, other))
        if shared:
            what = format_count(shared, f"[{who} is|{who}s are] also among the judged predictions")
            raise DataError(what, where=where, mend="fit thresholds on other patients")
    if calibrate.patient is not None and test.patient is not None:
        twins = zero_twins(calibrate.patient.tolist(), test.patient.tolist())
        if twins:
            what = format_count(
                twins,
                "[patient is|patients are] also among the judged predictions but for leading zeros, as 0012 and 12",
            )
            raise DataError(what, where=where, mend=MEND)

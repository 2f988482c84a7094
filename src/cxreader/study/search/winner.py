"""The winner of a search, now fixed: finished into an artifact and judged on the test part, which the search never saw."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_run
from cxreader.atomic import write_whole
from cxreader.config import Config
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.predictions import read_predictions
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Estimate, Sample, bootstrap_weights, estimates
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact
from cxreader.progress import Bar, Say, no_bar, silent
from cxreader.runs import RunFolder, provenance, write_json
from cxreader.study.held_out import record_reading
from cxreader.study.search.search import SearchResult
from cxreader.study.search.worker import PARTS, at_point
from cxreader.training.cohort import prepare_cohort
from cxreader.training.fit import BEST, DONE
from cxreader.training.predict import predict_logits
from cxreader.training.train import build_model, finish, learn

FOLDER = "winner"


@dataclass(frozen=True, slots=True)
class Judged:
    """Decisions on a part: `right` (n,) bool, whether the larger logit was the true class, and who was judged."""

    right: NDArray[np.bool_]
    sample: Sample


@dataclass(frozen=True, slots=True)
class Winner:
    """The finished winner. `optimism`: accuracy on tune, which chose it, minus accuracy on test, both by the larger logit.

    `tune` has no interval, because these images chose it; `test` and `optimism` have theirs by patient. `earlier_readings`:
    how often another winner of this folder had been judged on the test part before.
    """

    folder: Path
    artifact: Artifact
    evaluation: Evaluation
    tune: Estimate
    test: Estimate
    optimism: Estimate
    earlier_readings: int = 0


def finish_winner(result: SearchResult, *, say: Say = print, bar: Bar = no_bar) -> Winner:
    """Calibrate the winner's own weights, write its artifact (`winner/`), judge it on the test part. Nothing is retrained.

    For the end of a search alone: whoever goes on choosing after this has used the test part up.
    """
    config = at_point(result.config, result.folder, result.winner.point)
    run = _run_folder(result, config)
    cohort = prepare_cohort(config, run, say, bar)
    model, transfer = build_model(config)
    learnt = learn(config, model, transfer, {name: cohort.parts[name] for name in PARTS}, run, say=silent, bar=no_bar)
    artifact = finish(config, cohort, model, transfer, learnt, run, say=say, bar=bar)
    logits = predict_logits(model, cohort.parts["tune"], learnt.recipe)
    labels = cohort.parts["tune"].labels
    tune = Judged((logits[:, 1] > logits[:, 0]).numpy() == (labels == 1), cohort.sample("tune"))
    earlier = record_reading(result.folder, {FOLDER: artifact.weights_sha256})
    evaluation = judge(
        Reader.load(run.path), cohort_of_run(run.path), run.evaluation, bar=bar, quick=True, seed=config.seed
    )
    table = read_predictions(run.evaluation / "predictions.csv")
    judged = Sample.of_records([cohort.index.by_image[image] for image in table.image.tolist()])
    test = Judged((np.asarray(table.probability) >= 0.5) == (np.asarray(table.label) == 1), judged)
    return Winner(run.path, artifact, evaluation, *optimism(tune, test, seed=config.seed), earlier)


def optimism(
    tune: Judged, test: Judged, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> tuple[Estimate, Estimate, Estimate]:
    """Accuracy on tune (without an interval), on test, and the first minus the second.

    Patients of tune and of test are resampled independently: they are different patients.
    """
    draws = [_draws(part, seed + n, n_resamples) for n, part in enumerate((tune, test))]
    points = [np.array([part.right.mean()]) for part in (tune, test)]
    both = Sample(
        np.concatenate([tune.sample.label, test.sample.label]),
        np.concatenate([tune.sample.groups, test.sample.groups + tune.sample.groups.max() + 1]),
        tune.sample.patients_known and test.sample.patients_known,
    )
    on_test = estimates({"accuracy": points[1]}, {"accuracy": draws[1]}, test.sample)["accuracy"]
    gap = estimates({"gap": points[0] - points[1]}, {"gap": draws[0] - draws[1]}, both)["gap"]
    labels = np.bincount(tune.sample.label.astype(int), minlength=2).tolist()
    on_tune = Estimate(
        *(float(points[0][0]), float("nan"), float("nan"), labels[1], labels[0], tune.sample.n_patients),
        method="none",
        reason="these images chose the configuration and its best epoch",
    )
    return on_tune, on_test, gap


def _draws(part: Judged, seed: int, n_resamples: int) -> NDArray[np.float64]:
    """(n_resamples,) accuracies; none where one patient leaves nothing to resample."""
    if part.sample.n_groups < 2:
        return np.empty(0)
    blocks = bootstrap_weights(part.sample.groups, n_resamples, seed)
    return np.concatenate([weights @ part.right / weights.sum(1) for weights in blocks])


def _run_folder(result: SearchResult, config: Config) -> RunFolder:
    """A run folder with the winner's phases as they ended; another winner's is thrown away."""
    run, resolved = RunFolder(result.folder / FOLDER), config.model_dump(mode="json")
    if run.config.exists() and json.loads(run.config.read_text(encoding="utf-8")) != resolved:
        shutil.rmtree(run.path)
    trial = RunFolder(result.winner.folder)
    for folder in sorted((trial.path / "phases").iterdir()):
        for name in (BEST, DONE):  # the one that says it is whole comes last
            write_whole(run.phase(folder.name) / name, (folder / name).read_bytes())
    write_whole(run.split, RunFolder(result.folder).split.read_bytes())
    write_json(run.config, resolved)
    write_json(run.provenance, {**provenance(config.seed), "search_trial": trial.path.name})
    return run

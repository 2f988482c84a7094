"""A model in 8 bits as a new artifact: all that was fitted on the network's outputs is fitted anew on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.cohort import part_met
from cxreader.assessment.quantisation_gate import Gate, compare_answers
from cxreader.atomic import write_whole
from cxreader.config import Config, parse_config
from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.pixel_cache.cache import PixelCache, build_cache
from cxreader.data.sources import open_data
from cxreader.errors import ArtifactError, DataError, UsageError
from cxreader.evaluation.calibration.temperature import margin
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.inference.answers import Answers
from cxreader.inference.runtimes.backend import exported_file
from cxreader.inference.runtimes.onnx_backend import OnnxBackend
from cxreader.inference.runtimes.quantisation import int8_bytes
from cxreader.models.acceptance.out_of_distribution import OODDetector, fit_ood_detector
from cxreader.models.artifact import MANIFEST, QUANTISED, Artifact, check_files, load_artifact, save_manifest, sha256
from cxreader.models.reference_scores import ReferenceScores
from cxreader.progress import Bar, Say, no_bar
from cxreader.records import ImageRecord
from cxreader.runs import artifact_folder
from cxreader.training.calibrate import Calibrated, calibrate

SCALES = 200
"""Training images from which the scales of the 8 bits are taken."""
ACCEPTANCE = 2000
"""Training images at most on which the acceptance rule is fitted, as in training."""
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Quantised:
    """The new artifact, where it lies, and how its answers on the calibrate part differ from the first one's."""

    artifact: Artifact
    folder: Path
    gate: Gate


@dataclass(frozen=True, eq=False)
class _Seen:
    """Images as networks are shown them, uint8 (n, S, S), their labels and patients."""

    pixels: NDArray[np.uint8]
    sample: Sample


def quantise(
    model: str | Path,
    index: Index | None,
    out: Path,
    *,
    seed: int = 0,
    workers: int | None = None,
    say: Say = print,
    bar: Bar = no_bar,
) -> Quantised:
    """Quantise the artifact at `model`, refit what rests on its outputs, and write it to `out` if it answers alike.

    `index`: the labelled images it was trained on, None for where its own configuration says that they lie; whoever set it is
    recognised by patient and picture. Scales and acceptance rule come from the training part, the rest from the calibrate part,
    as in training. `seed`: of the sample of training images. Nothing is written before the comparison has passed.

    Raises ModelError with its figures where it fails, ArtifactError for an artifact that cannot be quantised, DataError where
    the calibrate part is not in `index`, UsageError for an `out` in use.
    """
    folder = artifact_folder(model)
    first = load_artifact(folder, weights=False, exports=False)
    config = _config(first, folder)
    if (out / MANIFEST).exists():
        raise UsageError("an artifact lies there already", where=out, mend="give another --out")
    graph = exported_file(first, folder, "onnx")
    check_files(first, folder, "onnx")
    with TemporaryDirectory(prefix="cxreader-quantise-") as scratch:
        images = open_data(config.data) if index is None else index
        train, held_out = _parts(first, images, Path(scratch), seed, workers, bar)
        say(
            f"{len(train.pixels):,} training and {len(held_out.pixels):,} calibration images of artifact {first.id} found"
        )
        small = int8_bytes(graph.read_bytes(), first.spec.normalise(train.pixels[:SCALES]))
        backend = OnnxBackend.of(small)
        before = _outputs(OnnxBackend(first, folder), first, held_out.pixels)
        after = _outputs(backend, first, held_out.pixels)
        fitted = calibrate(after[0].astype(np.float64), held_out.sample.label, config.calibration)
        rule = _acceptance(
            first, backend, train, (held_out.pixels, after[1]), (config.calibration.false_refusals, seed)
        )
    made = _artifact(first, small, fitted, rule, (held_out, after[1]))
    gate = compare_answers(
        held_out.sample, _answers(first, before, held_out.pixels), _answers(made, after, held_out.pixels)
    )
    gate.check()
    told = {"from": first.id, "precision": "int8", "gate": gate.to_dict()}
    made = replace(made, provenance={**made.provenance, QUANTISED: told})
    for note in (*fitted.decisions.notes, *_left_out(first)):
        say(note)
    write_whole(out / str(made.exports["onnx"]["file"]), small)
    save_manifest(made, out)
    return Quantised(made, out, gate)


def _config(artifact: Artifact, folder: Path) -> Config:
    """How the artifact was trained and calibrated. Raises ArtifactError for one that is quantised, or does not tell enough."""
    if artifact.quantised is not None:
        raise ArtifactError("it is quantised already", where=folder, mend="give the artifact that it was made from")
    config = artifact.provenance.get("config")
    if artifact.reference_scores is None or config is None:
        what = "it does not tell how it was calibrated: an earlier version trained it, or none"
        raise ArtifactError(what, where=folder, mend="train it again")
    return parse_config(config)


def _parts(
    artifact: Artifact, index: Index, scratch: Path, seed: int, workers: int | None, bar: Bar
) -> tuple[_Seen, _Seen]:
    """A sample of the training part, in an order of its own, and the whole calibrate part."""
    met = part_met(artifact)
    known = [(record, met(record)) for record in index.records]
    train = [record for record, part in known if part == "train"]
    train = [train[n] for n in np.random.default_rng(seed).permutation(len(train))[:ACCEPTANCE]]
    held_out = [record for record, part in known if part == "calibrate"]
    with bar("pixel cache") as progress:
        cache = build_cache([*train, *held_out], artifact.spec, scratch, workers=workers, progress=progress)
    cache = cache.without_copies(record.image for record in [*held_out, *train])
    found = [_seen(artifact, cache, records, part) for records, part in ((train, "train"), (held_out, "calibrate"))]
    _require_all(artifact, found[1], index)
    if not len(found[0].pixels):
        raise DataError("no image here was trained on", where=index.root, mend="give the training's own source")
    return found[0], found[1]


def _seen(artifact: Artifact, cache: PixelCache, records: Sequence[ImageRecord], part: str) -> _Seen:
    """Those of `records` whose picture the artifact knows from `part`; where it knows no pictures, all that can be read."""
    images = artifact.images
    own = [
        record
        for record in records
        if record.image in cache
        and (images is None or images.part_of(cache.digests(record.image, record.path)) == part)
    ]
    rows = cache.rows(record.image for record in own)
    return _Seen(np.ascontiguousarray(cache.pixels[rows]), Sample.of_records(own))


def _require_all(artifact: Artifact, held_out: _Seen, index: Index) -> None:
    known = artifact.reference_scores
    assert known is not None  # noqa: S101 - `_config` has looked
    wanted = (known.n_negative, known.n_positive)
    found = tuple(np.bincount(held_out.sample.label, minlength=2).tolist())
    if wanted != found:
        here = f"{found[0]:,} normal and {found[1]:,} abnormal images"
        what = f"of the {wanted[0]:,} and {wanted[1]:,} that the artifact was calibrated on, {here} are here"
        raise DataError(what, where=index.root, mend="give the training's own source, whole")


def _outputs(
    backend: OnnxBackend, artifact: Artifact, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (n, 2) and features (n, D)."""
    found = [backend.run(artifact.spec.normalise(pixels[at : at + _BATCH])) for at in range(0, len(pixels), _BATCH)]
    return np.concatenate([one.logits for one in found]), np.concatenate([one.features for one in found])


def _acceptance(
    first: Artifact,
    backend: OnnxBackend,
    train: _Seen,
    held_out: tuple[NDArray[np.uint8], NDArray[np.float32]],
    options: tuple[float | Literal["none"], int],
) -> OODDetector | None:
    """The rule fitted on the new features, by the training's rate of false refusals and a seed; none where the first has none."""
    rate, seed = options
    if first.acceptance is None or rate == "none":
        return None
    return fit_ood_detector((train.pixels, _outputs(backend, first, train.pixels)[1]), held_out, rate, seed=seed)


def _artifact(
    first: Artifact,
    graph: bytes,
    fitted: Calibrated,
    rule: OODDetector | None,
    held_out: tuple[_Seen, NDArray[np.float32]],
) -> Artifact:
    """The new artifact: its weights are the graph itself, so that its name stands for what it answers."""
    seen, features = held_out
    digest = sha256(graph)
    scores = None if rule is None else rule.ood_score(seen.pixels, features)
    packages = {package: version(package) for package in ("onnx", "onnxruntime")}
    export: dict[str, Any] = {"file": f"model-{digest[:12]}.onnx", "sha256": digest, "bytes": len(graph)}
    return replace(
        first,
        calibration=fitted.calibrator.to_dict(),
        operating_points=fitted.decisions.points,
        venn_abers=fitted.venn_abers.to_dict(),
        conformal=None if fitted.decisions.conformal is None else fitted.decisions.conformal.to_dict(),
        acceptance=None if rule is None else rule.to_dict(),
        reference_scores=ReferenceScores.of(seen.sample.label, fitted.probability, scores),
        thresholds_on="answer",
        weights_sha256=digest,
        region_head=None,
        evaluation=None,
        exports={"onnx": {**export, "versions": packages}},
    )


def _answers(
    artifact: Artifact, outputs: tuple[NDArray[np.float32], NDArray[np.float32]], pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each image the probability, whether it is called abnormal at the first operating point, whether it is refused."""
    logits, features = outputs
    answers = Answers.of(artifact)
    probability = answers.calibrator.apply(margin(logits))
    refused = np.zeros(len(pixels), np.bool_)
    if artifact.acceptance is not None:
        verdicts, _ = OODDetector.from_dict(artifact.acceptance).judge(pixels, features)
        refused = np.array([verdict.verdict == "refused" for verdict in verdicts])
    return probability, probability >= answers.operating_points[0].threshold, refused


def _left_out(first: Artifact) -> list[str]:
    if first.region_head is None:
        return []
    boxes = format_count(sum(first.region_head.boxes.values()), "[box|boxes]")
    return [f"the region head, learnt from {boxes}, is left out: it was judged on features in float32"]

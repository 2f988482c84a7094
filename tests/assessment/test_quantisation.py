"""A model in 8 bits: a new artifact whose answers are its own, refused where they are others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from cxreader import Reader, torch_setup  # noqa: F401 - before timm
from cxreader.assessment import quantisation, quantisation_gate
from cxreader.assessment.quantisation import Quantised, quantise
from cxreader.assessment.quantisation_gate import compare_answers
from cxreader.cli import run as command
from cxreader.config import CalibrationSection
from cxreader.data.pixel_cache.cache import PixelCache
from cxreader.data.sources import open_source
from cxreader.data.split import Split
from cxreader.errors import ArtifactError, DataError, ModelError, UsageError
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.inference.runtimes.export import export_onnx
from cxreader.models.acceptance import out_of_distribution
from cxreader.models.acceptance.out_of_distribution import OODDetector, fit_ood_detector
from cxreader.models.artifact import MANIFEST, load_artifact, save_manifest
from cxreader.models.exchange.prepare import list_artifact
from cxreader.models.reference_scores import LEVELS

LOOSE = dict.fromkeys(quantisation_gate.GATE, 1.0)
"""Networks of the tests have learnt little: what 8 bits change of them says nothing."""


@pytest.fixture(scope="module")
def exported(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "artifact"
    shutil.copytree(small_run / "artifact", folder)
    export_onnx(folder)
    return folder


@pytest.fixture(scope="module")
def made(exported: Path, small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    out = tmp_path_factory.mktemp("quantised") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantisation_gate, "GATE", LOOSE)
        return quantise(exported, None, out, workers=1, say=lambda _: None)


def test_the_network_is_in_integers_and_a_new_artifact(made: Quantised, exported: Path) -> None:
    first, kept = load_artifact(exported), load_artifact(made.folder)
    assert kept == made.artifact
    assert kept.id != first.id
    assert sorted(path.name for path in made.folder.iterdir()) == [MANIFEST, kept.exports["onnx"]["file"]]
    graph = onnx.load(made.folder / kept.exports["onnx"]["file"])
    weights = [one for one in graph.graph.initializer if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 4]
    assert sum(node.op_type == "Conv" for node in graph.graph.node) == 20
    assert len(weights) == 16  # four begin at 0, and have not learnt: one constant under two names stays as it is
    values = [onnx.numpy_helper.to_array(one) for one in weights]
    assert max(int(np.abs(value.astype(int)).max()) for value in values) <= 64  # 7 bits: no sum overflows without VNNI
    told = kept.quantised
    assert told is not None
    assert (told["from"], told["precision"]) == (first.id, "int8")
    assert told["gate"]["decisions"]["n_positive"] + told["gate"]["decisions"]["n_negative"] == sum(
        kept.provenance["counts"]["calibrate"]
    )


def test_what_was_fitted_is_fitted_on_its_own_outputs(
    made: Quantised, exported: Path, small_world: Path, small_run: Path
) -> None:
    """By ONNX Runtime alone, on the run's own split: the temperature is that of these margins, the thresholds theirs."""
    from cxreader.training.calibrate import calibrate

    index, spec = open_source(str(small_world)), made.artifact.spec
    part = Split.load(small_run / "split.json").records(index, "calibrate")
    pixels = PixelCache.open(small_run / "cache", spec)
    x = spec.normalise(pixels.pixels[pixels.rows(record.image for record in part)])
    label = np.array([record.label for record in part])
    scores = {}
    for name, folder in (("small", made.folder), ("first", exported)):
        file = str(folder / load_artifact(folder).exports["onnx"]["file"])
        logits = ort.InferenceSession(file, providers=["CPUExecutionProvider"]).run(["logits"], {"images": x})[0]
        scores[name] = (logits[:, 1] - logits[:, 0]).astype(np.float64)
    assert np.abs(scores["small"] - scores["first"]).max() > 1e-4
    fitted = calibrate(np.stack([np.zeros(len(label)), scores["small"]], axis=1), label, CalibrationSection())
    assert made.artifact.reference_scores is not None
    found, first = made.artifact.reference_scores.probability.all, load_artifact(exported)
    np.testing.assert_allclose(found, np.quantile(fitted.probability, LEVELS, method="inverted_cdf"), rtol=0, atol=1e-3)
    np.testing.assert_allclose(
        [point.threshold for point in made.artifact.operating_points],
        [point.threshold for point in fitted.decisions.points],
        rtol=0,
        atol=1e-3,
    )
    assert first.reference_scores is not None
    assert np.abs(np.array(found) - first.reference_scores.probability.all).max() > 1e-4
    assert (made.artifact.patients, made.artifact.images) == (first.patients, first.images)


def test_it_is_read_by_the_runtime_that_it_was_fitted_on_alone(made: Quantised) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64)).astype(np.uint8)
    reader = Reader.load(made.folder)
    assert reader.backend.name == "onnx"
    assert reader.probabilities(images).shape == (3,)
    for name in ("torch", "openvino", "openvino-bf16"):
        with pytest.raises(ArtifactError, match="8 bits alone, as ONNX Runtime computes it; read with --backend onnx"):
            Reader.load(made.folder, backend=name)
    with pytest.raises(ArtifactError, match="is its own export"):
        export_onnx(made.folder)
    with pytest.raises(
        ArtifactError, match="a quantised artifact is not published; publish the artifact that it was made"
    ):
        list_artifact(made.folder, made.folder / MANIFEST, ["CC BY 4.0"])
    with pytest.raises(ArtifactError, match="quantised already"):
        quantise(made.folder, None, made.folder.parent / "again", say=lambda _: None)


def test_where_it_answers_otherwise_the_figures_are_told_and_nothing_is_left(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = quantisation._answers

    def turned(artifact: object, *given: object) -> object:
        found = answers(artifact, *given)  # type: ignore[arg-type]
        return found if artifact == first else (1 - found[0], ~found[1], found[2])

    first = load_artifact(exported)
    monkeypatch.setattr(quantisation, "_answers", turned)
    with pytest.raises(
        ModelError, match=r"share of images called otherwise .*allowed 0.02\).*AUC lost.*nothing was written"
    ):
        quantise(exported, None, tmp_path / "small", workers=1, say=lambda _: None)
    assert not list(tmp_path.iterdir())


def test_the_gate_counts_by_hand() -> None:
    label = np.array([0, 0, 1, 1, 1])
    sample = Sample(label, np.arange(5), patients_known=True)
    before = np.array([0.1, 0.6, 0.4, 0.8, 0.9])
    after = np.array([0.1, 0.3, 0.4, 0.8, 0.7])
    none = np.zeros(5, np.bool_)
    gate = compare_answers(sample, (before, before >= 0.5, none), (after, after >= 0.5, none))
    assert gate.probability.value == pytest.approx(0.1)
    assert gate.largest == pytest.approx(0.3)
    assert (gate.decisions.value, gate.acceptance.value) == (0.2, 0.0)
    assert gate.acceptance.high == pytest.approx(1 - 0.025 ** (1 / 5))  # exact: none of five
    assert gate.auc.value == pytest.approx(5 / 6 - 1)  # one pair of six was turned, and is right now
    assert [line.split(" 0.")[0] for line in gate.over()] == [
        "mean change of a probability",
        "share of images called otherwise",
    ]
    with pytest.raises(ModelError, match=r"0.200 \(95 % interval .*on 5 calibration images; nothing was written"):
        gate.check()


def test_other_images_than_it_was_calibrated_on_are_refused(exported: Path, small_world: Path, tmp_path: Path) -> None:
    rows = (small_world / "labels.csv").read_text().splitlines()
    (tmp_path / "labels.csv").write_text("\n".join(rows[:60]) + "\n")
    for row in rows[1:60]:
        shutil.copy(small_world / row.split(",")[0], tmp_path)
    with pytest.raises(DataError, match=r"of the \d+ and \d+ that the artifact was calibrated on, \d+ normal"):
        quantise(exported, open_source(str(tmp_path)), tmp_path / "small", workers=1, say=lambda _: None)
    assert not (tmp_path / "small").exists()


def test_the_command(
    made: Quantised, exported: Path, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantisation_gate, "GATE", LOOSE)
        given = ["quantise", "-m", str(exported), "--data", str(small_world), "--out", str(tmp_path / "small")]
        assert command(given) == 0
        assert command(given) == UsageError.exit_code
    told = capsys.readouterr()
    artifact = json.loads((tmp_path / "small" / MANIFEST).read_text())
    assert artifact["id"] == made.artifact.id  # the same again
    for word in (artifact["id"], "share of images called otherwise", "AUC lost", "cxreader evaluate --model"):
        assert word in told.out + told.err
    assert "an artifact lies there already" in told.err


def test_the_acceptance_rule_is_fitted_on_its_own_features(
    exported: Path, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its distance begins at the mean of what the network in 8 bits gives for the training images."""
    monkeypatch.setattr(out_of_distribution, "LEAST_IMAGES", 5)
    monkeypatch.setattr(quantisation_gate, "GATE", LOOSE)
    shutil.copytree(exported, tmp_path / "first")
    first = load_artifact(exported)
    pixels = PixelCache.open(small_run / "cache", first.spec)
    rows = pixels.rows(Split.load(small_run / "split.json").parts["train"])
    train = np.ascontiguousarray(pixels.pixels[rows])

    def features(folder: Path) -> NDArray[np.float32]:
        file = str(folder / load_artifact(folder).exports["onnx"]["file"])
        session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
        found: NDArray[np.float32] = session.run(["features"], {"images": first.spec.normalise(train)})[0]
        return found

    before = features(exported)
    rule = fit_ood_detector((train, before), (train[:9], before[:9]), 0.01)
    assert rule is not None
    save_manifest(replace(first, acceptance=rule.to_dict()), tmp_path / "first")
    small = quantise(tmp_path / "first", None, tmp_path / "small", workers=1, say=lambda _: None)
    assert small.artifact.acceptance is not None
    found = OODDetector.from_dict(small.artifact.acceptance)
    after = features(small.folder)
    assert (found.n_train, found.n_calibrate) == (len(train), sum(first.provenance["counts"]["calibrate"]))
    np.testing.assert_allclose(found.features.mean, after.mean(axis=0), rtol=1e-3, atol=1e-4)
    assert np.abs(found.features.mean - rule.features.mean).max() > 1e-3
    assert small.artifact.reference_scores is not None
    assert small.artifact.reference_scores.ood_score is not None

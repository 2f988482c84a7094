"""The Artifact: an exact round trip, and every damaged byte refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from safetensors.torch import save

from cxreader.errors import ArtifactError
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.radiograph import Radiograph
from cxreader.inference.reader import Reader
from cxreader.models.artifact import (
    MANIFEST,
    WEIGHTS,
    Artifact,
    TrainingPatients,
    check_files,
    load_artifact,
    save_artifact,
    save_manifest,
    sha256,
)
from cxreader.models.reference_scores import ReferenceScores
from cxreader.models.registry import create_model
from cxreader.records import OperatingPoint

TEMPERATURE = {"temperature": 1.25, "n_positive": 30, "n_negative": 40, "method": "temperature"}
PAIR = {"p0_from": [-0.5], "p0": [0.0, 0.25], "p1_to": [0.1], "p1": [0.5, 1.0], "n_positive": 30, "n_negative": 40}
RULE = {"alpha": 0.1, "abnormal_from": 0.3, "normal_to": 0.6, "n_positive": 30, "n_negative": 40}


def _saved(folder: Path, model: str = "resnet18", weights_of: str | None = None) -> Artifact:
    torch.manual_seed(0)
    weights = bytes(save(create_model(weights_of or model, size=64).state_dict()))
    artifact = Artifact(
        model=model,
        dropout=0.2,
        spec=InputSpec(64),
        calibration=TEMPERATURE,
        operating_points=(OperatingPoint("youden", 0.4, "largest J", 30, 40),),
        transfer="no transfer: weights absent",
        patients=TrainingPatients("salt", {"train": ("00ff",), "tune": (), "calibrate": ("ab12",)}, ("nih",)),
        weights_sha256=sha256(weights),
        venn_abers=PAIR,
        conformal=RULE,
        provenance={"seed": 42, "config": {"input": {"mean": [0.1, 0.2, 0.3]}}},
        thresholds_on="answer",
    )
    save_artifact(artifact, weights, folder)
    return artifact


def test_round_trip_is_exact(tmp_path: Path) -> None:
    artifact = _saved(tmp_path)
    assert load_artifact(tmp_path) == artifact
    assert load_artifact(tmp_path).id == artifact.id == json.loads((tmp_path / MANIFEST).read_text())["id"]
    without = replace(artifact, venn_abers=None, conformal=None)
    assert len({artifact.id, without.id, replace(artifact, dropout=0.3).id}) == 3
    save_artifact(without, (tmp_path / WEIGHTS).read_bytes(), tmp_path)
    assert load_artifact(tmp_path) == without


def test_what_it_holds_is_what_the_reader_computes_with(tmp_path: Path) -> None:
    artifact = _saved(tmp_path)
    reader = Reader.load(tmp_path)
    assert reader.calibrator.to_dict() == TEMPERATURE
    assert reader.venn_abers is not None
    assert reader.conformal is not None
    assert reader.venn_abers.to_dict() == PAIR
    assert reader.conformal.to_dict() == RULE
    save_artifact(replace(artifact, venn_abers=None, conformal=None), (tmp_path / WEIGHTS).read_bytes(), tmp_path)
    noise = np.random.default_rng(0).uniform(0.2, 0.8, (64, 64)).astype(np.float32)
    reading = Reader.load(tmp_path).read(Radiograph(noise, "noise"))
    assert reading.probability is not None
    assert (reading.interval, reading.conformal) == (None, None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    _saved(folder)
    return folder


@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), file=st.sampled_from([MANIFEST, WEIGHTS]))
@settings(max_examples=40, deadline=None)
def test_any_flipped_bit_is_refused(whole: Path, share: float, bit: int, file: str) -> None:
    path = whole / file
    good = path.read_bytes()
    bad = bytearray(good)
    position = int(share * len(bad))
    bad[position] ^= 1 << bit
    # The stored id is a convenience for readers of the file; white space and it carry nothing.
    path.write_bytes(bad)
    try:
        changed = file == WEIGHTS or _content(bytes(bad)) != _content(good)
        if changed:
            with pytest.raises(ArtifactError) as caught:
                load_artifact(whole)
            assert caught.value.mend
            assert str(whole) in str(caught.value)
    finally:
        path.write_bytes(good)


def _content(data: bytes) -> object:
    try:
        content = json.loads(data)
    except ValueError:
        return data
    if isinstance(content, dict):
        content.pop("id", None)
    return content


def _exported(folder: Path, data: bytes) -> dict[str, object]:
    (folder / "model.onnx").write_bytes(data)
    return {"file": "model.onnx", "sha256": sha256(data), "bytes": len(data)}


def test_what_sets_the_answers_names_the_reader_and_what_comes_later_does_not(tmp_path: Path) -> None:
    artifact = _saved(tmp_path)
    later = [
        replace(artifact, exports={"onnx": _exported(tmp_path, b"graph")}),
        replace(artifact, evaluation={"part": "test", "maps": None}),
    ]
    ruled = [replace(artifact, acceptance={"limit": limit}) for limit in (3.0, 4.0)]
    scores = [ReferenceScores.of(np.array([0, 1]), np.array([0.25, p]), None) for p in (0.5, 0.75)]
    watched = [replace(artifact, reference_scores=known) for known in scores]
    assert {one.id for one in later} == {artifact.id}
    assert len({artifact.id, *(one.id for one in (*ruled, *watched))}) == 5
    for one in (*later, *ruled, *watched):
        save_manifest(one, tmp_path)
        assert load_artifact(tmp_path) == one


@pytest.mark.parametrize("name", ["exports", "evaluation", "reference_scores"])
def test_the_digest_covers_what_the_name_does_not(tmp_path: Path, name: str) -> None:
    save_manifest(replace(_saved(tmp_path), evaluation={"points": [{"ppv": 0.5}]}), tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, name: {"points": [{"ppv": 0.9}]}}))
    with pytest.raises(ArtifactError, match="the digest does not fit the content"):
        load_artifact(tmp_path)


def test_a_damaged_or_missing_export_is_refused_and_can_be_replaced(tmp_path: Path) -> None:
    exported = replace(_saved(tmp_path), exports={"onnx": _exported(tmp_path, b"graph")})
    save_manifest(exported, tmp_path)
    for spoil, words in (
        (lambda path: path.write_bytes(b"grapf"), "not the onnx export"),
        (lambda path: path.write_bytes(b"graph and more"), "not the onnx export"),
        (lambda path: path.unlink(), "onnx export is missing"),
        (lambda path: path.mkdir(), "damaged onnx export"),
    ):
        spoil(tmp_path / "model.onnx")
        with pytest.raises(ArtifactError, match=f"{words}.*cxreader export"):
            load_artifact(tmp_path)
        assert load_artifact(tmp_path, exports=False) == exported


def test_a_runtime_needs_its_own_file_alone(tmp_path: Path) -> None:
    exported = replace(_saved(tmp_path), exports={"onnx": _exported(tmp_path, b"graph")})
    save_manifest(exported, tmp_path)
    weights = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).unlink()
    assert load_artifact(tmp_path, weights=False) == exported
    check_files(exported, tmp_path, "onnx")
    with pytest.raises(ArtifactError, match="weights are missing"):
        check_files(exported, tmp_path, "torch")
    (tmp_path / WEIGHTS).write_bytes(weights)
    (tmp_path / "model.onnx").unlink()
    check_files(exported, tmp_path, "torch")
    with pytest.raises(ArtifactError, match="onnx export is missing"):
        check_files(exported, tmp_path, "onnx")


@pytest.mark.parametrize("export", [{"file": "../model.onnx", "sha256": "00"}, {"file": "model.onnx"}, None, 7])
def test_an_export_that_is_no_file_of_the_folder_is_refused(tmp_path: Path, export: object) -> None:
    save_manifest(replace(_saved(tmp_path), exports={"onnx": export}), tmp_path)
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ArtifactError, match="the onnx export"):
        load_artifact(tmp_path)


def test_missing_pieces_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact here"):
        load_artifact(tmp_path)
    _saved(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ArtifactError, match="weights are missing"):
        load_artifact(tmp_path)


def test_another_schema_and_an_unknown_network_are_refused(tmp_path: Path) -> None:
    _saved(tmp_path, model="resnet18")
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "schema": 99}))
    with pytest.raises(ArtifactError, match="schema 99, this version reads 2, 3, 4"):
        load_artifact(tmp_path)
    artifact = _saved(tmp_path)
    save_artifact(replace(artifact, model="resnet19"), (tmp_path / WEIGHTS).read_bytes(), tmp_path)
    with pytest.raises(ArtifactError, match="did you mean 'resnet18'"):
        load_artifact(tmp_path)


def test_weights_of_another_network_are_refused_by_the_reader(tmp_path: Path) -> None:
    _saved(tmp_path, model="resnet18", weights_of="chestxray_cnn")
    with pytest.raises(ArtifactError, match="not a resnet18's"):
        Reader.load(tmp_path)


def test_an_unknown_operating_point_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="did you mean 'youden'"):
        _saved(tmp_path).operating_point("yuden")

"""What an artifact says of its region head, and that its weights are checked as the network's are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.artifacts import hand_made, random_region_head, region_bytes

from cxreader import Reader
from cxreader.errors import ArtifactError
from cxreader.inference.runtimes.export import export_onnx
from cxreader.models.artifact import Artifact, load_artifact, save_artifact
from cxreader.models.region_record import RegionHeadRecord
from cxreader.models.registry import create_model

SIZE = 32


@pytest.fixture
def made(tmp_path: Path) -> tuple[Artifact, Path]:
    model = create_model("chestxray_cnn", size=SIZE)
    record, head = random_region_head(model, SIZE)
    regions = (record, region_bytes(head))
    return hand_made(tmp_path, "chestxray_cnn", model.state_dict(), SIZE, regions=regions), tmp_path


def test_it_is_named_for_what_it_learnt_from() -> None:
    whole = RegionHeadRecord(("Mass",), ("last_block",), (4,), 8, 64, {"Mass": 613, "Nodule": 1}, 500, 458, 400, "")
    assert whole.description == "region head, learnt from 614 boxes of 458 patients"
    assert replace(whole, patients=None).description == "region head, learnt from 614 boxes of 500 images"
    assert replace(whole, boxes={"Mass": 1}, patients=1).description == "region head, learnt from 1 box of 1 patient"


def test_it_is_kept_and_its_artifact_alone_has_the_new_schema(made: tuple[Artifact, Path], tmp_path: Path) -> None:
    artifact, folder = made
    assert load_artifact(folder) == artifact
    assert json.loads((folder / "artifact.json").read_text())["schema"] == 6
    plain = replace(artifact, region_head=None)
    save_artifact(plain, (folder / "model.safetensors").read_bytes(), tmp_path / "plain")
    written = json.loads((tmp_path / "plain" / "artifact.json").read_text())
    assert written["schema"] == 5
    assert "region_head" not in written
    assert plain.id != artifact.id
    assert not plain.reads_as(artifact)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "the weights are missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "the weights are not those of artifact.json"),
    ],
)
def test_damaged_weights_are_refused_by_torch_and_not_asked_for_by_onnx(
    made: tuple[Artifact, Path], damage: object, message: str
) -> None:
    _, folder = made
    export_onnx(folder)
    damage(folder / "region-head.safetensors")
    for load in (lambda: load_artifact(folder), lambda: Reader.load(folder, backend="torch")):
        with pytest.raises(ArtifactError, match=f"region-head.safetensors: .*{message}"):
            load()
    assert Reader.load(folder, backend="onnx").backend.has_maps


def test_weights_elsewhere_and_those_of_another_head_are_refused(made: tuple[Artifact, Path]) -> None:
    artifact, folder = made
    assert artifact.region_head is not None
    weights = (folder / "model.safetensors").read_bytes()
    away = replace(artifact, region_head=replace(artifact.region_head, file="../region-head.safetensors"))
    save_artifact(away, weights, folder)
    with pytest.raises(ArtifactError, match="the region head's weights are not in the artifact's folder"):
        load_artifact(folder)
    other = replace(artifact, region_head=replace(artifact.region_head, width=9))
    save_artifact(other, weights, folder)
    with pytest.raises(ArtifactError, match=r"not those of the region head that artifact\.json tells of"):
        Reader.load(folder, backend="torch")

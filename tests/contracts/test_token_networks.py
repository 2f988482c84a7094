"""A network whose stages give tokens and hold bare parameters: from one entry of the registry to readings and heat maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader import torch_setup  # noqa: F401 - before grad-cam, which imports torchvision

# isort: split
import onnxruntime
import torch
from tests.artifacts import hand_made
from tests.token_networks import ENTRIES, PATCH, WIDTH
from torch import nn

from cxreader import Reader
from cxreader.cli import run
from cxreader.errors import ModelError, UsageError
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.explanation.gradcam import grad_cam
from cxreader.explanation.sanity import randomisation_test
from cxreader.inference.runtimes.backend import load_backend
from cxreader.inference.runtimes.export import export_after_training, export_onnx, onnx_bytes, parity_images
from cxreader.models import registry
from cxreader.models.artifact import MANIFEST, load_artifact
from cxreader.models.registry import ModelEntry, create_model, model_entry, register_model
from cxreader.models.stages import StagedModel, central_average_pool, token_maps

SIZE = 32
SIDE = SIZE // PATCH
NAMES = [entry.name for entry in ENTRIES]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    for entry in ENTRIES:
        register_model(entry)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _model(name: str) -> StagedModel:
    torch.manual_seed(3)  # with it both networks have a map above 0
    return create_model(name, size=SIZE).eval()


def _images(count: int = 3) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    hand_made(tmp_path / "artifact", name, _model(name).state_dict(), SIZE)
    return tmp_path / "artifact"


def test_tokens_become_the_map_of_their_patches_whatever_stands_before_them() -> None:
    """By hand: token r * 3 + c of nine lies in row r and column c; two class or register tokens before them are left out."""
    maps = torch.arange(2 * 4 * 9.0).reshape(2, 4, 3, 3)
    tokens = torch.stack([maps[:, :, r, c] for r in range(3) for c in range(3)], dim=1)
    for before in (0, 1, 2):
        given = torch.cat([torch.full((2, before, 4), -1.0), tokens], dim=1)
        torch.testing.assert_close(token_maps(given), maps, rtol=0, atol=0)
    torch.testing.assert_close(token_maps(maps), maps, rtol=0, atol=0)


def test_its_stages_compose_and_its_features_are_means_over_the_middle_patches(name: str) -> None:
    model, x, stage = _model(name), _images(), model_entry(name).cam_stage
    torch.testing.assert_close(model(x), nn.Sequential.forward(model, x), rtol=0, atol=0)
    output, features = model.maps_and_features(x, stage)
    assert output.shape == (3, SIDE**2 + (name == "by_class_token"), WIDTH)
    stages = model.names[: model.names.index(stage) + 1]
    by_hand = []
    for one in stages:
        with torch.no_grad():
            patches = model.until(x, one)[:, -(SIDE**2) :]
        # Of 4 x 4 patches the middle ones are 5, 6, 9 and 10, row by row.
        by_hand.append(patches[:, [5, 6, 9, 10]].mean(dim=1))
    torch.testing.assert_close(features, torch.cat(by_hand, dim=1))
    assert features.shape == (3, WIDTH * len(stages))
    torch.testing.assert_close(features[:, -WIDTH:], central_average_pool(token_maps(output)))


@pytest.mark.peer
def test_grad_cam_is_that_of_pytorch_grad_cam(name: str) -> None:
    from pytorch_grad_cam import GradCAM

    model, x, stage = _model(name), _images(), model_entry(name).cam_stage
    logits, ours = grad_cam(model, x, stage=stage)
    torch.testing.assert_close(logits, model(x))
    assert ours.shape == (3, SIDE, SIDE)

    def patches(tokens: torch.Tensor) -> torch.Tensor:
        """As its documentation has it for transformers."""
        return tokens[:, -(SIDE**2) :].reshape(len(tokens), SIDE, SIDE, WIDTH).permute(0, 3, 1, 2)

    with GradCAM(model, [model.get_submodule(stage)], reshape_transform=patches) as cam:
        cam.activations_and_grads(x)[:, 1].sum().backward()
        activations = cam.activations_and_grads.activations[0].detach().numpy()
        gradients = cam.activations_and_grads.gradients[0].detach().numpy()
        theirs = cam.get_cam_image(x, model.get_submodule(stage), None, activations, gradients, False).clip(0)
    assert theirs.max() > 0
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * theirs.max())


def test_grad_cam_before_a_mean_and_a_linear_head_by_hand() -> None:
    """The gradient by every token is the head's row by the number of tokens."""
    model, x = _model("by_mean"), _images()
    with torch.no_grad():
        tokens = model.until(x, "last_block")
        by_hand = (tokens @ model.head.weight[1] / SIDE**2).clamp_min(0).reshape(3, SIDE, SIDE)
    torch.testing.assert_close(grad_cam(model, x)[1], by_hand)


def test_bare_parameters_become_random_and_the_model_stays(name: str) -> None:
    """One stage more each time: the maps go on changing when `patches`, which holds them, is reached."""
    model, x, stage = _model(name), _images(6), model_entry(name).cam_stage
    before = {key: value.clone() for key, value in model.state_dict().items()}
    sample = Sample(np.arange(6) % 2, np.arange(6))
    found = randomisation_test(model, x, sample, stage=stage, n_resamples=20)
    assert [one.stage for one in found.stages] == ["head", "last_block", "block1", "patches"]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    again = randomisation_test(model, x, sample, stage=stage, n_resamples=20)
    assert again.to_dict() == found.to_dict()


def test_it_is_exported_without_maps_and_read_alike(folder: Path, name: str) -> None:
    news: list[str] = []
    artifact = export_after_training(folder, news.append)
    assert artifact is not None
    assert news[0].endswith("; heat maps need torch")
    assert artifact.exports["onnx"]["parity"]["maps"] is None
    session = onnxruntime.InferenceSession(folder / artifact.exports["onnx"]["file"])
    assert [output.name for output in session.get_outputs()] == ["logits", "features"]
    x = parity_images(artifact.spec)
    exported, torched = (load_backend(name, artifact, folder) for name in ("auto", "torch"))
    assert (exported.name, exported.has_maps, torched.has_maps) == ("onnx", False, True)
    ours, theirs = exported.run(x), torched.run(x, maps=True)
    np.testing.assert_allclose(ours.logits, theirs.logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.features, theirs.features, rtol=0, atol=1e-4 * np.abs(theirs.features).max())
    assert ours.maps is None
    assert theirs.maps is not None
    np.testing.assert_allclose(
        theirs.maps, grad_cam(_model(name), torch.from_numpy(x), stage=model_entry(name).cam_stage)[1], atol=1e-6
    )
    with pytest.raises(UsageError, match="holds no heat maps; they need torch; read with --backend torch"):
        exported.run(x, maps=True)


def test_a_closed_form_that_is_claimed_but_is_none_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"Token|Linear.*closed_form_maps=False: it is exported without"):
        onnx_bytes(_model(name), model_entry(name).cam_stage, SIZE)


def test_a_reader_without_heat_maps_reads_and_with_maps_asks_torch(folder: Path) -> None:
    export_onnx(folder)
    picture = np.random.default_rng(0).integers(0, 256, (80, 80)).astype(np.uint8)
    reader = Reader.load(folder)
    with pytest.raises(UsageError, match="onnx export holds no heat maps"):
        reader.read(picture)
    with pytest.raises(UsageError, match="onnx export holds no heat maps"):
        reader.read_many([picture], heat_map=True)
    plain, drawn = reader.read(picture, heat_map=False), reader.with_maps().read(picture)
    assert (plain.heat_map, reader.backend.name, reader.with_maps().backend.name) == (None, "onnx", "torch")
    assert drawn.heat_map is not None
    assert drawn.heat_map.shape == (SIDE, SIDE)
    assert drawn.probability == pytest.approx(plain.probability, abs=1e-5)


def test_the_commands_read_with_onnx_and_explain_with_torch(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "--model", str(folder)]) == 0
    assert "not in the export: they need --backend torch" in " ".join(capsys.readouterr().out.split())
    picture = tmp_path / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80)).astype(np.uint8)).save(picture)
    assert run(["read", str(picture), "--model", str(folder), "--out", str(tmp_path / "answers.json")]) == 0
    assert json.loads((tmp_path / "answers.json").read_text())
    out = tmp_path / "explanations"
    explain = ["explain", str(picture), "--model", str(folder), "--out", str(out)]
    capsys.readouterr()
    assert run(explain) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "this network's onnx export holds no heat maps; they need torch; read with --backend torch" in told
    assert not out.exists()
    assert run([*explain, "--backend", "torch"]) == 0
    assert (out / "picture-heat.png").is_file()


def test_the_artifact_keeps_the_exports_word_for_no_maps(folder: Path) -> None:
    export_onnx(folder)
    assert json.loads((folder / MANIFEST).read_text())["exports"]["onnx"]["parity"]["maps"] is None
    assert load_artifact(folder).exports["onnx"]["parity"]["images"] == 8


def test_an_entry_names_its_functions_by_text_alone() -> None:
    """No torch in the registry: what stands there is imported when the network is created."""
    register_model(ModelEntry("nowhere", build="no.such.module:network", reference=""))
    with pytest.raises(ModuleNotFoundError):
        create_model("nowhere")

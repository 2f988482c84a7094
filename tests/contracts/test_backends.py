"""What every runtime must satisfy, with every registered network: registering means tested."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import torch
from numpy.typing import NDArray
from tests.artifacts import hand_made, random_region_head, region_bytes

from cxreader import Reader
from cxreader.errors import ArtifactError, MissingDependencyError, UsageError
from cxreader.explanation.gradcam import grad_cam
from cxreader.inference.runtimes.backend import BACKENDS, Backend, Runtime, load_backend
from cxreader.inference.runtimes.export import export_onnx
from cxreader.models.artifact import Artifact
from cxreader.models.registry import create_model, list_models, model_entry
from cxreader.models.stages import StagedModel

NETWORKS = [entry.name for entry in list_models()]
SIZE = 64
EXACT = [name for name in BACKENDS if name != "openvino-bf16"]
"""Those that answer as torch does; the other is asked for by name, and has tests of its own."""


@functools.cache
def trained(name: str) -> StagedModel:
    """A network whose norms have statistics of their own and whose head has a bias."""
    torch.manual_seed(8)  # with it every network has a map above 0
    model = create_model(name, size=SIZE)
    with torch.no_grad():
        model.train()
        for _ in range(4):
            model(torch.randn(8, 3, SIZE, SIZE))
        model.head.bias.copy_(torch.tensor([0.3, -0.2]))
    return model.eval()


def images(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((count, 3, SIZE, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Artifact, Path]]:
    found = {}
    for name in NETWORKS:
        folder = tmp_path_factory.mktemp(name)
        hand_made(folder, name, trained(name).state_dict(), SIZE)
        found[name] = (export_onnx(folder), folder)
    return found


@pytest.fixture(scope="module", params=[(b, n) for b in EXACT for n in NETWORKS], ids="-".join)
def loaded(request: pytest.FixtureRequest, artifacts: dict[str, tuple[Artifact, Path]]) -> tuple[str, Backend]:
    backend, network = request.param
    return network, load_backend(backend, *artifacts[network])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_region_head_s_maps_are_those_of_its_stages_in_every_runtime_and_change_no_logit(
    network: str, artifacts: dict[str, tuple[Artifact, Path]], tmp_path: Path
) -> None:
    model, x = trained(network), images(3)
    record, head = random_region_head(model, SIZE)
    regions = (record, region_bytes(head))
    hand_made(tmp_path, network, model.state_dict(), SIZE, regions=regions)
    artifact = export_onnx(tmp_path)
    parity = artifact.exports["onnx"]["parity"]["regions"]
    assert parity is not None
    assert 0 < parity < 1e-4
    with torch.no_grad():
        by_hand = head([model.to_maps(model.until(torch.from_numpy(x), stage)) for stage in record.stages])
    expected = (1 / (1 + np.exp(-by_hand.numpy().astype(np.float64)))).astype(np.float32)
    assert expected.std() > 0.05
    for name in EXACT:
        backend, plain = load_backend(name, artifact, tmp_path), load_backend(name, *artifacts[network])
        assert backend.run(x).regions is None
        np.testing.assert_allclose(backend.logits(x), plain.logits(x), rtol=0, atol=0 if name == "torch" else 1e-5)
        if backend.has_maps:
            found = backend.run(x, maps=True).regions
            assert found is not None
            assert found.shape == (3, 3, record.side, record.side)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
            assert plain.run(x, maps=True).regions is None


def _features_by_hand(model: StagedModel, x: np.ndarray, cam_stage: str) -> np.ndarray:
    """Of each stage up to the CAM stage: cells of a quarter of the side, means of the cells that are not in an outer quarter."""
    means = []
    for stage in model.names[: model.names.index(cam_stage) + 1]:
        with torch.no_grad():
            maps = model.to_maps(model.until(torch.from_numpy(x), stage)).numpy().astype(np.float64)
        side = maps.shape[2]
        cell = max(1, side // 4)
        cells = side // cell
        inner = range(cells // 4, cells - cells // 4)
        boxes = [
            maps[:, :, i * cell : (i + 1) * cell, j * cell : (j + 1) * cell].mean((2, 3)) for i in inner for j in inner
        ]
        means.append(np.mean(boxes, axis=0))
    return np.concatenate(means, axis=1)


def test_logits_features_and_maps_are_those_of_the_network(loaded: tuple[str, Backend]) -> None:
    network, backend = loaded
    model, x, entry = trained(network), images(3), model_entry(network)
    stage = entry.cam_stage
    out = backend.run(x, maps=backend.has_maps)
    logits, maps = grad_cam(model, torch.from_numpy(x), stage=stage, method=entry.cam_method)
    features = _features_by_hand(model, x, stage)
    assert maps.max() > 0
    assert {array.dtype for array in (out.logits, out.features)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(out.logits, logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(out.features, features, rtol=0, atol=1e-4 * float(np.abs(features).max()))
    if not backend.has_maps:
        with pytest.raises(UsageError, match="they need torch"):
            backend.run(x, maps=True)
        return
    assert out.maps is not None
    assert out.maps.dtype == np.float32
    assert out.maps.min() >= 0
    np.testing.assert_allclose(out.maps, maps, rtol=0, atol=1e-3 * float(maps.max()))


def test_maps_come_when_asked_for_and_change_nothing_else(loaded: tuple[str, Backend]) -> None:
    _, backend = loaded
    x = images(2)
    without, with_maps = backend.run(x), backend.run(x, maps=backend.has_maps)
    assert without.maps is None
    np.testing.assert_allclose(without.logits, with_maps.logits, rtol=0, atol=1e-5)
    np.testing.assert_allclose(without.features, with_maps.features, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(backend.logits(x), without.logits)


def test_the_answer_does_not_depend_on_the_batch(loaded: tuple[str, Backend]) -> None:
    _, backend = loaded
    x = images(16)
    whole = _probabilities(backend, x)
    for count in range(1, 17):
        np.testing.assert_allclose(_probabilities(backend, x[:count]), whole[:count], rtol=0, atol=1e-6)


def _probabilities(backend: Backend, x: NDArray[np.float32]) -> NDArray[np.float64]:
    logits = backend.logits(x).astype(np.float64)
    return np.asarray(1 / (1 + np.exp(logits[:, 0] - logits[:, 1])))


def test_threads_share_it(loaded: tuple[str, Backend]) -> None:
    _, backend = loaded
    batches = [images(4)[i : i + 1] for i in range(4)] * 2 + [images(5)] * 3  # alone, and dealt out to the cores
    ask = functools.partial(backend.run, maps=backend.has_maps)
    expected = [ask(one) for one in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(ask, batches), expected, strict=True):
            np.testing.assert_allclose(found.logits, wanted.logits, rtol=0, atol=1e-6)
            if not backend.has_maps:
                continue
            assert found.maps is not None
            assert wanted.maps is not None
            np.testing.assert_allclose(found.maps, wanted.maps, rtol=0, atol=1e-6 + 1e-5 * float(wanted.maps.max()))


def test_it_says_its_name(loaded: tuple[str, Backend]) -> None:
    assert loaded[1].name in EXACT


def _registered(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setitem(BACKENDS, "reference", Runtime(backend, "pip install reference", reads="onnx"))


def test_a_second_runtime_on_the_same_file_is_one_file_and_one_line(
    artifacts: dict[str, tuple[Artifact, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, folder = artifacts["chestxray_cnn"]
    _registered(monkeypatch, "tests.reference_runtime:ReferenceBackend")
    reader = Reader.load(folder, backend="reference")
    assert (reader.backend.name, reader.backend.has_maps) == ("reference", True)
    x = images(2)
    ours, onnxs = reader.backend.run(x, maps=True), load_backend("onnx", artifact, folder).run(x, maps=True)
    assert ours.maps is not None
    assert onnxs.maps is not None
    np.testing.assert_allclose(ours.logits, onnxs.logits, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.features, onnxs.features, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.maps, onnxs.maps, rtol=0, atol=1e-5 * float(onnxs.maps.max()))
    assert load_backend("auto", artifact, folder).name == "onnx"  # the first of the table


def test_the_file_that_a_runtime_reads_is_asked_for_and_checked_by_the_table_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_made(tmp_path, "chestxray_cnn", trained("chestxray_cnn").state_dict(), SIZE)
    _registered(monkeypatch, "tests.no_such_module:Backend")
    with pytest.raises(ArtifactError, match="the artifact holds no ONNX export; run `cxreader export"):
        Reader.load(tmp_path, backend="reference")
    artifact = export_onnx(tmp_path)
    with pytest.raises(
        MissingDependencyError, match=r"the reference backend needs tests.no_such_module; pip install ref"
    ):
        Reader.load(tmp_path, backend="reference")
    (tmp_path / artifact.exports["onnx"]["file"]).write_bytes(b"")
    with pytest.raises(ArtifactError, match="not the onnx export"):
        Reader.load(tmp_path, backend="reference")


def test_what_a_runtime_says_of_maps_is_what_it_gives(loaded: tuple[str, Backend]) -> None:
    network, backend = loaded
    assert backend.has_maps == (backend.name == "torch" or model_entry(network).closed_form_maps)

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
from tests.artifacts import hand_made

from cxreader.explanation.gradcam import grad_cam
from cxreader.inference.backend import BACKENDS, Backend, load_backend
from cxreader.inference.export import export_onnx
from cxreader.models.artifact import Artifact
from cxreader.models.registry import create_model, list_models
from cxreader.models.stages import StagedModel

NETWORKS = [entry.name for entry in list_models()]
SIZE = 64


@functools.cache
def trained(name: str) -> StagedModel:
    """A network whose norms have statistics of their own and whose head has a bias."""
    torch.manual_seed(0)
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


@pytest.fixture(scope="module", params=[(b, n) for b in BACKENDS for n in NETWORKS], ids="-".join)
def loaded(request: pytest.FixtureRequest, artifacts: dict[str, tuple[Artifact, Path]]) -> tuple[str, Backend]:
    backend, network = request.param
    return network, load_backend(backend, *artifacts[network])


def _seen_by_hand(model: StagedModel, x: np.ndarray) -> np.ndarray:
    """Of each spatial stage: cells of a quarter of the side each, means of the cells that are not in an outer quarter."""
    means = []
    for stage in model.names[: model.names.index("last_block") + 1]:
        with torch.no_grad():
            maps = model.until(torch.from_numpy(x), stage).numpy().astype(np.float64)
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
    model, x = trained(network), images(3)
    out = backend.run(x, maps=True)
    logits, maps = grad_cam(model, torch.from_numpy(x))
    features = _seen_by_hand(model, x)
    assert out.maps is not None
    assert maps.max() > 0
    assert {array.dtype for array in (out.logits, out.features, out.maps)} == {np.dtype(np.float32)}
    assert out.maps.min() >= 0
    np.testing.assert_allclose(out.logits, logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(out.features, features, rtol=0, atol=1e-4 * float(np.abs(features).max()))
    np.testing.assert_allclose(out.maps, maps, rtol=0, atol=1e-3 * float(maps.max()))


def test_maps_come_when_asked_for_and_change_nothing_else(loaded: tuple[str, Backend]) -> None:
    _, backend = loaded
    x = images(2)
    without, with_maps = backend.run(x), backend.run(x, maps=True)
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
    ask = functools.partial(backend.run, maps=True)
    expected = [ask(one) for one in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(ask, batches), expected, strict=True):
            assert found.maps is not None
            assert wanted.maps is not None
            np.testing.assert_allclose(found.logits, wanted.logits, rtol=0, atol=1e-6)
            np.testing.assert_allclose(found.maps, wanted.maps, rtol=0, atol=1e-6 + 1e-5 * float(wanted.maps.max()))


def test_it_says_its_name(loaded: tuple[str, Backend]) -> None:
    assert loaded[1].name in BACKENDS

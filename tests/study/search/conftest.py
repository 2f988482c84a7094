"""One small search and its winner for all tests of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.study.search.world import Fake, learning_config, silent
from tests.world import make_world

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch

from cxreader.config import Config
from cxreader.models.registry import create_model
from cxreader.models.weights import Transfer
from cxreader.study.search import search as search_module
from cxreader.study.search import worker as search_worker
from cxreader.study.search.search import SearchResult, search
from cxreader.study.search.winner import Winner, finish_winner


@contextmanager
def single_thread() -> Iterator[None]:
    """As the spawned workers have it: sums in another order may differ in the last bit. Given back to the tests elsewhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with single_thread():
        yield


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="package")
def searched(world: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    with single_thread():
        return search(learning_config(world), tmp_path_factory.mktemp("search") / "out", say=silent)


@pytest.fixture(scope="package")
def won(searched: SearchResult) -> Winner:
    with single_thread():
        return finish_winner(searched, say=silent)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Config], list[float]]], Fake]:
    def install(curve: Callable[[Config], list[float]]) -> Fake:
        stand_in = Fake(curve, [])
        monkeypatch.setattr(search_worker, "learn", stand_in)
        network = create_model("chestxray_cnn", size=32)  # asked for its stages alone
        for module in (search_worker, search_module):
            monkeypatch.setattr(module, "build_model", lambda _: (network, Transfer("file", pretrained=True)))
        monkeypatch.setattr(search_module, "prepare_outputs", lambda *_, **__: None)
        return stand_in

    return install

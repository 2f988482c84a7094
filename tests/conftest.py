"""Shared fixtures: the real images where there are any, and the rule that in CI nothing is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxreader.cli.output.console import State
from cxreader.config import Config
from tests.boxed_world import boxed_config, make_boxed_world
from tests.world import make_world, world_config

PROJECT = Path(__file__).resolve().parents[1]
REQUIRE_ALL = os.environ.get("CXREADER_REQUIRE") == "all"


@pytest.fixture(scope="session")
def images_root() -> Path:
    """The folder of the real images; the test is skipped, with its reason, on a machine without them."""
    root = Path(os.environ.get("CXREADER_IMAGES") or PROJECT.parent / "shared" / "data")
    if not root.is_dir():
        pytest.skip("no real images here")
    return root


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world of tests/world.py."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def _as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `--quiet` and `--debug` set in one test is no other test's."""
    monkeypatch.setattr(State, "quiet", False)
    monkeypatch.setattr(State, "debug", False)


@pytest.fixture
def small_config(small_world: Path) -> Config:
    """Two phases of two epochs on the small world."""
    return world_config(small_world)


@pytest.fixture(scope="session")
def small_run(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the small world. Read it, do not change it."""
    from cxreader.training.train import train

    out = tmp_path_factory.mktemp("run") / "run"
    train(world_config(small_world), out, say=lambda _: None)
    return out


@pytest.fixture(scope="session")
def boxed_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world with boxes of tests/boxed_world.py."""
    return make_boxed_world(tmp_path_factory.mktemp("boxed"))


@pytest.fixture(scope="session")
def boxed_run(boxed_world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A finished run on it with a region head, and what it said. Read it, do not change it."""
    from cxreader.training.train import train

    out, said = tmp_path_factory.mktemp("boxed_run") / "run", list[str]()
    train(boxed_config(boxed_world, boxes={"epochs": 25}), out, say=said.append)
    return out, said


@pytest.fixture(scope="module")
def few_images_suffice() -> Iterator[None]:
    """Networks of the tests are calibrated on some ten images; here they are taken for calibrated, as one on hundreds is."""
    from cxreader.evaluation.calibration import support

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(support, "LEAST", 1)
        patch.setattr(support, "ENOUGH", 1)
        yield


@pytest.fixture(scope="module")
def pdf_left_empty() -> Iterator[None]:
    """Figures as PDF are written empty, for tests of numbers and words: each takes a fifth of a second, most of it for its font.

    What is in them is told by the tests of `reporting`, and that they are all written by `assessment/test_outputs.py`.
    """
    from cxreader.reporting.style import render_figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cxreader.reporting.for_papers.render_figure",
            lambda figure, kind: b"" if kind == "pdf" else render_figure(figure, kind),
        )
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, so that at the end no process is left alone with a long one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With CXREADER_REQUIRE=all a skip is a failure: what CI does not run, nobody runs."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although CXREADER_REQUIRE=all: {report.longrepr}"

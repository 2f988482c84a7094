"""Shared fixtures: the real images where there are any, and the rule that in CI nothing is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
REQUIRE_ALL = os.environ.get("CXREADER_REQUIRE") == "all"


@pytest.fixture(scope="session")
def images_root() -> Path:
    """The folder of the real images; the test is skipped, with its reason, on a machine without them."""
    root = Path(os.environ.get("CXREADER_IMAGES") or PROJECT.parent / "shared" / "data")
    if not root.is_dir():
        pytest.skip("no real images here")
    return root


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With CXREADER_REQUIRE=all a skip is a failure: what CI does not run, nobody runs."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although CXREADER_REQUIRE=all: {report.longrepr}"

"""The demonstration as `make demo` runs it: minutes, so it is marked slow, and it is the whole path in earnest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cxreader.cli import run
from cxreader.cli.console import State
from cxreader.data.split import Split


@pytest.mark.slow
def test_the_demo_learns_phantoms_and_ends_in_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(State, "quiet", True)
    assert run(["--quiet", "demo", "--out", str(tmp_path / "demo")]) == 0
    evaluation = json.loads((tmp_path / "demo/evaluation/evaluation.json").read_text())
    assert evaluation["metrics"]["auc"]["value"] >= 0.90
    assert evaluation["counts"]["excluded"] == {}
    split = Split.load(tmp_path / "demo/run/split.json")
    people = {part: {image[:8] for image in images} for part, images in split.parts.items()}
    assert not people["test"] & (people["train"] | people["tune"] | people["calibrate"])
    page = (tmp_path / "demo/index.html").read_text()
    assert "phantom" in page
    assert "not a medical device" in page
    assert page.count('class="card') >= 6 or len(re.findall(r"<img[^>]+data:image/png", page)) >= 12
    assert not re.findall(r"""(?:src|href)=["']https?://""", page)
    assert "phantoms" in capsys.readouterr().out

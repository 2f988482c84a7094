"""The demonstration as `make demo` runs it: minutes, so it is marked slow, and it is the whole path in earnest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cxreader import Reader
from cxreader.cli import run
from cxreader.cli.output.console import State
from cxreader.data.split import Split


def _real(folder: Path) -> list[Path]:
    return [
        *sorted((folder / "nih_originals").rglob("*.png")),
        *sorted((folder / "kermany/images").rglob("*.jpeg"))[::80],
    ]


@pytest.mark.slow
@pytest.mark.real
def test_the_demo_learns_phantoms_ends_in_one_page_and_refuses_real_images(
    tmp_path: Path, images_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
    assert "Do the maps find what was drawn" in page
    assert "not a medical device" in page
    assert page.count('class="card') >= 6 or len(re.findall(r"<img[^>]+data:image/png", page)) >= 12
    assert not re.findall(r"""(?:src|href)=["']https?://""", page)
    assert "phantoms" in capsys.readouterr().out
    assert evaluation["refusals"]["shares"]["all"]["value"] <= 0.02
    readings = list(Reader.load(tmp_path / "demo/run").read_many(_real(images_root)))
    refused = [reading for reading in readings if reading.acceptance == "refused"]
    assert len(readings) > 90
    assert len(refused) >= 0.9 * len(readings)
    assert sum("unlike the training images" in reading.reasons[0] for reading in refused) > 0.9 * len(refused)

"""Artifacts that earlier versions wrote (`data/`) open, keep their names and read as they did."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.models.data import TINY

from cxreader.errors import ArtifactError
from cxreader.inference.reader import Reader
from cxreader.inference.runtimes.export import export_onnx
from cxreader.models import registry
from cxreader.models.artifact import MANIFEST, load_artifact, save_manifest

pytestmark = pytest.mark.usefixtures("few_images_suffice")

DATA = Path(__file__).parent / "data"
NAMES = {2: "b3e222c7785a", 3: "cc7623b2ab67", 4: "e333b9147bcf"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their network, known while these tests run."""
    monkeypatch.setitem(registry._MODELS, TINY.name, TINY)


@pytest.fixture
def folder(schema: int, tmp_path: Path) -> Path:
    return shutil.copytree(DATA / f"schema{schema}", tmp_path / "artifact")


def _stored(folder: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return stored


@pytest.mark.parametrize("schema", NAMES)
def test_it_opens_with_what_it_did_not_know_left_empty(folder: Path, schema: int) -> None:
    assert _stored(folder)["schema"] == schema
    artifact = load_artifact(folder)
    assert artifact.id == NAMES[schema] == _stored(folder)["id"]
    assert (artifact.thresholds_on, artifact.images) == ("calibration", None)
    assert (artifact.reference_scores is None, artifact.evaluation is None) == ((schema < 4,) * 2)
    assert (artifact.acceptance is None, artifact.exports == {}) == ((True, True) if schema == 2 else (False, False))


@pytest.mark.parametrize(("schema", "backend"), [(2, "torch"), (3, "torch"), (3, "onnx"), (4, "torch"), (4, "onnx")])
def test_it_decides_as_the_version_that_made_it_did(folder: Path, schema: int, backend: str) -> None:
    reader = Reader.load(folder, backend=backend)
    then = json.loads((DATA / f"schema{schema}/readings.json").read_text())
    assert [answer["probability"] is None for answer in then.values()] == [False, False, schema > 2]
    for name, answer in then.items():
        now = reader.read(DATA / name)
        assert (now.artifact, now.decision, now.conformal) == (NAMES[schema], answer["decision"], answer["conformal"])
        assert list(now.reasons) == answer["reasons"]
        if now.interval is None:
            assert now.probability == pytest.approx(answer["probability"], abs=1e-6)
        else:  # its probability could lie outside; the threshold is moved with it, so that the decision is the same
            low, high = now.interval
            assert now.probability is not None
            assert low <= now.probability <= high
            assert abs(now.probability - min(max(answer["probability"], low), high)) <= 0.011 * (high - low) + 1e-6
            assert (now.decision == "abnormal") == (now.probability >= now.operating_point.threshold)
        assert now.interval == (None if answer["interval"] is None else tuple(answer["interval"]))
        if schema == 2:
            assert now.ood_score is None
        else:
            assert now.ood_score is not None
            assert (now.ood_score > 1) == (now.probability is None)


@pytest.mark.parametrize("schema", NAMES)
def test_what_is_added_to_it_changes_the_schema_and_not_the_name(folder: Path, schema: int) -> None:
    old = load_artifact(folder)
    export_onnx(folder)
    judged = replace(load_artifact(folder), evaluation={"part": "test", "maps": None})
    save_manifest(judged, folder)
    assert (_stored(folder)["schema"], _stored(folder)["id"]) == (5, NAMES[schema])
    again = load_artifact(folder)
    assert again == replace(old, exports=again.exports, evaluation=judged.evaluation)
    assert list(again.exports) == ["onnx"]
    assert Reader.load(folder, backend="onnx").read(DATA / "036_0.png").artifact == NAMES[schema]


@pytest.mark.parametrize("schema", NAMES)
def test_a_changed_number_is_refused_as_it_was(folder: Path, schema: int) -> None:
    (folder / MANIFEST).write_text(json.dumps({**_stored(folder), "dropout": 0.3}))
    with pytest.raises(ArtifactError, match="the digest does not fit the content"):
        load_artifact(folder)

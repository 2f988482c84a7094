"""Several models are judged as `cxreader read` reads them: by their mean, with whom they refer to a human counted."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
from base64 import b64decode
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save

from cxreader import Reader
from cxreader.assessment.shortcuts.elsewhere import shared_baselines
from cxreader.cli import run
from cxreader.cli.output.console import State
from cxreader.evaluation.decisions.conformal import ConformalRule
from cxreader.inference.member import Member
from cxreader.models.artifact import WEIGHTS, load_artifact, save_artifact, sha256
from cxreader.runs import artifact_folder

pytestmark = pytest.mark.usefixtures("few_images_suffice", "pdf_left_empty")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(State, "quiet", True)


@pytest.fixture(scope="module")
def two(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The small run's model, and the same with its classes exchanged: they disagree wherever one is sure."""
    folder = artifact_folder(small_run)
    state = load_file(folder / WEIGHTS)
    turned = save(
        {name: v.flip(0).contiguous() if name.startswith("head") and len(v) == 2 else v for name, v in state.items()}
    )
    artifact = replace(load_artifact(folder), weights_sha256=sha256(turned), exports={}, acceptance=None)
    place = save_artifact(artifact, turned, tmp_path_factory.mktemp("turned") / "artifact")
    return ["--model", str(small_run), "--model", str(place)]


@pytest.fixture(scope="module")
def ruled(two: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The same two, each with a conformal rule of its own."""
    options = []
    for k, path in enumerate(two[1::2]):
        folder = artifact_folder(path)
        rule = ConformalRule(0.1 + 0.1 * k, 0.45 - 0.1 * k, 0.55, 20, 20)
        artifact = replace(load_artifact(folder), conformal=rule.to_dict(), exports={})
        place = tmp_path_factory.mktemp(f"ruled{k}") / "artifact"
        options += ["--model", str(save_artifact(artifact, (folder / WEIGHTS).read_bytes(), place))]
    return options


def test_they_are_judged_by_their_mean_and_referrals_are_counted(
    two: list[str], small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = shutil.copytree(small_world, tmp_path / "elsewhere")
    out = tmp_path / "out"
    asked = ["evaluate", *two, "--data", str(world), "--name", "world", "--out", str(out)]
    assert run(asked) == 0
    printed = " ".join(capsys.readouterr().out.split())
    judged = {row["image"]: row for row in csv.DictReader((out / "predictions.csv").read_text().splitlines())}
    files = [str(world / image) for image in judged]
    assert run(["read", *two, *files, "--out", str(tmp_path / "read.csv")]) == 0
    read = {Path(row["image"]).name: row for row in csv.DictReader((tmp_path / "read.csv").read_text().splitlines())}
    assert set(read) == set(judged)
    for image, row in read.items():
        if row["acceptance"] == "refused":
            assert judged[image]["acceptance"] == "refused"
        else:
            assert float(judged[image]["probability"]) == pytest.approx(float(row["probability"]), abs=1e-4)
            assert judged[image]["decision"] == row["decision"]
    said = Counter("refused" if row["acceptance"] == "refused" else row["decision"] for row in read.values())
    assert said["refer"] > 0
    answered = json.loads((out / "evaluation.json").read_text())["answered"]
    assert (answered["refused"], answered["referred"]) == (said["refused"], said["refer"])
    assert f"refused {said['refused']}, referred to a human {said['refer']}." in printed
    assert "is judged of each model alone" in printed
    assert "mean of 2 models" in (out / "report.html").read_text()


def test_shortcuts_thumbnail_maps_and_conformal_rules_are_of_all_of_them(
    ruled: list[str], small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The audit judges the mean; the rules answer together what both models say alone, which the table of readings holds."""
    world, out = shutil.copytree(small_world, tmp_path / "elsewhere"), tmp_path / "out"
    assert run(["evaluate", *ruled, "--data", str(world), "--name", "world", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Beside what sees no disease\n" in printed
    assert "not audited" not in printed
    assert "not compared with a 16 x 16 thumbnail" not in printed
    assert "trained on different images" not in printed, "both were trained on the same"
    assert "Baseline: 16 x 16 thumbnail, learnt elsewhere" in printed
    evaluation = json.loads((out / "evaluation.json").read_text())
    audit = json.loads((out / "shortcuts.json").read_text())
    assert audit["model"]["value"] == pytest.approx(evaluation["metrics"]["auc"]["value"])
    assert [view["name"] for view in audit["views"]] == [
        "the model on the border alone",
        "the model on the centre alone",
    ]
    judged = {row["image"]: row for row in csv.DictReader((out / "predictions.csv").read_text().splitlines())}
    reader = Reader.load(ruled[1::2])
    said = Counter[tuple[str, str]]()
    for image in judged:
        members = next(reader.read_many([world / image], refuse=False)).members
        answers = {str(member.conformal) for member in members}
        said[judged[image]["label"], answers.pop() if len(answers) == 1 else "refer"] += 1
    result = evaluation["evidence"]["conformal"]
    assert result["rule"] is None
    assert result["bound"] == 0.1
    for label in ("normal", "abnormal"):
        told = result["counts"][label]
        assert (told["normal"], told["abnormal"]) == (said[label, "normal"], said[label, "abnormal"])
        assert told["both"] + told["neither"] == said[label, "refer"]
    page = (out / "report.html").read_text()
    assert "where the model looked" in page
    assert "Each model's own rule is asked" in html.unescape(page)
    shown = re.findall(r'<div class="pair">\s*<img src="([^"]+)"[^>]*>\s*<img src="([^"]+)"', page)
    assert shown
    assert evaluation["evidence"]["contradictions"]
    assert (out / "contact_sheet.png").is_file()
    assert "The contradicted images, each beside itself under the heat map of each model" in page
    for original, maps in shown:
        (height, width), (tall, wide) = (_size(original), _size(maps))
        assert (tall, wide) == (height, 2 * width)


def _size(uri: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(b64decode(uri.split(",")[1]))) as picture:
        return picture.height, picture.width


def test_who_set_one_of_them_is_left_out(two: list[str], small_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["evaluate", *two, "--data", str(small_world), "--name", "world", "--out", str(out)]) == 0
    excluded = json.loads((out / "evaluation.json").read_text())["counts"]["excluded"]
    assert {"the patient set this model (train)", "the patient set this model (calibrate)"} <= set(excluded)


def test_a_run_and_predictions_take_one_model(
    two: list[str], small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", *two, "--predictions", "p.csv", "--out", str(tmp_path)]) != 0
    assert "2 models where one is wanted" in capsys.readouterr().err
    assert run(["evaluate", str(small_run), *two]) != 0
    assert "where one is wanted" in capsys.readouterr().err


def test_the_worklist_of_several_has_their_agreement_and_says_once_what_all_say(
    two: list[str], small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxreader.evaluation.calibration.support.ENOUGH", 1000)
    page, table = tmp_path / "w.html", tmp_path / "t.csv"
    files = [str(path) for path in sorted(small_world.glob("0*.png"))[:4]]
    assert run(["-q", "read", *two, *files, "--out", str(table), "--page", str(page)]) == 0
    text = page.read_text()
    for row in csv.DictReader(table.read_text().splitlines()):
        assert not row["agreement"] or f"agreement {float(row['agreement']):.3f}" in text
    notice = text.split('aria-label="Warnings"')[1].split("</section>")[0]
    assert notice.count("calibrated on few images") == 1


def test_only_models_of_the_same_training_images_share_what_those_teach(two: list[str]) -> None:
    first, second = Reader.load(two[1::2]).members
    shared = shared_baselines(Reader([first, second]))
    assert shared
    assert [baseline.name for baseline in shared] == ["image statistics", "border only", "16 x 16 thumbnail"]
    of_others = {**second.artifact.provenance, "baselines": [{**one.to_dict(), "images": 9} for one in shared]}
    other = Member(replace(second.artifact, provenance=of_others), second.backend, second.operating_point)
    assert shared_baselines(Reader([first, other])) is None

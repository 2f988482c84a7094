"""Cross-validation: killed, moved and gone on with, it ends in the same table; nobody is judged by a model that met him."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from cxreader.assessment.artifact import judge
from cxreader.cli import run as command
from cxreader.config import Config, parse_config, with_values
from cxreader.data.sources import open_source
from cxreader.data.split import Split, patient_hash
from cxreader.errors import UsageError
from cxreader.evaluation.predictions import read_models
from cxreader.models.artifact import load_artifact
from cxreader.reporting.study.cross_validation import CrossValidation
from cxreader.study import cross_validation as study
from cxreader.study.cross_validation import cross_validate

KEPT = ("cross_validation.md", "tables/folds.csv", "tables/folds.tex", "figures/folds.svg", "figures/folds.pdf")


def _predictions(out: Path) -> list[dict[str, str]]:
    """The out-of-fold predictions without the artifacts' names, which hold where the run lay."""
    with (out / "predictions.csv").open() as file:
        return [{name: text for name, text in row.items() if name != "artifact"} for row in csv.DictReader(file)]


def _silent(_: str) -> None:
    return


def _config(world: Path) -> Config:
    full = {"epochs": 1, "patience": 1}
    return parse_config(
        {
            "data": {"root": str(world), "name": "world", "workers": 1},
            "input": {"size": 32},
            "augment": None,
            "model": {"name": "chestxray_cnn", "weights": "none"},
            "training": {"phases": ("full",), "full": full, "batch_size": 16, "monitor": "auc", "accelerator": "cpu"},
        }
    )


@pytest.fixture(scope="module")
def world(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(small_world, tmp_path_factory.mktemp("folds") / "world"))


@pytest.fixture(scope="module")
def whole(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished cross-validation. Read it, do not change it."""
    out = tmp_path_factory.mktemp("whole") / "out"
    cross_validate(_config(world), 2, out, say=_silent)
    return out


def test_killed_in_a_fold_and_moved_it_goes_on_to_the_same_table(
    world: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    calls: list[object] = []

    def killed(*given: object, **named: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return judge(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(study, "judge", killed)
    here = Path(shutil.copytree(world, tmp_path / "world"))
    with pytest.raises(KeyboardInterrupt):
        cross_validate(_config(here), 2, out, say=_silent)
    assert not (out / "report.html").exists()
    moved = here.rename(tmp_path / "elsewhere")
    again = with_values(_config(here), {"data.root": str(moved)})
    with pytest.raises(UsageError, match="holds a cross-validation already"):
        cross_validate(again, 2, out, say=_silent)
    cross_validate(again, 2, out, resume=True, say=_silent)
    assert len(calls) == 3  # the first fold is judged once
    assert _predictions(out) == _predictions(whole)
    for name in KEPT:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_every_patient_is_judged_once_by_a_model_that_never_met_him(world: Path, whole: Path) -> None:
    index = open_source(world, name="world")
    with (whole / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["image"] for row in rows) == sorted(index.by_image)
    for fold in ("1", "2"):
        artifact = load_artifact(whole / f"folds/fold-{fold}/artifact", weights=False)
        own = [row for row in rows if row["fold"] == fold]
        assert {row["artifact"] for row in own} == {artifact.id}
        assert {float(row["threshold"]) for row in own} == {artifact.operating_points[0].threshold}
        met = {mark for marks in artifact.patients.parts.values() for mark in marks}
        marks = {patient_hash(artifact.patients.salt, row["source"], row["patient"]) for row in own}
        assert met
        assert met.isdisjoint(marks)
        assert sorted(row["image"] for row in own) == list(Split.load(whole / f"splits/fold-{fold}.json").parts["test"])
    table = read_models(whole / "predictions.csv")
    assert list(table.tables) == ["predictions"]
    assert table.notes == ()


def test_page_and_record_say_what_is_pooled_how_and_beside_a_thumbnail(whole: Path) -> None:
    made = CrossValidation.from_dict(json.loads((whole / "cross_validation.json").read_text()))
    artifacts = [load_artifact(whole / f"folds/fold-{n}/artifact", weights=False) for n in (1, 2)]
    fewest = min(min(artifact.provenance["counts"]["calibrate"]) for artifact in artifacts)
    few = f"2 folds have fewer than 50 images of a class on calibrate, {fewest} at the least: thresholds"
    assert [note for note in made.notes if note.startswith(few)]
    page = (whole / "report.html").read_text()
    for text in (
        "16 x 16 thumbnail learnt elsewhere reaches",
        "AUC of a thumbnail learnt here",
        "Mean of the folds",
        "All images pooled",
        "AUC minus thumbnail",
        "whose scores need not have one scale",
        made.folds[0].artifact,
    ):
        assert text in page
    assert "://" not in page
    assert page.count("no transfer: weights absent") == 1  # beside the network's name, and no warning of its own
    assert r"\toprule" in (whole / "tables/folds.tex").read_text()
    assert [fold.number for fold in made.folds] == [1, 2]
    assert sum(sum(fold.counts["test"]) for fold in made.folds) == 120


def test_the_methods_tell_folds_thresholds_and_statistics(whole: Path) -> None:
    made = CrossValidation.from_dict(json.loads((whole / "cross_validation.json").read_text()))
    text = (whole / "methods.md").read_text()
    salt = json.loads((whole / "plan.json").read_text())["salt"]
    assert f"Images of world: {made.counts}, shared out to 2 folds by a hash of the patient (salt {salt})." in text
    for fold in made.folds:
        artifact = load_artifact(whole / f"folds/fold-{fold.number}/artifact", weights=False)
        normal, abnormal = artifact.provenance["counts"]["train"]
        assert f"fold {fold.number}: train {normal} and {abnormal}, " in text
        assert f"{artifact.operating_points[0].threshold:.4g} ({artifact.operating_points[0].name})" in text
    assert "Network: chestxray_cnn (" in text
    assert "full: all at 0.001, at most 1 epochs, patience 1" in text
    assert (
        "95 % intervals: bootstrap by patient; percentile, 2000 resamples; exact (Clopper-Pearson) where every image"
        in text
    )
    assert "Phases: " not in text  # the best epochs of one fold are not those of the others


def test_other_folds_sources_and_splits_are_refused(world: Path, whole: Path, tmp_path: Path) -> None:
    config = _config(world)
    with pytest.raises(UsageError, match="started with --folds 2"):
        cross_validate(config, 3, whole, resume=True, say=_silent)
    with pytest.raises(UsageError, match="started with --judge-sources left out"):
        cross_validate(config, 2, whole, judge_sources=["world"], resume=True, say=_silent)
    with pytest.raises(UsageError, match=r"another configuration \(input\.size\)"):
        cross_validate(with_values(config, {"input.size": 48}), 2, whole, resume=True, say=_silent)
    with pytest.raises(UsageError, match=r"split\.kind: folds are made by patient"):
        cross_validate(with_values(config, {"split.kind": "image-random"}), 2, tmp_path / "o", say=_silent)
    assert not (tmp_path / "o").exists()


def test_the_command_shows_the_folds_within_80_columns(
    world: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    file = tmp_path / "run.json"
    file.write_text(json.dumps(_config(world).model_dump(mode="json")))
    assert command(["-q", "study", "cross-validate", str(file), "--folds", "2", "--out", str(out), "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split() for line in lines]
    row = next(csv.DictReader((whole / "tables/folds.csv").read_text().splitlines()))
    assert [line[0] for line in shown if line and line[0] in ("1", "2", "mean", "pooled")] == [
        "1",
        "2",
        "mean",
        "pooled",
    ]
    expected = [row[name] for name in ("AUC", "Sensitivity", "Specificity", "AUC minus thumbnail")]
    assert next(line for line in shown if line[:1] == ["1"]) == ["1", *expected]
    refused = json.loads((whole / "cross_validation.json").read_text())["results"]["pooled"]["refused"]
    said = f"Refused, all images: {refused['value']:.3f} ({refused['low']:.3f}-{refused['high']:.3f})."
    assert said in " ".join(" ".join(lines).split())
    assert (
        command(
            [
                "-q",
                "study",
                "cross-validate",
                str(file),
                "--folds",
                "2",
                "--out",
                str(tmp_path / "n"),
                "--set",
                "data.root=nowhere",
            ]
        )
        == 3
    )
    assert not (tmp_path / "n").exists()

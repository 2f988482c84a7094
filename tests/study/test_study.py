"""The study: rows, seeds, one test part that is read once, and that nothing is lost when the machine dies."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401

# isort: split
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from tests.world import world_config

from cxreader.cli import run
from cxreader.config import Config, parse_config, with_values
from cxreader.data.dataset import CachedImages
from cxreader.data.index import Index
from cxreader.data.sources import open_source
from cxreader.data.split import Split
from cxreader.errors import ConfigError, SplitError, UsageError, WeightsError
from cxreader.evaluation.comparison.records import RowResult
from cxreader.evaluation.predictions import read_predictions
from cxreader.progress import no_bar
from cxreader.records import ImageRecord, PredictionTable
from cxreader.reporting.study.published import PUBLISHED
from cxreader.runs import RunFolder
from cxreader.study import rows as study_rows_module
from cxreader.study.held_out import READINGS, read_test
from cxreader.study.panels import _chosen
from cxreader.study.pretrain import require_weights, weights_digest, with_weights
from cxreader.study.report import NUMBERS, is_published_set, report_study
from cxreader.study.rows import default_rows, study_rows
from cxreader.study.run_folders import _key, _learnt_from, _settings, training_folder
from cxreader.study.study import CHOICES, StudyRun, Trainings, _split_of, train_rows
from cxreader.training.train import train


def _silent(_: str) -> None:
    return


def _config(world: Path) -> Config:
    """Two networks and a search over four points, two seeds, 32 px."""
    cnn = {"name": "chestxray_cnn", "weights": "none", "dropout": 0.5}
    full = {"phases": ["full"], "full": {"lr": 1e-3, "epochs": 1, "patience": 1}}
    tuned = {"phases": ["fine_tune"], "fine_tune": {"epochs": 1, "patience": 1}}
    study = {
        "seeds": 2,
        "rows": [
            {"name": "Custom CNN", "model": cnn, "training": full, "published": "custom_cnn"},
            {"name": "ResNet18", "published": "resnet18"},
            {"name": "Best of four", "search": True, "training": tuned},
            {"name": "Thinned", "model": cnn, "training": full, "abnormal_share": 0.2},
        ],
        "space": {"training.fine_tune.learn": ["head", "last_block"], "training.fine_tune.lr": [1e-3, 3e-4]},
    }
    phase = {"epochs": 1, "patience": 1}
    small = {"input": {"size": 32}, "training.head": phase, "training.fine_tune": phase, "training.monitor": "accuracy"}
    return with_values(world_config(world), {**small, "study": study})


@pytest.fixture(scope="module")
def finished(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainings, Path]:
    out = tmp_path_factory.mktemp("study") / "study"
    trainings = train_rows(_config(small_world), out, say=_silent)
    report_study(trainings, command="cxreader study run", say=_silent, bar=no_bar)
    return trainings, out


def _table(out: Path) -> dict[str, Any]:
    """All that a study found; what a clock or the machine's load decides is left out."""

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                k: kept(v)
                for k, v in value.items()
                if k not in ("seconds", "images_per_second", "date", "git revision")
            }
        return [kept(v) for v in value] if isinstance(value, list) else value

    found: dict[str, Any] = kept(json.loads((out / NUMBERS).read_text()))
    return found


def test_every_row_is_judged_on_the_same_test_part(finished: tuple[Trainings, Path]) -> None:
    trainings, out = finished
    names = ["Custom CNN", "ResNet18", "Best of four", "Thinned"]
    assert [run.row.name for run in trainings.runs] == [name for name in names for _ in range(2)]
    tables = [read_predictions(run.folder.path / "test.csv") for run in trainings.runs]
    test = Split.load(trainings.folder.split).parts["test"]
    assert all(tuple(table.image.tolist()) == test for table in tables)
    found = json.loads((out / NUMBERS).read_text())
    for n, row in enumerate(found["comparison"]["rows"]):
        aucs = [roc_auc_score(t.label, t.probability) for t in tables[2 * n : 2 * n + 2]]
        right = [float(np.mean((t.probability >= 0.5) == (t.label == 1))) for t in tables[2 * n : 2 * n + 2]]
        assert row["metrics"]["auc"]["value"] == pytest.approx(np.mean(aucs))
        assert row["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(right))
        assert row["by_seed"]["auc"] == pytest.approx(aucs)
    page = (out / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # one file that loads nothing
    for name in ("roc", "precision_recall", "confusion", "kappa", "training", "auc"):
        assert {(out / "figures" / f"{name}.{kind}").stat().st_size > 0 for kind in ("png", "svg", "pdf")} == {True}
    assert PUBLISHED["resnet18"].words("accuracy") not in page  # these are not the images it was published on
    assert "Published" not in page + (out / "table.md").read_text()
    assert {path.stem for path in (out / "tables").glob("*.tex")} >= {"networks", "differences", "agreement", "cohort"}
    methods = (out / "methods.md").read_text()
    for part in found["cohort"]["parts"]:
        assert (
            f"{part['name']} {part['images']:,} images ({part['normal']:,} normal, {part['abnormal']:,} abnormal"
            in methods
        )
    assert "Each network was trained from 2 seeds" in methods
    assert f"numpy {np.__version__}" in methods


def test_published_figures_stand_beside_the_nihs_images_alone() -> None:
    nih = ImageRecord(image="a.png", path="a.png", label=0, patient="1", source="nih")
    for records, published in (((nih,), True), ((nih, replace(nih, image="b.png", source="phantom:0")), False)):
        assert is_published_set(Index(records, name="nih", kind="nih", root=".")) is published


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of trainings that a study begins from now on, by name."""
    trained: list[str] = []

    def counted(config: Config, folder: Path, **options: Any) -> Any:
        trained.append(folder.name)
        return train(config, folder, **options)

    monkeypatch.setattr("cxreader.study.study.train", counted)
    return trained


def test_what_is_finished_is_not_run_again_and_a_changed_row_is(
    finished: tuple[Trainings, Path], small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = _config(small_world), tmp_path / "study"
    shutil.copytree(finished[1], out)
    with pytest.raises(UsageError, match="holds a study already"):
        train_rows(config, out, say=_silent)
    trained = _counted(monkeypatch)
    again = train_rows(config, out, resume=True, say=_silent)
    assert trained == []
    assert again.earlier_readings == 0
    rows = [row.model_dump() for row in config.study.rows]
    rows[0]["training"]["full"]["lr"] = 2e-3
    changed = train_rows(with_values(config, {"study.rows": rows}), out, resume=True, say=_silent)
    assert [name.split("-seed")[0] for name in trained] == ["custom-cnn", "custom-cnn"]
    report = report_study(changed, command="", say=_silent, bar=no_bar)
    assert changed.earlier_readings == 1
    assert any("read 1 time before" in warning for warning in report.warnings)
    assert len(json.loads((out / READINGS).read_text())) == 2
    with pytest.raises(UsageError, match=r"another configuration \(input\.size\)"):
        train_rows(with_values(config, {"input.size": 48}), out, resume=True, say=_silent)


def test_what_an_earlier_version_finished_is_not_run_again(
    finished: tuple[Trainings, Path], small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That version did not know `batch_norm`: its folders are named, and their configurations written, without the key."""
    out = tmp_path / "study"
    shutil.copytree(finished[1], out)
    cohort = finished[0].cohort
    for path in [*(out / "runs").glob("*/config.json"), *(out / "searches").glob("*/config.json")]:
        config = parse_config(json.loads(path.read_text()))
        values = json.loads(path.read_text())
        assert values["training"].pop("batch_norm") == "batch"
        path.write_text(json.dumps(values))
        name, rest = re.fullmatch(r"(.+?)-[0-9a-f]{10}((?:-[0-9a-f]{10})?)", path.parent.name).groups()
        path.parent.rename(
            path.parent.with_name(f"{name}-{_key(_settings(values), _learnt_from(config, cohort))}{rest}")
        )
    other = next((out / "runs").glob("custom-cnn-*/config.json"))
    values = json.loads(other.read_text())
    values["training"]["batch_norm"] = "frozen"  # as if that version had had this default: it learnt otherwise
    other.write_text(json.dumps(values))
    trained = _counted(monkeypatch)
    tried = {p.relative_to(out).parts[2:]: p.stat().st_mtime_ns for p in (out / "searches").rglob("*.safetensors")}
    train_rows(_config(small_world), out, resume=True, say=_silent)
    assert [name.rpartition("-")[0] for name in trained] == [other.parent.name.rpartition("-")[0]]
    assert len(list((out / "searches").iterdir())) == 1
    now = {p.relative_to(out).parts[2:]: p.stat().st_mtime_ns for p in (out / "searches").rglob("*.safetensors")}
    assert tried
    assert now == tried


def test_the_choices_are_written_before_the_test_part_is_read(
    finished: tuple[Trainings, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings, out = finished
    folder = tmp_path / "study"
    shutil.copytree(out, folder)
    for answers in folder.rglob("test.csv"):
        answers.unlink()
    (folder / CHOICES).unlink()

    def seen(*_: object, **__: object) -> None:
        chosen = json.loads((folder / CHOICES).read_text())
        assert set(chosen) == {run.folder.path.name for run in trainings.runs}
        raise KeyboardInterrupt

    monkeypatch.setattr("cxreader.study.held_out._predict", seen)
    with pytest.raises(KeyboardInterrupt):
        report_study(
            train_rows(trainings.config, folder, resume=True, say=_silent), command="", say=_silent, bar=no_bar
        )


def test_the_gallery_holds_the_networks_that_learned(
    finished: tuple[Trainings, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings, _ = finished
    shown: list[str] = []

    def seen(runs: Sequence[StudyRun], tables: Sequence[PredictionTable], _: object) -> None:
        shown.extend(run.row.name for run in runs)
        kept = [read_predictions(run.folder.path / "test.csv").probability.tolist() for run in runs]
        assert [table.probability.tolist() for table in tables] == kept
        raise KeyboardInterrupt

    monkeypatch.setattr("cxreader.study.report.read_panels", seen)
    monkeypatch.setattr(RowResult, "learned", property(lambda row: row.name != "ResNet18"))
    with pytest.raises(KeyboardInterrupt):
        report_study(trainings, command="", say=_silent, bar=no_bar)
    assert shown == ["Custom CNN", "Best of four", "Thinned"]


def test_the_searched_row_repeats_the_winner_to_the_bit(finished: tuple[Trainings, Path], small_world: Path) -> None:
    run = finished[0].runs[4]
    assert run.search is not None
    assert run.seed == _config(small_world).seed
    winner = load_file(next((run.search.winner.folder / "phases").glob("*/best.safetensors")))
    row = load_file(run.folder.artifact / "model.safetensors")
    assert all(np.array_equal(winner[key], row[key]) for key in row)


def test_other_labels_or_test_images_are_learnt_and_read_anew(finished: tuple[Trainings, Path], tmp_path: Path) -> None:
    trainings, _ = finished
    cohort, run = trainings.cohort, trainings.runs[0]
    config = run.folder.load_config()
    name = "custom-cnn-seed-7"
    before = training_folder(tmp_path, name, config, cohort)
    flipped = [
        replace(r, label=1 - r.label) if r.image in cohort.split.parts["tune"][:1] else r for r in cohort.index.records
    ]
    relabelled = replace(cohort, index=replace(cohort.index, records=tuple(flipped)))
    assert training_folder(tmp_path, name, config, relabelled) != before
    answers, kept = run.folder.path / "test.csv", (run.folder.path / "test.csv").read_bytes()
    believed = read_test(run.folder, cohort)[0]  # the same question: what is kept is not read again
    assert believed.image.tolist() == list(cohort.split.parts["test"])
    assert answers.read_bytes() == kept
    part = cohort.parts["test"]
    other = replace(cohort, parts={**cohort.parts, "test": CachedImages(part.pixels, part.rows, 1 - part.labels)})
    assert (read_test(run.folder, other)[0].label == 1 - part.labels).all()
    read_test(run.folder, cohort)
    assert answers.read_bytes() == kept


def test_a_row_of_fewer_patients_has_a_split_of_its_own(finished: tuple[Trainings, Path], tmp_path: Path) -> None:
    trainings, _ = finished
    rows = [
        {"name": "Half", "patient_share": 0.5},
        {"name": "Half of 20/80", "patient_share": 0.5, "abnormal_share": 0.2},
    ]
    half, both = study_rows(with_values(trainings.config, {"study.rows": rows}))
    whole, folder = trainings.cohort.split, RunFolder(tmp_path)
    cut = Split.load(_split_of(half, folder, trainings.cohort))
    assert 0 < len(cut.parts["train"]) < len(whole.parts["train"])
    assert {**cut.parts, "train": ()} == {**whole.parts, "train": ()}
    thinned = Split.load(_split_of(both, folder, trainings.cohort))
    assert len(thinned.parts["train"]) < len(cut.parts["train"])
    assert len(thinned.parts["tune"]) < len(whole.parts["tune"])
    assert sorted(path.name for path in (tmp_path / "splits").iterdir()) == [
        "abnormal-0.2-patients-0.5.json",
        "patients-0.5.json",
    ]


def test_what_cannot_be_judged_is_refused_before_anything_is_trained(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxreader.study.study.train", pytest.fail)
    config = _config(small_world)
    rows = [row.model_dump() for row in config.study.rows]
    rows[3]["abnormal_share"] = 0.01
    with pytest.raises(SplitError, match="row 'Thinned' has images of one class alone"):
        train_rows(with_values(config, {"study.rows": rows}), tmp_path / "a", say=_silent)
    phantoms = {"data": {"phantoms": {"patients": 40, "seed": 1, "size": 64}}, "model": {"weights": "phantoms"}}
    with pytest.raises(ConfigError, match="the very phantoms that are judged"):
        train_rows(parse_config({**phantoms, "study": {"rows": [{"name": "A"}]}}), tmp_path / "b", say=_silent)


def test_the_command_goes_on_and_prints_the_table(
    finished: tuple[Trainings, Path],
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "study"
    shutil.copytree(finished[1], out)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("cxreader.config.load_config", lambda path, overrides: _config(small_world))
    assert run(["study", "run", "some.toml", "--out", str(out), "--resume"]) == 0
    shown = capsys.readouterr()
    for row in json.loads((out / NUMBERS).read_text())["comparison"]["rows"]:
        line = next(line.split() for line in shown.out.splitlines() if line.strip().startswith(row["name"]))
        assert [f"{row['metrics'][name]['value']:.3f}" for name in ("accuracy", "auc")] == line[-3:-1]
    assert "not a medical device" in shown.out
    assert "report.html" in shown.err
    assert run(["study", "run", "some.toml", "--out", str(out)]) == 2
    assert "add --resume" in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_killed_at_three_random_moments_ends_with_the_same_table(
    finished: tuple[Trainings, Path], small_world: Path, tmp_path: Path
) -> None:
    commits = _commits(finished[1])
    moments = sorted(random.Random(11).sample(range(1, commits - 1), 3))
    config, out = tmp_path / "config.json", tmp_path / "study"
    config.write_text(json.dumps(_config(small_world).model_dump(mode="json")))
    for moment in moments:
        process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(config), str(out)], start_new_session=True)
        while process.poll() is None and _commits(out) < moment:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before its moment"
        assert moment <= _commits(out) < commits
    subprocess.run([sys.executable, "-c", _PROGRAM, str(config), str(out)], check=True)
    assert _table(out) == _table(finished[1])


_PROGRAM = """
import json, sys
from pathlib import Path
from cxreader.config import parse_config
from cxreader.progress import no_bar
from cxreader.study.study import train_rows
from cxreader.study.report import report_study

if __name__ == "__main__":
    config, out = parse_config(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2])
    trainings = train_rows(config, out, resume=out.exists(), say=lambda _: None)
    report_study(trainings, command="cxreader study run", say=lambda _: None, bar=no_bar)
"""


def _commits(out: Path) -> int:
    """Pieces of work that are whole."""
    names = ("split.json", "prefix.json", "done.json", "record.json", "artifact.json", "cost.json", "test.csv")
    return sum(len(list(out.rglob(name))) for name in names)


def test_lite0_has_a_row_where_its_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for there in (True, False):
        monkeypatch.setattr(study_rows_module, "at_hand", lambda entry, there=there: there)
        last = study_rows(parse_config({"data": {"root": "x"}, "model": {"weights": "phantoms"}}))[-1]
        found = (last.name, last.config.model.name, last.config.model.weights, last.config.training.phases)
        lite0 = ("EfficientNet-Lite0, manual", "efficientnet_lite0", "imagenet", ("head",))
        assert (found == lite0) is there


def test_the_studys_own_rows_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_rows_module, "at_hand", lambda _: False)
    config = parse_config({"data": {"root": "x"}, "model": {"weights": "a.safetensors"}})
    rows = study_rows(config)
    names = ["chestxray_cnn", "chestxray_cnn", "resnet18", "densenet121", *["efficientnet_b0"] * 2, "resnet18"]
    assert [row.config.model.name for row in rows] == names
    assert [row.search for row in rows] == [False] * 5 + [True, False]
    points = rows[5].config.study.space
    assert np.prod([len(values) for values in points.values()]) == 16  # type: ignore[arg-type]
    dense = rows[3].config.training
    assert (dense.fine_tune.lr, dense.fine_tune.epochs, dense.fine_tune.patience) == (1e-4, 20, 5)
    assert [row.config.model.weights for row in rows[:3]] == ["none", "none", "a.safetensors"]
    assert rows[6].abnormal_share == 0.2
    # The custom CNN's rate follows the width of its first linear layer: 100,352 features at 224 px, 8,192 at 64.
    assert [default_rows(size)[1].training["full"]["lr"] for size in (224, 64)] == [1e-5, 1e-4]


def test_a_wrong_row_is_refused_with_the_nearest_name() -> None:
    def rows(*given: dict[str, Any]) -> Config:
        return parse_config({"data": {"root": "x"}, "study": {"rows": list(given)}})

    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        study_rows(rows({"name": "A", "published": "resnet"}))
    with pytest.raises(ConfigError, match="two rows are named 'a-b'"):
        study_rows(rows({"name": "A b"}, {"name": "a-B"}))
    with pytest.raises(ConfigError, match=r"training\.fine_tune\.rate.*unknown key"):
        study_rows(rows({"name": "A", "training": {"fine_tune": {"rate": 1}}}))
    weights = with_values(
        rows({"name": "A", "model": {"name": "densenet121"}}), {"study.weights": {"densenet121": "d"}}
    )
    assert study_rows(weights)[0].config.model.weights == "d"


def test_weights_from_phantoms_stand_in_for_an_absent_file(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "data": {"root": "x"},
        "input": {"size": 32},
        "model": {"name": "resnet18", "weights": "absent.safetensors", "if_absent": "phantoms"},
        "study": {"pretrain": {"patients": 60, "epochs": 1}},
    }
    config = parse_config(values)
    made = with_weights(config, tmp_path, say=_silent, bar=no_bar)
    state = load_file(made.model.weights)
    trained = load_file(Path(made.model.weights).with_suffix("") / "artifact" / "model.safetensors")
    assert np.array_equal(state["layer4.0.conv1.weight"], trained["last_block.0.conv1.weight"])
    assert with_weights(config, tmp_path, say=pytest.fail, bar=no_bar) == made  # what is made is not made again
    (tmp_path / "there.safetensors").write_bytes(b"")
    there = with_values(config, {"model.weights": str(tmp_path / "there.safetensors")})
    assert with_weights(there, tmp_path, say=pytest.fail, bar=no_bar) == there
    with pytest.raises(WeightsError, match=r"absent\.safetensors"):
        require_weights([config, with_values(config, {"model.if_absent": "error"})])
    first = weights_digest(made.model.weights)
    Path(made.model.weights).write_bytes(b"others under the same name")
    assert weights_digest(made.model.weights) != first


def test_panels_show_each_kind_and_boxes_first(small_world: Path) -> None:
    records = open_source(str(small_world), name="world").records[:8]
    right = np.array([3, 3, 3, 0, 1, 1, 2, 2])
    chosen = _chosen(right, 3, records)
    assert set(chosen["all right"]) <= {0, 1, 2}
    assert set(chosen["wrong"]) <= {3, 4, 5}
    assert 3 in chosen["wrong"]  # the one that every network got wrong
    assert chosen["networks disagree"]
    assert set(chosen["networks disagree"]) <= {4, 5, 6, 7} - set(chosen["wrong"])
    assert {records[n].label for n in chosen["all right"]} == {0, 1}
    boxed = replace(records[2], label=1, boxes=("a box",))  # type: ignore[arg-type]
    plain = [replace(record, label=1) for record in records]
    assert _chosen(np.full(8, 3), 3, [*plain[:2], boxed, *plain[3:]])["all right"][0] == 2

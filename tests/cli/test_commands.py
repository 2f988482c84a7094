"""The commands as a user meets them: output, exit codes, one line for a mistake."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from cxreader.cli import app, run
from cxreader.cli.output import console
from cxreader.cli.output.console import State
from cxreader.data.split import Split
from cxreader.evaluation.statistics.metrics import METRIC_TITLES
from cxreader.imaging.overlay import BOX_COLOUR
from cxreader.models.artifact import load_artifact
from cxreader.runs import RunFolder, only_process

pytestmark = pytest.mark.usefixtures("few_images_suffice", "pdf_left_empty")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(State, "quiet", False)
    monkeypatch.setattr(State, "debug", False)


def _config(world: Path, folder: Path) -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'seed = 7\n[data]\nroot = "{world}"\nname = "world"\nworkers = 1\n[input]\nsize = 64\n'
        '[model]\nweights = "none"\n[training.full]\nepochs = 1\n'
    )
    return path


def test_help_lists_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for command in ("train", "evaluate", "read", "explain", "models", "demo", "data", "audit"):
        assert f"\n  {command} " in text
    assert "not a medical device" in " ".join(text.split())
    assert "130 interrupted" in " ".join(text.split())


def test_train_then_evaluate_then_read(small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert (
        run(
            [
                "--quiet",
                "train",
                str(_config(small_world, tmp_path)),
                "--out",
                str(out),
                "--set",
                "training.batch_size=16",
            ]
        )
        == 0
    )
    printed = capsys.readouterr()
    assert "no transfer: weights absent" in printed.out
    assert "no interval" in printed.out
    assert printed.err == ""
    assert RunFolder(out).load_config().training.batch_size == 16
    assert run(["--quiet", "evaluate", str(out)]) == 0
    printed = capsys.readouterr()
    for figure in METRIC_TITLES.values():
        assert f"\n  {figure} " in printed.out
    assert "95 % interval" in printed.out
    assert (out / "evaluation/evaluation.json").is_file()
    n = len(Split.load(RunFolder(out).split).parts["test"])
    leak = f"none of {n} images is of a patient who set the model"
    assert f"leak: {leak}" in printed.out
    assert "no transfer" not in printed.out  # nobody asked for pretrained weights
    page = (out / "evaluation/report.html").read_text()
    assert "\nWhat is not known well enough:\n- " in printed.out
    for whole in (printed.out, page.split('<section id="sure"')[0]):
        assert whole.lower().count("too few patients to say whether there is a shortcut") == 1
    for name in ("report.html", "model_card.md"):
        assert leak in (out / "evaluation" / name).read_text()
    audit = json.loads((out / "evaluation/shortcuts.json").read_text())
    assert [r["name"] for r in audit["baselines"]] == [
        *("prevalence", "metadata", "patient identity", "image statistics", "border only", "16 x 16 thumbnail")
    ]
    lines = {line.strip() for line in printed.out.splitlines()}
    for confounder in (*audit["baselines"], *audit["views"]):
        auc = "\N{EN DASH}" if confounder["auc"]["value"] is None else f"{confounder['auc']['value']:.3f}"
        assert any(
            line.startswith(confounder["name"]) and auc in line.split(confounder["name"])[1].split() for line in lines
        )
    assert (
        run(
            [
                "--quiet",
                "evaluate",
                "--model",
                str(out),
                "--data",
                str(small_world),
                "--name",
                "world",
                "--out",
                str(tmp_path / "e"),
            ]
        )
        == 0
    )
    assert "left out: the patient set this model (train)" in capsys.readouterr().out


def test_read_prints_a_table_and_writes_each_format(
    small_run: Path, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(path) for path in sorted(small_world.glob("0*.png"))[:3]]
    (tmp_path / "bad.png").write_bytes(b"")
    assert run(["-q", "read", "--model", str(small_run), *files, str(tmp_path / "bad.png")]) == 0
    text = capsys.readouterr().out
    assert "not read" in text
    assert "the file is empty" in text
    assert "youden" in text
    header = ["image", "acceptance", "decision", "probability", "interval", "conformal", "reasons"]
    assert " ".join(header) in " ".join(text.split())
    assert "read with torch" in text
    assert "nothing is refused for what it looks like to the network" in " ".join(text.split())
    assert text.rstrip().endswith("For research; not a medical device.")
    assert len(re.findall(r" (0\.\d{3}|1\.000)-(0\.\d{3}|1\.000) ", text)) == 3
    assert "interval: the Venn-Abers pair of the probability" in text
    for kind in ("csv", "json", "parquet"):
        assert run(["-q", "read", "--model", str(small_run), *files, "--out", str(tmp_path / f"o.{kind}")]) == 0
        assert (tmp_path / f"o.{kind}").stat().st_size > 0
    capsys.readouterr()
    assert run(["read", "--model", str(small_run), *files, "--out", "-"]) == 0
    streams = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(streams.out)))
    assert [row["image"] for row in rows] == files
    assert {"image", "decision", "probability", "probability_low", "probability_high", "reasons"} <= set(rows[0])
    assert "3 files" in streams.err


def test_read_takes_folders_and_a_list_on_standard_input(
    small_run: Path, small_world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(sorted(small_world.glob("0*.png"))[0])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{name}\n".encode())))
    assert run(["-q", "read", "--model", str(small_run), "-", "--out", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert run(["read", "--model", str(small_run), str(small_world), "--out", "-"]) == 0
    streams = capsys.readouterr()
    assert len(streams.out.splitlines()) == 121
    assert "2 files of kinds that are not read: .csv 1" in streams.err


def test_explain_writes_a_picture_of_the_images_own_size(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 70)).astype(np.uint8)).save(
            tmp_path / folder / "x.png"
        )
    out = tmp_path / "out"
    assert (
        run(
            [
                "-q",
                "explain",
                "--model",
                str(small_run),
                str(tmp_path / "a"),
                str(tmp_path / "b"),
                "--out",
                str(out),
                "--raw",
            ]
        )
        == 0
    )
    assert sorted(path.name for path in out.iterdir()) == ["x-2-heat.npy", "x-2-heat.png", "x-heat.npy", "x-heat.png"]
    with Image.open(out / "x-heat.png") as picture:
        assert picture.width > 2 * 512  # the image, its map and their scale
    raw = np.load(out / "x-heat.npy")
    assert (raw.dtype, raw.shape) == (np.float32, (2, 2))
    assert "x-heat.png" in capsys.readouterr().out


def test_explain_outlines_the_boxes_of_a_table(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x.png", "y.png"):
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90)).astype(np.uint8)).save(tmp_path / name)
    (tmp_path / "boxes.csv").write_text("image,finding,x,y,width,height\nx.png,Mass,30,30,30,30\n")
    command = ["explain", "--model", str(small_run), str(tmp_path / "x.png"), str(tmp_path / "y.png"), "--force"]
    assert run([*command, "--out", str(tmp_path / "out"), "--boxes", str(tmp_path / "boxes.csv")]) == 0
    assert "1 file has no box in boxes.csv" in " ".join(capsys.readouterr().err.split())
    for name, outlined in (("x", True), ("y", False)):
        with Image.open(tmp_path / "out" / f"{name}-heat.png") as picture:
            assert (np.asarray(picture) == BOX_COLOUR).all(axis=2).any() == outlined


def test_models_lists_every_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    text = capsys.readouterr().out
    assert all(
        name in text for name in ("chestxray_cnn", "resnet18.tv_in1k", "densenet121.tv_in1k", "efficientnet_b0.ra_in1k")
    )


MISTAKES = [
    (["train", "absent.toml", "--out", "run"], 2, "absent.toml: no such file"),
    (["train", "{config}", "--out", "run", "--set", "model.nme=x"], 2, "model.nme: unknown key; did you mean 'name'?"),
    (["train", "{config}", "--out", "run", "--set", "data.root=nowhere"], 3, "nowhere: nothing is there"),
    (["train", "{config}", "--out", "run", "--set", "model.name=resnet19"], 4, "did you mean 'resnet18'?"),
    (["train", "{config}", "--out", "{run}"], 2, "--resume"),
    (["evaluate"], 2, "what is to be judged is not clear"),
    (["evaluate", "nowhere"], 4, "nowhere: no artifact here"),
    (["read", "--model", "nowhere", "x.png"], 4, "nowhere: no artifact here"),
    (["read", "--model", "{run}", "x.png", "--out", "table.ods"], 2, "table.ods"),
    (["read", "--model", "{run}", "x.png", "--operating-point", "yuden"], 4, "did you mean 'youden'?"),
    (["nonsense"], 2, "No such command 'nonsense'"),
    (["read"], 2, "cxreader read: paths is missing; cxreader read -h shows what it takes"),
    (["read", "x.png"], 2, "cxreader read: --model is missing; add it, such as --model runs/a"),
    (["train", "a/kermany.toml"], 2, "cxreader train: --out is missing; add it, such as --out runs/kermany"),
    (["study", "run", "{config}"], 2, "study run: --out is missing; add it, such as --out studies/config"),
    (["data", "split", "x"], 2, "data split: --out is missing; add it, such as --out split.json"),
    (["data", "cache", "x"], 2, "data cache: --out is missing; add it, such as --out cache"),
    (["evaluate", "--predictions", "x.csv"], 2, "cxreader evaluate: --out is missing; add it, such as --out report"),
    (["evaluate", "--model", "a", "--data", "b"], 2, "--out is missing; add it, such as --out report"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES, ids=lambda v: str(v)[:40])
def test_a_mistake_is_one_line_with_the_mend_and_no_traceback(
    arguments: list[str],
    code: int,
    message: str,
    small_run: Path,
    small_world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(State, "quiet", True)
    known = {"config": str(_config(small_world, tmp_path)), "run": str(small_run)}
    assert run(["--quiet", *(argument.format(**known) for argument in arguments)]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert code != 3 or len(error.strip().splitlines()) == 1


_FULL = ["--set", 'training.phases=["full"]']
BATCH = '{{"training.batch_size"=[8]}}'
WRONG_PATHS = [
    ["train", "{config}", "--out", "a/run", "--set", "data.root=nowhere"],
    ["train", "{config}", "--out", "a/run", "--set", "split.file=nowhere.json"],
    ["train", "{config}", "--out", "{full}"],
    ["train", "nowhere.toml", "--out", "a/run"],
    ["study", "run", "{config}", "--out", "a/study", "--set", "data.root=nowhere"],
    ["study", "search", "{config}", "--out", "a/study", "--set", "data.root=nowhere", "--set", f"study.space={BATCH}"],
    ["study", "learning-rates", "{config}", "--lr", "1e-3", "--out", "a/sweep", "--set", "data.root=nowhere", *_FULL],
    ["evaluate", "--predictions", "nowhere.csv", "--out", "a/report"],
    ["evaluate", "--model", "{run}", "--data", "nowhere", "--out", "a/report"],
    ["evaluate", "--model", "nowhere", "--data", "{world}", "--out", "a/report"],
    ["evaluate", "{run}", "--second-reading", "nowhere.csv", "--out", "a/report"],
    ["read", "--model", "nowhere", "x.png", "--out", "a/table.csv"],
    ["explain", "--model", "{run}", "nowhere.png", "--out", "a/pictures"],
    ["explain", "--model", "nowhere", "{world}", "--out", "a/pictures"],
    ["audit", "shortcuts", "--model", "{run}", "--data", "nowhere", "--out", "a/audit"],
    ["audit", "split", "nowhere.json", "--out", "a/audit.json"],
    ["audit", "location-prior", "nowhere", "--out", "a/prior"],
    ["data", "index", "nowhere", "--out", "a/index.parquet"],
    ["data", "split", "nowhere", "--out", "a/split.json"],
    ["data", "cache", "nowhere", "--out", "a/cache"],
    ["export", "--model", "nowhere"],
]


@pytest.mark.parametrize("arguments", WRONG_PATHS, ids=lambda v: " ".join(v)[:50])
def test_a_wrong_path_leaves_nothing_behind(
    arguments: list[str],
    small_run: Path,
    small_world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(State, "quiet", True)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    known = {
        "config": str(_config(small_world, tmp_path)),
        "run": str(small_run),
        "world": str(small_world),
        "full": str(full),
    }
    before = sorted(tmp_path.rglob("*"))
    assert run(["--quiet", *(argument.format(**known) for argument in arguments)]) not in (0, 1)
    said = "".join(capsys.readouterr())
    assert "nowhere" in said or "the folder is not empty" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_a_start_that_failed_keeps_what_it_made_and_what_was_there(tmp_path: Path) -> None:
    def start(folder: Path, name: str | None) -> None:
        (folder / "config.json").write_text("{}")
        if name is not None:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("")
        raise ValueError("torn")

    def failing(folder: Path, name: str | None) -> list[str]:
        with pytest.raises(ValueError, match="torn"), only_process(folder, "training"):
            start(folder, name)
        return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))

    assert failing(tmp_path / "a/b", None) == []
    assert failing(tmp_path / "a/b", "cache/x.lock") == []
    kept = ["a", "a/b", "a/b/cache", "a/b/cache/x.npy", "a/b/config.json", "a/b/training.process.lock"]
    assert failing(tmp_path / "a/b", "cache/x.npy") == kept
    assert failing(tmp_path / "a/b", None) == kept
    (tmp_path / "c").mkdir()
    assert failing(tmp_path / "c", None) == [*kept, "c"]
    (tmp_path / "d/mine").mkdir(parents=True)
    (tmp_path / "d/run.json").write_text("{}")
    assert failing(tmp_path / "d", None) == [*kept, "c", "d", "d/mine", "d/run.json"]


def test_a_runs_own_configuration_repeats_it(small_run: Path, tmp_path: Path) -> None:
    assert run(["-q", "train", str(small_run / "config.json"), "--out", str(tmp_path / "again")]) == 0
    first, second = (load_artifact(folder / "artifact") for folder in (small_run, tmp_path / "again"))
    for name in ("weights_sha256", "calibration", "operating_points", "patients", "spec", "acceptance", "conformal"):
        assert getattr(first, name) == getattr(second, name), name
    assert first.provenance["split"] == second.provenance["split"]


def test_debug_shows_the_traceback() -> None:
    from cxreader.errors import ConfigError

    with pytest.raises(ConfigError):
        run(["--debug", "train", "absent.toml", "--out", "run"])


@pytest.mark.parametrize("long", [True, False])
def test_a_reader_that_goes_away_is_no_error(small_run: Path, small_world: Path, long: bool) -> None:
    """A table larger than a buffer of output meets the closed pipe while it is written, a small one at the end."""
    code = "import sys; from cxreader.cli import main; main(sys.argv[1:])"
    names = [str(path) for path in sorted(small_world.glob("0*.png"))[:1]] * (500 if long else 1)
    reading = [sys.executable, "-c", code, "-q", "read", "--model", str(small_run), *names, "--out", "-"]
    with subprocess.Popen(reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_control_c_is_one_line_exit_130_and_the_same_command_goes_on(
    small_run: Path, small_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted when the network has answered its first batch."""
    files = [str(path) for path in sorted(small_world.glob("0*.png"))[:40]]
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background is born deaf to Ctrl-C
        "from cxreader.inference.batch.journal import Journal\n"
        "commit = Journal.commit\n"
        "def interrupted(self, found):\n"
        "    commit(self, found)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "Journal.commit = interrupted\n"
        "from cxreader.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    out = tmp_path / "out.csv"
    arguments = ["-q", "read", "--model", str(small_run), *files, "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip() == "cxreader: interrupted; nothing already done is lost"
    assert not out.exists()
    assert run(arguments[1:]) == 0
    assert "16 of 40 files were read before; going on" in capsys.readouterr().err.replace("\n", " ")
    assert [row["image"] for row in csv.DictReader(out.read_text().splitlines())] == files


def test_a_killed_training_leaves_a_run_that_resumes(small_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = _config(small_world, tmp_path)
    code = (
        "import os, sys\n"
        "from cxreader.training.module import PhaseModule\n"
        "def deadly(self, batch, batch_idx):\n"
        "    os.kill(os.getpid(), 9)\n"
        "PhaseModule.training_step = deadly\n"
        "from cxreader.cli import main\n"
        "if __name__ == '__main__':\n"
        "    main(sys.argv[1:])\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    killed = subprocess.run([sys.executable, str(script), "-q", "train", str(config), "--out", str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert run(["-q", "train", str(config), "--out", str(out)]) == 2
    assert run(["-q", "train", str(config), "--out", str(out), "--resume"]) == 0
    assert len(json.loads((out / "run.json").read_text())["started"]) == 2


def test_a_table_shows_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(None, ("image", "reasons"), [("a.dcm", "pip install 'cxreader[dicom]'"), ("b.dcm", None)])
    assert "'cxreader[dicom]'" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--tables", "--kind", "--uncertain", "--terms"])
def test_an_option_of_sources_has_one_help_text(option: str) -> None:
    """`--kind` of `data split` and `--terms` of `models publish` mean something else."""
    texts = {
        parameter.help
        for name, command in _commands(typer.main.get_command(app), "cxreader")
        for parameter in command.params
        if option in parameter.opts and (name, option) not in _OTHERS
    }
    assert len(texts) == 1, texts


_OTHERS = {("cxreader data split", "--kind"), ("cxreader models publish", "--terms")}


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for own, below in getattr(command, "commands", {}).items():
        yield from _commands(below, f"{name} {own}")

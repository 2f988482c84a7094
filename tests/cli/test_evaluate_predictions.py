"""`cxreader evaluate --predictions` as a user meets it, and on a machine that has nothing but the core."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.products import HEADER, rows, write

from cxreader.cli import run
from cxreader.cli.output.console import State
from cxreader.evaluation.statistics.metrics import METRIC_TITLES

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(State, "quiet", False)
    monkeypatch.setattr(State, "debug", False)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "product.csv", rows())
    write(tmp_path / "other.csv", rows(40, 60))
    write(tmp_path / "second.csv", [(row[0], row[2]) for row in rows()[:50]], ("image", "label"))
    write(tmp_path / "empty.csv", [])
    write(tmp_path / "times.csv", [(f"2024-03-0{d}T0{h}:30",) for d in range(4, 8) for h in range(10)], ("arrival",))


def judged(*arguments: str) -> dict[str, Any]:
    assert run(["-q", "evaluate", "--predictions", "product.csv", "--out", "out", *arguments]) == 0
    values: dict[str, Any] = json.loads(Path("out/evaluation.json").read_text())
    return values


def test_the_table_and_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "--predictions", "product.csv", "--out", "out"]) == 0
    printed = capsys.readouterr()
    assert "product.csv, model product" in printed.out
    for figure in METRIC_TITLES.values():
        assert f"\n  {figure} " in printed.out
    assert "40/40" in printed.out
    assert printed.out.count("he threshold 0.5 was not fitted on other patients: none was given") == 1
    assert printed.out.count("cannot be known: a table of predictions does not say") == 1
    assert printed.err.splitlines()[-1] == "report: out/report.html"
    assert Path("out/report.html").is_file()


def _row(printed: str, name: str) -> list[str]:
    """The cells of the first line of a table that begins with this name."""
    line = next(line for line in printed.splitlines() if line.startswith(f"  {name} "))
    return line.removeprefix(f"  {name} ").split()


def test_the_terminal_tells_for_whom_the_worklist_and_the_second_reading(capsys: pytest.CaptureFixture[str]) -> None:
    sexes = [(*row, "FM"[k % 4 < 2]) for k, row in enumerate(rows())]
    write(Path("sexes.csv"), sexes, (*HEADER, "sex"))
    command = (
        "evaluate --predictions sexes.csv --second-reading second.csv --images-a-day 90 --reading-minutes 4 --out out"
    )
    assert run(["-q", *command.split()]) == 0
    printed = capsys.readouterr().out
    evidence = json.loads(Path("out/evaluation.json").read_text())["evidence"]
    assert [line for line in printed.splitlines() if line.startswith(("For whom", "Worklist", "Second"))] == [
        "For whom, at 0.500 (half)",
        "Worklist: minutes from arrival to the end of the reading",
        "Second reading, at 0.500 (half)",
    ]
    group = next(g for g in evidence["subgroups"]["groups"] if g["name"] == "F")
    auc = group["metrics"]["auc"]
    counts = f"{auc['n_positive']}/{auc['n_negative']}, {auc['n_patients']}"
    assert _row(printed, "F")[0] == "undefined"
    assert f"\n  {counts} " in printed
    assert "Undefined: no normal image in this group" in printed.replace("\n", " ")
    whom = [result["times"][who]["mean"] for result in evidence["triage"]["results"] for who in ("abnormal", "normal")]
    assert _row(printed, "by probability")[::3] == [f"{mean['value']:,.0f}" for mean in whom[4:]]
    assert f"{whom[0]['low']:.0f}-{whom[0]['high']:.0f}" in printed
    change = evidence["labels"]["change"]["recall"]
    second = printed[printed.index("Second reading, at") :]
    assert _row(second, "Recall (sensitivity)")[-1] == f"{change['value']:+.3f}".replace("+0.000", "0.000")
    assert "50 images have" not in printed
    assert "30 images have no second label" in printed.replace("\n", " ")


def test_every_question_of_the_options_is_answered() -> None:
    values = judged(
        *("--calibrate", "other.csv", "--point", "screening: sensitivity 0.9", "--point", "youden: youden"),
        *("--prevalence", "0.1", "--second-reading", "second.csv", "--seed", "5"),
        *("--images-a-day", "90", "--reading-minutes", "4", "--shift", "8-18", "--shift", "20-8x2@sat-sun"),
    )
    evidence = values["evidence"]
    assert [point["point"]["name"] for point in evidence["points"]] == ["screening", "youden"]
    assert {point["prevalence"] for point in evidence["points"]} == {0.1}
    assert evidence["points"][0]["deployed"]["ppv"]["value"] < evidence["points"][0]["rates"]["ppv"]["value"]
    assert evidence["decision_curve"]["prevalence"] == 0.1
    assert evidence["conformal"]["rule"]["alpha"] == 0.1
    assert sum(evidence["labels"]["labels"].values()) == 50
    assert evidence["labels"]["only_first"] == 30
    triage = evidence["triage"]
    assert (triage["images_a_day"], triage["reading"]["mean"], triage["prevalence"]) == (90, 4, 0.1)
    assert [(shift["start"], shift["readers"]) for shift in triage["shifts"]] == [(8, 1), (20, 2)]
    assert values["provenance"]["seed"] == 5


@pytest.mark.parametrize(("alpha", "bound"), [("0.2", 0.2), ("none", None)])
def test_the_error_bound_is_the_users(alpha: str, bound: float | None) -> None:
    conformal = judged("--calibrate", "other.csv", "--alpha", alpha)["evidence"]["conformal"]
    assert (None if conformal is None else conformal["rule"]["alpha"]) == bound


def test_a_worklist_of_real_times() -> None:
    triage = judged("--arrivals", "times.csv", "--reading-minutes", "6")["evidence"]["triage"]
    assert (triage["recorded"], triage["n_images"]) == (True, 40)


def test_a_threshold_of_the_users_and_a_model_by_name() -> None:
    write(Path("both.csv"), [(*row, name) for name in "AB" for row in rows()], (*HEADER, "model"))
    assert (
        run(["-q", *["evaluate", "--predictions", "both.csv", "--model", "B", "--threshold", "0.3", "--out", "out"]])
        == 0
    )
    values = json.loads(Path("out/evaluation.json").read_text())
    assert values["operating_point"]["threshold"] == 0.3
    assert values["provenance"]["model"] == "B"
    assert list(values["evidence"]["models"]["auc"]) == ["B", "A"]


def test_several_models_in_columns_and_labels_in_another_table(capsys: pytest.CaptureFixture[str]) -> None:
    other = {row[0]: row[3] for row in rows(shift=1.0)}
    write(Path("scores.csv"), [(row[0], row[3], other[row[0]]) for row in rows()], ("file_name", "ours", "theirs"))
    write(Path("truth.csv"), [(row[0], row[1], row[2]) for row in rows()[2:]], ("image", "patient", "truth"))
    line = "evaluate --predictions scores.csv --models ours,theirs --labels truth.csv --out out"
    assert run(line.split()) == 3
    assert "truth.csv: has no column 'label'" in capsys.readouterr().err
    write(Path("truth.csv"), [(row[0], row[1], row[2]) for row in rows()[2:]], ("image", "patient", "class"))
    assert run(line.split()) == 0
    printed = capsys.readouterr()
    values = json.loads(Path("out/evaluation.json").read_text())
    assert list(values["evidence"]["models"]["auc"]) == ["ours", "theirs"]
    assert (values["counts"]["images"], values["counts"]["patients"]) == (78, 39)
    assert values["counts"]["excluded"] == {"no label in truth.csv": 2}
    assert "2 images left out: no label in truth.csv" in printed.out.replace("\n", " ")
    write(Path("scores.csv"), [(*row, 7) for row in rows()], ("image", "patient", "truth", "score", "Scanner"))
    line = "evaluate --predictions scores.csv --column probability=score --column label=Truth --out out"
    assert run(line.split()) == 0
    assert "scores.csv: columns not used: Scanner" in capsys.readouterr().err
    assert json.loads(Path("out/evaluation.json").read_text())["counts"]["patients"] == 40


MISTAKES = [
    ("--predictions absent.csv --out out", 3, "absent.csv: cannot be read"),
    ("--predictions product.xlsx --out out", 3, "product.xlsx: cannot be read (No such file"),
    ("{p} --column probability", 2, "--column: 'probability' names no column; write it as probability=score"),
    ("{p} --column probabilty=x", 2, "--column: nothing is asked for by 'probabilty'; did you mean 'probability'?"),
    ("{p} --column probability=x", 3, "product.csv: has no column 'x'; known: image, label, patient, probability"),
    ("{p} --models a,a", 2, "--models: 'a,a' names no models"),
    ("{p} --labels other.csv", 3, "other.csv: none of its 120 images is among the predictions"),
    ("--model m --data images --out out --labels other.csv", 2, "--labels does not go with an artifact"),
    ("runs/a --column label=x", 2, "--column does not go with a run"),
    ("--predictions empty.csv --out out", 3, "empty.csv: holds no prediction"),
    ("--predictions second.csv --out out", 3, "second.csv: has no column 'probability'"),
    ("--predictions product.csv", 2, "--out is missing; add it, such as --out report"),
    ("--predictions product.csv --data images --out out", 2, "what is to be judged is not clear"),
    ("runs/a --predictions product.csv", 2, "what is to be judged is not clear"),
    ("{p} --model nobody", 2, "no model is named 'nobody'; known: product"),
    ("{p} --prevalence 1.5", 2, "--prevalence: 1.5 lies not between 0 and 1"),
    ("{p} --threshold -1", 2, "--threshold: -1 lies not between 0 and 1"),
    ("{p} --calibrate product.csv", 3, "product.csv: 40 patients are also among the judged predictions"),
    ("{p} --calibrate absent.csv", 3, "absent.csv: cannot be read"),
    ("{p} --calibrate other.csv --point sensitivity", 2, "'sensitivity' is no operating point"),
    ("{p} --point youden:youden", 2, "--point does not go with --predictions without --calibrate"),
    ("{p} --alpha 0.2", 2, "--alpha does not go with --predictions without --calibrate"),
    ("{p} --calibrate other.csv --alpha few", 2, "--alpha: 'few' is no number"),
    ("{p} --calibrate other.csv --alpha 1.5", 2, "--alpha: 1.5 lies not between 0 and 1"),
    ("runs/a --alpha 0.2", 2, "--alpha does not go with a run"),
    ("{p} --operating-point youden", 2, "--operating-point does not go with --predictions"),
    ("{p} --quick", 2, "--quick does not go with --predictions"),
    ("{p} --uncertain drop", 2, "--uncertain does not go with --predictions"),
    ("runs/a --uncertain normal", 2, "--uncertain does not go with a run"),
    ("{p} --split split.json", 2, "--split does not go with --predictions"),
    ("runs/a --threshold 0.3", 2, "--threshold does not go with a run"),
    ("runs/a --name here", 2, "--name does not go with a run"),
    ("--model m --data images --out out --calibrate other.csv", 2, "--calibrate does not go with an artifact"),
    ("{p} --second-reading times.csv", 3, "times.csv: has no column 'image'"),
    ("{p} --second-reading other.csv", 3, "none of the 120 images of the second reading is among the predictions"),
    ("{p} --reading-minutes 4", 2, "a worklist needs arrivals; give --images-a-day or --arrivals"),
    ("{p} --images-a-day 90", 2, "no reading time is known"),
    ("{p} --images-a-day 90 --arrivals times.csv --reading-minutes 4", 2, "either a rate a day or recorded arrivals"),
    ("{p} --images-a-day -1 --reading-minutes 4", 2, "a rate of -1.0 images a day is not above 0"),
    ("{p} --images-a-day 90 --reading-minutes 4 --shift 8-30", 2, "is not within a day"),
    ("{p} --arrivals product.csv --reading-minutes 4", 3, "product.csv: has no column 'arrival'"),
    ("--predictions out/predictions.csv --out out", 2, "predictions.csv: would be written over"),
    ("{p} --seed -1", 2, "--seed"),
]


@pytest.mark.parametrize(("line", "code", "message"), MISTAKES, ids=[line for line, *_ in MISTAKES])
def test_a_mistake_is_one_line_and_writes_nothing(
    line: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = line.format(p="--predictions product.csv --out out").split()
    assert run(["-q", "evaluate", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert "Usage:" in error or len(error.strip().splitlines()) == 1
    assert not Path("out").exists()


HEAVY = ("torch", "torchvision", "timm", "lightning", "pandas")
BLOCKED = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

if sys.argv.pop(1) == "absent":
    sys.meta_path.insert(0, Absent())
from cxreader.cli import run

code = run(sys.argv[1:])
print("loaded:", sorted({{name.partition(".")[0] for name in sys.modules}} & set({HEAVY})))
sys.exit(code)
"""


@pytest.mark.parametrize("heavy", ["absent", "installed"])
def test_four_columns_are_judged_without_torch_and_without_pandas(heavy: str) -> None:
    """Neither imported where they are installed, nor missed where they are not; scikit-learn itself takes pandas if it can."""
    command = [sys.executable, "-c", BLOCKED, heavy, "-q", "evaluate", "--predictions", "product.csv", "--out", "out"]
    done = subprocess.run(
        [*command, "--calibrate", "other.csv", "--images-a-day", "90", "--reading-minutes", "4"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] in ("loaded: []", "loaded: ['pandas']" if heavy == "installed" else "")
    assert json.loads(Path("out/evaluation.json").read_text())["evidence"]["triage"] is not None
    assert Path("out/report.html").is_file()


def test_the_block_above_blocks() -> None:
    code = BLOCKED.replace("from cxreader.cli import run", "import torch")
    done = subprocess.run([sys.executable, "-c", code, "absent"], capture_output=True, text=True, check=False)
    assert "No module named 'torch'" in done.stderr

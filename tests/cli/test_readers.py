"""`cxreader evaluate --readers` and `cxreader audit readers` as a user meets them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score, roc_auc_score

from cxreader.cli import run
from cxreader.cli.output.console import State
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.readers.study import ReaderStudy
from cxreader.findings import FINDINGS

N = 120
READERS = ("101", "102", "103", "104", "105")
LOST = "$a<b>_1"


def world() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Votes (5, N) of readers who err on one image in six, the label mined from reports, and the model's probability."""
    random = np.random.default_rng(3)
    truth = np.arange(N) % 2
    votes = np.where(random.random((5, N)) < 1 / 6, 1 - truth, truth)
    label = np.where(random.random(N) < 0.25, 1 - truth, truth)
    return votes, label, 1 / (1 + np.exp(-random.normal(2.4 * truth - 1.2, 1)))


def write(path: str, header: tuple[str, ...], rows: object) -> None:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])  # type: ignore[misc]


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(State, "quiet", False)
    monkeypatch.setattr(State, "debug", False)
    monkeypatch.chdir(tmp_path)
    votes, label, probability = world()
    names = [f"{k:08d}_000" for k in range(N)]
    no = ["NO"] * (len(FINDINGS) + 1)
    header = ("Image ID", "Patient ID", "Reader ID", "Abnormal", *(f.name.replace("_", " ") for f in FINDINGS), "Other")
    write(
        "readings.csv",
        header,
        [
            (f"{n}.png", k // 2, reader, votes[r, k], *no)
            for k, n in enumerate(names)
            for r, reader in enumerate(READERS)
        ],
    )
    ages = np.random.default_rng(0).integers(20, 90, N)
    table = [
        (f"images/{n}.jpg", k // 2, label[k], f"{probability[k]:.6f}", ages[k], "FM"[k % 4 < 2])
        for k, n in enumerate(names)
    ]
    write("product.csv", ("image", "patient", "label", "probability", "age", "sex"), table)


def test_the_published_layout_beside_a_product(capsys: pytest.CaptureFixture[str]) -> None:
    command = "evaluate --predictions product.csv --readers readings.csv --panel-readers 101,102,103 --out out"
    assert run([*command.split(), "--label-quality", "0.75,0.75,60,60"]) == 0
    printed = capsys.readouterr().out
    study = Evaluation.load("out/evaluation.json").evidence
    assert study is not None
    assert study.readers is not None
    votes, label, probability = world()
    panel = (votes[:3].sum(axis=0) > 1).astype(int)
    outside = study.readers.readers[3]
    assert study.readers.panel == READERS[:3]
    assert study.readers.threshold == 0.5
    assert outside.reader == "104"
    assert outside.rates["sensitivity"].value == pytest.approx(recall_score(panel, votes[3]))
    assert outside.rates["sensitivity"].n_patients == N // 2
    inside = study.readers.readers[0]
    agreed = votes[1] == votes[2]
    assert inside.left_out == np.count_nonzero(~agreed)
    assert inside.rates["specificity"].value == pytest.approx(
        recall_score(votes[1][agreed], votes[0][agreed], pos_label=0)
    )
    assert study.readers.model is not None
    assert study.readers.model.rates["sensitivity"].value == pytest.approx(recall_score(panel, probability >= 0.5))
    assert study.readers.label is not None
    assert study.readers.label.kappa.value == pytest.approx(cohen_kappa_score(panel, label))
    # Reader, model and arbiters who are not in the panel: 104 has 105 alone.
    assert study.readers.second[3].arbiters == ("105",)
    assert [line for line in printed.splitlines() if line in ("Readers", "The model as second reader")]
    assert "101, panel" in printed
    assert f"{np.count_nonzero(~agreed)} undecided" in printed
    assert "Differences are paired, the model minus him: above 0 the model is better." in printed
    assert "Changes are paired, reading so minus the reader alone" in printed
    words = " ".join(printed.split())
    assert "sensitivity: the model minus the readers" in words
    assert "Differences are the first minus the second, so that above 0 the model is better." in words
    compared = {one.figure: one for one in study.readers.comparisons}["sensitivity"]
    assert f"p {compared.p_random:.3f}, {compared.df:.1f} degrees of freedom" in words
    truths = (
        f"Truths: the verdict and the figures of all images are by the table's own label ({label.sum()} abnormal, "
        f"{N - label.sum()} normal images, {N // 2} patients); readers, and the model beside them, by the majority of 101, 102, "
        f"103 ({panel.sum()} abnormal, {N - panel.sum()} normal images, {N // 2} patients)."
    )
    assert printed.splitlines().count(truths) == 2, "one at the headline, one at the readers"
    assert "If the labels are as good as stated" in printed
    page = Path("out/report.html").read_text("utf-8")
    for heading in (
        "Beside radiologists",
        "Each reader against the truth",
        "Who agrees with whom",
        "With the model as second reader",
        "For other readers and patients",
        "Qualities without a truth",
        "Among pairs alike in age, sex and view",
        "If the labels are as good as stated",
    ):
        assert f">{heading}<" in page
    assert 'href="#readers">Beside radiologists?' in page
    assert page.count(truths.replace("'", "&#39;")) == 2
    for name in ("readers_with_the_model_as_second_reader", "matched", "corrected"):
        assert Path(f"out/tables/{name}.csv").is_file()
        assert Path(f"out/tables/{name}.tex").is_file()
    assert Path("out/figures/readers.pdf").is_file()


def test_a_label_that_readers_made_is_told_and_names_stay_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Readers who made the label are the panel, in both commands; a reader's name is neither markup nor a formula."""
    votes, _, probability = world()
    made = votes[[0, 2, 4]].sum(axis=0) > 1
    names = ("101", LOST, "103", "$x$", "105")
    readings = [(f"{k:08d}_000", names[r], votes[r, k]) for k in range(N) for r in range(5)]
    write("hostile.csv", ("image", "reader", "label"), readings)
    rows = [(f"{k:08d}_000.dcm", int(made[k]), probability[k]) for k in range(N)]
    write("made.csv", ("image", "label", "probability"), rows)
    assert run(["-q", *["evaluate", "--predictions", "made.csv", "--readers", "hostile.csv", "--out", "out"]]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Truth: the majority of 101, 103, 105; a member is judged" in printed
    assert "they are taken for the panel, each judged by the others; --panel-readers none: all by the label" in printed
    assert LOST in printed
    assert "<b>_1" not in Path("out/report.html").read_text("utf-8")
    assert run(["-q", "audit", "readers", "hostile.csv", "--labels", "made.csv"]) == 0
    alone = " ".join(capsys.readouterr().out.split())
    assert "Truth: the majority of 101, 103, 105; a member is judged" in alone
    assert "--panel-readers none: all by the label" in alone
    assert run(["-q", "audit", "readers", "hostile.csv", "--labels", "made.csv", "--panel-readers", "none"]) == 0
    asked = " ".join(capsys.readouterr().out.split())
    assert "Truth: the table's own label" in asked
    assert "they are judged by their own votes" in asked


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--panel-readers 101,102", "--panel-readers: a panel needs readings"),
        ("--readers readings.csv --panel-readers 101,,102", "'101,,102' names no panel"),
        ("--column score=confidence", "--column: score names a column of readings, which are not given"),
        ("--readers ratings.csv --panel-readers a,b", "the panel gave no calls: a, b said of no image"),
        ("--readers readings.csv --panel-readers 101,109", "no reader is named '109'"),
        ("--readers product.csv", "has no column 'reader'"),
        ("--readers others.csv", "none of the 1 image that readers saw is among those judged"),
        ("--label-quality 0.7", "'0.7' is no label quality"),
    ],
)
def test_what_cannot_be_asked_is_one_line(options: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    write("others.csv", ("image", "reader", "label"), [("elsewhere.png", "r", 1)])
    write(
        "ratings.csv", ("image", "reader", "score"), [(f"{k:08d}_000", reader, k) for k in range(9) for reader in "ab"]
    )
    assert run(["-q", *f"evaluate --predictions product.csv --out out {options}".split()]) != 0
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_readers_without_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    command = "audit readers readings.csv --panel-readers 101,102,103 --labels product.csv --out out"
    assert run(["-q", *command.split()]) == 0
    printed = capsys.readouterr().out
    study = ReaderStudy.from_dict(json.loads(Path("out/readers.json").read_text("utf-8")))
    votes, label, _ = world()
    assert study.provenance["seed"] == 0
    assert {"date", "machine", "versions"} <= set(study.provenance)
    assert study.model is None
    assert study.n_patients == N // 2
    assert study.label is not None
    assert study.label.kappa.value == pytest.approx(cohen_kappa_score(votes[:3].sum(axis=0) > 1, label))
    assert study.latent is not None
    assert [rater.rater for rater in study.latent.raters] == [*READERS, "the table's label"]
    assert study.second == ()
    assert "Who agrees with whom" in printed
    assert "Qualities without a truth" in printed
    assert Path("out/figures/readers.svg").is_file()
    assert Path("out/tables/readers_who_agrees_with_whom.tex").is_file()


def test_ratings_under_two_modalities_need_no_calls(capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(1)
    rows = [
        (reader, modality, case, case % 2, round(random.normal(3 + case % 2 * (1 + (modality == "with")), 1), 2))
        for reader in "abcd"
        for modality in ("without", "with")
        for case in range(40)
    ]
    write("ratings.csv", ("reader", "treatment", "case", "truth", "rating"), rows)
    assert run(["-q", *["audit", "readers", "ratings.csv", "--out", "out"]]) == 0
    printed = capsys.readouterr().out
    study = ReaderStudy.from_dict(json.loads(Path("out/readers.json").read_text("utf-8")))
    assert study.readers == ()
    assert [(c.first, c.second, c.n_readers) for c in study.comparisons] == [("without", "with", 4)]
    assert study.comparisons[0].random.value < 0
    assert "AUC of the ratings: without minus with" in printed
    found = study.comparisons[0]
    tested = f"F {found.f:.3f}, 1 and {found.f_df:.1f} degrees of freedom, p "
    assert tested in printed
    assert "Differences are the first minus the second." in printed
    assert tested in Path("out/tables/readers_for_other_readers_and_patients.csv").read_text("utf-8")
    assert "DeLong by image" in " ".join(printed.split())


def test_ratings_under_one_modality_have_their_aucs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (case, reader, 1 + (case * 7 + k) % 3 + case % 2, case % 2)
        for k, reader in enumerate("ab")
        for case in range(40)
    ]
    write("ratings.csv", ("image", "reader", "score", "truth"), rows)
    assert run(["-q", *["audit", "readers", "ratings.csv", "--out", "out"]]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    expected = roc_auc_score([row[3] for row in rows[:40]], [row[2] for row in rows[:40]])
    assert "Ratings against the truth" in printed
    assert f"{expected:.3f}" in printed
    assert "20 abnormal, 20 normal" in printed
    assert Path("out/tables/readers_ratings_against_the_truth.csv").is_file()


def test_readers_without_a_truth(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-q", "audit", "readers", "readings.csv", "--out", "out"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Who agrees with whom" in printed
    assert "Qualities without a truth" in printed
    assert "The truth is none: nothing says which images are abnormal" in printed
    assert not Path("out/figures").exists()


def test_intervals_have_their_method_though_the_first_reader_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    votes, label, _ = world()
    rows = [
        (k, reader, "" if reader == "0" else votes[r, k], label[k]) for k in range(N) for r, reader in enumerate("012")
    ]
    write("first.csv", ("image", "reader", "label", "truth"), rows)
    assert run(["-q", "audit", "readers", "first.csv"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Below: 95 % intervals, bootstrap by image" in printed
    assert "intervals: none" not in printed
    assert "intervals, none" not in printed


def test_ratings_alone_stand_beside_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    """Readers who gave scores and no calls: the model's AUC, and the comparison with its interval, p and freedom."""
    _, label, probability = world()
    noise = np.random.default_rng(2).normal(label, 1, (3, N))
    write(
        "ratings.csv",
        ("image", "reader", "suspicion"),
        [(f"{k:08d}_000", reader, f"{noise[r, k]:.4f}") for k in range(N) for r, reader in enumerate("abc")],
    )
    command = "evaluate --predictions product.csv --readers ratings.csv --column score=suspicion --out out"
    assert run(["-q", *command.split()]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    evidence = Evaluation.load("out/evaluation.json").evidence
    assert evidence is not None
    assert evidence.readers is not None
    (found,) = evidence.readers.comparisons
    own = roc_auc_score(label, probability.round(6))
    assert found.mean_first.value == pytest.approx(own)
    assert f"the model {own:.3f}" in printed
    assert "AUC of the ratings: the model minus the readers" in printed
    assert f"{found.random.value:+.3f}" in printed
    assert f"{found.df:.1f} degrees of freedom" in printed


@pytest.mark.parametrize("columns", ["80", "200"])
def test_each_change_says_of_what(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Panel and one reader outside it: two changes with names of their own, and a mean with an arbiter, of whom."""
    monkeypatch.setenv("COLUMNS", columns)
    votes, _, _ = world()
    rows = [(f"{k:08d}_000", name, votes[r, k]) for k in range(N) for r, name in enumerate(READERS[:4])]
    write("four.csv", ("image", "reader", "label"), rows)
    command = "evaluate --predictions product.csv --readers four.csv --panel-readers 101,102,103 --out out"
    assert run(["-q", *command.split()]) == 0
    printed = capsys.readouterr().out
    second = printed[printed.index("The model as second reader") : printed.index("For other readers")]
    words = " ".join(second.split())
    if columns == "80":
        assert words.count("change of sensitivity: ") == words.count("change of specificity: ") == 3
        assert "an arbiter where reader and model differ of 3 readers" in words
    else:
        heads = second[: second.index("the reader alone")]
        assert heads.count("change of") == 2
        assert [heads.count(name) for name in ("sensitivity", "specificity")] == [2, 2]
    assert "Means over 4 readers" in words
    assert (
        "104: no arbiter, as all others who called an image set the truth he is judged by; the mean with an arbiter"
        in words
    )
    page = Path("out/report.html").read_text("utf-8")
    assert "Change of sensitivity" in page
    assert "mean of the readers: an arbiter where reader and model differ" in page


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "readings.csv --column label=mined",
            "label names a column of the labels, which are not given; give --labels FILE",
        ),
        ("readings.csv --labels far.csv", "none of the 120 images that readers saw is in far.csv"),
        ("scores.csv --labels product.csv --panel-readers a,b", "the panel gave no calls: a, b said of no image"),
        ("confident.csv", "--column score=confidence"),
    ],
)
def test_what_readers_alone_cannot_be_asked_is_one_line(
    command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("far.csv", ("image", "label"), [("elsewhere", 1)])
    write(
        "scores.csv", ("image", "reader", "score"), [(f"{k:08d}_000", reader, k) for k in range(N) for reader in "ab"]
    )
    write("confident.csv", ("image", "reader", "confidence"), [("x", "a", 5)])
    assert run(["-q", "audit", "readers", *command.split()]) != 0
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_name_with_a_comma_stands_alone_and_case_is_free(capsys: pytest.CaptureFixture[str]) -> None:
    votes, _, _ = world()
    names = ("Lee, MD", "Kim, MD", "Roe")
    rows = [(f"{k:08d}_000", name, votes[r, k]) for k in range(N) for r, name in enumerate(names)]
    write("named.csv", ("image", "reader", "label"), rows)
    panel = ["--panel-readers", "Lee, MD", "--panel-readers", "kim, md", "--panel-readers", "roe"]
    for command in (
        ["audit", "readers", "named.csv"],
        ["evaluate", "--predictions", "product.csv", "--readers", "named.csv", "--out", "out"],
    ):
        assert run(["-q", *command, *panel]) == 0
        assert "Truth: the majority of Lee, MD; Kim, MD; Roe; a member" in " ".join(capsys.readouterr().out.split())

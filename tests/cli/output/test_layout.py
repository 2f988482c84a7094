"""No table breaks a number, an interval or a short word, at any width; words wrap and paths lose their middle."""

from __future__ import annotations

import re

import pytest
from tests.reporting.evaluation.world import rich

from cxreader.cli.evaluating import show_evaluation
from cxreader.cli.output.console import show, table
from cxreader.cli.output.layout import broken, column_widths, shortened, stacked, title_within

HEADER = ("figure", "value", "95 % interval", "abnormal/normal", "patients", "what it means")
ROWS = [
    (
        "16 x 16 thumbnail, logistic regression",
        "0.866",
        "0.812-0.913",
        "1,326/1,336",
        "1,662",
        "sees no disease at all",
    ),
    (
        "auc minus metadata",
        "-0.001",
        "-0.010 to 0.003",
        "326/336",
        "662",
        "gap -0.21 (-0.30 to -0.11), p < 0.001; refused 0.7 to 2.2 % of them",
    ),
]
NUMBERS = ("0.866", "0.812-0.913", "1,326/1,336", "1,662", "-0.001", "-0.010", "0.003", "326/336", "662")


@pytest.mark.parametrize("width", range(30, 201, 10))
def test_every_number_stands_whole_on_one_line(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table("title", HEADER, ROWS, left=HEADER[-1:])
    shown = capsys.readouterr().out
    words = shown.split()
    for number in NUMBERS:
        assert any(number == word.strip(",;") for word in words), number
    flat = "\n".join(" ".join(line.split()) for line in shown.splitlines())
    for whole in ("-0.010 to 0.003", "(-0.30 to -0.11),", "p < 0.001", "0.7 to 2.2 %"):
        assert whole in flat, whole
    for word in ("thumbnail", "regression", "abnormal/normal", "disease"):
        assert re.search(rf"\b{word}\b", shown), word


@pytest.mark.parametrize("width", [80, 200])
def test_an_evaluation_on_the_terminal_breaks_no_interval(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    show_evaluation(rich(), "judged")
    shown = capsys.readouterr().out
    for estimate in rich().metrics.values():
        assert f"{estimate.low:.3f}-{estimate.high:.3f}" in shown
    grids = [line for line in shown.splitlines() if line.startswith("  ")]
    assert max(map(len, grids)) <= width
    assert not re.search(r"\d[-.,/]\s*$", "\n".join(line.rstrip() for line in grids), re.MULTILINE) or width == 200


def test_by_hand_where_a_column_gets_what_it_needs() -> None:
    columns = [
        ("a", "one two three"),
        ("b", "0.812-0.913"),
    ]  # 13 and 11 wide; the longest words 5 and 11; 7 around them
    assert column_widths(columns, 31) == [13, 11]
    assert column_widths(columns, 30) == [12, 11]
    assert column_widths(columns, 23) == [5, 11]
    assert column_widths(columns, 22) is None
    assert (
        column_widths([("a", "0.8123456789-0.9123456789")], 28) is None
    )  # a long number is a number; a long name may fold
    assert column_widths([("a", "a" * 25)], 28) == [24]
    assert column_widths([("a", "one two"), ("why", "four five six")], 23, last=[1]) == [7, 9]


def test_a_path_loses_its_middle_and_other_words_do_not() -> None:
    path = "/data/hospital/2026/P00001/IM0000.dcm"
    assert shortened(path, 23) == "/data/h...01/IM0000.dcm"
    assert len(shortened(path, 23)) == 23
    assert shortened(path, len(path)) == path
    assert shortened("a word and/or another one", 10) == "a word and/or another one"


def test_sentences_break_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "- net benefit an image, by the threshold, +0.072 (+0.066 to +0.077)"
    monkeypatch.setenv("COLUMNS", "58")
    show(sentence)
    assert capsys.readouterr().out == f"{sentence}\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    show(sentence)
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines] == [
        "- net benefit an image, by the threshold, +0.072",
        "  (+0.066 to +0.077)",
    ]


def test_what_has_no_room_beside_each_other_stands_below() -> None:
    rows = [("auc", "0.866\n0.812-0.913", ""), ("f1", "0.5", "of few patients"), ("brier", "", "")]
    assert stacked(("figure", "value,\ninterval", "why"), rows, 36) == [
        "figure auc",
        "  value, interval: 0.866 0.812-0.913",
        "figure f1",
        "  value, interval: 0.5; why: of few\n  patients",
        "figure brier",
    ]


def test_a_long_word_goes_on_behind_a_hyphen_or_the_like() -> None:
    assert broken("file resnet18_tiny_imagenet.safetensors", 16) == "file resnet18_tiny_\nimagenet.\nsafetensors"
    assert broken("EfficientNet-Lite0, manual", 18) == "EfficientNet-\nLite0, manual"
    assert broken("EfficientNet-Lite0, manual", 19) == "EfficientNet-Lite0, manual"
    assert (
        broken("0.8123456789-0.9123456789 supercalifragilistic", 12) == "0.8123456789-0.9123456789 supercalifragilistic"
    )


def test_a_title_is_as_wide_as_the_terminal_and_its_path_gives_way() -> None:
    title = "labels (table): /data/of/a/hospital/with/a/long/name/labels.csv"
    assert title_within(title, len(title)) == title
    assert len(title_within(title, 50)) == 50
    assert title_within(title, 50).startswith("labels (table): /data/")
    assert title_within(title, 50).endswith("/labels.csv")
    assert title_within("Words alone are left to wrap", 10) == "Words alone are left to wrap"


def test_an_interval_with_a_word_between_its_ends_stays_whole() -> None:
    """By hand: the longest words have 4 and 10 characters, the interval 16; 7 stand around two columns."""
    columns = [["one two thre"], ["-0.485 to +0.375", "no difference is shown"]]
    assert column_widths(columns, 27) == [4, 16]
    assert column_widths(columns, 26) is None

"""The digits of an answer: on the threshold's side, and inside their interval."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxreader.cli.output.answers import show_answers
from cxreader.inference.answer_text import interval_text, probability_text

SHARE = st.floats(0, 1)


@given(SHARE, st.floats(0.0006, 1))
def test_the_digits_reach_the_threshold_exactly_where_the_probability_does(
    probability: float, threshold: float
) -> None:
    shown = float(probability_text(probability, threshold))
    assert (shown >= float(f"{threshold:.3f}")) == (probability >= threshold)
    assert abs(shown - probability) <= 0.001 + 1e-12


@given(st.lists(SHARE, min_size=3, max_size=3).map(sorted), st.floats(0.0006, 1))
def test_the_digits_lie_inside_their_interval(ends: list[float], threshold: float) -> None:
    low, probability, high = ends
    left, right = map(float, interval_text(probability, low, high, threshold).split("-"))
    assert left <= float(probability_text(probability, threshold)) <= right
    assert left <= round(low, 3)
    assert round(high, 3) <= right


@pytest.mark.parametrize(
    ("probability", "threshold", "shown"),
    [(0.4298, 0.43, "0.429"), (0.43, 0.43, "0.430"), (0.4302, 0.4301, "0.430"), (0.2, 0.43, "0.200"), (None, 0.4, "")],
)
def test_by_hand(probability: float | None, threshold: float, shown: str) -> None:
    assert probability_text(probability, threshold) == shown


def test_an_interval_reaches_down_to_digits_that_were_taken_below_the_threshold() -> None:
    assert interval_text(0.4298, 0.4297, 0.5, 0.43) == "0.429-0.500"


def test_a_refusal_that_was_overruled_is_told_where_columns_are_few(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    rows = [
        ("a.png", "refused", "abnormal", "0.900", "a body part that is not read"),
        ("b.png", "refused", "", "", "x"),
    ]
    show_answers(
        None, ("image", "acceptance", "decision", "probability", "why"), rows, sentences=("why",), below=[], note=""
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a.png", "abnormal,", "refused", "0.900"] in lines
    assert ["b.png", "refused"] in lines

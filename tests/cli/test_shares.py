"""Shares on the command line, as people write them."""

from __future__ import annotations

import pytest

from cxreader.cli import run
from cxreader.cli.shares import share_of
from cxreader.errors import UsageError


@pytest.mark.parametrize(
    ("text", "share"),
    [("0.4", 0.4), ("0,4", 0.4), ("40%", 0.4), ("40 %", 0.4), ("12,5%", 0.125), ("0", 0.0), ("1", 1.0), (0.5, 0.5)],
)
def test_a_share_is_a_number_or_has_its_sign(text: str | float, share: float) -> None:
    assert share_of("--threshold")(text) == pytest.approx(share, abs=1e-15)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("40", "--threshold: 40 lies not between 0 and 1; write 0.4 or 40%"),
        ("12,5", "--threshold: 12,5 lies not between 0 and 1; write 0.125 or 12.5%"),
        ("-0.1", "--threshold: -0.1 lies not between 0 and 1; write it as 0.4 or 40%"),
        ("120%", "--threshold: 120% lies not between 0 and 1; write it as 0.4 or 40%"),
        ("high", "--threshold: 'high' is no number; write it as 0.4 or 40%"),
    ],
)
def test_any_other_is_refused_by_the_name_of_its_option(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        share_of("--threshold")(text)
    assert str(caught.value) == words


@pytest.mark.parametrize("option", ["--threshold", "--prevalence", "--alpha"])
def test_every_share_of_evaluate_is_read_so(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "evaluate",
        "--predictions",
        "absent.csv",
        "--calibrate",
        "absent.csv",
        "--out",
        "nowhere",
        option,
        "40",
    ]
    assert run(arguments) == 2
    assert f"cxreader: {option}: 40 lies not between 0 and 1; write 0.4 or 40%" in capsys.readouterr().err

"""Cells of tables: ages in DICOM's units and at the bounds of a human life, labels with findings beside them, sexes."""

from __future__ import annotations

import pytest

from cxreader.data.layouts.table import parse_age, parse_label, parse_sex
from cxreader.errors import TableError


@pytest.mark.parametrize(
    ("text", "years", "plausible"),
    [
        ("", None, True),
        ("0", 0.0, True),
        ("58", 58.0, True),
        ("058Y", 58.0, True),
        ("120", 120.0, True),
        ("120.5", 120.5, False),
        ("411", 411.0, False),
        ("-1", -1.0, False),
        ("009M", 0.75, True),
        ("1440m", 120.0, True),
        ("004W", 28 / 365.25, True),
        ("012 D", 12 / 365.25, True),
    ],
)
def test_ages(text: str, years: float | None, plausible: bool) -> None:
    found, human = parse_age(text, "row 2")
    assert found == (None if years is None else pytest.approx(years))
    assert human == plausible


@pytest.mark.parametrize("text", ["old", "12H", "1-2", "Y"])
def test_what_is_no_age_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(TableError, match=f"^row 2: the age '{text}' is no number; give years, or leave it empty"):
        parse_age(text, "row 2")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"label": "Normal"}, (0, ())),
        ({"label": "0", "findings": ""}, (0, ())),
        ({"label": "1", "findings": "Mass|Nodule"}, (1, ("Mass", "Nodule"))),
        ({"label": "ABNORMAL", "findings": "No Finding"}, (1, ())),
    ],
)
def test_labels(cells: dict[str, str], expected: tuple[int, tuple[str, ...]]) -> None:
    assert parse_label(cells, "row 2") == expected


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"label": "2"}, "row 2: the label '2' is outside the list; known: normal, abnormal, 0, 1"),
        ({"label": ""}, "row 2: the label '' is outside the list"),
        ({"label": "normal", "findings": "Mass"}, "row 2: the label is normal but findings stand beside it"),
        ({"label": "1", "findings": "Massive"}, "row 2: unknown finding 'Massive'"),
    ],
)
def test_wrong_labels_are_refused_with_their_place(cells: dict[str, str], words: str) -> None:
    with pytest.raises(TableError) as caught:
        parse_label(cells, "row 2")
    assert str(caught.value).startswith(words)


def test_sexes() -> None:
    assert [parse_sex(text) for text in ("m", "F", "Male", "female", "O", "", "X")] == [
        *("M", "F", "M", "F", None, None, None)
    ]

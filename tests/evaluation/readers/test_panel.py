from __future__ import annotations

import pytest

from cxreader.errors import UsageError
from cxreader.evaluation.readers.panel import joined, panel_of

READERS = ("A", "B", "Dr. A, MD", "Dr. B, MD")


@pytest.mark.parametrize(
    ("texts", "panel"),
    [
        (None, None),
        (["A,B"], ("A", "B")),
        (["a, b"], ("A", "B")),
        (["A", "B"], ("A", "B")),
        (["Dr. A, MD", "dr.  b, md", "a"], ("Dr. A, MD", "Dr. B, MD", "A")),
        (["none"], ()),
        (["None"], ()),
    ],
)
def test_readers_are_named_in_a_list_or_one_by_one(texts: list[str] | None, panel: tuple[str, ...] | None) -> None:
    assert panel_of(texts, READERS) == panel


def test_a_reader_may_be_called_none() -> None:
    assert panel_of(["none"], ("None", "B")) == ("None",)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["A,,B"], "'A,,B' names no panel"),
        ([""], "'' names no panel"),
        (["A,a"], "'A' stands twice in the panel"),
        (["A", "a"], "'A' stands twice in the panel"),
        (
            ["Dr. A, MD,B"],
            r"no reader is named 'Dr. A'; a name that holds a comma stands alone, --panel-readers once for each",
        ),
        (["C"], "no reader is named 'C'"),
    ],
)
def test_what_names_no_panel_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        panel_of(texts, READERS)


def test_names_with_commas_are_told_apart() -> None:
    assert joined(("A", "B")) == "A, B"
    assert joined(("Dr. A, MD", "B")) == "Dr. A, MD; B"

"""Numbers in sentences, for one and for several."""

from __future__ import annotations

import pytest

from cxreader.counting import count_notes, format_count


@pytest.mark.parametrize(
    ("count", "words", "sentence"),
    [
        (1, "[row has|rows have] no file", "1 row has no file"),
        (2, "[row has|rows have] no file", "2 rows have no file"),
        (0, "[box|boxes]", "0 boxes"),
        (1200, "[box|boxes]", "1,200 boxes"),
        (
            1,
            "[image names|images name] none: what is on [it|them] is not known",
            "1 image names none: what is on it is not known",
        ),
        (1, "of 7 images [names|name] no patient", "1 of 7 images names no patient"),
        (1, "image[|s] (a|b) [c]", "1 image (a|b) [c]"),
    ],
)
def test_one_and_several(count: int, words: str, sentence: str) -> None:
    assert format_count(count, words) == sentence


def test_counts_of_nothing_are_not_told() -> None:
    assert count_notes({"[row|rows]": 0, "[file is|files are] left out": 1}) == ("1 file is left out",)

"""Numbers in sentences, right for one and for several."""

from __future__ import annotations

import re
from collections.abc import Mapping

_EITHER = re.compile(r"\[([^|\[\]]*)\|([^|\[\]]*)\]")


def format_count(count: int, words: str) -> str:
    """The number and what follows it: `1 row has no file` or `1,200 rows have no file`, of `[row has|rows have] no file`.

    `words` are the program's own, never a file's: of each `[one|several]` the first stands for 1, the second for all else.
    """
    return f"{count:,} " + _EITHER.sub(r"\1" if count == 1 else r"\2", words)


def count_notes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """A sentence for each of the counts that is not 0, by its words as `format_count` takes them."""
    return tuple(format_count(count, words) for words, count in counts.items() if count)

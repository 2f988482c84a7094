"""Whose majority is the truth, as a user names them: each reader by himself, or several with commas between."""

from __future__ import annotations

from collections.abc import Sequence

from cxreader.errors import UsageError, nearest
from cxreader.evaluation.readers.readings import name_key

OPTION = "--panel-readers"
NO_PANEL = "none"
"""Says that the table's label is the truth, whoever made it."""


def panel_of(texts: Sequence[str] | None, readers: Sequence[str]) -> tuple[str, ...] | None:
    """The readers whom `texts` name: each text one reader's whole name, else several with commas between, in any case.

    None where nothing is asked; empty for `none`, unless a reader has that name. Raises UsageError for a name that nobody
    has, and where one is empty or stands twice.
    """
    if texts is None:
        return None
    known = {name_key(reader): reader for reader in readers}
    if [name_key(text) for text in texts] == [NO_PANEL] and NO_PANEL not in known:
        return ()
    named: list[str] = []
    for text in texts:
        names = [text] if name_key(text) in known else text.split(",")
        if not all(name.strip() for name in names):
            raise UsageError(f"{text!r} names no panel", where=OPTION, mend="write each reader once, as a,b,c")
        named += [_reader(name.strip(), known) for name in names]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice!r} stands twice in the panel", where=OPTION, mend="write each reader once")
    return tuple(named)


def joined(names: Sequence[str]) -> str:
    """Names in a sentence: `a, b, c`; with semicolons where a name holds a comma."""
    return ("; " if any("," in name for name in names) else ", ").join(names)


def _reader(name: str, known: dict[str, str]) -> str:
    found = known.get(name_key(name))
    if found is None:
        mend = nearest(name, known.values())
        if any("," in reader for reader in known.values()):
            mend = f"a name that holds a comma stands alone, {OPTION} once for each reader; {mend}"
        raise UsageError(f"no reader is named {name!r}", where=OPTION, mend=mend)
    return found

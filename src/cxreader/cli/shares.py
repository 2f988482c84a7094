"""Options that are a share or a probability: `0.4`, `0,4` and `40%` are one, as in tables."""

from __future__ import annotations

from collections.abc import Callable

from cxreader.errors import UsageError
from cxreader.tables import parse_number


def share_of(option: str) -> Callable[[str | float], float]:
    """What reads the text of `option`, in [0, 1]; raises UsageError, naming it, for no number and for one beyond 0 to 1."""

    def read(given: str | float) -> float:
        text = str(given).strip()
        number = parse_number(text.removesuffix("%"))
        if number is None:
            raise UsageError(f"{text!r} is no number", where=option, mend="write it as 0.4 or 40%")
        value = number / 100 if text.endswith("%") else number
        if not 0 <= value <= 1:
            percent = not text.endswith("%") and 1.5 < value <= 100
            mend = f"write {value / 100:g} or {value:g}%" if percent else "write it as 0.4 or 40%"
            raise UsageError(f"{text} lies not between 0 and 1", where=option, mend=mend)
        return value

    return read

"""Who is one patient: a name is normalised once, where it is read, and is then compared letter by letter everywhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_WHOLE = re.compile(r"(\d+)[.,]0{0,2}", re.ASCII)
_POWER = re.compile(r"\d(?:\.\d+)?[eE]\+?\d{1,2}", re.ASCII)
_EXACT = 2**53
"""Beyond it a float no longer tells whole numbers apart."""
PAD = 12
"""Digits up to which a number may have been filled with leading zeros."""
MEND = "write the patients alike in both: with leading zeros or without"


def patient_name(text: str) -> str:
    """The name by which a patient is compared: `12`, ` 12` and `12.0` (a column of numbers with gaps) are one patient.

    Blanks around it are taken away and letters composed (Unicode NFC). Leading zeros are kept: `007` is not `7`, unless
    `zero_twins` finds both, which is an error to be refused. Empty for an empty text.
    """
    name = unicodedata.normalize("NFC", text.strip().strip("\0").strip())
    whole = _WHOLE.fullmatch(name)
    if whole is not None:
        return whole[1]
    if _POWER.fullmatch(name) and float(name).is_integer() and float(name) < _EXACT:
        return str(int(float(name)))
    return name


def without_zeros(name: str) -> str:
    """The name without leading zeros where it is a number (`00012` is `12`), else as it is."""
    return (name.lstrip("0") or "0") if name.isascii() and name.isdigit() else name


def zero_twins(names: Iterable[str], others: Iterable[str] | None = None) -> int:
    """How many patients are written in two ways that differ by leading zeros alone, as `00012` and `12`.

    Within `names`; with `others`, between the two: names of one that the other has in another way only.
    """
    own = set(names)
    if others is None:
        return len(own) - len({without_zeros(name) for name in own})
    there = set(others)
    bare = {without_zeros(name) for name in there}
    return sum(name not in there and without_zeros(name) in bare for name in own)


def other_spellings(name: str) -> tuple[str, ...]:
    """A number with and without leading zeros, up to `PAD` digits, the name itself left out; empty for other names."""
    if not (name.isascii() and name.isdigit()):
        return ()
    bare = without_zeros(name)
    return tuple(other for width in range(len(bare), PAD + 1) if (other := bare.zfill(width)) != name)

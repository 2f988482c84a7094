"""One cell: a Parquet or Excel value as a CSV would hold it, and a text as a number."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import date, datetime, time
from typing import Literal

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d*|[+-]?\d{1,3}(\.\d{3})+,\d*", re.ASCII)
_AGE_UNITS = {"": 1.0, "Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
"""Years in each unit of an age (VR AS, PS3.5 6.2), and without one."""
_AGE = re.compile(
    r"([+-]?\d+(?:[.,]\d*)?)\s*(Y|M|W|D|YRS?|YEARS?|YO|MO|MONTHS?|WEEKS?|DAYS?)?\.?(?:\s*OLD)?", re.IGNORECASE
)
NO_AGE = "[age is|ages are] none, and left empty"
NO_SEX = "[sex is|sexes are] no word for male or female, and left empty"
"""Words of their counts (`counting.format_count`), wherever a table tells ages and sexes."""
_MALE = (
    "m male man boy masc männlich mann junge homme masculin garçon hombre masculino varón niño maschio uomo mannelijk"
)
_FEMALE = "f w female woman girl fem weiblich frau mädchen femme féminin fille mujer femenino feminino niña femmina donna vrouw"
_INVISIBLE = "\ufeff\u200b\u200e\u200f"
"""Byte order mark, zero-width blank and marks of direction, which copying brings along."""


def cell_text(value: object) -> str:
    """A value as a CSV would hold it: 3.0 of a column with gaps is 3, True is 1, nothing and NaN are empty, lists have "|"."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
    if isinstance(value, list | tuple):
        return "|".join(map(cell_text, value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date | datetime | time) else str(value)


def clean(text: str) -> str:
    """The text without blanks and invisible characters around it; `="007"`, by which people keep zeros in Excel, is 007."""
    text = text.strip().strip(_INVISIBLE).strip()
    return text[2:-1].strip() if text.startswith('="') and text.endswith('"') and len(text) > 2 else text


def column_name(text: str) -> str:
    """The name by which a column is asked for: lower case, one blank between words."""
    return " ".join(clean(text).lower().split())


def parse_number(text: str) -> float | None:
    """The finite number that a cell holds, with a decimal point or comma (`54.5`, `54,5`, `1.234,5`); None for any other text.

    One comma alone is a decimal comma: `1,234` is 1.234. Blanks between groups of digits are allowed.
    """
    text = text.strip().replace("\u2212", "-")
    if not _NUMBER.fullmatch(text):
        text = "".join(text.split()) if re.fullmatch(r"[+-]?\d{1,3}(\s\d{3})+([.,]\d*)?", text) else text
        if _GROUPED.fullmatch(text):
            text = text.replace("," if text.rfind(".") > text.rfind(",") else ".", "")
        if not _NUMBER.fullmatch(text):
            return None
    number = float(text.replace(",", "."))
    return number if math.isfinite(number) else None


def parse_sex(text: str) -> Literal["M", "F"] | None:
    """M or F of a word for it in English, German, French, Spanish, Portuguese, Italian or Dutch, in any case.

    Accents may be missing. None for any other text: O, U and X, and numbers, which count the sexes from 0 or from 1 and
    either way round.
    """
    return _SEXES.get(_unaccented(text))


def _unaccented(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text.strip().rstrip(".").casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


_SEXES: dict[str, Literal["M", "F"]] = {
    **dict.fromkeys(map(_unaccented, _MALE.split()), "M"),
    **dict.fromkeys(map(_unaccented, _FEMALE.split()), "F"),
}


def parse_age(text: str) -> float | None:
    """Years of `58`, `54,5`, `54 years`, and in DICOM's units `058Y`, `009M`, `12D`; None for any other text.

    An impossible age such as 411 is given as it stands.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return None
    return float(match[1].replace(",", ".")) * _AGE_UNITS[(match[2] or "")[:1].upper()]

"""Fields that the administration's requests share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, Field


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("one line of text that can be printed is asked for")
    return text


Line = Annotated[str, AfterValidator(_printable), Field(min_length=1, max_length=200)]
"""One line of text."""
Secret = Annotated[str, AfterValidator(_printable), Field(min_length=1, max_length=1000)]
"""A password, or what another service asks for."""
Place = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$")]
"""A destination's name."""
Days = Annotated[float, Field(ge=0, le=36_600, allow_inf_nan=False)]
"""Days: as far back as that."""

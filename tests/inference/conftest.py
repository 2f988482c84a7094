"""What tests of pictures share."""

from __future__ import annotations

import pytest
from PIL import ImageDraw


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[float, ...], str]]:
    """Every text that is drawn, and where."""
    found: list[tuple[tuple[float, ...], str]] = []
    there = ImageDraw.ImageDraw.text

    def noted(self: ImageDraw.ImageDraw, xy: tuple[float, ...], text: str, *rest: object, **options: object) -> None:
        found.append((xy, text))
        there(self, xy, text, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    return found

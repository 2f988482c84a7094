"""A model card, which is Markdown of ours or of whoever sent the artifact, as HTML in which nothing of it runs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


def html_of(text: str) -> Markup:
    """Headings begin two levels lower than in the text; HTML in it is shown as text; links to scripts are none; no pictures."""
    return Markup(_parser().render(text))  # noqa: S704 - the parser escapes what is not Markdown


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    made.core.ruler.push("lower", _lower)
    return made


def _lower(state: object) -> None:
    for token in state.tokens:  # type: ignore[attr-defined]
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"

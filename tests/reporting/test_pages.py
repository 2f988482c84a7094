"""Templates and durations, which every page shares."""

from __future__ import annotations

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from cxreader.reporting.pages import environment, format_duration, unbroken


def test_templates_come_with_the_package() -> None:
    templates = environment()
    assert {"page.html.jinja", "evaluation.html.jinja", "demo.html.jinja", "page.css"} <= set(
        templates.list_templates()
    )
    with pytest.raises(TemplateNotFound):
        templates.get_template("none.html.jinja")


def test_what_is_put_into_a_template_is_escaped_and_a_forgotten_name_is_an_error() -> None:
    template = environment().from_string('<p title="{{ word }}">{{ word }}</p>')
    assert template.render(word='"<b>&') == '<p title="&#34;&lt;b&gt;&amp;">&#34;&lt;b&gt;&amp;</p>'
    with pytest.raises(UndefinedError, match="word"):
        template.render()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.24, "0.2 s"),
        (9.94, "9.9 s"),
        (10.4, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3540.0, "59 min 0 s"),
        (3675.0, "1 h 1 min"),
        (7_200_000.0, "2,000 h 0 min"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_an_interval_in_a_sentence_stays_on_one_line() -> None:
    assert (
        unbroken("it is +0.011 (-0.027 to +0.038), 0 to 1")
        == "it is +0.011 (-0.027\u00a0to\u00a0+0.038), 0\u00a0to\u00a01"
    )
    assert unbroken("from 3 to many, ready to go") == "from 3 to many, ready to go"

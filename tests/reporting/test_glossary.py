"""Every page carries the glossary in itself and links to it; a word is told in plain words before its definition."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.conftest import PROJECT
from tests.reporting.evaluation.world import rich
from tests.reporting.study.world import study_report

from cxreader.reporting.evaluation.page import render_evaluation
from cxreader.reporting.glossary import GLOSSARY
from cxreader.reporting.study.page import render_study

WORDS = (
    "Venn-Abers pair",
    "Conformal",
    "Refer",
    "Salt",
    "Natural",
    "Artifact",
    "Holm",
    "ECE",
    "net benefit",
    "PPV",
    "Score",
)
TEMPLATES = PROJECT / "src/cxreader/reporting/templates"


@pytest.mark.parametrize("page", [lambda: render_evaluation(rich()), lambda: render_study(study_report())])
def test_a_page_links_to_the_words_in_it(page: Callable[[], str]) -> None:
    text = page()
    assert '<a href="#glossary">' in text
    assert text.count('id="glossary"') == 1
    at = text.index('id="glossary"')
    for word in WORDS:
        assert any(word in name for name in re.findall(r"<dt>(.*?)</dt>", text[at:])), word
    assert "Clopper and Pearson" in text[at:]


def test_every_template_of_a_page_has_it() -> None:
    pages = [
        path
        for path in TEMPLATES.glob("*.jinja")
        if path.name not in ("page.html.jinja", "evidence.html.jinja", "examples.html.jinja")
    ]
    assert len(pages) >= 4
    assert [path.name for path in pages if '{% extends "page.html.jinja" %}' not in path.read_text("utf-8")] == []


def test_names_are_sorted_and_once_and_the_plain_words_come_first() -> None:
    names = [term.name.lower() for term in GLOSSARY]
    assert names == sorted(set(names))
    text = (PROJECT / "docs/reference/glossary.md").read_text("utf-8")
    for term in GLOSSARY:
        assert 0 < text.index(f"**{term.name}**: {term.plain}") < text.index(term.exactly)
    hard = ("bootstrap", "likelihood", "isotonic", "monotone", "logit")
    assert [term.name for term in GLOSSARY if any(word in term.plain.lower() for word in hard)] == []

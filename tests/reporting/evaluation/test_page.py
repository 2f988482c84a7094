from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.reporting.evaluation.figures.test_localisation_figures import _localised

from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.records import PredictionTable
from cxreader.reporting.evaluation.model_card import render_model_card
from cxreader.reporting.evaluation.page import (
    NextStep,
    ReadingPanel,
    decision_line,
    figures_line,
    render_demo,
    render_evaluation,
)

HOSTILE = "<script>alert('x')</script>"
VOID = {"meta", "img", "link", "br", "hr", "input", "rect", "line"}


class _Page(HTMLParser):
    """Collects tags and text, and refuses tags that do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += " ".join(data.split()) + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _evaluation(patients: bool = True, one_class: bool = False) -> Evaluation:
    n = 120
    label = np.zeros(n, dtype=int) if one_class else np.arange(n) % 2
    p = np.clip(np.random.default_rng(0).normal(0.35 + 0.3 * label, 0.2), 0, 1)
    names = np.array([f"P{k // 2}" for k in range(n)]) if patients else None
    table = PredictionTable(np.array([f"{k}" for k in range(n)]), label, p, names)
    return evaluate(
        table,
        0.5,
        n_resamples=60,
        baselines={f"thumbnail {HOSTILE}": np.random.default_rng(1).random(n)},
        excluded={f"in training {HOSTILE}": 4},
        warnings=[f"leak {HOSTILE}"],
        provenance={"source": HOSTILE, "commit": None},
    )


def _demo(evaluation: Evaluation) -> str:
    pixels = np.zeros((8, 8), dtype=np.uint8)
    right = ReadingPanel(f"Phantom {HOSTILE}", "abnormal", "abnormal", 0.93, pixels, pixels, "Mass", HOSTILE)
    wrong = replace(right, title="Phantom 2", truth="normal", findings="", note="")
    return render_demo(
        evaluation,
        [right, wrong],
        summary={"Network": HOSTILE},
        timings={"Train": 125.4, "Split": 0.24},
        next_steps=[NextStep("Go on", f"cxreader train {HOSTILE}")],
    )


@pytest.mark.parametrize("name", ["evaluation", "demo"])
def test_a_page_is_well_formed_escaped_self_contained_and_accessible(name: str) -> None:
    source = render_evaluation(_evaluation(), title=HOSTILE) if name == "evaluation" else _demo(_evaluation())
    page = _Page(source)
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("script") == []
    assert HOSTILE in page.text.replace("\xa0", " ")
    for image in page.all("img"):
        assert image["alt"]
        assert (image["src"] or "").startswith("data:image/")
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?!data:)\w|url\(|@import|https?://", source)
    assert page.all("link") == []
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    assert len(page.all("h1")) == 1
    assert "not a medical device" in page.text


def test_the_verdict_and_the_numbers_are_those_of_the_evaluation() -> None:
    evaluation = _evaluation()
    auc, recall = evaluation.metrics["auc"], evaluation.metrics["recall"]
    line = figures_line(evaluation)
    assert line == f"AUC {auc.value:.2f} ({auc.low:.2f}-{auc.high:.2f}) on 60 patients: 60 abnormal, 60 normal images"
    text = _Page(render_evaluation(evaluation)).text
    assert line in text
    assert f"{recall.value:.3f} {recall.low:.3f}-{recall.high:.3f} 60 abnormal" in " ".join(text.split())
    flagged = evaluation.confusion["tp"] + evaluation.confusion["fp"]
    assert f"{flagged} called abnormal" in text
    specificity = evaluation.metrics["specificity"].value
    assert recall.value != specificity
    assert decision_line(evaluation) == (
        f"Called abnormal from a probability of 0.50 on, it finds {100 * recall.value:.0f}\xa0% of the abnormal images and calls "
        f"{100 * specificity:.0f}\xa0% of the normal ones normal."
    )


def test_undefined_is_said_in_words() -> None:
    evaluation = _evaluation(one_class=True)
    assert figures_line(evaluation) == (
        "AUC undefined (no abnormal image) on 60 patients: 0 abnormal, 120 normal images"
    )
    text = _Page(render_evaluation(evaluation)).text
    assert "nan" not in text.lower().replace("finance", "")
    assert "There is no abnormal image" in text


def test_unknown_patients_are_said_on_the_first_screen() -> None:
    text = _Page(render_evaluation(_evaluation(patients=False))).text
    assert "on images of unknown patients" in text
    assert text.index("No patient is known") < text.index("How sure?")


def test_the_demo_says_whether_its_maps_find_what_was_drawn() -> None:
    found = _localised()
    page = render_demo(_evaluation(), [], summary={}, timings={}, next_steps=[], localisation=found)
    said = " ".join(_Page(page).text.split())
    assert found.statement() in said
    assert found.statement("pointing") in said
    assert "gain over that of the finding" in said
    assert "Do the maps find what was drawn" not in " ".join(_Page(_demo(_evaluation())).text.split())


def test_the_demo_says_phantoms_before_any_reading_and_judges_each() -> None:
    text = " ".join(_Page(_demo(_evaluation())).text.split())
    assert text.index("These are phantoms") < text.index("readings of phantoms")
    assert "no patient. No result here is clinical" in text
    assert "on 60 phantom patients" in text
    assert "✓ Found" in text
    assert "✗ False alarm" in text
    assert "Train 2 min 5 s" in text
    assert "in 2 min 6 s" in text
    assert "Split 0.2 s" in text


@pytest.mark.parametrize(
    ("truth", "decision", "outcome"),
    [
        ("abnormal", "abnormal", "Found"),
        ("abnormal", "normal", "Missed"),
        ("normal", "abnormal", "False alarm"),
        ("normal", "normal", "True negative"),
    ],
)
def test_outcomes(truth: str, decision: str, outcome: str) -> None:
    panel = ReadingPanel("t", "normal", "normal", 0.5, b"", b"")
    assert replace(panel, truth=truth, decision=decision).outcome == outcome  # type: ignore[arg-type]


def _useless() -> Evaluation:
    """399 of 400 abnormal images flagged, and 398 of 415 normal ones."""
    label = np.repeat([1, 1, 0, 0], [399, 1, 398, 17])
    noise = np.random.default_rng(4).uniform(0, 0.3, len(label))
    probability = np.where(np.repeat([1, 0, 1, 0], [399, 1, 398, 17]) == 1, 0.4 + noise + 0.2 * label, noise)
    names = np.array([str(k) for k in range(len(label))])
    return evaluate(PredictionTable(names, label, probability, names), 0.4, n_resamples=60)


def test_the_first_line_is_the_verdict_and_the_auc_gives_way() -> None:
    evaluation = _useless()
    said = "Not worth a trial at this threshold: it flags 398 of 415 (96 %) normal images, nearly as flagging everybody would"
    for page in (render_evaluation(evaluation), _demo(evaluation)):
        assert f"<h1>{said}</h1>" in page
        assert f"{said}</title>" in page
        assert page.index(">AUC 0.") > page.index("</h1>")
        assert page.index("not compared with a 16 x 16 thumbnail") < page.index('class="lead"')
    card = render_model_card(evaluation).split("\n\n")
    assert card[1] == f"**{said}.**"


def test_a_file_from_before_there_were_verdicts_is_headed_by_its_figures() -> None:
    page = render_evaluation(replace(_useless(), verdict=None))
    assert re.search(r"<h1>AUC [\d.]+ \([\d.]+-[\d.]+\) on 815 patients: 400 abnormal, 415 normal images</h1>", page)

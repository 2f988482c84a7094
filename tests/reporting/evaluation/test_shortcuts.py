from __future__ import annotations

import re

import numpy as np
import pytest
from tests.reporting.evaluation.test_page import HOSTILE, _Page

from cxreader.evaluation.shortcuts.audit import MODEL_BORDER, MODEL_CENTRE, audit_confounding
from cxreader.evaluation.shortcuts.baselines import Baseline
from cxreader.evaluation.shortcuts.records import BORDER, METADATA, Leakage, ShortcutAudit
from cxreader.evaluation.statistics.intervals import Sample
from cxreader.evaluation.verdict import THUMBNAIL
from cxreader.reporting.evaluation.shortcuts import draw_confounders, render_shortcuts
from cxreader.reporting.style import BLUE, INK, VERMILION


def _audit(*, one_class: bool = False, source: str = HOSTILE) -> ShortcutAudit:
    random = np.random.default_rng(0)
    label = np.zeros(200, int) if one_class else np.arange(200) % 2
    model = np.clip(random.normal(0.4 + 0.2 * label, 0.1), 0, 1)
    baselines = (
        Baseline(METADATA, "nothing", None, f"not here {HOSTILE}"),
        Baseline(BORDER, "the border", np.clip(random.normal(0.4 + 0.15 * label, 0.1), 0, 1)),
        Baseline(THUMBNAIL, "a thumbnail", random.random(200)),
    )
    return audit_confounding(
        Sample(label, np.arange(200) // 2),
        model,
        baselines,
        {MODEL_BORDER: np.full(200, 0.4), MODEL_CENTRE: model},
        source=np.full(200, source),
        leakage=Leakage(
            False, 220, 20, 12, left_out=True, split="patient", split_patients=0, split_images=0, test_images=220
        ),
        excluded={f"in training {HOSTILE}": 20},
        n_resamples=60,
        warnings=[f"careful {HOSTILE}"],
        provenance={"data": HOSTILE, "split": None},
    )


@pytest.mark.parametrize("one_class", [False, True])
def test_the_page_is_well_formed_escaped_self_contained_and_accessible(one_class: bool) -> None:
    source = render_shortcuts(_audit(one_class=one_class))
    page = _Page(source)
    assert page.all("script") == page.all("link") == []
    assert HOSTILE in page.text
    assert all(image["alt"] and (image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?!data:)\w|url\(|@import|https?://", source)
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    assert len(page.all("h1")) == 1
    assert "not a medical device" in page.text
    assert "nan" not in page.text.lower()


def test_verdict_reasons_numbers_and_leak_stand_on_the_page() -> None:
    audit = _audit()
    text = " ".join(_Page(render_shortcuts(audit)).text.split())
    assert audit.line in text
    assert all(reason in text for reason in audit.reasons)
    border = audit.baselines[1]
    assert f"{border.auc.value:.3f} {border.auc.interval}" in text
    assert f"{border.gain.value:+.3f} {border.gain.low:+.3f} to {border.gain.high:+.3f}" in text
    assert "20 of 220 images are of patients who set the model (12): left out" in text
    assert "trained without knowing patients" in text
    assert text.index(audit.line) < text.index("Better than what") < text.index("Has the model met these patients?")


def test_only_what_reaches_the_label_and_sees_no_disease_is_vermilion() -> None:
    audit = _audit()
    axes = draw_confounders(audit).axes[0]
    dots = {line.get_ydata()[0]: line.get_color() for line in axes.lines if line.get_marker() == "o"}
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    colours = {name: dots[place] for place, name in enumerate(names)}
    assert audit.baselines[1].auc.low > audit.limits.shortcut_auc > audit.baselines[2].auc.high
    assert colours == {"the model": BLUE, BORDER: VERMILION, THUMBNAIL: INK, MODEL_BORDER: INK, MODEL_CENTRE: INK}


def test_the_picture_has_a_row_for_each_number_there_is() -> None:
    labels = [tick.get_text() for tick in draw_confounders(_audit()).axes[0].get_yticklabels()]
    assert labels == ["the model", BORDER, THUMBNAIL, MODEL_BORDER, MODEL_CENTRE]
    assert len(draw_confounders(_audit(one_class=True)).axes[0].get_yticklabels()) == 1

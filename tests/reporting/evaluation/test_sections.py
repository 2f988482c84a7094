from __future__ import annotations

import base64
import inspect
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.reporting.evaluation.test_page import HOSTILE, _Page
from tests.reporting.evaluation.world import FIRST, OTHER, PATIENT, bare, evidence_of, image_evidence, rich, table

from cxreader.cli.evaluating import evaluate as evaluate_command
from cxreader.evaluation.calibration.prior_shift import PriorShift
from cxreader.evaluation.calibration.report import calibration_report
from cxreader.evaluation.evaluate import Evaluation, evaluate
from cxreader.evaluation.statistics.intervals import Estimate, Sample
from cxreader.reporting.evaluation.answers import HONEST, answers, honesty, worse_off
from cxreader.reporting.evaluation.figures.evidence_figures import image_evidence_figures
from cxreader.reporting.evaluation.image_evidence import NO_IMAGE_EVIDENCE, ImageEvidence
from cxreader.reporting.evaluation.page import render_evaluation
from cxreader.reporting.evaluation.sections import conformal_words, decision_words, tables_of
from cxreader.reporting.evaluation.tables.performance_tables import calibration_table, subgroup_table, sure_table
from cxreader.reporting.evaluation.tables.points_table import points_table

QUESTIONS = (
    "How sure?",
    "At which threshold?",
    "How honest are the probabilities?",
    "For whom?",
    "Better than what?",
    "Looking where?",
    "Is it a shortcut?",
    "What would it do to the worklist?",
    "What would it refuse?",
)


def _text(source: str) -> str:
    return " ".join(_Page(source).text.split()).replace("\xa0", " ")


@pytest.mark.parametrize("with_images", [False, True])
def test_the_page_is_well_formed_escaped_self_contained_and_names_no_patient(with_images: bool) -> None:
    source = render_evaluation(rich(), image_evidence=image_evidence() if with_images else NO_IMAGE_EVIDENCE)
    page = _Page(source)
    assert page.all("script") == page.all("link") == []
    assert HOSTILE in page.text
    assert "<script>" not in source
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?!data:)\w|url\(|@import|https?://", source)
    assert all(image["alt"] and (image["src"] or "").startswith("data:image/svg") for image in page.all("img"))
    drawn = [base64.b64decode((image["src"] or "").split(",")[1]).decode() for image in page.all("img")]
    assert PATIENT not in source
    assert not any(PATIENT in picture for picture in drawn)
    assert all(cell.get("scope") in ("col", "row", "colgroup") for cell in page.all("th"))
    assert len(page.all("h1")) == 1


def test_every_link_of_the_answers_has_its_section_once() -> None:
    page = _Page(render_evaluation(rich(), image_evidence=image_evidence()))
    places = [section["id"] for section in page.all("section") if "id" in section]
    assert len(places) == len(set(places))
    assert {(link["href"] or "").removeprefix("#") for link in page.all("a")} <= {*places, "glossary"}
    assert len(page.all("a")) >= len(QUESTIONS)


@pytest.mark.parametrize("evaluation", [rich(), bare(), bare(options=False), bare(one_class=True)])
def test_all_questions_stand_above_the_first_section(evaluation: Evaluation) -> None:
    assert tuple(answer.question for answer in answers(evaluation)) == QUESTIONS
    text = _text(render_evaluation(evaluation))
    head = text[: text.index("Images it rests on")]
    for question in QUESTIONS:
        assert question in head
    assert "nan" not in text.lower().split()


def _in(estimate: Estimate, text: str, digits: int = 2, plus: bool = False) -> bool:
    """The number with its interval, written from the record itself."""
    sign = "+" if plus else ""
    numbers = [f"{number:{sign}.{digits}f}" for number in (estimate.value, estimate.low, estimate.high)]
    joint = " to " if plus or estimate.low < 0 else "-"
    return f"{numbers[0]} ({numbers[1]}{joint}{numbers[2]}" in text


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ("metadata", "against metadata, the strongest baseline that needs no image"),
        (
            "16 x 16 thumbnail, learnt elsewhere",
            "against 16 x 16 thumbnail, learnt elsewhere, the strongest baseline that sees no",
        ),
    ],
)
def test_where_the_thumbnail_was_learnt_is_said(baseline: str, said: str) -> None:
    judged = table(80)
    known = {baseline: np.random.default_rng(1).random(len(judged))}
    evaluation = evaluate(judged, FIRST, n_resamples=60, baselines=known)
    (better,) = (answer for answer in answers(evaluation) if answer.anchor == "better")
    assert said in better.text
    assert ("elsewhere" in better.text) == baseline.startswith("16 x 16")


def test_what_knows_labels_is_no_rival() -> None:
    judged = table(80)
    known = {"metadata": np.random.default_rng(1).random(len(judged)), "patient identity": judged.label.astype(float)}
    (better,) = (a for a in answers(evaluate(judged, FIRST, n_resamples=60, baselines=known)) if a.anchor == "better")
    assert "against metadata, the strongest" in better.text
    alone = evaluate(judged, FIRST, n_resamples=60, baselines={"patient identity": judged.label.astype(float)})
    (better,) = (a for a in answers(alone) if a.anchor == "better")
    assert not better.asked


def test_groups_that_are_better_off_alone_are_counted_as_none_worse() -> None:
    groups = evidence_of(rich()).subgroups
    only = replace(groups, groups=tuple(group for group in groups.groups if group.name != "AP"))
    assert [group.name for group in only.flagged] == ["PA"]
    evaluation = replace(rich(), evidence=replace(evidence_of(rich()), subgroups=only))
    (whom,) = (answer for answer in answers(evaluation) if answer.anchor == "whom")
    assert whom.figure == "0 worse off"
    assert whom.text == "No group is shown to be worse off than the rest. Shown to be better off: PA."
    assert not whom.alert
    untested = replace(evaluation, evidence=replace(evidence_of(rich()), subgroups=replace(only, n_tests=0)))
    (whom,) = (answer for answer in answers(untested) if answer.anchor == "whom")
    assert (whom.figure, whom.text) == ("\N{EN DASH}", "Cannot be said: no group is large enough to be tested.")


@pytest.mark.parametrize(("estimated", "shown"), [((0.49, 0.45, 0.53), "0.490"), ((0.0, 0.0, 0.01), "withheld")])
def test_a_share_that_the_labels_contradict_is_withheld(estimated: tuple[float, float, float], shown: str) -> None:
    label = np.arange(200) % 2
    report = calibration_report(Sample(label, np.arange(200)), np.where(label == 1, 0.7, 0.3), n_resamples=60)
    prior = PriorShift(0.5, Estimate(*estimated, 0, 0, 200, "EM"))
    row = calibration_table(report, prior).rows[-1]
    assert row.name == "Share of abnormal, from the probabilities alone"
    assert row.cells[0].value == shown
    assert ("0.000" in str(row)) is False


def test_an_artifact_without_a_rule_is_not_sent_for_other_predictions() -> None:
    own = replace(bare(), provenance={"artifact": "abc", "model": "resnet18"})
    advice = "cxreader evaluate --predictions FILE --calibrate OTHERS"
    assert advice not in render_evaluation(own)
    assert "This artifact holds no rule that refers to a human" in _text(render_evaluation(own))
    assert advice in render_evaluation(bare())


def test_the_answers_are_those_of_the_record() -> None:
    evaluation = rich()
    evidence = evidence_of(evaluation)
    found = {answer.anchor: answer for answer in answers(evaluation)}
    assert _in(rich().metrics["auc"], found["sure"].text, 3)
    others = (evidence.bca["auc"], evidence.auc_delong)  # one interval on the first screen, named; these in the table
    assert not any(f"{e.low:.3f}-{e.high:.3f}" in found["sure"].text for e in others)
    assert "This is the primary interval" in found["sure"].text
    assert "youden, the primary operating point" in found["threshold"].text
    for name in ("recall", "specificity"):
        assert _in(evaluation.metrics[name], found["threshold"].text)
    deployed = evidence.points[0].deployed
    assert all(_in(deployed[name], found["threshold"].text) for name in ("ppv", "npv", "flagged"))
    assert "fitted on 40 abnormal and 50 normal images" in found["threshold"].text
    reliability, line = evidence.calibration.reliability, evidence.calibration.line
    assert _in(reliability.ece, found["honest"].text, 3)
    assert f"chance alone would give {reliability.ece_if_calibrated:.3f}" in found["honest"].text
    assert _in(line.slope, found["honest"].text)
    assert _in(evaluation.comparisons["auc minus metadata"], found["better"].text, 3, plus=True)
    assert evidence.models is not None
    assert _in(evidence.models.pairs[0].auc, found["better"].text, 3, plus=True)
    assert evidence.triage is not None
    change = evidence.triage.results[1].change
    assert _in(change["abnormal"]["mean"], found["worklist"].text.replace(",", ""), 0, plus=True)
    assert _in(change["normal"]["mean"], found["worklist"].text.replace(",", ""), 0, plus=True)
    counts = evaluation.counts
    assert (
        found["sure"].rests_on
        == f"{counts.abnormal} abnormal, {counts.normal} normal images, {counts.patients} patients"
    )


def test_the_group_that_is_read_worse_is_named_with_its_gap_and_its_p() -> None:
    evaluation = rich()
    groups = evidence_of(evaluation).subgroups
    worst = worse_off(groups)[0]
    answer = next(a for a in answers(evaluation) if a.anchor == "whom")
    assert worst.name == "AP"
    assert answer.alert
    metric = min(worst.flagged, key=lambda m: worst.gaps[m].estimate.value)
    assert f"AP, {'AUC' if metric == 'auc' else metric} {worst.metrics[metric].value:.2f}" in answer.text
    assert _in(worst.gaps[metric].estimate, answer.text, plus=True)
    small = sum(group.too_small is not None for group in groups.groups)
    assert f"{small} group" in answer.rests_on
    assert "no clean bill" in answer.rests_on


def test_a_group_that_is_better_off_is_told_without_alarm() -> None:
    groups = evidence_of(rich()).subgroups
    rows = {row.name: row for row in subgroup_table(groups).rows}
    by_name = {group.name: group for group in groups.groups}
    assert by_name["PA"].flagged
    assert any("significant" in line for cell in rows["PA"].cells for line in cell.below)
    assert not any(cell.alert for cell in rows["PA"].cells)
    assert any(cell.alert for cell in rows["AP"].cells)
    said = f"too small to be tested: {by_name['tiny'].too_small}, fewer than 20"
    assert said in rows["tiny"].notes
    assert [row.name for row in subgroup_table(groups).rows] == [group.name for group in groups.groups]
    auc = by_name["AP"].metrics["auc"]
    assert (rows["AP"].cells[0].value, rows["AP"].cells[0].below[0]) == (
        f"{auc.value:.2f}",
        f"{auc.low:.2f}-{auc.high:.2f}",
    )
    assert [cell.value for cell in rows["Mass"].cells[-2:]] == ["", ""]


def test_points_stand_side_by_side_at_both_prevalences() -> None:
    evaluation = rich()
    evidence = evidence_of(evaluation)
    table = points_table(evaluation, evidence)
    assert table.head == ("", *(at.point.name for at in evidence.points))
    share = evaluation.counts.abnormal / evaluation.counts.images
    own, stated = f"{100 * share:.3g}\xa0% abnormal, as here", "10\xa0% abnormal, as stated"
    rows = {(row.name, *row.notes): row.cells for row in table.rows[1:]}
    for k, at in enumerate(evidence.points):
        c = at.confusion
        assert table.rows[0].cells[k].value == f"{at.point.threshold:.3f}"
        did = f"{c['tp']} found, {c['fn']} missed, {c['fp']} false alarms, {c['tn']} true negatives"
        assert did in table.rows[0].cells[k].below
        found, spared = c["tp"] / (c["tp"] + c["fn"]), c["tn"] / (c["tn"] + c["fp"])
        assert rows["Sensitivity",][k].value == f"{found:.2f}"
        assert rows["LR+",][k].value == f"{found / (1 - spared):.2f}"
        assert rows["PPV", own][k].value == f"{c['tp'] / (c['tp'] + c['fp']):.2f}"
        assert rows["PPV", stated][k].value == f"{0.1 * found / (0.1 * found + 0.9 * (1 - spared)):.2f}"
        assert rows["Flagged", stated][k].value == f"{0.1 * found + 0.9 * (1 - spared):.2f}"
        assert rows["Of 1,000: found", stated][k].value == f"{100 * found:.0f}"
        assert rows["Of 1,000: missed", stated][k].value == f"{100 * (1 - found):.0f}"
        assert rows["Of 1,000: false alarms", stated][k].value == f"{900 * (1 - spared):.0f}"
        assert rows["Of 1,000: false alarms", own][k].value == f"{1000 * (1 - share) * (1 - spared):.0f}"
    assert all("as stated" not in note for row in points_table(bare(), evidence_of(bare())).rows for note in row.notes)


def test_sure_and_calibration_tables_hold_every_number_with_its_interval() -> None:
    evaluation = rich()
    evidence = evidence_of(evaluation)
    rows = {row.name: [cell.value for cell in row.cells] for row in sure_table(evaluation).rows}
    for title, name in (("AUC", "auc"), ("F1", "f1"), ("Brier score", "brier")):
        e, bca = evaluation.metrics[name], evidence.bca[name]
        assert rows[title][:3] == [f"{e.value:.3f}", f"{e.low:.3f}-{e.high:.3f}", f"{bca.low:.3f}-{bca.high:.3f}"]
    delong = evidence.auc_delong
    assert rows["AUC, DeLong"][:2] == [f"{delong.value:.3f}", f"{delong.low:.3f}-{delong.high:.3f}"]
    parts = evidence.calibration.reliability.brier
    told = {row.name: row.cells[0].value for row in calibration_table(evidence.calibration).rows}
    assert told["Reliability"] == f"{parts['reliability'].value:.4f}"
    assert told["Within bin covariance"] == f"{parts['within_bin_covariance'].value:.4f}"


def test_sections_hold_models_labels_contradictions_and_the_room() -> None:
    evaluation = rich()
    evidence = evidence_of(evaluation)
    text = _text(render_evaluation(evaluation))
    assert OTHER in text
    assert evidence.labels is not None
    assert f"{evidence.labels.labels['both abnormal']} both abnormal" in text
    assert "Change, paired" in text
    for image in evidence.contradictions:
        assert image.image in text
        assert f"probability of abnormal {image.probability:.3f}" in text
    assert (
        "100 a day, 10 % abnormal; a reading takes exponential with mean 5 min; readers: 1 from 8 to 18 h every day"
        in text
    )
    assert decision_words(evidence.decision_curve).replace("\xa0", " ") in text
    assert evidence.conformal is not None
    assert conformal_words(evidence.conformal).replace("\xa0", " ") in text
    assert "4" in text[text.index(f"in training {HOSTILE}") :][:60]


def test_a_bound_that_is_broken_on_test_is_said() -> None:
    conformal = evidence_of(rich()).conformal
    assert conformal is not None
    broken = [who for who in ("abnormal", "normal") if conformal.measures[f"coverage_{who}"].high < 0.9]
    assert broken
    assert all(
        f"{who} {conformal.measures[f'coverage_{who}'].value:.2f}" in conformal_words(conformal) for who in broken
    )


@pytest.mark.parametrize("evaluation", [bare(), bare(options=False)])
def test_what_nobody_asked_says_how_to_ask(evaluation: Evaluation) -> None:
    found = {answer.anchor: answer for answer in answers(evaluation)}
    for anchor in ("better", "where", "shortcut", "worklist", "refused"):
        assert not found[anchor].asked
        assert found[anchor].command.startswith("cxreader ")
    assert "give --prevalence" in found["threshold"].text
    options = set(inspect.signature(evaluate_command).parameters)
    for answer in found.values():
        named = re.findall(r"--([a-z-]+)", answer.text + " " + answer.command)
        assert {name.replace("-", "_") for name in named} <= options
    text = _text(render_evaluation(evaluation))
    assert "Not looked for" in text
    assert "No image was left out" in text


def test_a_missing_class_is_undefined_in_words() -> None:
    evaluation = bare(one_class=True)
    found = {answer.anchor: answer for answer in answers(evaluation)}
    assert found["sure"].text == "The AUC is undefined: no abnormal image."
    assert found["sure"].alert
    assert "undefined (no abnormal image)" in found["threshold"].text
    assert "At no threshold" in decision_words(evidence_of(evaluation).decision_curve)


@pytest.mark.parametrize(
    ("stretch", "shift", "words"),
    [
        (1.0, 0.0, HONEST),
        (3.0, 0.0, "They are too bold (too near 0 and 1)."),
        (0.4, 0.0, "They are too timid (too near the middle)."),
        (1.0, -2.0, "They are too low."),
        (1.0, 2.0, "They are too high."),
    ],
)
def test_honesty_in_words(stretch: float, shift: float, words: str) -> None:
    odds = np.repeat(np.linspace(-3, 3, 40), 50)  # of 50 images with the same odds the right share is abnormal
    label = (np.tile((np.arange(50) + 0.5) / 50, 40) < 1 / (1 + np.exp(-odds))).astype(int)
    probability = 1 / (1 + np.exp(-(stretch * odds + shift)))
    assert honesty(calibration_report(Sample(label, np.arange(2000)), probability, n_resamples=100)) == words


def test_what_looked_at_the_images_answers_its_questions() -> None:
    looked = image_evidence()
    assert looked.shortcuts is not None
    assert looked.localisation is not None
    assert looked.sanity is not None
    found = {answer.anchor: answer for answer in answers(rich(), looked)}
    assert looked.shortcuts.line in found["shortcut"].text
    assert found["shortcut"].alert == (looked.shortcuts.verdict == "suspected")
    assert looked.localisation.statement() in found["where"].text
    assert looked.sanity.statement() in found["where"].text
    best = next(confounder for confounder in looked.shortcuts.baselines if confounder.name == looked.shortcuts.best)
    assert _in(best.gain, found["better"].text, 3, plus=True)
    text = _text(render_evaluation(rich(), image_evidence=looked))
    assert all(" ".join(reason.split()) in text for reason in looked.shortcuts.reasons)
    assert "Do the maps depend on what was learnt" in text
    only_sanity = {a.anchor: a for a in answers(rich(), ImageEvidence(sanity=looked.sanity))}["where"]
    assert only_sanity.text == looked.sanity.statement()
    assert only_sanity.figure == "maps follow weights"  # "sensitive" would be read as sensitivity
    assert FIRST.name in _text(render_evaluation(rich()))


def test_maps_that_tell_where_findings_are_stand_apart_and_are_no_explanation() -> None:
    looked = image_evidence()
    assert looked.localisation is not None
    region = replace(looked.localisation, maps="Region head", by_finding=True)
    evidence = ImageEvidence(localisation=looked.localisation, regions=(region,))
    text = _text(render_evaluation(rich(), image_evidence=evidence))
    assert text.count("Region head, by finding") >= 2  # the heading and the table's caption
    assert "it does not explain the score" in text
    assert list(image_evidence_figures(evidence)) == ["localisation", "region_head_by_finding"]
    assert "regions_region_head_by_finding" in tables_of(rich(), evidence)
    assert "Region head" not in _text(render_evaluation(rich(), image_evidence=looked))

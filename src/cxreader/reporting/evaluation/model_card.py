"""The model card in Markdown, in the order of M. Mitchell et al., Model cards for model reporting (FAT* 2019, 220-229)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape

from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.evidence import Evidence
from cxreader.evaluation.subgroups.groupings import DIMENSIONS
from cxreader.reporting.evaluation.answer import Answer
from cxreader.reporting.evaluation.answers import answers, honesty, worse_off
from cxreader.reporting.evaluation.image_evidence import NO_IMAGE_EVIDENCE, ImageEvidence
from cxreader.reporting.evaluation.model_facts import FACTS, MODEL, TRAINING, TRAINING_DATA
from cxreader.reporting.evaluation.sections import conformal_words, decision_words
from cxreader.reporting.evaluation.tables.comparison_tables import baselines_table, confounders_table, models_table
from cxreader.reporting.evaluation.tables.performance_tables import calibration_table, subgroup_table, sure_table
from cxreader.reporting.evaluation.tables.points_table import points_table
from cxreader.reporting.evaluation.tables.refusals import answered_table, answered_words, refusal_words, refusals_table
from cxreader.reporting.tables import DIMENSION_TITLES, Cell, Table, cohort_counts, methods_of

ONLY_PREDICTIONS = "not known: only predictions were given"
NOT_STATED = "not stated by the artifact"
_SPECIAL = re.compile(r"([\\`*_\[\]|~#])")
_SECTION = "\n\n"


def render_model_card(
    evaluation: Evaluation,
    *,
    facts: Mapping[str, str] | None = None,
    image_evidence: ImageEvidence = NO_IMAGE_EVIDENCE,
    title: str | None = None,
) -> str:
    """The card: what it is for, who it was trained and judged on, how good, for whom worse, which shortcuts, its limits.

    `facts` of the model by the names of `model_facts.FACTS`, None where only predictions were given; `image_evidence`: what
    looked at the images. Every name from outside is escaped: nothing in it becomes Markdown or HTML.
    """
    name = title or str(evaluation.provenance.get("model") or "a model of unknown name")
    made = f"cxreader {evaluation.provenance.get('cxreader', '')}, {evaluation.provenance.get('date', '')}"
    parts = [
        f"# Model card: {_md(name)}",
        *_verdict(evaluation),
        f"Normal or abnormal, frontal chest radiographs. Written by {_md(made)}. For research; not a medical device.",
        _facts(MODEL, evaluation, facts),
        _intended_use(evaluation),
        _factors(evaluation.evidence),
        _metrics(evaluation),
        _evaluation_data(evaluation),
        _facts(TRAINING_DATA, evaluation, facts),
        _facts(TRAINING, evaluation, facts, level="###"),
        _quantitative(evaluation, image_evidence),
        _ethics(evaluation.evidence),
        _caveats(evaluation, image_evidence),
    ]
    return _SECTION.join(parts) + "\n"


def _verdict(evaluation: Evaluation) -> list[str]:
    """The verdict as the card's first line, and what else carries or limits it; nothing in a file without one."""
    found = evaluation.verdict
    if found is None:
        return []
    more = _bullets(map(_md, (*found.reasons[1:], *found.cautions)))
    return [f"**{_md(found.line)}.**", *([more] if more else [])]


def _md(text: object) -> str:
    """Text from outside, in one line, so that nothing in it is read as Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", escape(" ".join(str(text).split()), quote=False))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _section(title: str, *parts: str, level: str = "##") -> str:
    return _SECTION.join([f"{level} {title}", *(part for part in parts if part)])


def _facts(section: str, evaluation: Evaluation, facts: Mapping[str, str] | None, level: str = "##") -> str:
    absent = NOT_STATED if facts is not None or "artifact" in evaluation.provenance else ONLY_PREDICTIONS
    known = {name: facts[name] for name in FACTS[section] if name in facts} if facts else {}
    lines = [f"**{name}**: {_md(value)}" for name, value in known.items()]
    missing = [name for name in FACTS[section] if name not in known]
    if missing:
        lines.append(f"**{', '.join(missing)}**: {absent}")
    return _section(section, _bullets(lines), level=level)


def _intended_use(evaluation: Evaluation) -> str:
    point = evaluation.operating_point
    return _section(
        "Intended use",
        "**Intended**: research on reading frontal chest radiographs, as a second reader that calls an image normal or abnormal "
        f"(here from a probability of {point.threshold:.3f} on, {_md(point.name)}) while a radiologist reads every image.",
        "**Not intended**: diagnosis; reading instead of a radiologist; ruling out disease; naming findings; lateral views, CT "
        "or any other picture; patients, devices or hospitals unlike those it was judged on; groups that were too small to be "
        "judged. It is not a medical device.",
    )


def _factors(evidence: Evidence | None) -> str:
    if evidence is None:
        return _section("Factors", "No group was judged by itself.")
    groups = evidence.subgroups
    lines = []
    for dimension in DIMENSIONS:
        own = [group for group in groups.groups if group.dimension == dimension]
        if own:
            names = ", ".join(_md(group.name) + (" (too small)" if group.too_small else "") for group in own)
            lines.append(f"**{DIMENSION_TITLES[dimension]}**: {names}")
        if dimension in groups.notes:
            lines.append(f"**{DIMENSION_TITLES[dimension]}**: {_md(groups.notes[dimension])}")
    return _section("Factors", _bullets(lines), "Groups are judged one by one; no two were crossed.")


def _metrics(evaluation: Evaluation) -> str:
    point = evaluation.operating_point
    fitted = (
        f"fitted on {point.n_positive:,} abnormal and {point.n_negative:,} normal images of other patients"
        if point.fitted_on == "calibrate"
        else "fitted on nothing"
    )
    return _section(
        "Metrics",
        "AUC and average precision judge the order of the probabilities; sensitivity, specificity, precision, accuracy and F1 "
        "the decisions; the Brier score and the calibration error the probabilities themselves.",
        f"Decisions are taken at {_md(point.name)}: {_md(point.rule)}, {fitted}. 95 % intervals: "
        f"{_md(methods_of(evaluation.metrics.values()))}.",
    )


def _evaluation_data(evaluation: Evaluation) -> str:
    names = ("data", "predictions", "part", "split_kind", "split")
    lines = [
        f"**{name.replace('_', ' ')}**: {_md(evaluation.provenance[name])}"
        for name in names
        if evaluation.provenance.get(name)
    ]
    excluded = [f"left out, {_md(why)}: {n:,}" for why, n in evaluation.counts.excluded.items()]
    return _section(
        "Evaluation data",
        _bullets([cohort_counts(evaluation.counts), *lines, *(excluded or ["no image was left out"])]),
    )


def _quantitative(evaluation: Evaluation, image_evidence: ImageEvidence) -> str:
    evidence = evaluation.evidence
    found = {answer.anchor: answer for answer in answers(evaluation, image_evidence)}
    parts = [_section("How good, and how sure", _table(sure_table(evaluation)), level="###")]
    if evidence is not None:
        conformal = "" if evidence.conformal is None else conformal_words(evidence.conformal)
        points = _table(points_table(evaluation, evidence)) if evidence.points else ""
        parts += [
            _section("Operating points", points, decision_words(evidence.decision_curve), conformal, level="###"),
            _section(
                "Calibration",
                honesty(evidence.calibration),
                _table(calibration_table(evidence.calibration, evidence.prior)),
                level="###",
            ),
        ]
    groups = None if evidence is None or not evidence.subgroups.groups else _table(subgroup_table(evidence.subgroups))
    parts.append(_section("Subgroups", _answer(found["whom"]), groups or "", level="###"))
    baselines = _table(baselines_table(evaluation)) if evaluation.baselines else ""
    models = "" if evidence is None or evidence.models is None else _table(models_table(evidence.models))
    parts.append(_section("Better than what", _answer(found["better"]), baselines, models, level="###"))
    parts.append(_section("Looking where", _answer(found["where"]), level="###"))
    parts.append(_section("Shortcuts", *_shortcuts(found["shortcut"], image_evidence), level="###"))
    parts.append(_section("Worklist", _answer(found["worklist"]), level="###"))
    if evaluation.refusals is not None:
        words, table = _md(refusal_words(evaluation.refusals)), _table(refusals_table(evaluation.refusals))
        parts.append(_section("Refusals", words, table, level="###"))
    if evaluation.answered is not None:
        answered = answered_table(evaluation)
        words = _md(answered_words(evaluation.answered))
        parts.append(
            _section("All images, and those answered", words, _table(answered) if answered else "", level="###")
        )
    return _section("Quantitative analyses", *parts)


def _shortcuts(answer: Answer, image_evidence: ImageEvidence) -> list[str]:
    audit = image_evidence.shortcuts
    if audit is None:
        return [_answer(answer)]
    reasons = [*audit.reasons, *(f"could not be tested: {caution}" for caution in audit.cautions)]
    return [f"**{_md(audit.line)}.**", _bullets(map(_md, reasons)), _table(confounders_table(audit))]


def _answer(answer: Answer) -> str:
    rests = f" ({_md(answer.rests_on)})" if answer.rests_on else ""
    return f"{_md(answer.text)}{f' `{answer.command}`' if answer.command else ''}{rests}"


def _ethics(evidence: Evidence | None) -> str:
    worse = [] if evidence is None else worse_off(evidence.subgroups)
    small = [] if evidence is None else [group for group in evidence.subgroups.groups if group.too_small]
    lines = ["The card and the report name no patient. Image names may: look at them before the files leave the house."]
    lines.append("The labels are those of the source, not a reading made for this evaluation.")
    if worse:
        lines.append(f"Worse off than the rest: {', '.join(_md(group.name) for group in worse)}.")
    if small:
        lines.append(
            f"Too small to be judged, so that nothing is known: {', '.join(_md(group.name) for group in small)}."
        )
    return _section("Ethical considerations", _bullets(lines))


def _caveats(evaluation: Evaluation, image_evidence: ImageEvidence) -> str:
    unasked = [answer.question for answer in answers(evaluation, image_evidence) if not answer.asked]
    lines = [_md(warning) for warning in evaluation.warnings]
    lines.append(
        "The intervals say how far the numbers would move with other patients of the same kind, and nothing of other hospitals."
    )
    if unasked:
        lines.append(f"Not answered here: {' '.join(unasked)}")
    return _section("Caveats and recommendations", _bullets(lines))


def _table(table: Table) -> str:
    """A table in Markdown; what stands above groups of columns is put into their names."""
    over = [title for title, columns in table.over for _ in range(columns)]
    heads = [f"{title}: {name}" for title, name in zip(over, table.head[1:], strict=True)] if over else table.head[1:]
    lines = [_line(map(_md, (table.head[0], *heads))), _line("---" for _ in table.head)]
    for row in table.rows:
        name = f"**{_md(row.name)}**" + "".join(f"; {_md(note)}" for note in row.notes)
        lines.append(_line((name, *(_cell(cell) for cell in row.cells))))
    return "\n".join(lines) + _SECTION + _md(table.caption)


def _cell(cell: Cell) -> str:
    return _md(f"{cell.value} ({'; '.join(cell.below)})" if cell.below else cell.value)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""A Methods paragraph made from records: every number in it is one of the run's, and what no record holds is not said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cxreader.counting import format_count
from cxreader.evaluation.evaluate import Evaluation
from cxreader.evaluation.readers.study import ReaderStudy
from cxreader.evaluation.statistics.intervals import method_name
from cxreader.reporting.evaluation.readers import study_counts
from cxreader.reporting.study.cross_validation import CrossValidation
from cxreader.reporting.study.network_tables import intervals_words
from cxreader.reporting.study.records import StudyReport
from cxreader.reporting.tables import bootstrap_and_exact, cohort_counts, estimate_counts, methods_of

_CITED = "cxreader {made}; its `CITATION.cff` tells how it is cited."


def methods_of_evaluation(evaluation: Evaluation, facts: Mapping[str, str] | None) -> str:
    """Of one model, or of a table of predictions where `facts` (`model_facts.facts_of`) is None; Markdown."""
    paragraphs = {
        "Data": [*_training_data(facts), *_judged(evaluation)],
        "Model": _told(facts, ("Network", "Input", "Pretrained weights")),
        "Training": _told(facts, ("Phases", "Learning", "Settings", "Augmentation")),
        "Calibration and decision": [*_told(facts, ("Calibration",)), _decision(evaluation)],
        "Statistics": _statistics(evaluation),
        "Software": _software(evaluation.provenance, facts),
    }
    return _written(paragraphs)


def methods_of_study(report: StudyReport) -> str:
    """Of several networks on one split; Markdown."""
    comparison, about = report.comparison, report.provenance
    parts = [
        f"{part.name} {part.images:,} images ({part.normal:,} normal, {part.abnormal:,} abnormal"
        f"{'' if part.patients is None else f'; {part.patients:,} patients'})"
        for part in report.cohort.parts
    ]
    source = f" of {about['data']}" if "data" in about else ""
    data = [f"Images{source}: {'; '.join(parts)}.", *(f"Split: {about[name]}." for name in ("split",) if name in about)]
    networks = [f"{row.name}: {row.model}; {row.weights}; {row.settings}." for row in report.rows]
    seeds = ", ".join(str(seed) for seed in comparison.rows[0].seeds)
    pairs = len(comparison.of("auc"))
    methods = method_name(comparison.all_agree.n_patients is not None, comparison.n_resamples)
    statistics = [
        f"Each network was trained from {format_count(len(comparison.rows[0].seeds), '[seed|seeds]')} ({seeds}).",
        *[f"The test part was read {about[name]}." for name in ("test part read",) if name in about],
        f"On {estimate_counts(comparison.rows[0].metrics['accuracy'])}, the figures are means over the trainings, with 95 % "
        f"intervals: {intervals_words(report)}. Differences are paired on the same patients, the trainings held fixed "
        f"({methods}); a claim rests on intervals at {100 * comparison.adjusted_level:.2f} %, adjusted for "
        f"{format_count(pairs, '[pair|pairs]')} (Bonferroni).",
        f"An image was called abnormal from a probability of {comparison.threshold:.2f} on.",
    ]
    paragraphs = {
        "Data": [*data, _sentence(report.cohort.leak)],
        "Networks and training": [*(f"Input: {about[name]}." for name in ("input",) if name in about), *networks],
        "Statistics": statistics,
        "Software": [
            *(f"{name}: {about[name]}." for name in ("versions", "git revision", "machine", "date") if about.get(name)),
            _CITED.format(made=about.get("cxreader", "")),
        ],
    }
    return _written(paragraphs)


def methods_of_cross_validation(made: CrossValidation, facts: Mapping[str, str]) -> str:
    """Of one network on folds by patient; `facts` (`model_facts.facts_of`) are of one fold, told where all share them."""
    folds, judged = made.folds, made.results
    counts = "; ".join(
        f"fold {fold.number}: "
        + ", ".join(f"{part} {normal:,} and {abnormal:,}" for part, (normal, abnormal) in fold.counts.items())
        for fold in folds
    )
    left_out = [
        f"Left out of the test part of fold {fold.number}: {format_count(n, '[image|images]')} ({why})."
        for fold in folds
        for why, n in fold.excluded.items()
    ]
    sources = f", judged those of {', '.join(made.judged_sources)}" if made.judged_sources else ""
    thresholds = ", ".join(f"{fold.threshold:.4g} ({fold.operating_point})" for fold in folds)
    methods = bootstrap_and_exact(judged.pooled["auc"].n_patients is not None, judged.n_resamples)
    paragraphs = {
        "Data": [
            f"Images of {made.data}{sources}: {made.counts}, shared out to {len(folds)} folds by a hash of the patient (salt "
            f"{made.provenance['salt of the folds']}).",
            f"Images by part (normal and abnormal): {counts}.",
            *left_out,
        ],
        "Model": _told(facts, ("Network", "Input", "Pretrained weights")),
        "Training": _told(facts, ("Learning", "Settings", "Augmentation")),
        "Calibration and decision": [
            "Once a fold the network was trained, calibrated and given its threshold on other patients than those of the fold, "
            f"who were then judged; an image was called abnormal from {thresholds} on, by fold.",
        ],
        "Statistics": [
            f"95 % intervals: {methods}; the models are held as they are.",
            "AUC: the mean of the folds'; sensitivity and specificity: all images pooled, each at its own fold's threshold.",
            "Compared with a logistic regression on 16 x 16 thumbnails, learnt on the same training images and, beside it, on "
            "other patients of the fold's own test images, as paired differences on the same resamples.",
            f"Seed of the resamples: {judged.seed}.",
        ],
        "Software": [
            *_told(facts, ("Software", "Machine")),
            *(f"{name}: {made.provenance[name]}." for name in ("git revision", "date") if made.provenance.get(name)),
            _CITED.format(made=made.provenance["cxreader"]),
        ],
    }
    return _written(paragraphs)


def _training_data(facts: Mapping[str, str] | None) -> list[str]:
    if facts is None:
        return []
    found = [f"Training images: {facts['Source']}."] if facts.get("Source") else []
    names = {
        "Images (normal, abnormal)": "Images by part (normal, abnormal)",
        "Patients": "Patients by part",
        "Split": "Split",
    }
    return found + [f"{title}: {facts[name]}." for name, title in names.items() if facts.get(name)]


def _judged(evaluation: Evaluation) -> list[str]:
    made = evaluation.provenance
    where = made.get("predictions") or ", part ".join(str(made[n]) for n in ("data", "part") if made.get(n))
    found = [f"Judged: {cohort_counts(evaluation.counts)}{f' ({where})' if where else ''}."]
    excluded = evaluation.counts.excluded
    if excluded:
        reasons = "; ".join(f"{format_count(n, '[image|images]')} ({why})" for why, n in excluded.items())
        found.append(f"Left out: {reasons}.")
    return found


def _told(facts: Mapping[str, str] | None, names: Sequence[str]) -> list[str]:
    return [f"{name}: {facts[name]}." for name in names if facts and facts.get(name)]


def _decision(evaluation: Evaluation) -> str:
    point = evaluation.operating_point
    fitted = (
        f"; fitted on {point.fitted_on}: {point.n_positive:,} abnormal, {point.n_negative:,} normal images"
        if point.fitted_on == "calibrate"
        else "; not fitted on other patients"
    )
    return f"An image was called abnormal from {point.threshold:.4g} on (operating point {point.name}: {point.rule}{fitted})."


def _statistics(evaluation: Evaluation) -> list[str]:
    metrics = evaluation.metrics
    found = [f"95 % intervals: {methods_of(metrics.values())}."]
    if evaluation.baselines:
        found.append(
            f"Compared with {', '.join(evaluation.baselines)} on the same images, as paired differences on the same resamples."
        )
    evidence = evaluation.evidence
    if evidence is not None and evidence.models is not None:
        others = [name for name in evidence.models.auc if name != evaluation.provenance.get("model")]
        found.append(
            f"Models side by side ({', '.join(others)}): AUC by DeLong, decisions by McNemar's test, both clustered by patient, "
            "p-values adjusted by Holm."
        )
    if evidence is not None and evidence.readers is not None and evidence.readers.readers:
        found += _readers(evidence.readers)
    seed = evaluation.provenance.get("seed")
    return found + ([] if seed is None else [f"Seed of the resamples: {seed}."])


def _readers(study: ReaderStudy) -> list[str]:
    who = format_count(len(study.readers), "[reader|readers]")
    found = [
        f"Beside {who} of the same images ({study_counts(study)}), truth: {study.truth}; differences are the model minus the "
        "reader, paired by patient."
    ]
    if study.comparisons:
        found.append(
            "Readers and patients as random samples: Obuchowski and Rockette 1995, degrees of freedom by Hillis 2007 "
            f"({study.comparisons[0].random.method})."
        )
    return found


def _software(made: Mapping[str, object], facts: Mapping[str, str] | None) -> list[str]:
    found = [f"Trained with {facts['Software']}."] if facts and facts.get("Software") else []
    found += [f"Trained on {facts['Machine']}."] if facts and facts.get("Machine") else []
    return [*found, f"Judged on {made['date']}.", _CITED.format(made=made.get("cxreader", ""))]


def _sentence(text: str) -> str:
    return text if not text or text.endswith(".") else f"{text}."


def _written(paragraphs: Mapping[str, Sequence[str]]) -> str:
    told = {title: [text for text in texts if text] for title, texts in paragraphs.items()}
    blocks = [f"**{title}.** {' '.join(texts)}" for title, texts in told.items() if texts]
    return "\n\n".join(["# Methods", *blocks]) + "\n"

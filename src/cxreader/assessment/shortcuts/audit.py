"""Does a model see disease, or something that stands beside it? Baselines, and the model on parts of the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.cohort import EvaluationCohort, require_some
from cxreader.assessment.images import ReadImages
from cxreader.assessment.pictures import Pictures
from cxreader.assessment.shortcuts.elsewhere import baselines_of_training, learnt_by_all, learnt_elsewhere
from cxreader.assessment.shortcuts.met import met
from cxreader.assessment.shortcuts.tables import metadata, sources
from cxreader.assessment.shortcuts.views import answers_before, asked_of_views, decoded, features_of, read_before
from cxreader.counting import format_count
from cxreader.data.original_sizes import aspects
from cxreader.data.split import group_of
from cxreader.evaluation.evaluate import Provenance
from cxreader.evaluation.shortcuts.audit import audit_confounding
from cxreader.evaluation.shortcuts.baselines import Baseline, confounder_baselines
from cxreader.evaluation.shortcuts.image_features import ImageFeatures
from cxreader.evaluation.shortcuts.learnt_elsewhere import StoredBaseline, image_columns
from cxreader.evaluation.shortcuts.records import Leakage, ShortcutAudit
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Sample
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact
from cxreader.progress import Bar
from cxreader.records import ImageRecord
from cxreader.reporting.evaluation.shortcuts import render_shortcuts
from cxreader.runs import write_json, write_text

Floats = NDArray[np.float64]
NO_VIEWS = "the models are shown images of different sizes, so they were not asked about borders and centres alone"


def audit_shortcuts(
    reader: Reader,
    cohort: EvaluationCohort,
    *,
    bar: Bar,
    images: ReadImages | None = None,
    features: ImageFeatures | None = None,
    elsewhere: Sequence[StoredBaseline] | None = None,
    cache: Path | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
) -> ShortcutAudit:
    """Judge a model against what sees no disease, on the images of `cohort` less the patients who set the model.

    `images`: those of the cohort, where they were read already, and `features` of them; `elsewhere`: baselines of the model's
    training images, as `baselines_of_training` gives them; both are found out when left out. Else they are
    decoded into `cache`, a folder of pixel
    caches; the run's when left out, or one that lasts as long as the audit. All baselines are cross-fitted on the judged
    images themselves, at the size the model sees them. A split by image is audited with its leak, as `judge` does.
    Raises DataError when nothing is left to judge, StorageError when the disk has no room.
    """
    artifact = reader.artifact
    records, excluded, leakage = met(artifact, cohort)
    pictures = (
        images.pictures[0]
        if images is not None and images.pictures
        else Pictures.of(artifact, judge_met=not leakage.left_out)
    )
    place = cache or cohort.cache
    with TemporaryDirectory(prefix="cxreader-") if place is None else nullcontext(place) as folder:
        found = decoded(records, artifact, folder, pictures, bar) if images is None else read_before(images)
        pixels, rows, readable = found
        excluded += pictures.excluded
        excluded["the image cannot be read"] += len(records) - len(readable) - pictures.excluded.total()
        records = readable
        leakage = replace(leakage, met_pictures=None if pictures.known is None else pictures.met)
        require_some(records, excluded, cohort)
        features = features or features_of(pixels, rows, bar)
        told = None if images is None else answers_before(images)
        probability, views = asked_of_views(reader, pixels, rows, bar, told)
    stored = baselines_of_training(artifact, cohort, bar) if elsewhere is None else elsewhere
    return _audited(
        cohort,
        records,
        features,
        (probability, views),
        elsewhere=lambda columns: learnt_elsewhere(stored, columns, cohort, records),
        leakage=leakage,
        excluded=excluded,
        warnings=pictures.warnings(),
        provenance=_provenance(artifact, cohort, seed, n_resamples),
        bar=bar,
        seed=seed,
        n_resamples=n_resamples,
    )


def audit_several(
    reader: Reader, cohort: EvaluationCohort, images: ReadImages, excluded: Counter[str], *, bar: Bar, seed: int = 0
) -> ShortcutAudit:
    """Judge several models' mean against what sees no disease, on images that all of them have read before.

    `excluded`: how many were left out, by reason. On borders and centres alone they are asked where all are shown the same
    pixels; else a caution says that they were not. Patients who set any of them count as met. Raises as `audit_shortcuts`.
    """
    pixels, rows, records = read_before(images)
    features, said = features_of(pixels, rows, bar), answers_before(images)
    views: dict[str, Floats] = {}
    probability = np.empty(0) if said is None else said
    if len(reader.specs) == 1:
        probability, views = asked_of_views(reader, pixels, rows, bar, said)
    each = [met(member.artifact, cohort) for member in reader.members]
    strangers = set.intersection(*({record.image for record in kept} for kept, _, _ in each))
    known = [record for record in cohort.records if record.image not in strangers]
    leakage = replace(
        each[0][2],
        known=all(leakage.known for _, _, leakage in each),
        met_images=len(known),
        met_patients=len({group_of(record) for record in known}),
        met_pictures=None
        if any(own.known is None for own in images.pictures)
        else sum(own.met for own in images.pictures),
        left_out=True,
    )
    warnings = [line for own in images.pictures for line in own.warnings()]
    provenance = {
        **_provenance(reader.members[0].artifact, cohort, seed, N_RESAMPLES),
        "artifact": "+".join(member.id for member in reader.members),
        "model": f"mean of {len(reader.members)} models",
        "weights": ", ".join(member.artifact.transfer for member in reader.members),
    }
    return _audited(
        cohort,
        records,
        features,
        (probability, views),
        elsewhere=lambda columns: learnt_by_all(reader, columns, cohort, records),
        leakage=leakage,
        excluded=excluded,
        warnings=[*dict.fromkeys(warnings), *([] if views else [NO_VIEWS])],
        provenance=provenance,
        bar=bar,
        seed=seed,
    )


def _audited(
    cohort: EvaluationCohort,
    records: Sequence[ImageRecord],
    features: ImageFeatures,
    said: tuple[Floats, dict[str, Floats]],
    *,
    elsewhere: Callable[[Mapping[str, Floats]], Sequence[Baseline]],
    leakage: Leakage,
    excluded: Counter[str],
    warnings: Sequence[str],
    provenance: Provenance,
    bar: Bar,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> ShortcutAudit:
    """The audit of what a model `said`: of the whole images (n,), and by view of them.

    `elsewhere`: from what each image baseline looks at, by name, to the baselines that were learnt on the training images.
    """
    sample, source, aspect = Sample.of_records(records), sources(cohort.index, records), aspects(records)
    with bar("fitting baselines"):
        baselines = confounder_baselines(
            sample, columns=metadata(records, source), images=features, aspect=aspect, seed=seed
        )
    with bar("intervals"):
        return audit_confounding(
            sample,
            said[0],
            baselines,
            said[1],
            source=source,
            leakage=leakage,
            elsewhere=elsewhere(image_columns(features, aspect)),
            excluded={reason: count for reason, count in excluded.items() if count},
            seed=seed,
            n_resamples=n_resamples,
            warnings=[*_warnings(cohort, records), *warnings],
            provenance=provenance,
        )


def write_audit(audit: ShortcutAudit, out: Path) -> None:
    """`shortcuts.json` and `shortcuts.html` in `out`. Raises StorageError."""
    write_json(out / "shortcuts.json", audit.to_dict())
    write_text(out / "shortcuts.html", render_shortcuts(audit))


def _warnings(cohort: EvaluationCohort, records: Sequence[ImageRecord]) -> list[str]:
    found = []
    alone = sum(record.patient is None for record in records)
    if alone:
        whom = format_count(alone, f"of {len(records):,} images [names|name] no patient")
        found.append(f"patients are not all known: {whom}, and each is taken for a patient of its own")
    if cohort.index.name.startswith("phantom"):
        found.append("phantoms: drawn by a program, no patient; no result on them is clinical")
    return found


def _provenance(artifact: Artifact, cohort: EvaluationCohort, seed: int, n_resamples: int) -> Provenance:
    return {
        "artifact": artifact.id,
        "model": artifact.model,
        "weights": artifact.transfer,
        "data": cohort.name,
        "part": cohort.part,
        "split": None if cohort.split is None else cohort.split.digest,
        "cxreader": version("cxreader"),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seed": seed,
        "n_resamples": n_resamples,
    }

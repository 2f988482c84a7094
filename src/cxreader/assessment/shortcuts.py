"""Does a model see disease, or something that stands beside it? Baselines, and the model on parts of the image."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from cxreader.assessment.cohort import EvaluationCohort, require_some, without_training_patients
from cxreader.assessment.images import ReadImages
from cxreader.assessment.pictures import Pictures
from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.original_sizes import aspects
from cxreader.data.pixel_cache.cache import build_cache
from cxreader.data.salt import PARTS
from cxreader.data.split import Split, group_of, leak
from cxreader.evaluation.evaluate import Provenance
from cxreader.evaluation.shortcuts.audit import MODEL_BORDER, MODEL_CENTRE, audit_confounding
from cxreader.evaluation.shortcuts.baselines import SEEN, Baseline, confounder_baselines
from cxreader.evaluation.shortcuts.image_features import ImageFeatures, blanked, image_features, pieces
from cxreader.evaluation.shortcuts.learnt_elsewhere import (
    NO_TABLES,
    StoredBaseline,
    answers_learnt_elsewhere,
    fit_image_baselines,
    image_columns,
    metadata_learnt_elsewhere,
    not_learnt,
    stored_baselines,
)
from cxreader.evaluation.shortcuts.records import METADATA, Leakage, ShortcutAudit
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Sample
from cxreader.inference.reader import Reader
from cxreader.models.artifact import Artifact
from cxreader.progress import Bar
from cxreader.records import ImageRecord
from cxreader.reporting.evaluation.shortcuts import render_shortcuts
from cxreader.runs import write_json, write_text

Floats = NDArray[np.float64]
SEVERAL = "the models were trained on different images"
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
        found = _decoded(records, artifact, folder, pictures, bar) if images is None else _read_before(images)
        pixels, rows, readable = found
        excluded += pictures.excluded
        excluded["the image cannot be read"] += len(records) - len(readable) - pictures.excluded.total()
        records = readable
        leakage = replace(leakage, met_pictures=None if pictures.known is None else pictures.met)
        require_some(records, excluded, cohort)
        features = features or features_of(pixels, rows, bar)
        told = None if images is None else _answers(images)
        probability, views = _read(reader, pixels, rows, bar, told)
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
    pixels, rows, records = _read_before(images)
    features, said = features_of(pixels, rows, bar), _answers(images)
    views: dict[str, Floats] = {}
    probability = np.empty(0) if said is None else said
    if len(reader.specs) == 1:
        probability, views = _read(reader, pixels, rows, bar, said)
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
        elsewhere=lambda columns: _of_all_trainings(reader, columns, cohort, records),
        leakage=leakage,
        excluded=excluded,
        warnings=[*dict.fromkeys(warnings), *([] if views else [NO_VIEWS])],
        provenance=provenance,
        bar=bar,
        seed=seed,
    )


def shared_baselines(reader: Reader) -> tuple[StoredBaseline, ...] | None:
    """What the training images of all the models teach without disease, where they are the same images; else None."""
    kept = {stored_baselines(member.artifact.provenance) for member in reader.members}
    return kept.pop() if len(kept) == 1 else None


def _of_all_trainings(
    reader: Reader, columns: Mapping[str, Floats], cohort: EvaluationCohort, records: Sequence[ImageRecord]
) -> tuple[Baseline, ...]:
    stored = shared_baselines(reader)
    if stored is None:
        return tuple(not_learnt(name, SEVERAL) for name in (METADATA, *SEEN))
    return learnt_elsewhere(stored, columns, cohort, records)


def features_of(pixels: NDArray[np.uint8], rows: NDArray[np.int64], bar: Bar) -> ImageFeatures:
    """Features of images (N, S, S) in the order of `rows` (n,), with a bar."""
    with bar("looking at borders and thumbnails") as progress:
        return image_features(pixels, rows, progress=progress)


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


def baselines_of_training(artifact: Artifact, cohort: EvaluationCohort, bar: Bar) -> tuple[StoredBaseline, ...]:
    """What the training images teach without disease: as the artifact keeps it, else fitted on the run's pixel cache.

    Empty for an artifact of an earlier version whose run is not at hand.
    """
    stored = stored_baselines(artifact.provenance)
    if stored or not cohort.own or cohort.split is None or cohort.cache is None:
        return stored
    train = cohort.split.records(cohort.index, "train")
    with bar("training images") as progress:
        cache = build_cache(train, artifact.spec, cohort.cache, progress=progress)
    cache = cache.without_copies(record.image for record in train)
    train = tuple(record for record in train if record.image in cache)
    features = features_of(cache.pixels, cache.rows(record.image for record in train), bar)
    return fit_image_baselines(features, aspects(train), Sample.of_records(train))


def learnt_elsewhere(
    stored: Sequence[StoredBaseline],
    columns: Mapping[str, Floats],
    cohort: EvaluationCohort,
    records: Sequence[ImageRecord],
) -> tuple[Baseline, ...]:
    """What baselines of the training images say of `records`, whose image `columns` (n, k) stand by name; metadata come first.

    Metadata need the tables of the training images: those of the model's own run.
    """
    if not cohort.own or cohort.split is None:
        return not_learnt(METADATA, NO_TABLES), *answers_learnt_elsewhere(stored, columns)
    train = cohort.split.records(cohort.index, "train")
    told = metadata_learnt_elsewhere(
        Sample.of_records(train),
        metadata(train, sources(cohort.index, train)),
        metadata(records, sources(cohort.index, records)),
    )
    return told, *answers_learnt_elsewhere(stored, columns)


def write_audit(audit: ShortcutAudit, out: Path) -> None:
    """`shortcuts.json` and `shortcuts.html` in `out`. Raises StorageError."""
    write_json(out / "shortcuts.json", audit.to_dict())
    write_text(out / "shortcuts.html", render_shortcuts(audit))


def met(artifact: Artifact, cohort: EvaluationCohort) -> tuple[tuple[ImageRecord, ...], Counter[str], Leakage]:
    """The records to judge, how many were left out and why, and the leak as the artifact's own hashes measure it."""
    kept, excluded = without_training_patients(artifact, cohort.records)
    strangers = {record.image for record in kept}
    known = [record for record in cohort.records if record.image not in strangers]
    leaky = cohort.own and cohort.split is not None and cohort.split.kind == "image-random"
    found = None if cohort.split is None else leak(cohort.split, cohort.index)
    leakage = Leakage(
        known=artifact.patients.known,
        asked=len(cohort.records),
        met_images=len(known),
        met_patients=len({group_of(record) for record in known}),
        left_out=not leaky,
        split=None if cohort.split is None else cohort.split.kind,
        split_patients=None if cohort.split is None else _in_several_parts(cohort.split, cohort.index),
        split_images=None if found is None else found.shared_images,
        test_images=None if found is None else found.test_images,
        nameless=sum(record.patient is None for record in cohort.records),
    )
    return (cohort.records, Counter(), leakage) if leaky else (kept, excluded, leakage)


def sources(index: Index, records: Sequence[ImageRecord]) -> NDArray[np.str_]:
    """(n,) where each image comes from: its source, and in a release's layout the folder its file lies in.

    In other layouts folders often bear the label's name, which says nothing of where an image was taken; there the
    table's column `source` alone counts.
    """
    if index.kind != "nih":
        return np.array([record.source for record in records], np.str_)
    folders = (os.path.relpath(Path(record.path or "").parent, index.root) for record in records)
    return np.array([f"{r.source} {folder}" for r, folder in zip(records, folders, strict=True)], np.str_)


def metadata(records: Sequence[ImageRecord], source: NDArray[np.str_]) -> dict[str, NDArray[np.generic]]:
    """What the tables say of each image (n,), by column: numbers with NaN and texts with nothing where they are silent."""

    def number(values: Sequence[float | None]) -> Floats:
        return np.array([np.nan if value is None else value for value in values], np.float64)

    visits = ["" if r.follow_up is None else "first" if r.follow_up == 0 else "follow-up" for r in records]
    sizes = ["" if r.width is None or r.height is None else f"{r.width} x {r.height}" for r in records]
    return {
        "age": number([r.age if r.age_plausible else None for r in records]),
        "sex": np.array([r.sex or "" for r in records], np.str_),
        "view": np.array([r.view or "" for r in records], np.str_),
        "follow_up": number([r.follow_up for r in records]),
        "visit": np.array(visits, np.str_),
        "width": number([r.width for r in records]),
        "height": number([r.height for r in records]),
        "size": np.array(sizes, np.str_),
        "spacing": number([None if r.spacing is None else float(np.mean(r.spacing)) for r in records]),
        "source": source,
    }


Rows = tuple[NDArray[np.uint8], NDArray[np.int64], tuple[ImageRecord, ...]]
"""Pixels (N, S, S) as the model sees them, the rows (m,) of the records that could be read, and these records."""


def _decoded(
    records: Sequence[ImageRecord], artifact: Artifact, folder: str | Path, pictures: Pictures, bar: Bar
) -> Rows:
    with bar("decoding") as progress:
        cache = build_cache(records, artifact.spec, folder, progress=progress)
    readable = tuple(
        record
        for record in records
        if record.image in cache and pictures.judges(record, cache.digests(record.image, record.path))
    )
    return cache.pixels, cache.rows(record.image for record in readable), readable


def _read_before(images: ReadImages) -> Rows:
    return images.pixels, np.arange(len(images.records)), images.records


def _answers(images: ReadImages) -> Floats | None:
    """What the model said (n,) of the whole images when they were read; None where one has neither probability nor score."""
    found = [reading.value for reading in images.readings if reading.acceptance is not None]
    return None if None in found else np.array(found, np.float64)


def _read(
    reader: Reader, pixels: NDArray[np.uint8], rows: NDArray[np.int64], bar: Bar, told: Floats | None
) -> tuple[Floats, dict[str, Floats]]:
    """What the model says (n,) of the whole images (`told`, where that is known), of their borders and of their centres alone.

    What is blanked becomes the grey that `normalise` takes to zero, the middle of the training images: the same for every
    image, so that it can tell nothing, and nearer to a chest than black, whose edge would be the strongest in the image.
    """
    grey = round(255 * float(np.mean(reader.members[0].artifact.spec.mean)))
    whole, border, centre = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    done = 0
    with bar("reading: border, centre" if told is not None else "reading: whole, border, centre") as progress:
        for piece in pieces(pixels, rows, 64):
            if told is None:
                whole.append(reader.probabilities(piece))
            border.append(reader.probabilities(blanked(piece, "border", grey)))
            centre.append(reader.probabilities(blanked(piece, "centre", grey)))
            done += len(piece)
            if progress is not None:
                progress(done, len(rows))
    views = {MODEL_BORDER: np.concatenate(border), MODEL_CENTRE: np.concatenate(centre)}
    return np.concatenate(whole) if told is None else told, views


def _in_several_parts(split: Split, index: Index) -> int:
    """Known patients who stand in more than one part."""
    parts = defaultdict(set)
    for part in PARTS:
        for record in split.records(index, part):
            if record.patient is not None:
                parts[group_of(record)].add(part)
    return sum(len(found) > 1 for found in parts.values())


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

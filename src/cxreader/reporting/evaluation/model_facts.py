"""What a model is and how it was made, in words: from its artifact, for the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxreader.counting import format_count
from cxreader.evaluation.calibration.support import CalibrationSupport
from cxreader.explanation.judged import judged_maps
from cxreader.explanation.localisation_report import REGION_HEAD
from cxreader.models.artifact import Artifact
from cxreader.models.population import Population
from cxreader.models.registry import model_entry

MODEL, TRAINING_DATA, TRAINING = "Model details", "Training data", "Training"
FACTS: dict[str, tuple[str, ...]] = {
    MODEL: (
        *("Network", "Version", "Input", "Pretrained weights", "Licence of the weights", "Calibration", "Region head"),
        "Made with",
    ),
    TRAINING_DATA: ("Population", "Source", "Images (normal, abnormal)", "Patients", "Split"),
    TRAINING: ("Phases", "Learning", "Settings", "Augmentation", "Machine", "Software"),
}
"""The facts of a card by section, in their order."""


def facts_of(artifact: Artifact) -> dict[str, str]:
    """The facts of an artifact by the names of FACTS; a fact that its provenance does not hold is left out."""
    entry, spec, provenance = model_entry(artifact.model), artifact.spec, artifact.provenance
    found = {
        "Network": f"{artifact.model} ({entry.reference}), dropout {artifact.dropout:g}",
        "Version": f"artifact {artifact.id}, weights sha256 {artifact.weights_sha256[:12]}",
        "Input": f"frontal chest radiograph, grey, {spec.size} x {spec.size} pixels ({spec.fit})",
        "Pretrained weights": artifact.transfer,
        "Licence of the weights": _licence(artifact),
        "Calibration": _calibration(artifact.calibration),
        "Region head": _region_head(artifact),
        "Made with": _made_with(provenance),
        "Population": Population.read(artifact.provenance),
        "Source": _at(provenance, "data", "name"),
        "Images (normal, abnormal)": _counts(_at(provenance, "counts")),
        "Patients": _patients(artifact),
        "Split": _joined(
            _at(provenance, "split", "kind"), _at(provenance, "split", "digest", cut=12), between=", digest "
        ),
        "Phases": _phases(_at(provenance, "phases")),
        "Learning": _learning(provenance),
        "Settings": _settings(provenance),
        "Augmentation": _augmentation(provenance),
        "Machine": _at(provenance, "machine"),
        "Software": _software(_at(provenance, "versions")),
    }
    return {name: str(value) for name, value in found.items() if value}


def _licence(artifact: Artifact) -> str:
    """What the pretrained weights allow goes on to what was trained from them."""
    if artifact.transfer.startswith("ImageNet"):
        return (
            f"began with weights under {model_entry(artifact.model).licence}; the terms of the training data go on top"
        )
    if artifact.transfer.startswith("no transfer"):
        return "no pretrained weights: the terms of the training data and of whoever trained it"
    return "that of the file the weights began with, which does not tell it; the terms of the training data go on top"


def _at(values: Any, *names: str, cut: int | None = None) -> Any:
    """The value at a path of names in nested mappings, None where one is missing; a text of at most `cut` characters."""
    for name in names:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values[:cut] if cut is not None and isinstance(values, str) else values


def _joined(first: Any, second: Any, *, between: str) -> str:
    return between.join(str(part) for part in (first, second) if part)


def _calibration(values: Mapping[str, Any]) -> str:
    method, positive, negative = (values.get(name) for name in ("method", "n_positive", "n_negative"))
    if not method or positive is None or negative is None:
        return method or ""
    note = CalibrationSupport(positive, negative).note
    return f"{method}, fitted on {positive:,} abnormal and {negative:,} normal images{f'; {note}' if note else ''}"


def _region_head(artifact: Artifact) -> str:
    """What it learnt from, and what its regions are worth by the artifact's evaluation."""
    head = artifact.region_head
    if head is None:
        return "none"
    learnt, evaluation = head.description.removeprefix("region head, "), artifact.evaluation or {}
    ways = {"Whatever the finding": False, "By finding": True}
    found = {name: judged_maps(evaluation, REGION_HEAD, by_finding=each) for name, each in ways.items()}
    judged = {name: maps for name, maps in found.items() if maps is not None}
    if not judged:
        return f"{learnt}; judged against no boxes: cxreader study regions RUN"
    whose = evaluation.get("regions_on") or "boxes of the part that was judged"
    counts = format_count(next(iter(judged.values())).boxes, "[box|boxes]")
    return f"{learnt}; judged on {counts} ({whose}). " + " ".join(
        f"{name}: {maps.statement()} {maps.statement('pointing')}" for name, maps in judged.items()
    )


def _counts(counts: Any) -> str:
    if not isinstance(counts, Mapping):
        return ""
    return "; ".join(f"{part} {' and '.join(f'{n:,}' for n in numbers)}" for part, numbers in counts.items())


def _patients(artifact: Artifact) -> str:
    who = "patients" if artifact.patients.known else "images, as no patient was known"
    sources = _at(artifact.provenance, "config", "data", "sources") or ()
    if any(_at(source, "weight") == 0 for source in sources):
        who += "; with those whose images teach where findings lie alone"
    return "; ".join(f"{part} {len(marks):,}" for part, marks in artifact.patients.parts.items()) + f" ({who})"


def _phases(phases: Any) -> str:
    if not isinstance(phases, list):
        return ""
    return ", then ".join(f"{_at(phase, 'name')} ({_best(phase)})" for phase in phases)


def _best(phase: Any) -> str:
    """`best epoch 3`, counted from 1 as on the terminal; the record counts from 0."""
    epoch = _at(phase, "best_epoch")
    return f"best epoch {epoch + 1}" if isinstance(epoch, int) else "best epoch not known"


def _learning(provenance: Mapping[str, Any]) -> str:
    """Of each phase that was run: what learns, how fast, how long at most."""
    phases, training = _at(provenance, "phases"), _at(provenance, "config", "training")
    sections = [(str(_at(phase, "name")), _at(training, str(_at(phase, "name")))) for phase in phases or ()]
    return "; ".join(
        f"{name}: {s['learn'].replace('_', ' ')} at {s['lr']:g}, at most {s['epochs']} epochs, patience {s['patience']}"
        for name, s in sections
        if isinstance(s, Mapping)
    )


def _augmentation(provenance: Mapping[str, Any]) -> str:
    """Each change of the training images that was on, with its largest size, and in which phases nothing was changed."""
    config = _at(provenance, "config")
    if not isinstance(config, Mapping) or "augment" not in config:
        return ""
    values = config["augment"] or {}
    on = [f"{name.replace('_', ' ')}{'' if size is True else f' {size:g}'}" for name, size in values.items() if size]
    phases = [str(_at(phase, "name")) for phase in _at(provenance, "phases") or ()]
    plain = [name for name in phases if _is_plain(_at(config, "training"), name)]
    if not on or (plain and plain == phases):
        return "none"
    return ", ".join(on) + (f"; none in {', '.join(plain)}" if plain else "")


def _is_plain(training: Any, phase: str) -> bool:
    """Whether the phase learnt from stored outputs of the images as they are."""
    stored = _at(training, "prefix_cache") is True and _at(training, phase, "learn") not in (None, "all")
    return stored and _at(training, "views") == 1


def _software(versions: Any) -> str:
    if not isinstance(versions, Mapping):
        return ""
    return ", ".join(f"{name} {number}" for name, number in versions.items() if number)


def _settings(provenance: Mapping[str, Any]) -> str:
    training, seed = _at(provenance, "config", "training"), _at(provenance, "seed")
    if not isinstance(training, Mapping):
        return ""
    names = ("optimizer", "batch_size", "monitor", "class_weights", "label_smoothing")
    words = [f"{name.replace('_', ' ')} {training[name]}" for name in names if name in training]
    return ", ".join([*words, *([] if seed is None else [f"seed {seed}"])])


def _made_with(provenance: Mapping[str, Any]) -> str:
    revision, made = _at(provenance, "git_revision"), _at(provenance, "versions", "cxreader")
    return _joined(f"cxreader {made}" if made else "", revision, between=", revision ")

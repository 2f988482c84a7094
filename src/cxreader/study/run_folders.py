"""Folders of a study's trainings and searches, found again by what is learnt from and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxreader.config import Config, parse_config
from cxreader.data.split import Split
from cxreader.errors import ConfigError
from cxreader.study.pretrain import weights_digest
from cxreader.study.search.space import narrowed
from cxreader.training.cohort import LEARNING_PARTS, Cohort, cached_part
from cxreader.training.supervision import supervision

_SETTINGS = ("seed", "input", "augment", "model", "training")
_MACHINE = ("accelerator", "devices", "tensorboard")
"""Keys of the training section that decide nothing of what is learnt."""
_KEY = "[0-9a-f]" * 10


def training_folder(study: Path, name: str, config: Config, cohort: Cohort) -> Path:
    """Folder of the training `name` (row and seed) of this configuration and these images: one begun, else a new one.

    One begun by another version of cxreader, whose configuration had fewer keys, is the same training where its own keys
    stand for themselves and the others have their default; it gets today's name.
    """
    runs, learnt = study / "runs", _learnt_from(config, cohort)
    place = runs / f"{name}-{_key(_settings(config.model_dump(mode='json')), learnt)}"
    if not place.exists():
        for begun in sorted(runs.glob(f"{name}-{_KEY}/config.json")):
            alike = _begun_alike(begun, config)
            if alike is not None and begun.parent.name == f"{name}-{_key(alike[1], learnt)}":
                return begun.parent.rename(place)
    return place


def search_folder(study: Path, slug: str, config: Config, cohort: Cohort) -> Path:
    """Folder of the search of this configuration, these images and this space, or a part of it: one begun, else a new one."""
    searches, learnt = study / "searches", _learnt_from(config, cohort)
    today = _settings(config.model_dump(mode="json"))
    name, space = f"{slug}-{_key(today, learnt)}", config.model_dump(mode="json", include={"study"})
    whole = _key({**today, "study": space}, learnt)
    earliest = searches / f"{slug}-{whole}"
    if earliest.exists():  # of a version that named a search by one key
        return earliest
    for begun in sorted(searches.glob(f"{slug}-{_KEY}-{_KEY}/config.json")):
        alike = _begun_alike(begun, config)
        own_name, _, begun_whole = begun.parent.name.rpartition("-")
        if alike is None or own_name != f"{slug}-{_key(alike[1], learnt)}" or narrowed(alike[0], config):
            continue
        return begun.parent if own_name == name else begun.parent.rename(searches / f"{name}-{begun_whole}")
    return searches / f"{name}-{whole}"


def _begun_alike(path: Path, config: Config) -> tuple[Config, dict[str, Any]] | None:
    """The configuration of a begun folder, and its settings as it keeps them; None where they do not say what `config` says."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    try:
        before = parse_config(stored)
    except ConfigError:  # it holds a key that is no more
        return None
    if _settings(before.model_dump(mode="json")) != _settings(config.model_dump(mode="json")):
        return None
    return before, _settings(stored)


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """How is learnt: without paths, and without what only the machine decides."""
    kept = {name: dict(values[name]) if isinstance(values[name], dict) else values[name] for name in _SETTINGS}
    for name in _MACHINE:
        kept["training"].pop(name, None)
    del kept["model"]["weights"]
    return kept


def _learnt_from(config: Config, cohort: Cohort) -> dict[str, Any]:
    """What is learnt from: weights, images of the learning parts, what is said of each and what it weighs."""
    split = Split.load(config.split.file) if config.split.file else cohort.split
    parts = [cached_part(cohort.cache, cohort.index, split.parts[part]) for part in LEARNING_PARTS]
    learnt: dict[str, Any] = {"images": [(part.digest, part.labels.tolist()) for part in parts]}
    others = set(cohort.only_regions)
    images = [cohort.index.by_image[i] for i in split.parts["train"] if i in cohort.cache and i not in others]
    if (taught := supervision(cohort.index, images, config.training.class_weights)) is not None:
        learnt["supervision"] = taught.tolist()
    return {**learnt, "weights": weights_digest(config.model.weights)}


def _key(settings: Mapping[str, Any], learnt: Mapping[str, Any]) -> str:
    """Ten hexadecimal digits of BLAKE2b of both."""
    values = {**settings, **learnt, "model": {**settings["model"], "weights": learnt["weights"]}}
    del values["weights"]
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=5).hexdigest()

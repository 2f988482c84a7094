"""Pretraining on phantoms: weights of a network that learnt normal/abnormal there, where no published ones can be had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from safetensors.torch import load_file, save

from cxreader.atomic import write_whole
from cxreader.config import Config, PretrainSection, parse_config, with_values
from cxreader.data.phantoms.patients import plan_patient
from cxreader.data.phantoms.write import PhantomSpec, write_phantoms
from cxreader.data.sources import locate
from cxreader.errors import DataError
from cxreader.models.artifact import WEIGHTS, sha256
from cxreader.models.registry import create_model
from cxreader.progress import Bar, Say
from cxreader.training.train import build_model, train

PHANTOMS = "phantoms"


def with_weights(config: Config, folder: Path, *, say: Say, bar: Bar) -> Config:
    """The configuration with a weights file in the place of "phantoms", made in `folder` if it is not there yet.

    Other weights are left as they are, but for a file that is absent where `if_absent` is "phantoms".
    """
    if not wants_phantoms(config):
        return config
    made_from = config.model_dump_json(include={"input": True, "study": {"pretrain"}})
    digest = hashlib.blake2b(made_from.encode(), digest_size=4).hexdigest()
    path = folder / f"phantoms-{config.model.name}-{config.input.size}px-{digest}.safetensors"
    if not path.is_file():
        _make(config, path, say, bar)
    return with_values(config, {"model.weights": str(path.resolve()), "model.if_absent": "error"})


def require_weights(configs: Iterable[Config]) -> None:
    """Raise WeightsError for weights that are absent and would not be made from phantoms, by building each network once."""
    seen = set()
    for config in configs:
        named = (config.model.name, config.model.weights, config.model.if_absent, config.input.size)
        if named not in seen and not wants_phantoms(config):
            build_model(config)
        seen.add(named)


def weights_digest(weights: str) -> str:
    """SHA-256 of a weights file, wherever it lies; `imagenet`, `none` and the name of a missing file stand for themselves."""
    if weights in ("imagenet", "none"):
        return weights
    try:
        return sha256(locate(weights).read_bytes())
    except DataError:
        return Path(weights).name


def wants_phantoms(config: Config) -> bool:
    """True where the weights are to be made from phantoms, or stand in for a file that is absent."""
    model = config.model
    if model.weights == PHANTOMS:
        return True
    if model.if_absent != PHANTOMS or model.weights in ("imagenet", "none"):
        return False
    try:
        locate(model.weights)
    except DataError:
        return True
    return False


def scratch_config(config: Config, images: str, cache: str | None) -> Config:
    """How the network of `config` learns the phantoms in the folder `images`, from scratch."""
    pretrain = config.study.pretrain
    return parse_config(
        {
            "seed": pretrain.seed,
            "data": {"root": images, **({} if cache is None else {"cache": cache})},
            "input": config.input.model_dump(),
            "model": {"name": config.model.name, "weights": "none"},
            "training": {
                "phases": ["full"],
                "schedule": "one-cycle",
                "monitor": "loss",
                "accelerator": config.training.accelerator,
                "full": {"lr": pretrain.lr, "epochs": pretrain.epochs, "patience": pretrain.epochs},
            },
        }
    )


def n_phantoms(pretrain: PretrainSection) -> int:
    """How many images the phantoms for pretraining have; nothing is drawn."""
    share = PhantomSpec(patients=pretrain.patients, seed=pretrain.seed).abnormal_share
    patients = (plan_patient(pretrain.seed, number, share) for number in range(1, pretrain.patients + 1))
    return sum(len(patient.visits) for patient in patients)


def _make(config: Config, path: Path, say: Say, bar: Bar) -> None:
    """Train from scratch on phantoms of another seed, and keep the weights under their published names."""
    pretrain, name, size = config.study.pretrain, config.model.name, config.input.size
    spec = PhantomSpec(patients=pretrain.patients, seed=pretrain.seed, size=max(64, size))
    images = path.parent / f"phantoms-{spec.seed}-{spec.patients}-{spec.size}px"
    with bar("drawing phantoms for pretraining") as progress:
        write_phantoms(images, spec, progress=progress)
    say(f"{name}: no weights at hand, so it learns phantoms first ({pretrain.epochs} epochs)")
    scratch = scratch_config(config, str(images.resolve()), str((path.parent / "cache").resolve()))
    trained = train(scratch, path.with_suffix(""), resume=True, say=say, bar=bar)
    names = create_model(name, size=size).published_names
    state = load_file(trained.folder / WEIGHTS)
    write_whole(path, save({names.get(key, key): tensor for key, tensor in state.items()}))

"""Pretrained weights: ImageNet's pinned ones, a local file in timm's or torchvision's naming, or none. Nothing is unpickled."""

from __future__ import annotations

import os
import pickle
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cxreader.errors import WeightsError
from cxreader.models.registry import model_entry
from cxreader.models.stages import StagedModel

NO_TRANSFER = "no transfer: weights absent"
_WRAPPERS = ("state_dict", "model", "model_state_dict")
_OLD_DENSENET = re.compile(r"(\.denselayer\d+\.(?:norm|relu|conv))\.(\d)\.")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Where a network's weights began, in words for every table and report."""

    text: str
    pretrained: bool


def default_folder() -> Path:
    """Where pinned weights are looked up before any network is asked."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cxreader" / "weights"


def load_pretrained(model: StagedModel, name: str, weights: str) -> Transfer:
    """Fill `model` (built under `name`) from `weights`: "imagenet", "none" or a file. Its head stays as it is.

    Raises WeightsError when the weights are absent or belong to another network.
    """
    if weights == "none":
        return Transfer(NO_TRANSFER, pretrained=False)
    tag = model_entry(name).pretrained
    if weights == "imagenet":
        if tag is None:
            raise WeightsError(f"{name} has no ImageNet weights", where="model.weights", mend='write weights = "none"')
        load_weights(model, _pinned(tag))
        return Transfer(f"ImageNet-1k ({tag})", pretrained=True)
    load_weights(model, Path(weights))
    return Transfer(f"file {Path(weights).name}", pretrained=True)


def load_weights(model: StagedModel, path: Path) -> None:
    """Fill every stage but the head from a .safetensors or .pth file.

    timm's and torchvision's names are both understood, so are the old keys of DenseNet's published file; a classifier in
    the file is left aside, half precision becomes float32. Raises WeightsError naming what is missing or misshapen.
    """
    found = _renamed(_tensors(path))
    state, missing, misfit = {}, [], []
    for stage_key, own in model.state_dict().items():
        key = model.published_names.get(stage_key, stage_key)
        if stage_key.startswith("head."):
            continue
        if key not in found:
            missing += [] if key.endswith("num_batches_tracked") else [key]
        elif found[key].shape != own.shape:
            misfit.append(f"{key} {tuple(found[key].shape)} for {tuple(own.shape)}")
        else:
            state[stage_key] = found[key].to(own.dtype)
    if missing or misfit:
        what = f"{len(missing)} tensors missing, {len(misfit)} of another shape, such as {(missing + misfit)[0]}"
        raise WeightsError(
            f"weights of another network ({what})", where=path, mend="give the file of the network in model.name"
        )
    model.load_state_dict(state, strict=False)


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError("no such weights file", where=path, mend='give its path, or model.weights = "none"')
    with path.open("rb") as file:
        # A safetensors file begins with the length of its JSON header, whose first byte is a brace.
        is_safetensors = file.read(9)[8:] == b"{"
    try:
        loaded: object = load_file(path) if is_safetensors else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"cannot be read without running code from it ({reason[:120]})",
            where=path,
            mend="save a plain state dict, as .safetensors or by torch.save",
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise WeightsError("holds no state dict", where=path, mend="save the network's state_dict()")
    return {str(key): tensor for key, tensor in loaded.items()}


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Timm's names, whatever the file's were."""
    names = {key: key.removeprefix("module.") for key in tensors}
    if any(name.startswith("features.1.0.block.") for name in names.values()):
        return {_efficientnet_name(name): tensors[key] for key, name in names.items()}
    return {_OLD_DENSENET.sub(r"\1\2.", name): tensors[key] for key, name in names.items()}


# torchvision numbers the parts of a block, timm names them; the first block has no expansion.
_FIRST = {
    "0.0": "conv_dw",
    "0.1": "bn1",
    "1.fc1": "se.conv_reduce",
    "1.fc2": "se.conv_expand",
    "2.0": "conv_pw",
    "2.1": "bn2",
}
_OTHER = {
    "0.0": "conv_pw",
    "0.1": "bn1",
    "1.0": "conv_dw",
    "1.1": "bn2",
    "2.fc1": "se.conv_reduce",
    "2.fc2": "se.conv_expand",
    "3.0": "conv_pwl",
    "3.1": "bn3",
}
_ENDS = {
    "features.0.0.": "conv_stem.",
    "features.0.1.": "bn1.",
    "features.8.0.": "conv_head.",
    "features.8.1.": "bn2.",
}


def _efficientnet_name(name: str) -> str:
    """Torchvision's name of an EfficientNet tensor as timm's."""
    for theirs, ours in _ENDS.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    match = re.fullmatch(r"features\.(\d)\.(\d+)\.block\.(\d\.\w+)\.(\w+)", name)
    if match is None:
        return name
    stage, block, part, leaf = match.groups()
    return f"blocks.{int(stage) - 1}.{block}.{(_FIRST if stage == '1' else _OTHER)[part]}.{leaf}"


def _pinned(tag: str) -> Path:
    """The pinned ImageNet file: ours if it is there, else Hugging Face's cache or download. Raises WeightsError."""
    kept = default_folder() / f"{tag}.safetensors"
    if kept.is_file():
        return kept
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository, name = f"timm/{tag}", "model.safetensors"
    if isinstance(cached := try_to_load_from_cache(repository, name), str):
        return Path(cached)
    try:
        probe = urllib.request.Request(hf_hub_url(repository, name), method="HEAD")  # noqa: S310 - https, built by the hub
        urllib.request.urlopen(probe, timeout=5).close()  # noqa: S310 - fails at once offline; the download retries for long
        return Path(hf_hub_download(repository, name))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise WeightsError(
            f"cannot fetch model.safetensors of timm/{tag} from Hugging Face ({type(error).__name__})",
            where=f"model.weights = {tag}",
            mend=f'download that file elsewhere and put it at {kept}, or set model.weights to a file or "none"',
        ) from None

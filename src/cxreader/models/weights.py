"""Pretrained weights: ImageNet's pinned ones, a local file in timm's or torchvision's naming, or none. Nothing is unpickled."""

from __future__ import annotations

import pickle
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cxreader.errors import WeightsError
from cxreader.models.registry import ModelEntry, model_entry
from cxreader.models.stages import StagedModel
from cxreader.models.tensor_names import timm_names
from cxreader.models.weights_package import kept_file, packaged_file

NO_TRANSFER = "no transfer: weights absent"
_WRAPPERS = ("state_dict", "model", "model_state_dict")


@dataclass(frozen=True, slots=True)
class Transfer:
    """Where a network's weights began, in words for every table and report; `terms`: what they may be used for, where known."""

    text: str
    pretrained: bool
    terms: str = ""

    @property
    def notice(self) -> str:
        """Both, for whoever loads them."""
        return f"{self.text}; {self.terms}" if self.terms else self.text


def load_pretrained(model: StagedModel, name: str, weights: str) -> Transfer:
    """Fill `model` (built under `name`) from `weights`: "imagenet", "none" or a file. Its head stays as it is.

    Raises WeightsError when the weights are absent or belong to another network.
    """
    file = weights_file(name, weights)
    if file is None:
        return Transfer(NO_TRANSFER, pretrained=False)
    load_weights(model, file)
    if weights == "imagenet":
        entry = model_entry(name)
        return Transfer(f"ImageNet-1k ({entry.pretrained})", pretrained=True, terms=entry.licence or "")
    return Transfer(f"file {file.name}", pretrained=True)


def weights_file(name: str, weights: str) -> Path | None:
    """The file that `load_pretrained` reads for the network `name`; None for "none". Raises WeightsError as it does."""
    if weights == "none":
        return None
    return _pinned(model_entry(name)) if weights == "imagenet" else Path(weights)


def load_weights(model: StagedModel, path: Path) -> None:
    """Fill every stage but the head from a .safetensors or .pth file.

    timm's and torchvision's names are both understood, so are the other namings of `timm_names`; a classifier in the file is
    left aside, half precision becomes float32. Raises WeightsError naming what is missing or misshapen.
    """
    found = timm_names(_tensors(path))
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


def _pinned(entry: ModelEntry) -> Path:
    """The pinned ImageNet file: ours if it is there, else that of an installed package, or else of Hugging Face.

    Raises WeightsError.
    """
    tag = entry.pretrained
    if tag is None:
        raise WeightsError(
            f"{entry.name} has no ImageNet weights", where="model.weights", mend='write weights = "none"'
        )
    kept = kept_file(tag)
    if kept.is_file():
        return kept
    return _of_hugging_face(tag, kept) if entry.package is None else packaged_file(entry.package, tag=tag, instead=kept)


def _of_hugging_face(tag: str, kept: Path) -> Path:
    """From its cache, or downloaded. Raises WeightsError."""
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

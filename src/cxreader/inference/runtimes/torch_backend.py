"""Reading with torch, on the CPU or one GPU."""

from __future__ import annotations

from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before torch: how its threads wait

# isort: split
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from cxreader.errors import ArtifactError
from cxreader.explanation.gradcam import cam_of
from cxreader.inference.runtimes.backend import Output
from cxreader.models.artifact import WEIGHTS, Artifact
from cxreader.models.region_head import RegionHead
from cxreader.models.registry import create_model, model_entry
from cxreader.models.stages import StagedModel


class TorchBackend:
    """The artifact's network in evaluation mode. Raises ArtifactError when the weights are another network's."""

    name = "torch"
    has_maps = True

    def __init__(self, artifact: Artifact, folder: Path) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        entry = model_entry(artifact.model)
        self.cam_stage, self.cam_method = entry.cam_stage, entry.cam_method
        model = load_network(artifact, folder).to(self.device)
        head = load_region_head(artifact, folder)
        self.region_head = None if head is None else head.to(self.device)
        self.region_stages = () if artifact.region_head is None else artifact.region_head.stages
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        """(N, 3, H, W) -> logits (N, 2), features (N, D) and, where asked for, maps (N, h, w) and regions."""
        with torch.no_grad():
            if not maps:
                output, features = self.model.maps_and_features(self._given(batch), self.cam_stage)
                return Output(_array(self.model.after(output, self.cam_stage)), _array(features), None)
            output, features, read = self.model.observed(self._given(batch), self.cam_stage, self.region_stages)
            regions = None if self.region_head is None else _array(self.region_head(read).sigmoid())
        logits, heat = cam_of(self.model, output, stage=self.cam_stage, method=self.cam_method)
        return Output(_array(logits), _array(features), _array(heat), regions)

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, H, W) -> (N, 2)."""
        return self.run(batch).logits

    def _given(self, batch: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(batch).to(self.device, memory_format=torch.channels_last)


def load_network(artifact: Artifact, folder: Path) -> StagedModel:
    """The artifact's network with its weights, in evaluation mode and without gradients of its parameters.

    Raises ArtifactError when the weights are another network's.
    """
    model = create_model(artifact.model, dropout=artifact.dropout, size=artifact.spec.size)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError:
        raise ArtifactError(
            f"the weights are not a {artifact.model}'s", where=folder / WEIGHTS, mend="copy the artifact again"
        ) from None
    return model.eval().requires_grad_(requires_grad=False)


def load_region_head(artifact: Artifact, folder: Path) -> RegionHead | None:
    """The artifact's region head with its weights, in evaluation mode; None without one.

    Raises ArtifactError when the weights are another head's.
    """
    record = artifact.region_head
    if record is None:
        return None
    head = RegionHead(record.channels, record.side, len(record.findings), width=record.width)
    try:
        head.load_state_dict(load_file(folder / record.file))
    except RuntimeError:
        what = "the weights are not those of the region head that artifact.json tells of"
        raise ArtifactError(what, where=folder / record.file, mend="copy the artifact again") from None
    return head.eval().requires_grad_(requires_grad=False)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.cpu().numpy())

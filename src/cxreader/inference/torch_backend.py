"""Reading with torch, on the CPU or one GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from cxreader.errors import ArtifactError
from cxreader.explanation.gradcam import grad_cam
from cxreader.models.artifact import WEIGHTS, Artifact
from cxreader.models.registry import create_model, model_entry


class TorchBackend:
    """The artifact's network in evaluation mode. Raises ArtifactError when the weights are another network's."""

    def __init__(self, artifact: Artifact, folder: Path) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = create_model(artifact.model, dropout=artifact.dropout, size=artifact.spec.size)
        try:
            model.load_state_dict(load_file(folder / WEIGHTS))
        except RuntimeError:
            raise ArtifactError(
                f"the weights are not a {artifact.model}'s", where=folder / WEIGHTS, mend="copy the artifact again"
            ) from None
        self.cam_stage = model_entry(artifact.model).cam_stage
        model = model.eval().requires_grad_(requires_grad=False).to(self.device)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, H, W) -> (N, 2)."""
        with torch.inference_mode():
            out: Tensor = self.model(self._given(batch))
        return np.asarray(out.cpu().numpy())

    def logits_and_maps(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, 3, H, W) -> (N, 2) and raw Grad-CAM maps (N, h, w) of the abnormal logit."""
        logits, maps = grad_cam(self.model, self._given(batch), stage=self.cam_stage)
        return np.asarray(logits.cpu().numpy()), np.asarray(maps.cpu().numpy())

    def _given(self, batch: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(batch).to(self.device, memory_format=torch.channels_last)

"""The outputs of an exported network, and how a runtime that gives them answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.inference.runtimes.backend import Output, require_maps

ANSWER, HEAT, REGIONS = ("logits", "features"), ("spatial", "channel_weights"), "regions"
OUTPUTS = (*ANSWER, *HEAT)
"""An exported network's outputs: logits (N, 2), features (N, D) and, where heat maps have a closed form, the maps of the CAM
stage (N, C, h, w) and the gradient of the abnormal logit by them: of each channel (N, C), or of each of its positions too. With
a region head `REGIONS` besides: its maps (N, f + 1, s, s) in [0, 1]."""


class ExportedBackend(ABC):
    """A runtime that reads the exported network; one says how `outputs` are computed, and sets what `hold` tells."""

    name: str
    has_maps: bool
    has_regions: bool

    @abstractmethod
    def outputs(self, batch: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """(N, 3, H, W) -> those of `OUTPUTS` and `REGIONS` named, as they leave the graph. Raises ModelError."""

    def hold(self, names: Sequence[str]) -> None:
        """Which maps there are, by the names of the graph's outputs."""
        self.has_maps, self.has_regions = set(names).issuperset(HEAT), REGIONS in names

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        """(N, 3, H, W) -> logits (N, 2), features (N, D) and, where asked for, maps (N, h, w) and regions.

        Raises ModelError when the runtime refuses the batch, and as `require_maps`.
        """
        if not maps:
            logits, features = self.outputs(batch, ANSWER)
            return Output(logits, features, None)
        require_maps(self)
        names = (*OUTPUTS, REGIONS) if self.has_regions else OUTPUTS
        logits, features, spatial, weights, *regions = self.outputs(batch, names)
        heat = np.maximum(signed_map(spatial, weights), 0)
        return Output(logits, features, heat, regions[0] if regions else None)

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, H, W) -> (N, 2)."""
        return self.run(batch).logits


def signed_map(spatial: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps (N, C, h, w), weighed by (N, C) or position by position, summed over channels: (N, h, w), negative values kept."""
    flat = spatial.reshape(*spatial.shape[:2], -1)
    if weights.ndim == spatial.ndim:
        heat = np.einsum("ncp,ncp->np", weights.reshape(flat.shape), flat)
    else:
        heat = weights[:, None] @ flat
    return np.asarray(heat.reshape(len(spatial), *spatial.shape[2:]))


def one_line(error: Exception) -> str:
    """What a runtime says of itself, short enough for a message."""
    return " ".join(str(error).split())[:200]

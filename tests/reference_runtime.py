"""A second runtime on the same exported file: onnx's own reference, slow and in numpy. One file, as a new runtime would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from cxreader.inference.runtimes.backend import Output, exported_file, require_maps
from cxreader.models.artifact import Artifact


class ReferenceBackend:
    name = "reference"

    def __init__(self, artifact: Artifact, folder: Path) -> None:
        self.graph = ReferenceEvaluator(onnx.load(exported_file(artifact, folder, "onnx")))
        self.has_maps = "channel_weights" in self.graph.output_names

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        if maps:
            require_maps(self)
        given = dict(zip(self.graph.output_names, self.graph.run(None, {"images": batch}), strict=True))
        heat = None
        if maps:
            weights = given["channel_weights"]
            heat = np.einsum("nc,nchw->nhw" if weights.ndim == 2 else "nchw,nchw->nhw", weights, given["spatial"]).clip(
                0
            )
        return Output(given["logits"], given["features"], heat)

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.run(batch).logits

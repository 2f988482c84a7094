"""Reading with ONNX Runtime: no torch. On the CPU, or on a GPU where onnxruntime-gpu offers one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from cxreader.errors import ArtifactError, ModelError
from cxreader.inference.runtimes.backend import Output, exported_file, require_maps
from cxreader.machine import cores
from cxreader.models.artifact import Artifact

ANSWER, HEAT, REGIONS = ("logits", "features"), ("spatial", "channel_weights"), "regions"
OUTPUTS = (*ANSWER, *HEAT)
"""An exported network's outputs: logits (N, 2), features (N, D) and, where heat maps have a closed form, the maps of the CAM
stage (N, C, h, w) and the gradient of the abnormal logit by them: of each channel (N, C), or of each of its positions too. With
a region head `REGIONS` besides: its maps (N, f + 1, s, s) in [0, 1]."""
PIECE = 2
"""Images at a time on a core: what lies between the layers of more falls out of its cache."""
CPU = "CPUExecutionProvider"
# TF32 would round what parity was checked for.
_PROVIDERS: dict[str, dict[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}, CPU: {}}
_FATAL = 4


class OnnxBackend:
    """The artifact's exported network. `provider`: where it runs.

    On a CPU the images of a batch are dealt out to the cores: cores that work on one image together wait for one another in
    every layer. They do so only for a few images, and while no other such call is under way.

    Raises ArtifactError when the artifact holds no ONNX export, or one that the installed ONNX Runtime cannot open.
    """

    name = "onnx"

    def __init__(self, artifact: Artifact, folder: Path) -> None:
        self._open(exported_file(artifact, folder, "onnx"))

    @classmethod
    def of(cls, graph: bytes) -> Self:
        """The backend of a network that is not in an artifact yet."""
        backend = cls.__new__(cls)
        backend._open(graph)
        return backend

    def run(self, batch: NDArray[np.float32], *, maps: bool = False) -> Output:
        """(N, 3, H, W) -> logits (N, 2), features (N, D) and, where asked for, maps (N, h, w) and regions.

        Raises ModelError when ONNX Runtime does, and as `require_maps`.
        """
        if not maps:
            logits, features = self.outputs(batch, ANSWER)
            return Output(logits, features, None)
        require_maps(self)
        names = (*OUTPUTS, REGIONS) if self.has_regions else OUTPUTS
        logits, features, spatial, weights, *regions = self.outputs(batch, names)
        heat = np.maximum(signed_map(spatial, weights), 0)
        return Output(logits, features, heat, regions[0] if regions else None)

    def outputs(self, batch: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """(N, 3, H, W) -> those of `OUTPUTS` named, as they leave the graph. Raises ModelError when ONNX Runtime does."""
        images = np.ascontiguousarray(batch, np.float32)
        try:
            return (self._dealt_out if self._pool and 2 * len(images) > self._cores else self._together)(images, names)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no class but this
            raise ModelError(f"ONNX Runtime refused a batch of shape {batch.shape} ({_line(error)})") from None

    def _dealt_out(self, images: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """By pieces, each of them on one core."""
        assert self._pool is not None  # noqa: S101 - `outputs` has looked
        size = max(1, min(PIECE, len(images) // self._cores))
        pieces = [{self._input: images[start : start + size]} for start in range(0, len(images), size)]
        found = list(self._pool.map(lambda piece: self._one_core.run(names, piece), pieces))
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _together(self, images: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """On all cores where no other call has them, else on one."""
        alone = self._all_cores_free.acquire(blocking=False)
        try:
            found: list[NDArray[np.float32]] = (self._session if alone else self._one_core).run(
                names, {self._input: images}
            )
        finally:
            if alone:
                self._all_cores_free.release()
        return found

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3, H, W) -> (N, 2)."""
        return self.run(batch).logits

    def _open(self, graph: Path | bytes) -> None:
        self._cores = cores()
        try:
            self._session = self._one_core = _session(graph, self._cores)
            self.provider = self._session.get_providers()[0]
            self._pool = None
            if self.provider == CPU and self._cores > 1:
                self._one_core = _session(graph, 1)
                self._pool = ThreadPoolExecutor(self._cores, "network")
        except Exception as error:  # noqa: BLE001 - as above
            raise ArtifactError(
                f"ONNX Runtime {ort.__version__} cannot open the export ({_line(error)})",
                where=None if isinstance(graph, bytes) else graph,
                mend="export it again with this version, or read with the torch backend",
            ) from None
        self._input = self._session.get_inputs()[0].name
        held = {output.name for output in self._session.get_outputs()}
        self.has_maps, self.has_regions = held.issuperset(HEAT), REGIONS in held
        self._all_cores_free = Lock()


def signed_map(spatial: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps (N, C, h, w), weighed by (N, C) or position by position, summed over channels: (N, h, w), negative values kept."""
    flat = spatial.reshape(*spatial.shape[:2], -1)
    if weights.ndim == spatial.ndim:
        heat = np.einsum("ncp,ncp->np", weights.reshape(flat.shape), flat)
    else:
        heat = weights[:, None] @ flat
    return np.asarray(heat.reshape(len(spatial), *spatial.shape[2:]))


def _session(graph: Path | bytes, threads: int) -> ort.InferenceSession:
    offered = ort.get_available_providers()
    providers: list[Any] = [(name, given) for name, given in _PROVIDERS.items() if name in offered]
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads may spin between the layers of one call, but not behind it: they would take the core from whoever is next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A layer's work is taken in small parts: a core that was slower takes fewer of them.
    options.add_session_config_entry("session.dynamic_block_base", "4")
    return ort.InferenceSession(graph if isinstance(graph, bytes) else str(graph), options, providers=providers)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

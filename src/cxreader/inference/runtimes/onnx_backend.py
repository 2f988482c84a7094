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
from cxreader.inference.runtimes.backend import exported_file
from cxreader.inference.runtimes.exported_outputs import ExportedBackend, one_line
from cxreader.machine import cores
from cxreader.models.artifact import Artifact

PIECE = 2
"""Images at a time on a core: what lies between the layers of more falls out of its cache."""
CPU = "CPUExecutionProvider"
# TF32 would round what parity was checked for.
_PROVIDERS: dict[str, dict[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}, CPU: {}}
_FATAL = 4


class OnnxBackend(ExportedBackend):
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

    def outputs(self, batch: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """(N, 3, H, W) -> the graph's outputs of these names, as they leave it. Raises ModelError when ONNX Runtime does."""
        images = np.ascontiguousarray(batch, np.float32)
        try:
            return (self._dealt_out if self._pool and 2 * len(images) > self._cores else self._together)(images, names)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no class but this
            raise ModelError(f"ONNX Runtime refused a batch of shape {batch.shape} ({one_line(error)})") from None

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
                f"ONNX Runtime {ort.__version__} cannot open the export ({one_line(error)})",
                where=None if isinstance(graph, bytes) else graph,
                mend="export it again with this version, or read with the torch backend",
            ) from None
        self._input = self._session.get_inputs()[0].name
        self.hold([output.name for output in self._session.get_outputs()])
        self._all_cores_free = Lock()


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

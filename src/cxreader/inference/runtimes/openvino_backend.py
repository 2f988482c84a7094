"""Reading with OpenVINO: the file that ONNX Runtime reads, on the CPU, by another's kernels. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, Self

from cxreader.inference.runtimes import quiet_openvino  # noqa: F401 - before openvino

# isort: split
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from cxreader.errors import ArtifactError, ModelError, UsageError
from cxreader.inference.runtimes.backend import exported_file
from cxreader.inference.runtimes.exported_outputs import ExportedBackend, one_line
from cxreader.machine import cores
from cxreader.models.artifact import Artifact

_CPU, _F32 = "CPU", "f32"
_FIRST = Lock()
_Requests = SimpleQueue[Any]
"""Requests that nobody uses now: each serves one call at a time."""


class OpenVinoBackend(ExportedBackend):
    """The artifact's exported network in float32, whatever the processor would rather compute in.

    As with ONNX Runtime the images of a batch are dealt out to the cores, one by one; of few, all cores work on each.
    Raises ArtifactError when the artifact holds no ONNX export, or one that the installed OpenVINO cannot open.
    """

    name = "openvino"
    precision = _F32
    """What is computed in, as OpenVINO names it. Left to itself it takes bf16 where the processor has it."""

    def __init__(self, artifact: Artifact, folder: Path) -> None:
        path = exported_file(artifact, folder, "onnx")
        self._open(path.read_bytes(), path)

    @classmethod
    def of(cls, graph: bytes) -> Self:
        """The backend of a network that is not in an artifact yet."""
        backend = cls.__new__(cls)
        backend._open(graph, None)
        return backend

    def outputs(self, batch: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """(N, 3, H, W) -> the graph's outputs of these names, as they leave it. Raises ModelError when OpenVINO does."""
        images = np.ascontiguousarray(batch, np.float32)
        try:
            if self._pool is not None and 2 * len(images) > self._cores:
                found = list(
                    self._pool.map(lambda n: self._one(self._dealt, images[n : n + 1], names), range(len(images)))
                )
            else:
                found = [self._alone(images[n : n + 1], names) for n in range(len(images))]
        except Exception as error:  # noqa: BLE001 - OpenVINO's errors share no class but this
            raise ModelError(f"OpenVINO refused a batch of shape {batch.shape} ({one_line(error)})") from None
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    def _alone(self, image: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        """On all cores where no other call has them, else on one."""
        try:
            request = self._together.get_nowait()
        except Empty:
            return self._one(self._dealt, image, names)
        return _inferred(request, self._together, image, names)

    def _one(self, free: _Requests, image: NDArray[np.float32], names: Sequence[str]) -> list[NDArray[np.float32]]:
        return _inferred(free.get(), free, image, names)

    def _open(self, graph: bytes, where: Path | None) -> None:
        self._cores = cores()
        core = ov.Core()
        if self.precision != _F32 and self.precision.upper() not in core.get_property(
            _CPU, "OPTIMIZATION_CAPABILITIES"
        ):
            raise UsageError(
                f"this processor does not compute in {self.precision}", mend="read with --backend openvino"
            )
        try:
            model = core.read_model(graph)
            names = [one.get_any_name() for one in model.outputs]
            size = [side.get_length() for side in list(model.input().get_partial_shape())[1:]]
            model.reshape([1, *size])  # of a fixed shape it is some 10 % faster
            self._together = _requests(self._compiled(core, model, 1), 1)
            self._dealt, self._pool = self._together, None
            if self._cores > 1:
                self._dealt = _requests(self._compiled(core, model, self._cores), self._cores)
                self._pool = ThreadPoolExecutor(self._cores, "network")
        except Exception as error:  # noqa: BLE001 - as above
            raise ArtifactError(
                f"OpenVINO {ov.__version__.partition('-')[0]} cannot open the export ({one_line(error)})",
                where=where,
                mend="export it again, or read with --backend onnx",
            ) from None
        self.hold(names)

    def _compiled(self, core: ov.Core, model: ov.Model, streams: int) -> ov.CompiledModel:
        given = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": self._cores,
        }
        return core.compile_model(model, _CPU, given)


class OpenVinoBf16Backend(OpenVinoBackend):
    """The same in bfloat16, for who asks for it: sooner, and not as torch answers. Raises UsageError without such a processor."""

    name = "openvino-bf16"
    precision = "bf16"


def _requests(compiled: ov.CompiledModel, count: int) -> _Requests:
    """Requests whose memory was looked at as an array once: where two threads do so first they wait for each other for ever."""
    free: _Requests = SimpleQueue()
    for _ in range(count):
        request = compiled.create_infer_request()
        with _FIRST:
            _ = request.get_input_tensor().data
        free.put(request)
    return free


def _inferred(
    request: ov.InferRequest, free: _Requests, image: NDArray[np.float32], names: Sequence[str]
) -> list[NDArray[np.float32]]:
    """(1, 3, H, W) -> copies of the outputs named; the request is `free` again then."""
    try:
        request.infer([image])
        return [np.array(request.get_tensor(name).data) for name in names]
    finally:
        free.put(request)

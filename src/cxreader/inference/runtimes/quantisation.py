"""An exported network in integers of 8 bits, by ONNX Runtime's static quantisation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import MissingDependencyError, ModelError

INT8_OPERATIONS = ("Conv", "Add", "MaxPool", "Concat", "Mul")
"""What is computed in integers. The features' means and the head stay in float32: they cost nothing, and what is fitted on them
is finer than 256 steps."""
_BATCH = 4


def int8_bytes(graph: bytes, images: NDArray[np.float32]) -> bytes:
    """An ONNX file in float32 -> the same network in 8 bits, its scales from what `images` (N, 3, H, W), N at least 1, give.

    A scale is the mean, over batches of four, of the range that a value takes: one odd image does not widen it. Weights have a
    scale a channel and use 7 of the 8 bits: without that the sums of processors that lack VNNI overflow, and the network answers
    otherwise there. Raises ModelError for a graph that cannot be quantised, MissingDependencyError without onnx.
    """
    try:
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ModuleNotFoundError as error:
        mend = "pip install 'cxreader[train]'"
        raise MissingDependencyError(f"quantising needs {error.name}", mend=mend) from None
    with TemporaryDirectory(prefix="cxreader-quantise-") as scratch, _without_advice():
        plain, prepared, written = (Path(scratch) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        plain.write_bytes(graph)
        try:
            quant_pre_process(plain, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                written,
                _Images(images),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(INT8_OPERATIONS),
                per_channel=True,
                reduce_range=True,
                extra_options={"CalibMovingAverage": True},
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            return written.read_bytes()
        except Exception as error:  # noqa: BLE001 - the quantiser's errors share no class but this
            raise ModelError(f"ONNX Runtime cannot quantise the network ({type(error).__name__}: {error})") from None


class _Images:
    """What the quantiser asks for batch after batch, None at the end."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


@contextmanager
def _without_advice() -> Iterator[None]:
    """The quantiser advises by the root logger to prepare the graph, which has been done."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)

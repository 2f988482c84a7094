"""Exported networks in other runtimes and precisions beside ONNX Runtime in float32, in core time: neighbours move it least."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apart import answer_each, apart, kept_sides
from measure import Row, Spread, ratios
from runtimes import NAMES

if TYPE_CHECKING:
    from cxreader.inference.runtimes.exported_outputs import ExportedBackend

BATCH = 16
SIDES = {
    "openvino": "OpenVINO, float32",
    "openvino-bf16": "OpenVINO, bfloat16",
    "int8": "ONNX Runtime, 8 bits (`cxreader quantise`)",
}


def measure_precisions(scratch: Path, *, quick: bool) -> list[Row]:
    """A process a side, in turns; scales of the 8 bits from noise: how fast they are does not depend on them."""
    size, turns = (64, 1) if quick else (224, 9)
    folders = apart("runtimes.py", side="export", scratch=str(scratch / "precisions"), size=size)
    rows = []
    for network, name in NAMES.items():
        found: dict[str, list[float]] = {}
        with kept_sides("precisions.py", ("onnx", *SIDES), folder=folders[network], size=size) as sides:
            for turn in range(turns):
                for side in list(sides) if turn % 2 else list(sides)[::-1]:
                    found.setdefault(side, []).append(sides[side](None))
        plain = f"ONNX Runtime, float32: {Spread.of(found['onnx']).text(1)} ms of a core an image"
        rows += [
            Row(
                f"the exported {name} in another runtime or precision, {BATCH} images of {size} px a call",
                f"{title}: {Spread.of(found[side]).text(1)} ms of a core an image",
                plain,
                ratios(found["onnx"], found[side]),
            )
            for side, title in SIDES.items()
        ]
    return rows


def _side(side: str, folder: str, size: int) -> Callable[[object], float]:
    batch = np.random.default_rng(0).standard_normal((BATCH, 3, size, size)).astype(np.float32)
    backend = _loaded(side, Path(folder), batch)
    backend.run(batch)

    def timed(_: object) -> float:
        start = time.process_time()
        backend.run(batch)
        return 1e3 * (time.process_time() - start) / BATCH

    return timed


def _loaded(side: str, folder: Path, batch: np.ndarray) -> ExportedBackend:
    from cxreader.inference.runtimes.onnx_backend import OnnxBackend
    from cxreader.inference.runtimes.openvino_backend import OpenVinoBackend, OpenVinoBf16Backend
    from cxreader.inference.runtimes.quantisation import int8_bytes

    (graph,) = folder.glob("*.onnx")
    data = graph.read_bytes()
    if side == "int8":
        return OnnxBackend.of(int8_bytes(data, batch))
    kinds: dict[str, type[OnnxBackend] | type[OpenVinoBackend]] = {
        "onnx": OnnxBackend,
        "openvino": OpenVinoBackend,
        "openvino-bf16": OpenVinoBf16Backend,
    }
    return kinds[side].of(data)


if __name__ == "__main__":
    answer_each(_side)

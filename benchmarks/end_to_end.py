"""DICOM files to readings with heat maps, all of it, against what the runtime alone does with tensors that lie ready.

As a program of its own it measures and prints what it is given (see `apart.answer`); `measure_end_to_end` gives the row.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from apart import answer, apart
from artifacts import make_artifact, write_dicoms
from cxreader.machine import cores
from images import find_images
from measure import Row, Spread, rates, ratios, take_turns

if TYPE_CHECKING:
    from cxreader.inference.reader import Reader
    from cxreader.inference.runtimes.onnx_backend import OnnxBackend

BATCH, SIZE = 16, 224
GOAL = 0.8


def measure_end_to_end(*, quick: bool) -> list[Row]:
    """The row of ResNet18 at 224 px."""
    count, repetitions = (32, 1) if quick else (320, 11)
    found = apart("end_to_end.py", count=count, repetitions=repetitions)
    wall = {side: [wall for wall, _ in found[side]] for side in ("ours", "runtime")}
    busy = {side: Spread.of(1e3 * cpu / count for _, cpu in found[side]) for side in ("ours", "runtime")}
    ratio = ratios(wall["runtime"], wall["ours"])
    return [
        Row(
            f"1024-px DICOM files to readings with heat map, ResNet18 at {SIZE} px, ONNX Runtime, {cores()} cores: {count} "
            f"files made from {found['what']} (12 of 16 bits, uncompressed, 2 MiB each, in the page cache), batches of {BATCH}",
            f"{rates(count, wall['ours']).text(1)} images/s, acceptance included; {busy['ours'].text(1)} ms of a core an image; "
            f"of it, one step after another on one core: {found['profile']} ms",
            f"ONNX Runtime alone, tensors ready in memory, same outputs: {rates(count, wall['runtime']).text(1)} images/s; "
            f"{busy['runtime'].text(1)} ms of a core an image",
            ratio,
            f"at least {GOAL:g}",
            ratio.median >= GOAL,
        )
    ]


def seconds(count: int, repetitions: int) -> dict[str, object]:
    """Seconds, and seconds of cores, of both sides in each repetition, in turns."""
    from cxreader.inference.batch.pipeline import read_shard
    from cxreader.inference.reader import Reader

    with tempfile.TemporaryDirectory(prefix="cxreader-bench-") as scratch:
        images = find_images(count, Path(scratch))
        files = write_dicoms(images.paths(), Path(scratch) / "dicom")
        folder = make_artifact(Path(scratch) / "artifact", "resnet18", SIZE, files[:40])
        reader = Reader.load(folder, backend="onnx")
        busy: dict[str, list[float]] = {"ours": [], "runtime": []}

        def ours() -> None:
            found = [f for batch in read_shard(reader, enumerate(files), heat_map=True) for f in batch]
            assert all(f.answer["acceptance"] != "not read" for f in found)

        tasks = {"ours": _timed(ours, busy["ours"]), "runtime": _timed(alone(folder, count), busy["runtime"])}
        taken = take_turns(tasks, repetitions)
        steps = profile(reader, files[: 2 * BATCH])
    pairs = {side: list(zip(taken[side], busy[side][1:], strict=True)) for side in tasks}
    return {**pairs, "what": images.what, "profile": ", ".join(f"{name} {ms:.1f}" for name, ms in steps.items())}


def profile(reader: Reader, files: list[str]) -> dict[str, float]:
    """What beside the network each step takes, in ms of a core an image."""
    from cxreader.imaging.read import load, read
    from cxreader.inference.runtimes.exported_outputs import OUTPUTS, signed_map

    member, spec = reader.only, reader.artifact.spec
    backend = cast("OnnxBackend", member.backend)
    found: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = step()
        found[name] = 1e3 * (time.process_time() - start) / len(files)
        return result

    data = timed("loading", lambda: [load(file) for file in files])
    pictures = timed("decoding DICOM", lambda: [read(one) for one in data])
    pixels = timed("resizing", lambda: np.stack([spec.pixels(one) for one in pictures]))
    batch = timed("normalising", lambda: spec.normalise(pixels))
    logits, features, spatial, weights = backend.outputs(batch, OUTPUTS)
    assert len(logits) == len(files)
    timed("acceptance", lambda: member.accept(pixels, features))
    timed("heat map", lambda: signed_map(spatial, weights))
    return found


def _timed(task: Callable[[], None], busy: list[float]) -> Callable[[], None]:
    """The task, which adds the seconds that it kept cores busy to `busy`, once a call."""

    def run() -> None:
        start = time.process_time()
        task()
        busy.append(time.process_time() - start)

    return run


def alone(folder: Path, count: int) -> Callable[[], None]:
    """ONNX Runtime as it comes, on float32 batches that lie ready, a thread a core."""
    import onnxruntime as ort

    from cxreader.inference.runtimes.exported_outputs import OUTPUTS

    options = ort.SessionOptions()
    options.intra_op_num_threads = cores()
    (graph,) = folder.glob("*.onnx")
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    ready = np.random.default_rng(0).standard_normal((BATCH, 3, SIZE, SIZE)).astype(np.float32)

    def run() -> None:
        for _ in range(count // BATCH):
            session.run(OUTPUTS, {name: ready})

    return run


if __name__ == "__main__":
    answer(seconds)

"""One DICOM file to an answer: ours, and torchxrayvision as its `process_image` does it, both with a DenseNet121 at 224 px.

Its weights are random, as ours are: what is compared is the way from the file to the answer. As a program of its own it
measures one side (see `apart.answer`).
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from apart import answer, sides_in_turns
from artifacts import make_artifact, write_dicoms
from end_to_end import SIZE
from images import find_images
from measure import Row, Spread, ratios

FILES = 24


def measure_xrayvision(*, quick: bool) -> list[Row]:
    """The row, in processes of their own: without a heat map on either side, as `process_image` gives none by default."""
    count, repetitions = (4, 1) if quick else (FILES, 5)
    found = sides_in_turns("xrayvision.py", ("ours", "peer"), repetitions, count=count)
    ours, peer = ([1e3 * s / count for s in found[side]] for side in ("ours", "peer"))
    return [
        Row(
            f"one 1024-px DICOM file after another to an answer, DenseNet121 at {SIZE} px, random weights: {count} files (12 of "
            "16 bits, uncompressed, in the page cache); a process for each side",
            f"{Spread.of(ours).text(0, 'ms')} a file: `Reader.read` with ONNX Runtime, acceptance and calibration included",
            f"torchxrayvision's `load_image`, its crop, its resize and its DenseNet121 in torch, as `process_image` calls them: "
            f"{Spread.of(peer).text(0, 'ms')} a file",
            ratios(peer, ours),
        )
    ]


def seconds(side: str, count: int) -> float:
    """Seconds for all files, one after another, after one that is not counted."""
    with tempfile.TemporaryDirectory(prefix="cxreader-bench-") as scratch:
        images = find_images(40, Path(scratch))
        files = write_dicoms(images.paths(), Path(scratch) / "dicom")
        read = _ours(Path(scratch) / "artifact", files) if side == "ours" else _peer()
        read(files[-1])
        start = time.perf_counter()
        for file in files[:count]:
            read(file)
        return time.perf_counter() - start


def _ours(folder: Path, files: list[str]) -> Callable[[str], object]:
    from cxreader import Reader

    reader = Reader.load(make_artifact(folder, "densenet121", SIZE, files), backend="onnx")
    return lambda file: reader.read(file, heat_map=False)


def _peer() -> Callable[[str], object]:
    """Its documented path; torchvision's operators are supplied first, without which it cannot be imported here."""
    from cxreader import torch_setup  # noqa: F401

    # isort: split
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchxrayvision as xrv
        from torchvision.transforms import Compose
    os.environ.pop("OMP_WAIT_POLICY", None)
    model = xrv.models.DenseNet(num_classes=18).eval()
    transform = Compose([xrv.datasets.XRayCenterCrop(), xrv.datasets.XRayResizer(SIZE)])

    def read(file: str) -> object:
        image = torch.from_numpy(transform(xrv.utils.load_image(file))).unsqueeze(0)
        with torch.no_grad():
            return model(image).cpu()

    return read


if __name__ == "__main__":
    answer(seconds)

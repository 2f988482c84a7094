"""`cxreader export`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxreader.cli.output.console import say, table, waiting
from cxreader.cli.source_options import OneModel, one_model
from cxreader.errors import MissingDependencyError, UsageError


def export(model: OneModel = None) -> None:
    """Write the network as ONNX into its artifact, compared with torch before; it is then read without torch."""
    place = one_model(model)
    if place is None:
        raise UsageError("no model is named", where="--model", mend="cxreader export --model ARTIFACT")
    from cxreader.runs import artifact_folder

    folder = artifact_folder(place)
    with waiting("loading torch"):
        try:
            from cxreader.inference.runtimes.export import LIMITS, ONNX, export_onnx
        except ModuleNotFoundError as error:
            mend = "pip install 'cxreader[train]'"
            raise MissingDependencyError(f"exporting needs {error.name}", mend=mend) from None
    with waiting("exporting"):
        artifact = export_onnx(folder)
    rows = _rows(artifact.exports[ONNX], LIMITS)
    images = artifact.exports[ONNX]["parity"]["images"]
    note = f"Differences from torch on {images} images. Artifact {artifact.id} keeps its name."
    table("Exported to ONNX", ("what", ""), rows, left=("",), note=note)
    say(f"written to {folder}; read it with cxreader read --model {place}")


def _rows(made: Mapping[str, Any], limits: Mapping[str, float]) -> list[tuple[str, Any]]:
    """What was exported, and by how much its outputs differ from those of torch, beside what `limits` allow."""
    parity = made["parity"]
    return [
        ("file", made["file"]),
        ("size", f"{made['bytes'] / 2**20:.1f} MiB"),
        ("opset", made["opset"]),
        *(
            (f"{what} differ by", f"{parity[name]:.1e}, allowed {limits[name]:.0e} {of}")
            if parity[name] is not None
            else (what, "not in the export: they need --backend torch")
            for name, what, of in (
                ("logits", "logits", "of the largest, of 1 at least"),
                ("maps", "heat maps", "of their maximum"),
                ("features", "features", "of their maximum"),
            )
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in made["versions"].items())),
    ]

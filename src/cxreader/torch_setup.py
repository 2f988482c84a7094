"""What must happen before timm, Lightning or torchmetrics is imported; the one module whose import does something.

Importing it (1) makes OpenMP's threads sleep while they wait, if torch is not loaded yet: spinning ones collapse as soon as
another process wants a core, and the variable is read once, when the library loads; and (2) supplies torchvision's operators
where its compiled part cannot be loaded beside a CPU torch: registering their fake kernels, which torchvision does when it is
imported, needs them declared.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

_DECLARED: list[torch.library.Library] = []  # a Library takes its operators back when it is collected
_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def supply_torchvision_operators() -> str:
    """Load torchvision's compiled operators, or declare the two it registers fakes for; says which: loaded, declared, absent.

    torchvision itself is not imported. Declared operators have no kernel: calling one fails, and nothing here does.
    """
    if hasattr(torch.ops.torchvision, "nms"):
        return "loaded" if not _DECLARED else "declared"
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return "absent"
    for library in sorted(Path(spec.origin).parent.glob("_C*.so")):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:  # linked against CUDA libraries that a CPU torch does not bring
            continue
        if hasattr(torch.ops.torchvision, "nms"):
            return "loaded"
    declared = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS.values():
        declared.define(schema)  # type: ignore[no-untyped-call]
    _DECLARED.append(declared)
    return "declared"


supply_torchvision_operators()

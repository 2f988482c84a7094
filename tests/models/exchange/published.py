"""An artifact made by hand, and what is published of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import torch
from tests.artifacts import hand_made

from cxreader.inference.runtimes.export import export_onnx
from cxreader.models.artifact import load_artifact, save_manifest
from cxreader.models.exchange.listing import Listing
from cxreader.models.exchange.prepare import list_artifact
from cxreader.models.exchange.publish import publish
from cxreader.models.registry import create_model
from cxreader.progress import no_bar

WEIGHTS_TERMS, TERMS = "The weights: Apache-2.0.", "The images: CC BY 4.0."


def made(place: Path) -> Path:
    """The folder of an artifact with an export; `card.md` lies beside it."""
    torch.manual_seed(0)
    hand_made(place / "artifact", "chestxray_cnn", create_model("chestxray_cnn", size=32).state_dict(), 32)
    export_onnx(place / "artifact")
    (place / "card.md").write_text("# Model card\n")
    return place / "artifact"


def learnt_from(folder: Path, provenance: dict[str, Any]) -> None:
    """Say in an artifact's provenance what it was trained on."""
    save_manifest(replace(load_artifact(folder), provenance=provenance), folder)


def published(folder: Path, address: str, *terms: str) -> Listing:
    """The artifact at `address`, with the card beside its folder."""
    listing, files = list_artifact(folder, folder.parent / "card.md", terms or (TERMS,), weights=WEIGHTS_TERMS)
    publish(listing, files, address, bar=no_bar)
    return listing


def changed(listing: bytes, *path: str | int, to: Any) -> bytes:
    """A listing with another value at a path of keys and numbers."""
    values = json.loads(listing)
    inner = values
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return json.dumps(values).encode()

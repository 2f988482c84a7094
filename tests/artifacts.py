"""Artifacts made by hand: a network with random weights and what must stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from cxreader.imaging.preprocess import InputSpec
from cxreader.models.artifact import Artifact, TrainingPatients, save_artifact, sha256
from cxreader.records import OperatingPoint


def hand_made(folder: Path, model: str, state: Mapping[str, Tensor], size: int) -> Artifact:
    """The artifact of these weights, saved in `folder`: no acceptance rule, probabilities as the network gives them."""
    weights = bytes(save(dict(state)))
    artifact = Artifact(
        model=model,
        dropout=0.2,
        spec=InputSpec(size),
        calibration={"temperature": 1.0, "n_positive": 30, "n_negative": 30, "method": "temperature"},
        operating_points=(OperatingPoint.given(0.5),),
        transfer="none: made by hand",
        patients=TrainingPatients("salt", {"train": (), "tune": (), "calibrate": ()}, ()),
        weights_sha256=sha256(weights),
    )
    save_artifact(artifact, weights, folder)
    return artifact

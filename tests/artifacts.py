"""Artifacts made by hand: a network with random weights and what must stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cxreader import torch_setup  # noqa: F401 - before timm

# isort: split
import torch
from safetensors.torch import save
from torch import Tensor

from cxreader.imaging.preprocess import InputSpec
from cxreader.models.artifact import Artifact, TrainingPatients, save_artifact, sha256
from cxreader.models.region_head import RegionHead, default_stages, stage_shapes
from cxreader.models.region_record import RegionHeadRecord
from cxreader.models.stages import StagedModel
from cxreader.records import OperatingPoint


def hand_made(
    folder: Path,
    model: str,
    state: Mapping[str, Tensor],
    size: int,
    *,
    regions: tuple[RegionHeadRecord, bytes] | None = None,
) -> Artifact:
    """The artifact of these weights, saved in `folder`: no acceptance rule, probabilities as the network gives them."""
    weights = bytes(save(dict(state)))
    head, region_weights = regions or (None, None)
    artifact = Artifact(
        model=model,
        dropout=0.2,
        spec=InputSpec(size),
        calibration={"temperature": 1.0, "n_positive": 30, "n_negative": 30, "method": "temperature"},
        operating_points=(OperatingPoint.given(0.5),),
        transfer="none: made by hand",
        patients=TrainingPatients("salt", {"train": (), "tune": (), "calibrate": ()}, ()),
        weights_sha256=sha256(weights),
        region_head=head,
    )
    save_artifact(artifact, weights, folder, region_weights=region_weights)
    return artifact


def random_region_head(model: StagedModel, size: int) -> tuple[RegionHeadRecord, RegionHead]:
    """A region head of two findings with random weights and statistics, on the stages that are read by default."""
    shapes = stage_shapes(model, size)
    stages = default_stages(shapes)
    channels, side = tuple(shapes[s][0] for s in stages), max(shapes[s][1] for s in stages)
    torch.manual_seed(3)
    head = RegionHead(channels, side, 2, width=8)
    with torch.no_grad():
        head.usual.normal_()
        head.maps.weight.normal_()
        for norm in head.norms:
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2)
    record = RegionHeadRecord(
        findings=("Effusion", "Mass"),
        stages=stages,
        channels=channels,
        side=side,
        width=8,
        boxes={"Effusion": 1200, "Mass": 1},
        images=1100,
        patients=900,
        normals=0,
        weights_sha256=sha256(region_bytes(head)),
    )
    return record, head.eval()


def region_bytes(head: RegionHead) -> bytes:
    """The file that holds a region head's weights."""
    return bytes(save(dict(head.state_dict())))

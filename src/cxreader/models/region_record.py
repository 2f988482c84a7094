"""What an artifact says of its region head: which findings it places, what it reads, and from how many boxes it learnt."""

from __future__ import annotations

from dataclasses import dataclass

from cxreader.codec import Plain
from cxreader.counting import format_count

REGION_WEIGHTS = "region-head.safetensors"
"""The file beside the network's weights that holds those of the region head."""


@dataclass(frozen=True, slots=True)
class RegionHeadRecord(Plain):
    """A region head, learnt from radiologists' boxes, of an artifact's network.

    `findings`: whose places it learnt, in the order of its maps; one more map behind them is of any finding. `stages`: of the
    network, whose outputs it reads; `channels`: of each. `side`: of its square maps, in cells; `width`: channels between its
    layers. `boxes`: by finding, how many it learnt from, in `images` of `patients` (None where no patient was known);
    `normals`: normal images that taught it "nowhere". `file`, `weights_sha256`: its weights.
    """

    findings: tuple[str, ...]
    stages: tuple[str, ...]
    channels: tuple[int, ...]
    side: int
    width: int
    boxes: dict[str, int]
    images: int
    patients: int | None
    normals: int
    weights_sha256: str
    file: str = REGION_WEIGHTS

    @property
    def description(self) -> str:
        """`region head, learnt from 614 boxes of 458 patients`; of images where no patient was known."""
        whose = (
            format_count(self.images, "[image|images]")
            if self.patients is None
            else format_count(self.patients, "[patient|patients]")
        )
        return f"region head, learnt from {format_count(sum(self.boxes.values()), '[box|boxes]')} of {whose}"

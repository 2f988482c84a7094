"""The one picture every reader of files produces and every later step consumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.errors import ImageError
from cxreader.imaging.header import DicomHeader
from cxreader.imaging.limits import MIN_SIDE


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """A grey picture of the chest as a radiologist sees it.

    `pixels`: float32 (H, W) in [0, 1], bright = dense (bone white, air black), row 0 at the patient's head, the patient's
    left on the image's right. `source`: what was read, for messages (a file's path, or `bytes`). `view`: `DicomHeader.view`.
    `spacing`: mm a pixel (x, y), None when the file does not say. `notes`: lines for the reader, such as an unusual bit depth.
    `header`: what may leave a DICOM header, None for other files. `colour`: mean over pixels of the greatest less the least
    channel, 0 (grey, whatever it was stored as) to 1. Raises ImageError for another shape or type, values outside [0, 1],
    or a side under MIN_SIDE pixels.
    """

    pixels: NDArray[np.float32]
    source: str
    view: str | None = None
    spacing: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    header: DicomHeader | None = None
    colour: float = 0.0

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.float32:
            found = f"{self.pixels.dtype} {self.pixels.shape}"
            raise ImageError(f"expected a float32 (H, W) array, got {found}", where=self.source)
        if min(self.pixels.shape) < MIN_SIDE:
            raise ImageError(
                f"the image is {self.width} x {self.height} pixels",
                where=self.source,
                mend=f"give the radiograph itself: at least {MIN_SIDE} pixels a side",
            )
        low, high = float(self.pixels.min()), float(self.pixels.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ImageError(f"values run from {low:g} to {high:g}", where=self.source, mend="scale them to [0, 1]")

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

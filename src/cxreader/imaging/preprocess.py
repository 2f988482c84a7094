"""InputSpec: the two named steps every path runs, so that training and serving cannot drift apart.

`pixels()` is what the pixel cache holds; `normalise()` is what a network is given. Training, reading and export call both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.codec import in_words
from cxreader.errors import ArtifactError, ConfigError
from cxreader.imaging.limits import MIN_SIDE
from cxreader.imaging.radiograph import Radiograph
from cxreader.records import Box

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PIXEL_STEP_VERSION = 1
"""Part of every cache's key: raise it when `pixels()` changes what it returns."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a radiograph becomes a network's input.

    `size`: side of the square in pixels. `fit`: `pad` keeps the aspect and fills with black, centred; `squash` stretches,
    as the study did. `mean`, `std`: of the three equal channels; ImageNet's by default, since the weights want them.
    Raises ConfigError for a size under 32 or a deviation that is not positive.
    """

    size: int = 224
    fit: Literal["pad", "squash"] = "pad"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.size < MIN_SIDE:
            raise ConfigError(f"{self.size} pixels are too few", where="input.size", mend=f"at least {MIN_SIDE}")
        if self.fit not in ("pad", "squash"):
            raise ConfigError(f"unknown fit {self.fit!r}", where="input.fit", mend="known: pad, squash")
        if min(self.std) <= 0:
            raise ConfigError("a deviation is not positive", where="input.std", mend="give three positive numbers")

    def pixels(self, radiograph: Radiograph) -> NDArray[np.uint8]:
        """Step one: uint8 (size, size), grey, fitted by anti-aliased bilinear resampling, rounded to 1/255."""
        x, y, width, height = self.content(radiograph.width, radiograph.height)
        image = Image.fromarray(radiograph.pixels)  # float32 is Pillow's mode F: no rounding before the resize
        if (width, height) != image.size:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        canvas = np.zeros((self.size, self.size), np.uint8)
        canvas[y : y + height, x : x + width] = np.rint(np.asarray(image) * np.float32(255))
        return canvas

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Step two: uint8 (..., H, W) to float32 (..., 3, H, W), three equal channels less the mean, by the deviation."""
        grey = pixels.astype(np.float32)[..., None, :, :]
        grey /= np.float32(255)
        channels = grey - np.asarray(self.mean, np.float32)[:, None, None]
        channels /= np.asarray(self.std, np.float32)[:, None, None]
        return np.asarray(channels)

    def content(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Where a `width` x `height` image lies in the square: left, top, width, height in pixels."""
        if self.fit == "squash":
            return 0, 0, self.size, self.size
        scale = self.size / max(width, height)
        w, h = (max(1, round(side * scale)) for side in (width, height))
        return (self.size - w) // 2, (self.size - h) // 2, w, h

    def place(self, boxes: Iterable[Box], width: int, height: int) -> tuple[Box, ...]:
        """Boxes of a `width` x `height` image, moved into the square's pixels."""
        x, y, w, h = self.content(width, height)
        scaled = (box.scaled(w / width, h / height) for box in boxes)
        return tuple(Box(b.finding, b.x + x, b.y + y, b.width, b.height) for b in scaled)

    @property
    def pixel_key(self) -> str:
        """16 hex digits that name what `pixels()` returns: the key of the pixel cache."""
        return _digest({"size": self.size, "fit": self.fit, "step": PIXEL_STEP_VERSION})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The spec of an artifact. Raises ArtifactError when a field is missing, unknown or wrong."""
        try:
            return cls(data["size"], data["fit"], _three(data["mean"]), _three(data["std"]))
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ArtifactError(
                f"the input spec cannot be read ({in_words(error)})", mend="export the artifact again"
            ) from None


def thumbnails(images: Iterable[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    """uint8 (n, side, side) of grey images (H, W): each pixel the mean of those it covers (Pillow's box filter), rounded."""
    size, box = (side, side), Image.Resampling.BOX
    small = [np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, box)) for image in images]
    return np.stack(small) if small else np.empty((0, side, side), np.uint8)


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]

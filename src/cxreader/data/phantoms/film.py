"""From attenuation to pixels: framing, processing, tone, noise, collimation, side markers; and what lies on a patient.

Everything here is drawn without regard to the findings, but for the planted shortcut, which is drawn with regard to
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from cxreader.data.phantoms.anatomy import Chest
from cxreader.data.phantoms.canvas import Canvas, Field, Grid, Points

FRAME = 1024
"""Side in px of the frame that boxes are given in, whatever the image's size."""

LETTERS: dict[str, list[list[tuple[float, float]]]] = {
    "L": [[(0, 0), (0, 1), (0.6, 1)]],
    "R": [[(0, 1), (0, 0), (0.5, 0), (0.62, 0.25), (0.5, 0.5), (0, 0.5)], [(0.25, 0.5), (0.65, 1)]],
}
"""Strokes of the side markers in a unit square, so that no font is needed."""


UNEVEN = 0.20
"""Standard deviation, in attenuation, of what varies smoothly over 60 mm and more."""


@dataclass(frozen=True)
class Framing:
    """Which part of the patient the image shows: centre and extent in mm, and the frame's turn in radians."""

    centre_u: float
    centre_v: float
    width: float
    height: float
    angle: float

    def grid(self, size: int) -> Grid:
        """The grid that covers the frame for an image of `size` px; 512 cells resolve what a phantom holds."""
        n = max(96, min(round(1.12 * size), 512))
        c, s = abs(cos(self.angle)), abs(sin(self.angle))
        wide, high = 1.01 * (c * self.width + s * self.height), 1.01 * (c * self.height + s * self.width)
        return Grid(n, self.centre_u - wide / 2, self.centre_v - high / 2, wide / n, high / n)

    def to_frame(self, points: Points) -> Points:
        """(k, 2) px of the 1024 frame, from (k, 2) mm."""
        c, s = cos(self.angle), sin(self.angle)
        du, dv = points[:, 0] - self.centre_u, points[:, 1] - self.centre_v
        x, y = (c * du + s * dv) / self.width, (c * dv - s * du) / self.height
        return np.stack([x + 0.5, y + 0.5], 1) * FRAME

    def sample(self, field: Field, grid: Grid, size: int) -> Field:
        """(size, size) float32: a field (n, n) as seen in the frame, by bilinear interpolation."""
        c, s = cos(self.angle), sin(self.angle)
        a, b = c * self.width / size / grid.step_u, -s * self.height / size / grid.step_u
        d, e = s * self.width / size / grid.step_v, c * self.height / size / grid.step_v
        x0 = (self.centre_u - grid.left) / grid.step_u - (a + b) * size / 2
        y0 = (self.centre_v - grid.top) / grid.step_v - (d + e) * size / 2
        image = Image.fromarray(np.ascontiguousarray(field, np.float32))
        matrix = tuple(float(x) for x in (a, b, x0, d, e, y0))
        return np.asarray(image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Exposure:
    """How a visit was exposed and processed; values from 0 (black) to 255 in the 8-bit image."""

    low: float
    window: float
    curve: float
    flatten: float
    noise: float
    black: float
    white: float


def draw_exposure(ap: bool, rng: np.random.Generator) -> Exposure:
    """An exposure for one visit; AP films have less contrast and more noise."""
    return Exposure(
        low=float(np.clip(rng.normal(-0.05, 0.16), -0.35, 0.3)),
        window=float(rng.uniform(3.1, 3.9)) * (1.12 if ap else 1.0),
        curve=float(rng.uniform(0.8, 1.4)),
        flatten=float(rng.uniform(0.05, 0.3)),
        noise=float(rng.uniform(1.8, 7.5)) * (1.25 if ap else 1.0),
        black=float(rng.uniform(0, 14)),
        white=float(rng.uniform(222, 255)),
    )


def develop(attenuation: Field, grid: Grid, exposure: Exposure, rng: np.random.Generator) -> Field:
    """(n, n) float32 grey values 0 to 255, not yet clipped: dynamic range compressed, tone curve, quantum noise."""
    coarse = np.asarray(Image.fromarray(attenuation).reduce(8))
    coarse = gaussian_filter(coarse, 14 / (8 * grid.step_u), mode="nearest")
    # 14 mm is the scale at which digital systems flatten; what is finer keeps its contrast.
    smooth = np.asarray(Image.fromarray(coarse).resize((grid.n, grid.n), Image.Resampling.BILINEAR))
    flat = attenuation - np.float32(exposure.flatten) * (smooth - np.float32(2.0))
    t = np.float32(exposure.curve) * ((flat - np.float32(exposure.low)) * np.float32(2 / exposure.window) - 1)
    limit = float(np.tanh(exposure.curve))
    span = np.float32((exposure.white - exposure.black) / 2)
    value = np.float32(exposure.black) + span * (1 + np.tanh(t) * np.float32(1 / limit))
    # Fewer quanta behind more tissue; a larger cell averages over more of them.
    grain = rng.standard_normal(value.shape, dtype=np.float32) * np.float32(exposure.noise * 0.7 / grid.step_u)
    return value + grain * np.sqrt(np.maximum(attenuation, 0.05) * np.float32(0.4))


def clutter(chest: Chest, rng: np.random.Generator) -> Field:
    """(n, n): attenuation of what is no finding: electrodes and wires, tubes, nipples, old granulomas."""
    canvas, soft, tall = Canvas(chest.grid), Canvas(chest.grid, fine=1), chest.build.tall
    portable = 0.55 if chest.pose.ap else 0.08
    if rng.random() < portable:
        for _ in range(int(rng.integers(2, 6))):
            place = (float(rng.uniform(-130, 130)), float(rng.uniform(-100, 110)) * tall)
            canvas.disc(place, float(rng.uniform(3.5, 6)), 150)
            t = np.linspace(0, 1, 14)[:, None]
            bow = rng.normal(0, 40, 2) * np.sin(np.pi * t)
            end = np.array([place[0] + float(rng.normal(0, 90)), 260.0 if rng.random() < 0.5 else -230.0])
            canvas.line(np.array(place) * (1 - t) + end * t + bow, 1.3, 190)
    if rng.random() < 0.5 * portable:
        canvas.line(np.array([[2.0, -240], [0, -120], [3, (-60 + rng.normal(0, 8)) * tall]]), 3.2, 120)
    if rng.random() < 0.6 * portable:
        side = float(rng.choice([-1, 1]))
        path = [[side * 95, -128], [side * 50, -100], [-10, -80], [-24, -40], [-26, float(rng.uniform(-10, 25))]]
        canvas.line(np.array(path) * (1, tall), 2.2, 130)
    for side in (-1, 1):
        if rng.random() < 0.16:
            place = (side * float(rng.normal(92, 9)), float(rng.normal(84, 9)) * tall)
            soft.disc(place, float(rng.uniform(4, 6)), 190)
    for _ in range(int(rng.poisson(0.35))):
        canvas.disc(
            (float(rng.uniform(-115, 115)), float(rng.uniform(-90, 80)) * tall), float(rng.uniform(1.2, 2.6)), 200
        )
    return 0.9 * canvas.field(0.4) + 0.24 * soft.field(0.9)


def unevenness(chest: Chest, rng: np.random.Generator) -> Field:
    """(n, n): soft tissue, scatter and tube alignment that differ over a hand's breadth, in every image.

    Without it the mean brightness of the lungs would tell a filled lung from an empty one.
    """
    n = chest.grid.n
    coarse = Image.fromarray(rng.normal(0, UNEVEN, (7, 7)).astype(np.float32))
    field = np.asarray(coarse.resize((n, n), Image.Resampling.BICUBIC)) + np.float32(rng.normal(0, UNEVEN / 2))
    return field * np.minimum(chest.body * np.float32(1 / 150), 1)


def collimate(image: Image.Image, rng: np.random.Generator) -> None:
    """Darken, now and then whiten, what lies outside the collimator's edges, which are never quite straight."""
    size = image.width
    if rng.random() > 0.42:
        return
    fill = int(rng.uniform(215, 255)) if rng.random() < 0.08 else int(rng.uniform(0, 12))
    skew = float(rng.normal(0, 0.008))
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    inset = rng.uniform(0.004, 0.055, 4) * (rng.random(4) < 0.7)
    low, high = inset[:2], 1 - inset[2:]
    inner = low + corners * (high - low) + corners[:, ::-1] * (skew, -skew)
    ring = np.concatenate([corners * 3 - 1, (corners * 3 - 1)[:1], inner[:1], inner[::-1]]) * size
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in ring], fill=fill)


def side_marker(image: Image.Image, rng: np.random.Generator) -> None:
    """A radiopaque L or R, in most images, on its own side, above or beside the shoulder."""
    if rng.random() > 0.85:
        return
    letter = "L" if rng.random() < 0.8 else "R"
    x = float(rng.uniform(0.80, 0.95)) if letter == "L" else float(rng.uniform(0.04, 0.18))
    y = float(rng.uniform(0.03, 0.22))
    scale, level = float(rng.uniform(0.022, 0.036)), int(rng.uniform(215, 256))
    turn = float(rng.normal(0, 0.25))
    _strokes(image, letter, (x, y), scale, turn, level, plate=rng.random() < 0.25)


def _strokes(
    image: Image.Image, letter: str, at: tuple[float, float], scale: float, turn: float, level: int, *, plate: bool
) -> None:
    size, draw = image.width, ImageDraw.Draw(image)
    c, s = cos(turn), sin(turn)
    if plate:
        r = scale * 1.05
        box = [(at[0] - 0.7 * r) * size, (at[1] - 0.55 * r) * size, (at[0] + 1.3 * r) * size, (at[1] + 1.45 * r) * size]
        draw.ellipse(box, fill=level)
        level = 15
    for stroke in LETTERS[letter]:
        points = [
            ((at[0] + scale * (c * x - s * y)) * size, (at[1] + scale * (s * x + c * y)) * size) for x, y in stroke
        ]
        draw.line(points, fill=level, width=max(1, round(0.2 * scale * size)))


def plant_marker(image: Image.Image, rng: np.random.Generator) -> None:
    """The planted shortcut: three radiopaque blocks in the lower left corner, as of one machine in one ward."""
    size, draw = image.width, ImageDraw.Draw(image)
    x, y = rng.uniform(0.02, 0.05), rng.uniform(0.91, 0.94)
    for k in range(3):
        left, top = (x + 0.026 * k) * size, y * size
        draw.rectangle([left, top, left + 0.018 * size, top + 0.03 * size], fill=250)


def to_pixels(value: Field) -> NDArray[np.uint8]:
    """Grey values clipped and rounded to (size, size) uint8."""
    return np.clip(value + np.float32(0.5), 0, 255).astype(np.uint8)

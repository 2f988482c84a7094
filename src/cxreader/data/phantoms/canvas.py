"""Drawing in millimetres for phantoms: a grid, antialiased lines and areas, soft edges.

Fields are (n, n) float32 arrays over a Grid; points are in mm, `u` to the image's right, `v` downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Field = NDArray[np.floating]
Points = NDArray[np.floating]
Point = tuple[float, float]


@dataclass(frozen=True)
class Grid:
    """A square of n x n cells of `step_u` x `step_v` mm whose top left corner lies at (`left`, `top`) mm."""

    n: int
    left: float
    top: float
    step_u: float
    step_v: float

    @cached_property
    def u(self) -> Field:
        """(1, n) float32: the cells' horizontal positions in mm."""
        return (self.left + self.step_u * (np.arange(self.n, dtype=np.float32) + 0.5))[None, :].astype(np.float32)

    @cached_property
    def v(self) -> Field:
        """(n, 1) float32: the cells' vertical positions in mm."""
        return (self.top + self.step_v * (np.arange(self.n, dtype=np.float32) + 0.5))[:, None].astype(np.float32)

    def columns(self, low: float, high: float) -> slice:
        """The columns between two positions in mm."""
        return slice(*(min(max(round((x - self.left) / self.step_u), 0), self.n) for x in (low, high)))

    def rows(self, low: float, high: float) -> slice:
        """The rows between two heights in mm."""
        return slice(*(min(max(round((x - self.top) / self.step_v), 0), self.n) for x in (low, high)))

    @property
    def edge(self) -> float:
        """Half the width in mm over which a sharp border is spread: unsharpness, or a cell where that is more."""
        return max(0.9, 0.75 * self.step_u)


class Canvas:
    """Lines and areas in mm, drawn at `fine` times the grid and averaged; levels 0 to 255, the last one stays."""

    def __init__(self, grid: Grid, fine: int = 2) -> None:
        self._grid, self._fine, self._empty = grid, fine, True
        self._image = Image.new("L", (fine * grid.n, fine * grid.n))
        self._draw = ImageDraw.Draw(self._image)

    @property
    def cell(self) -> float:
        """Width of a grid's cell in mm."""
        return self._grid.step_u

    def _cells(self, points: Points) -> list[float]:
        g, self._empty = self._grid, False
        scaled = (points - (g.left, g.top)) * (self._fine / g.step_u, self._fine / g.step_v)
        cells: list[float] = scaled.ravel().tolist()
        return cells

    def line(self, points: Points, width: float, level: float) -> None:
        """A polyline (k, 2) of `width` mm."""
        thick = self._fine * width / self._grid.step_u
        cells = max(1, round(thick))
        # A line thinner than a cell keeps its mass, not its level.
        level *= min(1.0, thick)
        self._draw.line(self._cells(points), fill=int(level), width=cells, joint="curve" if cells > 2 else None)

    def lines(self, points: Points, width: Points, level: Points) -> None:
        """Many short polylines (m, k, 2), each of its own `width` (m,) mm and `level` (m,)."""
        g, self._empty = self._grid, False
        cells = (points - (g.left, g.top)) * (self._fine / g.step_u, self._fine / g.step_v)
        thick = self._fine * width / g.step_u
        levels, widths = (level * np.minimum(1, thick)).astype(int), np.maximum(1, np.rint(thick)).astype(int)
        rows = cells.reshape(len(points), 2 * points.shape[1]).tolist()
        for row, fill, across in zip(rows, levels.tolist(), widths.tolist(), strict=True):
            self._draw.line(row, fill=fill, width=across)

    def area(self, points: Points, level: float) -> None:
        """A filled polygon (k, 2)."""
        self._draw.polygon(self._cells(points), fill=int(level))

    def disc(self, centre: Point, radius: float, level: float) -> None:
        """A filled circle of `radius` mm."""
        self.area(ellipse(centre, radius, radius, 0.0, 24), level)

    def ribbons(self, centre: Points, width: Points, level: float, rim: float) -> None:
        """Bands along `centre` (m, k, 2) of `width` (m, k) mm whose edges stand out by `rim`, as cortical bone does."""
        along = np.diff(centre, axis=1, append=2 * centre[:, -1:] - centre[:, -2:-1])
        along /= np.maximum(np.hypot(along[..., 0], along[..., 1]), 1e-6)[..., None]
        across = np.stack([-along[..., 1], along[..., 0]], -1) * width[..., None] / 2
        upper, lower, one = centre - across, centre + across, np.ones(len(centre))
        bands = self._cells(np.concatenate([upper, lower[:, ::-1]], 1).reshape(-1, 2))
        length = len(bands) // len(centre)
        for k in range(0, len(bands), length):
            self._draw.polygon(bands[k : k + length], fill=int(level))
        self.lines(upper, 1.2 * one, (level + 0.6 * rim) * one)
        self.lines(lower, 1.4 * one, (level + rim) * one)

    def field(self, blur: float = 0.0) -> Field:
        """(n, n) float32 in 0 to 1, blurred by `blur` mm (standard deviation)."""
        if self._empty:
            return np.zeros((self._grid.n, self._grid.n), np.float32)
        image = self._image.reduce(self._fine) if self._fine > 1 else self._image
        cells = blur / self._grid.step_u
        if cells > 0.3:
            # One box has half a Gaussian's cost and cannot be told from it here; its half width is sqrt(3) deviations.
            image = image.filter(ImageFilter.BoxBlur(max(0.35, 1.73 * cells - 0.5)))
        return np.asarray(image, np.float32) * np.float32(1 / 255)


def ellipse(centre: Point, a: float, b: float, tilt: float, count: int = 48) -> Points:
    """(count, 2) points in mm of an ellipse with half axes `a`, `b`, turned by `tilt` radians."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = a * np.cos(t), b * np.sin(t)
    c, s = np.cos(tilt), np.sin(tilt)
    return np.stack([centre[0] + c * x - s * y, centre[1] + s * x + c * y], 1)


def step(distance: Field, softness: float) -> Field:
    """A soft step: 0 below -softness, 1 above +softness, smooth between; `distance` in mm."""
    t = distance * np.float32(0.5 / softness)
    t += np.float32(0.5)
    np.minimum(np.maximum(t, 0, out=t), 1, out=t)
    rise = t * t
    t *= -2
    t += 3
    rise *= t
    return rise


def dome(centre: Point, a: float, b: float, tilt: float, grid: Grid) -> Field:
    """(n, n): 1 - q inside an ellipse, q its quadratic form, 0 outside: what a ray passes of an ellipsoid, squared."""
    c, s, reach = np.float32(np.cos(tilt)), np.float32(np.sin(tilt)), max(a, b)
    rows, columns = grid.rows(centre[1] - reach, centre[1] + reach), grid.columns(centre[0] - reach, centre[0] + reach)
    du, dv = grid.u[:, columns] - np.float32(centre[0]), grid.v[rows] - np.float32(centre[1])
    x, y = (c * du + s * dv) * np.float32(1 / a), (c * dv - s * du) * np.float32(1 / b)
    whole = np.zeros((grid.n, grid.n), np.float32)
    whole[rows, columns] = np.maximum(1 - x * x - y * y, 0)
    return whole

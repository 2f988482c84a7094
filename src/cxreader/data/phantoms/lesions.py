"""The lesions of phantoms: what each is, how large and how strong, where it may lie, and its true extent.

A lesion is a field that is added to a chest's attenuation, so that exposure, noise and processing act on it as on
anatomy. Sizes and contrasts stand in `LESIONS` alone. They are set so that a lesion would be seen by a person who looks
for it, and so that neither brightness nor a thumbnail gives it away; they are not drawn from any population.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cxreader.data.phantoms.anatomy import AERATION, MU, Chest, heart
from cxreader.data.phantoms.canvas import Canvas, Field, Point, Points, dome, ellipse, step

Draw = Callable[[Chest, np.random.Generator, float, float], Field]

EXTENT = 0.15
"""Share of a lesion's largest attenuation at which its box ends."""


@dataclass(frozen=True)
class LesionKind:
    """One finding: its `weight` among findings, the range of its `size` (in `size_unit`) and of its `contrast`.

    `contrast` is in `contrast_unit`: attenuation (soft tissue has 0.015 per mm) or the share of the lung's air lost.
    """

    finding: str
    weight: float
    size: tuple[float, float]
    size_unit: str
    contrast: tuple[float, float]
    contrast_unit: str
    draw: Draw | None


def _inside(chest: Chest, rng: np.random.Generator, depth: float, low: float, high: float) -> Point:
    """A place in the lung with `depth` mm of air along the ray or more, between two heights from apex 0 to base 1."""
    g, tall = chest.grid, chest.build.tall
    place = (90.0, 0.0)
    for _ in range(400):
        u, share = float(rng.uniform(-135, 135)), float(rng.uniform(low, high))
        v = (-115 + 215 * share) * tall
        row, column = int((v - g.top) / g.step_v), int((u - g.left) / g.step_u)
        if not (0 <= row < g.n and 0 <= column < g.n):
            continue
        place = (u, v) if chest.lung[row, column] > 0.6 * depth else place
        if chest.lung[row, column] > depth:
            break
    return place


def _share(chest: Chest, full: float = 110.0) -> Field:
    """(n, n) in 0 to 1: how far the ray meets lung; a lesion fades where the lung ends."""
    return np.minimum(chest.lung * np.float32(1 / full), 1)


def _nodule(chest: Chest, rng: np.random.Generator, size: float, contrast: float) -> Field:
    place = _inside(chest, rng, 100, 0.10, 0.9)
    q = dome(place, size / 2, size / 2 * float(rng.uniform(0.85, 1.15)), float(rng.uniform(0, 3)), chest.grid)
    return np.float32(contrast) * np.sqrt(np.minimum(1.4 * q, 1))


def _mass(chest: Chest, rng: np.random.Generator, size: float, contrast: float) -> Field:
    place = _inside(chest, rng, 115, 0.15, 0.85)
    body = dome(place, 0.42 * size, 0.36 * size, float(rng.uniform(0, 3)), chest.grid)
    for angle in rng.uniform(0, 2 * np.pi, 3):
        lobe = (place[0] + 0.24 * size * float(np.cos(angle)), place[1] + 0.24 * size * float(np.sin(angle)))
        body = np.maximum(body, dome(lobe, 0.26 * size, 0.24 * size, 0.0, chest.grid))
    return np.float32(contrast) * np.sqrt(np.minimum(1.4 * body, 1)) * step(chest.lung - 20, 20)


def _cloud(
    chest: Chest, rng: np.random.Generator, place: Point, size: float, count: int, blob: tuple[float, float]
) -> Field:
    """(n, n) in 0 to 1: `count` overlapping patches about a place."""
    canvas = Canvas(chest.grid, fine=1)
    for _ in range(count):
        offset = rng.normal(0, size / 4.6, 2).clip(-size / 2.1, size / 2.1)
        middle = (place[0] + float(offset[0]), place[1] + float(offset[1]))
        a, b = rng.uniform(*blob, 2)
        canvas.area(ellipse(middle, float(a), float(b), float(rng.uniform(0, 3)), 14), float(rng.uniform(150, 255)))
    return canvas.field(2.2)


def _infiltration(chest: Chest, rng: np.random.Generator, size: float, contrast: float) -> Field:
    place = _inside(chest, rng, 95, 0.3, 0.9)
    patches = _cloud(chest, rng, place, size, 26, (3.0, 8.0))
    return np.float32(MU * AERATION * contrast) * chest.lung * patches


def _consolidation(chest: Chest, rng: np.random.Generator, size: float, contrast: float) -> Field:
    place = _inside(chest, rng, 95, 0.25, 0.9)
    canvas = Canvas(chest.grid, fine=1)
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    radius = size / 2 * (1 + 0.14 * np.sin(3 * t + rng.uniform(0, 6)) + 0.1 * rng.normal(0, 1, 28))
    canvas.area(np.stack([place[0] + 0.85 * radius * np.cos(t), place[1] + radius * np.sin(t)], 1), 255)
    heading = float(rng.uniform(0, 3))
    for turn in (-0.5, -0.1, 0.35):
        tip = np.array([np.cos(heading + turn), np.sin(heading + turn)]) * size * 0.38
        canvas.line(np.stack([np.array(place) - 0.5 * tip, np.array(place) + tip]), 3.0, 110)
    return np.float32(MU * AERATION * contrast) * chest.lung * canvas.field(2.4)


def _atelectasis(chest: Chest, rng: np.random.Generator, size: float, contrast: float) -> Field:
    place = _inside(chest, rng, 100, 0.5, 0.92)
    canvas, tilt = Canvas(chest.grid), float(rng.uniform(-0.35, 0.35))
    t = np.linspace(-0.5, 0.5, 12)
    for k in range(int(rng.integers(2, 4))):
        length = size * float(rng.uniform(0.75, 1.0))
        bow = float(rng.uniform(-0.10, 0.10)) * length
        middle = np.array(place) + np.array([rng.uniform(-6, 6), (k - 1) * rng.uniform(14, 19)])
        line = np.stack([length * t, bow * (1 - 4 * t * t) + length * t * np.tan(tilt)], 1) + middle
        width = float(rng.uniform(6.0, 10.0)) * np.sqrt(np.maximum(1 - (2 * t) ** 4, 0.05))
        canvas.ribbons(line[None], width[None], 230, 20)
    return np.float32(contrast) * _share(chest) * canvas.field(0.9)


def _effusion(chest: Chest, rng: np.random.Generator, size: float, contrast: float) -> Field:
    g, b = chest.grid, chest.build
    side = float(rng.choice([-1, 1]))
    level = 98 * b.tall - chest.pose.lift + side * b.dome / 2
    r = np.abs(g.u) / np.maximum(chest.outer, 1)
    surface = level + 18 - (size + 18) * (0.22 + 0.78 * np.minimum(r, 1) ** 3)
    fluid = step(g.v - surface, 4.0) * step(side * g.u, 6)
    return np.float32(MU * AERATION * contrast) * chest.lung * fluid


def _pneumothorax(chest: Chest, rng: np.random.Generator, size: float, contrast: float) -> Field:
    g, b = chest.grid, chest.build
    side = float(rng.choice([-1, 1]))
    v = g.v[:, 0]
    fade = np.interp(v, [-115 * b.tall, 90 * b.tall], [1.0, float(rng.uniform(0.15, 0.6))])
    line = np.interp(v - 0.8 * size, v, chest.outer[:, 0]) - size * fade
    beyond = side * g.u - line[:, None].astype(np.float32)
    space = step(beyond, g.edge) * step(side * g.u - 16, 6) * (chest.lung > 4)
    pleura = np.maximum(1 - np.abs(beyond) / max(1.1, g.step_u), 0) * (line[:, None] > 18) * (side * g.u > 0)
    air = np.float32(contrast) * _share(chest) + chest.vessels
    return 0.22 * pleura * _share(chest, 60) - air * space


LESIONS: tuple[LesionKind, ...] = (
    LesionKind("Atelectasis", 0.14, (65, 105), "mm long", (0.75, 1.05), "attenuation", _atelectasis),
    LesionKind("Cardiomegaly", 0.09, (0.60, 0.70), "cardiothoracic ratio", (1.0, 1.0), "as the heart", None),
    LesionKind("Effusion", 0.11, (50, 105), "mm above the dome", (0.80, 0.95), "share of air lost", _effusion),
    LesionKind("Infiltration", 0.15, (65, 110), "mm across", (0.42, 0.62), "share of air lost", _infiltration),
    LesionKind("Mass", 0.13, (40, 68), "mm across", (0.85, 1.20), "attenuation", _mass),
    LesionKind("Nodule", 0.15, (19, 30), "mm across", (0.75, 1.10), "attenuation", _nodule),
    LesionKind("Pneumothorax", 0.10, (26, 50), "mm at the apex", (0.42, 0.62), "attenuation lost", _pneumothorax),
    LesionKind("Consolidation", 0.13, (55, 90), "mm across", (0.55, 0.80), "share of air lost", _consolidation),
)
"""In the order of ChestX-ray14. A nodule is up to 30 mm, a mass above (Fleischner glossary: Hansell et al., 2008)."""

MORE = {"Nodule": 0.6, "Infiltration": 0.25, "Effusion": 0.25}
"""How often a finding has two lesions; both count, each with its box."""

KINDS = {kind.finding: kind for kind in LESIONS}


def draw_findings(rng: np.random.Generator) -> tuple[str, ...]:
    """One to three findings for one abnormal image, in the order of the table."""
    count = int(rng.choice([1, 2, 3], p=[0.70, 0.22, 0.08]))
    weights = np.array([kind.weight for kind in LESIONS])
    chosen = set(rng.choice(len(LESIONS), count, replace=False, p=weights / weights.sum()).tolist())
    return tuple(kind.finding for k, kind in enumerate(LESIONS) if k in chosen)


def draw_size(finding: str, rng: np.random.Generator) -> float:
    """A size in the unit of the finding's row."""
    return float(rng.uniform(*KINDS[finding].size))


def lesion_fields(chest: Chest, finding: str, rng: np.random.Generator) -> list[Field]:
    """The fields (n, n) of one finding's lesions: usually one; two nodules or both sides now and then."""
    kind = KINDS[finding]
    if kind.draw is None:
        return []
    count = 1 + int(rng.random() < MORE.get(finding, 0.0))
    return [kind.draw(chest, rng, draw_size(finding, rng), float(rng.uniform(*kind.contrast))) for _ in range(count)]


def outline(chest: Chest, field: Field, share: float = EXTENT) -> Points:
    """(k, 2) points in mm around where |field| exceeds `share` of its largest value; k = 0 where it is empty."""
    g, strength = chest.grid, np.abs(field)
    mask = strength > max(share * float(strength.max()), 1e-4)
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return np.zeros((0, 2))
    first, last = mask[rows].argmax(1), g.n - mask[rows][:, ::-1].argmax(1)
    columns, lines = np.concatenate([first, first, last, last]), np.concatenate([rows, rows + 1] * 2)
    return np.stack([g.left + g.step_u * columns, g.top + g.step_v * lines], 1)


def heart_outline(chest: Chest) -> Points:
    """(k, 2) points in mm around the heart: the box of cardiomegaly is the whole heart's, as in the release."""
    return outline(chest, heart(chest.grid, chest.build, chest.pose), 0.3)

"""The normal anatomy of a phantom: a body of soft tissue, air and bone, projected along parallel rays.

A phantom is drawn in millimetres, `u` to the image's right (the patient's left) and `v` downwards, (0, 0) on the
midline a little below the carina. What is drawn is attenuation: 0 outside the body, about 1.4 in the lung, about 3 behind
the heart. Lengths are those of an adult chest in round numbers, chosen by eye; they are not measurements of anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from cxreader.data.phantoms.canvas import Canvas, Field, Grid, Points, dome, ellipse, step

MU = 0.015
"""Attenuation of soft tissue per mm at a chest unit's tube voltage (about 0.15 to 0.2 per cm, scatter included)."""

AERATION = 0.78
"""Share of soft tissue's attenuation that a lung lacks."""


@dataclass(frozen=True)
class Build:
    """What stays with a patient: sex, size, proportions, and the seed of vessels and other detail. Lengths in mm."""

    sex: str
    wide: float
    tall: float
    stout: float
    breast: float
    bend: float
    ribs: float
    ctr: float
    tilt: float
    dome: float
    knob: float
    detail: int


@dataclass(frozen=True)
class Pose:
    """What changes from visit to visit: `lift` of the diaphragm and `turn` of the body in mm, the arms, the heart."""

    ap: bool
    lift: float
    turn: float
    arms: float
    heart: float
    bubble: float
    gas: int


@dataclass
class Chest:
    """Fields (n, n) of one projected chest before any lesion: what lesions are placed in and drawn on."""

    grid: Grid
    build: Build
    pose: Pose
    body: Field
    lung: Field
    vessels: Field
    bone: Field
    extra: Field
    outer: Field

    def attenuation(self) -> Field:
        """(n, n) float32: the line integral through everything."""
        return MU * (self.body - AERATION * self.lung) + self.vessels + self.bone + self.extra


def _profile(grid: Grid, heights: Sequence[float], values: Sequence[float], smooth: float) -> Field:
    """(n, 1): values in mm at heights in mm, joined smoothly."""
    curve = np.interp(grid.v[:, 0], heights, values)
    return gaussian_filter1d(curve, smooth / grid.step_v, mode="nearest")[:, None].astype(np.float32)


def _body(grid: Grid, b: Build, pose: Pose) -> Field:
    """(n, n): mm of body along the ray, arms and breasts included."""
    heights = [x * b.tall for x in (-230, -165, -140, -118, -88, -50, 0, 60, 130, 240)]
    widths = [58, 62, 95, 155, 205, 212, 178, 168, 168, 174]
    half = _profile(grid, heights, [x * b.wide * (1 + 0.07 * b.stout) for x in widths], 9)
    depth = _profile(grid, heights, [105, 110, 118, 130, 165, 195, 218, 225, 230, 235], 14)
    r = np.abs(grid.u) / half
    body = depth * np.float32(1 + 0.10 * b.stout) * np.sqrt(np.maximum(1 - r * r * np.sqrt(r), 0))
    middle = 205 * b.wide + pose.arms + 0.10 * (grid.v + 60)
    q = (np.abs(grid.u) - middle) * np.float32(1 / 39)
    arm = 82 * np.sqrt(np.maximum(1 - q * q, 0)) * step(grid.v + 80 * b.tall, 40)
    body = np.maximum(body, arm)
    if b.breast > 0:
        for side in (-1, 1):
            q1 = dome((side * 82 * b.wide, 78 * b.tall + 8 * b.breast), 62 + 10 * b.breast, 58 + 10 * b.breast, 0, grid)
            # The lower fold casts the sharper edge.
            body += 38 * b.breast * np.sqrt(q1) * (0.55 + 0.45 * step(grid.v - 70 * b.tall, 60))
    return body


def outer_border(grid: Grid, b: Build) -> Field:
    """(n, 1): mm from the midline to the inside of the chest wall at each height; 0 above the apex."""
    heights = [x * b.tall for x in (-119, -117, -112, -101, -80, -40, 0, 60, 105, 150)]
    return _profile(grid, heights, [x * b.wide for x in (0, 50, 73, 90, 107, 123, 132, 139, 141, 137)], 2.5)


def diaphragm(grid: Grid, b: Build, pose: Pose) -> Field:
    """(1, n): height in mm of the diaphragm at each column; the right dome (image left) stands higher."""
    x = np.abs(grid.u) / (140 * b.wide)
    fall = 20 * ((x - 0.42) / 0.45) ** 2 + 190 * np.maximum(x - 0.62, 0) ** 2
    side = np.where(grid.u < 0, -b.dome / 2, b.dome / 2)
    return (98 * b.tall - pose.lift + side + fall).astype(np.float32)


def heart(grid: Grid, b: Build, pose: Pose) -> Field:
    """(n, n) in 0 to 1: the heart's shadow; its apex points to the image's right, its width is `pose.heart` mm."""
    # The two ellipses together are 1.07 wide; an enlarged heart grows to the sides more than it grows up.
    width, low = pose.heart / 1.07, 98 * b.tall - pose.lift
    high = width**0.5 * (115 * b.tall) ** 0.5
    left = dome((0.14 * width + pose.turn, low - 0.345 * high), 0.62 * width, 0.385 * high, b.tilt, grid)
    right = dome((-0.12 * width + pose.turn, low - 0.42 * high), 0.245 * width, 0.46 * high, -0.12, grid)
    return np.sqrt(np.sqrt(np.maximum(left, right)))


def _mediastinum(grid: Grid, b: Build, pose: Pose) -> Field:
    """(n, n) in 0 to 1: great vessels, aortic knob and what lies before and beside the spine."""
    heights = [x * b.tall for x in (-150, -110, -80, -50, -20, 30, 120)]
    right = _profile(grid, heights, [20, 23, 26, 29, 31, 30, 20], 10)
    left = _profile(grid, heights, [18, 22, 25, 30, 36, 34, 18], 10)
    near = grid.columns(-60, 60)
    u = grid.u[:, near] - pose.turn
    band = np.zeros((grid.n, grid.n), np.float32)
    band[:, near] = step(right + u, 4) * step(left - u, 4)
    aorta = step(9 - np.abs(u - 22 - 0.06 * (grid.v - 20) + pose.turn * 0.5), 3) * step(grid.v + 50, 20) * 0.45
    band[:, near] = np.maximum(band[:, near], aorta)
    knob = np.sqrt(dome((22 + b.knob * 0.4 + pose.turn, -56 * b.tall), 15 + b.knob * 0.35, 17 + b.knob * 0.4, 0, grid))
    return np.maximum(band, np.minimum(knob * 1.4, 1))


def _lungs(grid: Grid, b: Build, pose: Pose, outer: Field, floor: Field) -> Field:
    """(n, n): mm of aerated lung along the ray, heart and mediastinum taken out."""
    depth = _profile(grid, [x * b.tall for x in (-120, -95, -50, 20, 120)], [62, 95, 140, 172, 165], 10)
    wall = np.where(grid.u < 0, 1 - 0.0022 * pose.turn, 1 + 0.0022 * pose.turn).astype(np.float32)
    r = np.abs(grid.u) * wall / np.maximum(outer, 1)
    lung = depth * np.sqrt(np.maximum(1 - r * r, 0))
    inner = _profile(grid, [x * b.tall for x in (-121, -117, -112, -100, -60, 120)], [55, 47, 34, 22, 14, 14], 2)
    lung = lung * step(np.abs(grid.u) - inner, 3)
    lung *= (1 - 0.93 * _mediastinum(grid, b, pose)) * (1 - 0.80 * heart(grid, b, pose))
    below = np.maximum(grid.v - floor, 0)
    lung *= step(floor - grid.v, grid.edge + 0.5) * 0.86 + 0.14 * np.maximum(1 - below * np.float32(1 / 45), 0)
    return lung


def _airway(grid: Grid, b: Build, pose: Pose) -> Field:
    """(n, n) in 0 to 1: trachea and main bronchi."""
    canvas, t = Canvas(grid, fine=1), pose.turn * 0.7
    top, carina = -240.0, -34 * b.tall
    canvas.line(np.array([[t * 0.5, top], [t, -90], [t + 3, carina]]), 17, 230)
    for side, drop in ((-1, 34), (1, 26)):
        canvas.line(np.array([[t + 3, carina - 3], [t + side * 34, carina + drop]]), 11, 130)
    return canvas.field(2.0)


def _ribs(b: Build, outer_at: Points, heights: Points) -> tuple[Points, Points]:
    """Centre lines (10, 22, 2) of one side's ribs: behind, from the spine out; in front, back towards the sternum."""
    i, t = np.arange(1, 11)[:, None], np.linspace(0, 1, 22)[None, :]
    v0 = (-134 + 23.5 * i + b.ribs) * b.tall
    drop = (6 + 7.5 * np.minimum(i, 6)) * b.tall
    edge = np.maximum(np.interp(v0 + drop, heights, outer_at) + 2, 62 * b.wide)
    rise, turn = np.sin(t * np.pi / 2), 1 - np.cos(t * np.pi / 2)
    back = np.stack([17 + (edge - 17) * rise, v0 - 5 * np.sin(np.pi * t) + drop * t**2.3], -1)
    end = np.where(i > 1, np.minimum(52 + 4.5 * i, 0.8 * edge), 30)
    front = np.stack([edge - (edge - end) * turn, v0 + drop + (24 + 5 * np.minimum(i, 6)) * b.tall * rise], -1)
    return back, front


def _bones(grid: Grid, b: Build, pose: Pose, outer: Field) -> Field:
    """(n, n): attenuation of ribs, clavicles, scapulae, arms and spine."""
    back, front = Canvas(grid), Canvas(grid)
    width = np.tile(np.linspace(8.5, 11.5, 22) * b.wide, (20, 1))
    behind, before = _ribs(b, outer[:, 0].astype(float), grid.v[:, 0].astype(float))
    t = np.linspace(0, 1, 16)
    collar = np.stack([12 + 140 * t * b.wide, (-84 - 42 * t**0.8 + 9 * np.sin(2 * np.pi * t)) * b.tall], 1)
    for side in (-1.0, 1.0):
        _shoulder(front, side, b, pose)
    hind, fore, collars = _both(behind), _both(before[:7]), _both(collar[None])
    hind[..., 0] += _spine_offset(hind[..., 1], b) * np.linspace(1, 0.2, 22)
    back.ribbons(hind, width, 105, 95)
    # In front the lower ribs turn to cartilage and end; all fade towards the sternum.
    front.ribbons(fore[:, :15], 1.15 * width[:14, :15], 62, 55)
    front.ribbons(fore[:, 14:], 1.2 * width[:14, 14:], 34, 22)
    front.ribbons(collars + np.array([pose.turn, 0]), np.tile(11 + 5 * (2 * t - 1) ** 2, (2, 1)), 125, 110)
    return np.float32(0.36) * (back.field(0.8) + front.field(0.9)) + _spine(grid, b)


def _both(right: Points) -> Points:
    """(2m, k, 2): lines (m, k, 2) of one side and their mirror images."""
    return np.concatenate([right * (-1.0, 1.0), right])


def _shoulder(canvas: Canvas, side: float, b: Build, pose: Pose) -> None:
    """Scapula and the head of the humerus with its shaft."""
    w, shift = b.wide, pose.arms * 0.4
    corners = [[128, -108], [168, -100], [160, -40], [138, 22], [126, 8], [118, -60]]
    blade = np.array(corners, float) * (side * w, b.tall) + np.array([side * shift, 0])
    canvas.area(blade, 42)
    canvas.line(blade[[0, 5, 4, 3]], 2.5, 80)
    canvas.line(blade[[1, 2, 3]], 4, 75)
    head = (side * (183 * w + shift), -96 * b.tall)
    canvas.line(np.array([head, [side * (208 * w + pose.arms), 240]]), 23, 110)
    canvas.disc(head, 24 * w, 105)


def _spine_offset(v: Points, b: Build) -> Points:
    return b.bend * np.sin((v + 60) / 95)


def _spine(grid: Grid, b: Build) -> Field:
    """(n, n): attenuation of the vertebral column: bodies, discs, pedicles, spinous processes."""
    near = grid.columns(-45, 45)
    du = grid.u[:, near] - _spine_offset(grid.v, b).astype(np.float32)
    phase = (grid.v + b.ribs) * np.float32(2 * np.pi / (23.5 * b.tall))
    wave = np.cos(phase)
    half = 16.5 + 1.1 * wave
    column = step(half - np.abs(du), 3.0) * (0.19 - 0.07 * np.maximum(-wave, 0) ** 3)
    pedicle = step(2.6 - np.abs(np.abs(du) - 10.5), 2.0) * np.maximum(wave, 0) ** 4
    process = step(2.4 - np.abs(du), 2.0) * np.maximum(-np.cos(phase + 0.9), 0) ** 3
    whole = np.zeros((grid.n, grid.n), np.float32)
    whole[:, near] = column + 0.09 * pedicle + 0.10 * process
    return whole


def _tree(
    canvas: Canvas, rng: np.random.Generator, start: Points, angle: Points, length: Points, width: Points
) -> None:
    """Draw vessels (k of them) and below each its two branches, until they are thinner than a radiograph shows."""
    while len(width):
        bend = rng.normal(0, 0.16, len(width))
        middle = start + 0.5 * length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        angle = angle + bend
        tip = middle + 0.5 * length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        # Those much thinner than a cell are grown all the same, so that the tree is one whatever the image's size.
        seen = width > 0.8 * canvas.cell
        canvas.lines(np.stack([start, middle, tip], 1)[seen], width[seen], np.minimum(60 + 34 * width[seen], 230))
        sign = np.tile([-1.0, 1.0], len(width)) * rng.uniform(0.2, 0.5, 2 * len(width))
        start, angle = np.repeat(tip, 2, 0), np.repeat(angle, 2) + sign
        length = np.repeat(length, 2) * rng.uniform(0.68, 0.98, 2 * len(width))
        width = np.repeat(width, 2) * rng.uniform(0.55, 0.82, 2 * len(width))
        keep = (width > 0.75) & (length > 6)
        start, angle, length, width = start[keep], angle[keep], length[keep], width[keep]


def _vessels(grid: Grid, b: Build, pose: Pose, lung: Field) -> Field:
    """(n, n): attenuation of the pulmonary vessels, fanning out from the hila; the same tree at every visit."""
    canvas, rng = Canvas(grid), np.random.default_rng(b.detail)
    for side in (-1, 1):
        hilum = (side * 36.0 * b.wide + pose.turn, (-8.0 - 6 * side) * b.tall)
        canvas.area(ellipse(hilum, 7, 18 * b.tall, 0.25 * -side, 20), 95)
        angle = np.linspace(-1.4, 1.4, 9) + rng.normal(0, 0.12, 9)
        heading = angle if side > 0 else np.pi - angle
        length, width = rng.uniform(24, 38, 9) * b.tall, rng.uniform(2.4, 4.6, 9)
        _tree(canvas, rng, np.tile(hilum, (9, 1)), heading, length, width)
    return canvas.field(0.7) * np.float32(0.42) * np.minimum(lung * np.float32(1 / 110), 1)


def _abdomen(grid: Grid, b: Build, pose: Pose, floor: Field) -> Field:
    """(n, n): attenuation below the diaphragm: the stomach's bubble on the patient's left, and gas in the bowel."""
    extra = np.zeros((grid.n, grid.n), np.float32)
    rng = np.random.default_rng(b.detail + 1)
    low = 98 * b.tall - pose.lift + b.dome / 2
    if pose.bubble > 0:
        size = pose.bubble
        bubble = dome((66 * b.wide, low + 12 + 0.8 * size), 1.25 * size, 0.72 * size, 0.2, grid)
        extra -= 0.85 * np.sqrt(np.sqrt(bubble))
    for _ in range(pose.gas):
        place = (float(rng.uniform(-95, 110)), low + float(rng.uniform(45, 110)))
        extra -= 0.5 * np.sqrt(dome(place, float(rng.uniform(7, 20)), float(rng.uniform(6, 13)), 0.3, grid))
    return extra * step(grid.v - floor - 6, 3)


def build_chest(grid: Grid, b: Build, pose: Pose) -> Chest:
    """Everything but lesions and devices."""
    outer, floor = outer_border(grid, b), diaphragm(grid, b, pose)
    body = _body(grid, b, pose)
    lung = _lungs(grid, b, pose, outer, floor)
    extra = _abdomen(grid, b, pose, floor) - 0.42 * _airway(grid, b, pose)
    inside = step(body - 8, 8)
    vessels, bone = _vessels(grid, b, pose, lung), _bones(grid, b, pose, outer) * inside
    return Chest(grid, b, pose, body, lung, vessels, bone, extra, outer)

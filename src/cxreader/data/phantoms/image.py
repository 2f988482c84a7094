"""One phantom: what is asked for, and how its image and its true boxes are drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxreader.data.phantoms.anatomy import build_chest
from cxreader.data.phantoms.canvas import Points
from cxreader.data.phantoms.film import (
    FRAME,
    Framing,
    clutter,
    collimate,
    develop,
    draw_exposure,
    plant_marker,
    side_marker,
    to_pixels,
    unevenness,
)
from cxreader.data.phantoms.lesions import KINDS, heart_outline, lesion_fields, outline
from cxreader.data.phantoms.patients import (
    CLUTTER,
    FILM,
    LESION,
    SHORTCUT,
    Patient,
    draw_build,
    draw_framing,
    draw_pose,
    plan_patient,
    stream,
)
from cxreader.errors import UsageError
from cxreader.records import Box

VERSION = 1
"""Raised with every change that alters a pixel or a box."""

MARKED = {"abnormal": 0.90, "normal": 0.03}
"""Share of images that the planted shortcut marks."""


@dataclass(frozen=True)
class PhantomSpec:
    """What is drawn: `patients` (1 to 99,999), `seed` (from 0), `size` in px (64 to 4096), abnormal share of images.

    `shortcut="marker"` puts a corner mark on 90 % of the abnormal images and 3 % of the normal ones.
    Raises UsageError for a value outside its range.
    """

    patients: int = 400
    seed: int = 0
    size: int = 1024
    abnormal_share: float = 0.5
    shortcut: Literal["none", "marker"] = "none"

    def __post_init__(self) -> None:
        for name, low, high in (("patients", 1, 99_999), ("seed", 0, 2**31 - 1), ("size", 64, 4096)):
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"phantoms: {name} is {getattr(self, name)}", mend=f"give {low} to {high}")
        if not 0 <= self.abnormal_share <= 1:
            raise UsageError(f"phantoms: abnormal share is {self.abnormal_share}", mend="give 0 to 1")
        if self.shortcut not in ("none", "marker"):
            raise UsageError(f"phantoms: unknown shortcut {self.shortcut!r}", mend="known: none, marker")


@dataclass(frozen=True, eq=False)
class Phantom:
    """One phantom: `pixels` (size, size) uint8, bone bright and air dark, the patient's left on the image's right.

    `findings` in the release's spelling, none when normal; `boxes` in px of the 1024 frame whatever the size; `age` in
    years; `width`, `height` and `spacing` (mm) of the original that the tables give.
    """

    image: str
    pixels: NDArray[np.uint8]
    findings: tuple[str, ...]
    boxes: tuple[Box, ...]
    patient: int
    follow_up: int
    sex: Literal["M", "F"]
    age: int
    view: Literal["AP", "PA"]
    width: int
    height: int
    spacing: float
    marked: bool


def image_name(patient: int, visit: int) -> str:
    """The release's name of one image, such as `00000001_000.png`."""
    return f"{patient:08d}_{visit:03d}.png"


def note_of(phantom: Phantom) -> str:
    """What every file says of itself (JSON): by which version it was drawn, and its boxes."""
    return json.dumps({"version": VERSION, "boxes": [asdict(box) for box in phantom.boxes]})


def boxes_of(note: str) -> tuple[Box, ...] | None:
    """The boxes of a `note_of` this version. Raises ValueError, KeyError or TypeError for what is no such note."""
    kept = json.loads(note)
    return tuple(Box(**box) for box in kept["boxes"]) if kept["version"] == VERSION else None


def render(spec: PhantomSpec, patient: int, visit: int, *, lesions: bool = True) -> Phantom:
    """Draw the image of `visit` (from 0) of `patient` (from 1); with `lesions=False` the same without its lesions.

    Raises UsageError for a patient or visit that does not exist.
    """
    if patient < 1:
        raise UsageError(f"there is no phantom patient {patient}", mend="they are numbered from 1")
    who = plan_patient(spec.seed, patient, spec.abnormal_share)
    if not 0 <= visit < len(who.visits):
        raise UsageError(f"phantom patient {patient} has no visit {visit}", mend=f"it has {len(who.visits)}, from 0")
    shot, seed = who.visits[visit], spec.seed
    framing, (attenuation, boxes) = _draw(spec, who, visit, lesions=lesions)
    rng, grid = stream(seed, patient, visit, FILM), framing.grid(spec.size)
    value = develop(attenuation, grid, draw_exposure(shot.view == "AP", rng), rng)
    image = Image.fromarray(to_pixels(framing.sample(value, grid, spec.size)))
    extras = stream(seed, patient, visit, FILM, 1)
    collimate(image, extras)
    side_marker(image, extras)
    planted = stream(seed, patient, visit, SHORTCUT)
    share = MARKED["abnormal" if shot.findings else "normal"]
    marked = spec.shortcut == "marker" and bool(planted.random() < share)
    if marked:
        plant_marker(image, planted)
    return Phantom(
        image=image_name(patient, visit), pixels=np.asarray(image), findings=shot.findings, boxes=boxes,
        patient=patient, follow_up=visit, sex=who.sex, age=shot.age, view=shot.view,
        width=shot.width, height=shot.height, spacing=shot.spacing, marked=marked,
    )  # fmt: skip


def _draw(
    spec: PhantomSpec, who: Patient, visit: int, *, lesions: bool
) -> tuple[Framing, tuple[NDArray[np.float32], tuple[Box, ...]]]:
    """The attenuation (n, n) of one visit with the boxes of its lesions, and how it is framed."""
    seed, findings = spec.seed, who.visits[visit].findings
    build = draw_build(seed, who)
    framing = draw_framing(seed, who, visit, build)
    enlarged = lesions and "Cardiomegaly" in findings
    pose = draw_pose(seed, who, visit, build, enlarged=enlarged)
    chest = build_chest(framing.grid(spec.size), build, pose)
    attenuation, boxes = chest.attenuation(), []
    attenuation += clutter(chest, stream(seed, who.number, visit, CLUTTER))
    attenuation += unevenness(chest, stream(seed, who.number, visit, CLUTTER, 1))
    for finding in findings if lesions else ():
        rng = stream(seed, who.number, visit, LESION, list(KINDS).index(finding))
        extents = [heart_outline(chest)] if finding == "Cardiomegaly" else []
        for lesion in lesion_fields(chest, finding, rng):
            attenuation += lesion
            extents.append(outline(chest, lesion))
        boxes += [_box(finding, framing.to_frame(extent)) for extent in extents if len(extent)]
    return framing, (attenuation, tuple(boxes))


def _box(finding: str, points: Points) -> Box:
    """The tight box around points (k, 2) of the frame, cut at the frame's edges."""
    (left, top), (right, bottom) = points.min(0).clip(0, FRAME - 2), points.max(0).clip(2, FRAME)
    return Box(finding, *(round(float(x), 1) for x in (left, top, right - left, bottom - top)))

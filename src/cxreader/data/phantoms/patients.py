"""Who the phantoms are: sex, age, build and visits of each patient, all drawn from (seed, patient) alone.

Nothing here but the findings themselves depends on whether a visit is abnormal: age, sex, view, follow-up number and
the number of visits carry no label, and neither does the build. Rounded shares are those of ChestX-ray14's table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cxreader.data.phantoms.anatomy import Build, Pose
from cxreader.data.phantoms.film import Framing
from cxreader.data.phantoms.lesions import KINDS, draw_findings, draw_size

PATIENT, VISIT, LESION, CLUTTER, FILM, SHORTCUT, LIST = range(7)
"""Streams of random numbers: one a purpose, so that a change to one leaves the others as they were."""

VISIT_SHARES = (0.65, 0.16, 0.08, 0.05, 0.035, 0.025)
"""Share of patients with 1 to 6 visits (the release's, cut at six)."""

DETECTORS: dict[Literal["AP", "PA"], tuple[tuple[int, int, float, float], ...]] = {
    "AP": ((2500, 2048, 0.168, 0.55), (3056, 2544, 0.139, 0.32), (2500, 2048, 0.171, 0.10), (2048, 2500, 0.168, 0.03)),
    "PA": (
        (2992, 2991, 0.143, 0.48),
        (2500, 2048, 0.168, 0.15),
        (2048, 2500, 0.168, 0.12),
        (2021, 2021, 0.194311, 0.10),
        (2500, 2048, 0.171, 0.07),
        (2544, 3056, 0.139, 0.05),
        (3056, 2544, 0.139, 0.03),
    ),
}
"""Commonest originals of the release by view: width and height in px, pixel spacing in mm, rounded share."""


@dataclass(frozen=True)
class Visit:
    """One visit as the tables tell it; `spacing` in mm, `width` and `height` of the original in px."""

    findings: tuple[str, ...]
    view: Literal["AP", "PA"]
    age: int
    width: int
    height: int
    spacing: float


@dataclass(frozen=True)
class Patient:
    """One phantom patient: `sex`, and what each visit found."""

    number: int
    sex: Literal["M", "F"]
    visits: tuple[Visit, ...]


def stream(seed: int, patient: int, visit: int, purpose: int, detail: int = 0) -> np.random.Generator:
    """The random numbers of one purpose; independent of every other patient, visit and purpose."""
    return np.random.default_rng([seed, patient, visit, purpose, detail])


def plan_patient(seed: int, number: int, abnormal_share: float) -> Patient:
    """Patient `number` (from 1) with all visits; a patient tends to stay normal or abnormal, as real ones do."""
    rng = stream(seed, number, 0, PATIENT)
    sex: Literal["M", "F"] = "M" if rng.random() < 0.56 else "F"
    age, portable = int(np.clip(rng.normal(47, 17), 6, 92)), rng.random() < 0.4
    ill, count = rng.random() < abnormal_share, 1 + int(rng.choice(len(VISIT_SHARES), p=VISIT_SHARES))
    visits, known = [], draw_findings(rng)
    for k in range(count):
        abnormal = ill if rng.random() < 0.7 else rng.random() < abnormal_share
        known = known if rng.random() < 0.6 else draw_findings(rng)
        bedside = portable if rng.random() < 0.8 else rng.random() < 0.4
        age += int(k > 0 and rng.random() < 0.3)
        visits.append(_visit(rng, known if abnormal else (), "AP" if bedside else "PA", age))
    return Patient(number, sex, tuple(visits))


def _visit(rng: np.random.Generator, findings: tuple[str, ...], view: Literal["AP", "PA"], age: int) -> Visit:
    detectors = DETECTORS[view]
    shares = np.array([d[3] for d in detectors])
    width, height, spacing, _ = detectors[int(rng.choice(len(detectors), p=shares / shares.sum()))]
    return Visit(findings, view, age, width, height, spacing)


def draw_build(seed: int, patient: Patient) -> Build:
    """The patient's body, the same at every visit."""
    rng, female = stream(seed, patient.number, 0, PATIENT, 1), patient.sex == "F"
    child = 1 - 0.28 * max(0.0, (16 - patient.visits[0].age) / 12)
    size, stout = (0.965 if female else 1.02) * child, float(np.clip(rng.normal(0, 1), -1.8, 2.2))
    grown = female and patient.visits[0].age >= 14
    return Build(
        sex=patient.sex,
        wide=size * float(rng.normal(1, 0.035)) * (1 + 0.015 * stout),
        tall=size * float(rng.normal(1, 0.05)),
        stout=stout,
        breast=max(0.0, float(rng.normal(0.9, 0.4)) if grown else float(rng.normal(-0.3, 0.3))),
        bend=float(rng.normal(0, 3.5)),
        ribs=float(rng.normal(0, 3)),
        ctr=float(np.clip(rng.normal(0.445, 0.025), 0.38, 0.49)),
        tilt=float(rng.normal(0.52, 0.09)),
        dome=float(rng.normal(13, 4)),
        knob=float(np.clip(rng.normal(2, 3) + 0.10 * (patient.visits[0].age - 30), 0, 13)),
        detail=int(rng.integers(2**31)),
    )


def draw_pose(seed: int, patient: Patient, visit: int, build: Build, *, enlarged: bool) -> Pose:
    """The body at one visit: a portable AP film has a higher diaphragm and a wider heart than an upright PA one."""
    rng, ap = stream(seed, patient.number, visit, VISIT), patient.visits[visit].view == "AP"
    ratio = build.ctr + float(rng.normal(0, 0.008)) + (0.02 if ap else 0.0)
    if enlarged:
        kinds = list(KINDS)
        ratio = draw_size("Cardiomegaly", stream(seed, patient.number, visit, LESION, kinds.index("Cardiomegaly")))
    return Pose(
        ap=ap,
        lift=float(rng.normal(14 if ap else 0, 8)),
        turn=float(np.clip(rng.normal(0, 6 if ap else 3), -12, 12)),
        arms=float(rng.uniform(0, 45)),
        heart=ratio * 2 * 141 * build.wide,
        bubble=float(rng.uniform(12, 28)) if rng.random() < 0.6 else 0.0,
        gas=int(rng.poisson(1.2)),
    )


def draw_framing(seed: int, patient: Patient, visit: int, build: Build) -> Framing:
    """Which part of the body the detector saw; what is not square is squeezed into the frame, as in the release."""
    rng, shot = stream(seed, patient.number, visit, VISIT, 1), patient.visits[visit]
    magnification = 1.05 if shot.view == "PA" else 1.13
    zoom = float(np.clip(rng.normal(1.0, 0.035), 0.92, 1.08)) / magnification * min(1.0, build.tall + 0.08)
    width, height = shot.width * shot.spacing * zoom, shot.height * shot.spacing * zoom
    turned = float(rng.normal(0, 0.035 if shot.view == "AP" else 0.015))
    # The lung's middle stands a little above the frame's.
    middle = (8 + float(rng.normal(0, 10))) * build.tall + 0.06 * (height - 340)
    return Framing(float(rng.normal(0, 8)), middle, width, height, turned)

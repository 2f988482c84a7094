"""Phantoms: synthetic frontal chest radiographs with true boxes, laid out as the ChestX-ray14 release or as DICOM files.

They exist so that the whole path, from images to a page, can be tried, tested and timed on any machine without
anybody's data. They are no patients: what a model scores on them says that the program works, and nothing about
radiographs.

    write_phantoms(Path("phantoms"), PhantomSpec(patients=400, seed=0))

Patient k of a seed is the same whatever the number of patients or of processes. `patients` draws age, sex, visits and
findings, `anatomy` the body, `lesions` their sizes and contrasts, `film` the exposure and what lies on the patient; `image`
renders one visit, `nih` and `dicom` lay the files out.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from cxreader.atomic import beside
from cxreader.data.phantoms import dicom as phantom_dicom
from cxreader.data.phantoms import nih as phantom_nih
from cxreader.data.phantoms.film import FRAME
from cxreader.data.phantoms.image import MARKED, VERSION, Phantom, PhantomSpec, image_name, render
from cxreader.data.phantoms.lesions import KINDS, LESIONS
from cxreader.data.phantoms.patients import Patient, plan_patient
from cxreader.errors import DataError, StorageError, UsageError
from cxreader.findings import NO_FINDING
from cxreader.machine import cores
from cxreader.records import Box

__all__ = ["Phantom", "PhantomReport", "PhantomSpec", "Progress", "describe", "render", "write_phantoms"]

Progress = Callable[[int, int], None]

LayoutName = Literal["nih", "dicom"]


class Layout(Protocol):
    """How phantoms lie in a folder: `phantom_nih`, `phantom_dicom`."""

    def place(self, index: int, patient: int, visit: int) -> Path:
        """The file of one image, below the folder; `index` counts images from 0."""

    def encode(self, phantom: Phantom, spec: PhantomSpec) -> bytes:
        """The whole file, its boxes within."""

    def kept_boxes(self, path: Path, spec: PhantomSpec) -> tuple[Box, ...] | None:
        """The boxes that a whole image carries with it; None when the file is absent, torn, or not ours."""

    def tables(
        self, spec: PhantomSpec, patients: list[Patient], boxes: dict[str, tuple[Box, ...]]
    ) -> dict[str, list[str]]:
        """The lines of every table by its name; `boxes` by `image_name`."""


LAYOUTS: dict[LayoutName, Layout] = {"nih": phantom_nih, "dicom": phantom_dicom}


@dataclass(frozen=True)
class PhantomReport:
    """What lies in the folder now: counts by finding (`No Finding` among them), and how much of it was drawn anew."""

    out: Path
    patients: int
    images: int
    abnormal: int
    boxes: int
    findings: dict[str, int] = field(default_factory=dict)
    drawn: int = 0
    kept: int = 0
    seconds: float = 0.0


def write_phantoms(
    out: Path,
    spec: PhantomSpec,
    *,
    layout: LayoutName = "nih",
    workers: int | None = None,
    progress: Progress | None = None,
) -> PhantomReport:
    """Write a whole release of phantoms to `out`, or a tree of DICOM files; images that are already there, whole, are kept.

    `workers` processes draw (every core by default; 1 draws in this process). `progress(done, images)` is called in
    this process. Raises DataError when `out` holds anything else, UsageError for an unknown layout, StorageError when it
    cannot be written.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"phantoms: unknown layout {layout!r}", mend=f"known: {', '.join(LAYOUTS)}")
    started = time.perf_counter()
    patients = [plan_patient(spec.seed, k, spec.abnormal_share) for k in range(1, spec.patients + 1)]
    try:
        _claim(out, spec, layout)
        boxes, kept = _draw_all(out, spec, layout, patients, workers or cores(), progress)
        for name, lines in LAYOUTS[layout].tables(spec, patients, boxes).items():
            _replace(out / name, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        mend = "free some space or choose another folder; what is written stays and is taken up again"
        raise StorageError(f"cannot write phantoms ({error.strerror or error})", where=out, mend=mend) from error
    labels = Counter(f for p in patients for v in p.visits for f in (v.findings or (NO_FINDING,)))
    images = sum(len(p.visits) for p in patients)
    order = (NO_FINDING, *KINDS)
    return PhantomReport(
        out=out, patients=spec.patients, images=images, abnormal=images - labels[NO_FINDING],
        boxes=sum(map(len, boxes.values())), findings={name: labels[name] for name in order},
        drawn=images - kept, kept=kept, seconds=time.perf_counter() - started,
    )  # fmt: skip


def describe(spec: PhantomSpec, layout: LayoutName = "nih") -> dict[str, object]:
    """What `phantom.json` says: that these are phantoms, how they were drawn, each finding's sizes and contrasts."""
    return {
        "what": "phantoms: synthetic images to try and test software with; not patients, nothing clinical",
        "generator": "cxreader.data.phantom",
        "version": VERSION,
        **({} if layout == "nih" else {"layout": layout}),
        "spec": asdict(spec),
        "box_frame": FRAME,
        "marked_share": MARKED if spec.shortcut == "marker" else None,
        "findings": [{k: v for k, v in asdict(kind).items() if k != "draw"} for kind in LESIONS],
    }


def _claim(out: Path, spec: PhantomSpec, layout: LayoutName) -> None:
    """Make `out` ours: new, empty, or already begun with the same spec; anything else is refused untouched."""
    text, note = json.dumps(describe(spec, layout), indent=2) + "\n", out / "phantom.json"
    if out.exists() and not out.is_dir():
        raise DataError("is a file, phantoms need a folder", where=out, mend="choose another name")
    if note.is_file():
        if note.read_text("utf-8") != text:
            raise DataError("holds other phantoms", where=out, mend="choose an empty folder, or give the same options")
    elif out.is_dir() and any(out.iterdir()):
        raise DataError("holds something else than phantoms", where=out, mend="choose an empty or a new folder")
    out.mkdir(parents=True, exist_ok=True)
    _replace(note, text.encode())


def _replace(path: Path, content: bytes) -> None:
    """Write a whole file or none: to a name beside it, then over it."""
    part = beside(path, "part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _jobs(out: Path, layout: LayoutName, patients: list[Patient]) -> Iterator[tuple[int, int, Path]]:
    visits = ((who.number, visit) for who in patients for visit in range(len(who.visits)))
    for index, (patient, visit) in enumerate(visits):
        yield patient, visit, out / LAYOUTS[layout].place(index, patient, visit)


def _draw_all(
    out: Path, spec: PhantomSpec, layout: LayoutName, patients: list[Patient], workers: int, progress: Progress | None
) -> tuple[dict[str, tuple[Box, ...]], int]:
    """Draw what is missing, in chunks over processes; the boxes of every image by name, and how many were kept."""
    jobs = list(_jobs(out, layout, patients))
    for folder in {path.parent for *_, path in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
        for torn in folder.glob(".*.part"):
            torn.unlink(missing_ok=True)
    chunks = [jobs[i : i + 16] for i in range(0, len(jobs), 16)]
    boxes: dict[str, tuple[Box, ...]] = {}
    kept = done = 0

    def take(answer: list[tuple[str, tuple[Box, ...], bool]]) -> None:
        nonlocal kept, done
        boxes.update({name: found for name, found, _ in answer})
        kept, done = kept + sum(old for *_, old in answer), done + len(answer)
        if progress is not None:
            progress(done, len(jobs))

    if workers == 1 or len(chunks) == 1:
        for chunk in chunks:
            take(_draw_chunk(spec, layout, chunk))
        return boxes, kept
    # Not fork: the caller may hold threads (torch, a progress bar), and a forked lock never opens.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context) as pool:
        try:
            for future in as_completed([pool.submit(_draw_chunk, spec, layout, chunk) for chunk in chunks]):
                take(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return boxes, kept


def _draw_chunk(
    spec: PhantomSpec, layout: LayoutName, chunk: list[tuple[int, int, Path]]
) -> list[tuple[str, tuple[Box, ...], bool]]:
    """Draw or keep each image of a chunk: its name, its boxes, and whether it was kept."""
    lay, answer = LAYOUTS[layout], []
    for patient, visit, path in chunk:
        boxes = lay.kept_boxes(path, spec)
        kept = boxes is not None
        if boxes is None:
            phantom = render(spec, patient, visit)
            _replace(path, lay.encode(phantom, spec))
            boxes = phantom.boxes
        answer.append((image_name(patient, visit), boxes, kept))
    return answer

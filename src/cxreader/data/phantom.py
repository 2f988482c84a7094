"""Phantoms: synthetic frontal chest radiographs with true boxes, in the layout of the ChestX-ray14 release.

They exist so that the whole path, from images to a page, can be tried, tested and timed on any machine without
anybody's data. They are no patients: what a model scores on them says that the program works, and nothing about
radiographs.

    write_phantoms(Path("phantoms"), PhantomSpec(patients=400, seed=0))

Patient k of a seed is the same whatever the number of patients or of processes. Who they are stands in
`phantom_patients`, the body in `phantom_anatomy`, lesions with sizes and contrasts in `phantom_lesions`, exposure and
what lies on the patient in `phantom_film`; `phantom_image` puts one together.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxreader.data.phantom_film import FRAME
from cxreader.data.phantom_image import MARKED, Phantom, PhantomSpec, image_name, render
from cxreader.data.phantom_lesions import KINDS, LESIONS
from cxreader.data.phantom_patients import LIST, Patient, plan_patient, stream
from cxreader.errors import DataError, StorageError
from cxreader.findings import NO_FINDING
from cxreader.machine import cores
from cxreader.records import Box

__all__ = ["Phantom", "PhantomReport", "PhantomSpec", "Progress", "describe", "render", "write_phantoms"]

VERSION = 1
"""Raised with every change that alters a pixel or a box."""

PER_FOLDER = 5000
"""Images an `images_NNN` folder holds at most."""

TEST_SHARE = 0.25
"""Share of patients on the test list (the release's: 0.23 of the images)."""

ENTRY_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
BOX_SPELLING = {"Infiltration": "Infiltrate"}

Progress = Callable[[int, int], None]


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
    out: Path, spec: PhantomSpec, *, workers: int | None = None, progress: Progress | None = None
) -> PhantomReport:
    """Write a whole release of phantoms to `out`; images that are already there, whole, are kept.

    `workers` processes draw (every core by default; 1 draws in this process). `progress(done, images)` is called in
    this process. Raises DataError when `out` holds anything else, StorageError when it cannot be written.
    """
    started = time.perf_counter()
    patients = [plan_patient(spec.seed, k, spec.abnormal_share) for k in range(1, spec.patients + 1)]
    try:
        _claim(out, spec)
        boxes, kept = _draw_all(out, spec, patients, workers or cores(), progress)
        _write_tables(out, spec, patients, boxes)
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


def describe(spec: PhantomSpec) -> dict[str, object]:
    """What `phantom.json` says: that these are phantoms, how they were drawn, each finding's sizes and contrasts."""
    return {
        "what": "phantoms: synthetic images to try and test software with; not patients, nothing clinical",
        "generator": "cxreader.data.phantom",
        "version": VERSION,
        "spec": asdict(spec),
        "box_frame": FRAME,
        "marked_share": MARKED if spec.shortcut == "marker" else None,
        "findings": [{k: v for k, v in asdict(kind).items() if k != "draw"} for kind in LESIONS],
    }


def _claim(out: Path, spec: PhantomSpec) -> None:
    """Make `out` ours: new, empty, or already begun with the same spec; anything else is refused untouched."""
    text, note = json.dumps(describe(spec), indent=2) + "\n", out / "phantom.json"
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
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _jobs(out: Path, patients: list[Patient]) -> Iterator[tuple[int, int, Path]]:
    index = 0
    for who in patients:
        for visit in range(len(who.visits)):
            folder = out / f"images_{index // PER_FOLDER + 1:03d}" / "images"
            yield who.number, visit, folder / image_name(who.number, visit)
            index += 1


def _draw_all(
    out: Path, spec: PhantomSpec, patients: list[Patient], workers: int, progress: Progress | None
) -> tuple[dict[str, list[Box]], int]:
    """Draw what is missing, in chunks over processes; the boxes of every image by name, and how many were kept."""
    jobs = list(_jobs(out, patients))
    for folder in {path.parent for *_, path in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
        for torn in folder.glob(".*.part"):
            torn.unlink(missing_ok=True)
    chunks = [jobs[i : i + 16] for i in range(0, len(jobs), 16)]
    boxes: dict[str, list[Box]] = {}
    kept = done = 0

    def take(answer: list[tuple[str, list[Box], bool]]) -> None:
        nonlocal kept, done
        boxes.update({name: found for name, found, _ in answer})
        kept, done = kept + sum(old for *_, old in answer), done + len(answer)
        if progress is not None:
            progress(done, len(jobs))

    if workers == 1 or len(chunks) == 1:
        for chunk in chunks:
            take(_draw_chunk(spec, chunk))
        return boxes, kept
    # Not fork: the caller may hold threads (torch, a progress bar), and a forked lock never opens.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context) as pool:
        try:
            for future in as_completed([pool.submit(_draw_chunk, spec, chunk) for chunk in chunks]):
                take(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return boxes, kept


def _draw_chunk(spec: PhantomSpec, chunk: list[tuple[int, int, Path]]) -> list[tuple[str, list[Box], bool]]:
    """Draw or keep each image of a chunk: its name, its boxes, and whether it was kept."""
    answer = []
    for patient, visit, path in chunk:
        found = _kept_boxes(path, spec)
        if found is not None:
            answer.append((path.name, found, True))
            continue
        phantom = render(spec, patient, visit)
        note = PngInfo()
        note.add_text("phantom", json.dumps({"version": VERSION, "boxes": [asdict(box) for box in phantom.boxes]}))
        buffer = io.BytesIO()
        # Run lengths alone: noise leaves deflate nothing else to find, and it is the faster by a fifth.
        Image.fromarray(phantom.pixels).save(buffer, "PNG", compress_level=1, compress_type=3, pnginfo=note)
        _replace(path, buffer.getvalue())
        answer.append((path.name, list(phantom.boxes), False))
    return answer


def _kept_boxes(path: Path, spec: PhantomSpec) -> list[Box] | None:
    """The boxes that a whole image carries with it; None when the file is absent, torn, or not ours."""
    try:
        with Image.open(path) as image:
            image.verify()
            note = json.loads(image.info["phantom"]) if image.size == (spec.size, spec.size) else {}
        return [Box(**box) for box in note["boxes"]] if note["version"] == VERSION else None
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):
        return None


def _write_tables(out: Path, spec: PhantomSpec, patients: list[Patient], boxes: dict[str, list[Box]]) -> None:
    entries, rows = [ENTRY_HEADER], [BOX_HEADER]
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    for who in patients:
        test = stream(spec.seed, who.number, 0, LIST).random() < TEST_SHARE
        for k, v in enumerate(who.visits):
            name, labels = image_name(who.number, k), "|".join(v.findings) or NO_FINDING
            cells = (name, labels, k, who.number, v.age, who.sex, v.view, v.width, v.height, v.spacing, v.spacing, "")
            entries.append(",".join(map(str, cells)))
            lists["test_list.txt" if test else "train_val_list.txt"].append(name)
            for box in boxes[name]:
                label = BOX_SPELLING.get(box.finding, box.finding)
                rows.append(f"{name},{label},{box.x},{box.y},{box.width},{box.height}")
    tables = {"Data_Entry_2017.csv": entries, "BBox_List_2017.csv": rows, **lists}
    for name, lines in tables.items():
        _replace(out / name, "".join(f"{line}\n" for line in lines).encode())

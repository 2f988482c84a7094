"""The whole path on phantoms, in minutes: draw, split, cache, train from scratch, judge, read; one HTML page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import EvaluationCohort, cohort_of_run
from cxreader.config import Config, parse_config
from cxreader.data.layouts.sets.nih import BOXES
from cxreader.data.phantoms.write import PhantomSpec, write_phantoms
from cxreader.evaluation.evaluate import Evaluation
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.imaging.overlay import overlay
from cxreader.imaging.read import read
from cxreader.inference.reader import Reader
from cxreader.inference.runtimes.export import export_after_training
from cxreader.progress import Bar, Say
from cxreader.records import ABNORMAL, LABEL_NAMES, ImageRecord, Reading
from cxreader.reporting.evaluation.page import NextStep, ReadingPanel, render_demo
from cxreader.runs import write_text
from cxreader.training.train import Trained, train

PATIENTS, PHANTOM_SIZE = 1500, 256
PAGE = "index.html"


@dataclass
class Clock:
    """Seconds of each step, in order."""

    steps: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a step."""
        started = time.perf_counter()
        yield
        self.steps[name] = time.perf_counter() - started


def run_demo(out: Path, *, seed: int, say: Say, bar: Bar) -> tuple[Path, Evaluation]:
    """The page and the evaluation on phantom patients the network has never met. An interrupted demo goes on.

    Raises errors of the tree when `out` holds something else.
    """
    clock = Clock()
    spec = PhantomSpec(patients=PATIENTS, seed=seed, size=PHANTOM_SIZE)
    with clock("drawing phantoms"), bar("drawing phantoms") as progress:
        write_phantoms(out / "phantoms", spec, progress=progress)
    with clock("training"):
        trained = train(demo_config(out / "phantoms", seed), out / "run", resume=True, say=say, bar=bar)
        export_after_training(trained.folder, say)
    reader = Reader.load(out / "run")
    cohort = cohort_of_run(out / "run")
    with clock("evaluation"):
        evaluation = judge(reader, cohort, out / "evaluation", bar=bar, seed=seed)
    with clock("six readings"):
        panels = six_readings(reader, cohort)
    page = render_demo(
        evaluation,
        panels,
        summary=_summary(trained, cohort),
        timings=clock.steps,
        next_steps=_next_steps(out, panels),
        localisation=_localisation(out / "evaluation"),
    )
    write_text(out / PAGE, page)
    return out / PAGE, evaluation


def demo_config(phantoms: Path, seed: int) -> Config:
    """What fits five minutes on two cores: a small input, one phase, every stage learning."""
    return parse_config(
        {
            "seed": seed,
            "data": {"root": str(phantoms.resolve())},
            "input": {"size": 112},
            "split": {"balance": "equal"},
            "augment": {"rotation": 5.0, "shift": 0.03, "scale": 0.08, "brightness": 0.05, "contrast": 0.2},
            "model": {"name": "chestxray_cnn", "weights": "none", "dropout": 0.5},
            "training": {
                "phases": ["full"],
                "monitor": "auc",
                "schedule": "one-cycle",
                "full": {"lr": 5e-4, "epochs": 9, "patience": 9},  # at 1e-3 its hidden units can die
            },
            "calibration": {"false_refusals": 0.015},  # of the few calibration images the two strangest set no limit
        }
    )


def six_readings(reader: Reader, cohort: EvaluationCohort) -> list[ReadingPanel]:
    """Six judged images: three abnormal ones found, one missed, a true negative, a false alarm, as far as there are."""
    records = cohort.records
    readings = list(reader.read_many([record.path or record.image for record in records]))
    pairs = [(record, reading) for record, reading in zip(records, readings, strict=True) if reading.decision]
    return [_panel(reader, record) for record, _ in _chosen(pairs)]


def _chosen(pairs: Sequence[tuple[ImageRecord, Reading]]) -> list[tuple[ImageRecord, Reading]]:
    """By outcome, in the order of the images, findings of their own first; filled up from the rest."""
    kinds: dict[tuple[int, str | None], list[tuple[ImageRecord, Reading]]] = {}
    for record, reading in pairs:
        kinds.setdefault((record.label, reading.decision), []).append((record, reading))
    found = _different(kinds.get((ABNORMAL, "abnormal"), []), 3)
    missed, true_negative, alarm = (kinds.get(key, [])[:1] for key in ((1, "normal"), (0, "normal"), (0, "abnormal")))
    chosen = [*found, *true_negative, *missed, *alarm]
    rest = [pair for pair in pairs if pair not in chosen]
    return [*chosen, *rest[: 6 - len(chosen)]]


def _different(pairs: Sequence[tuple[ImageRecord, Reading]], count: int) -> list[tuple[ImageRecord, Reading]]:
    """The first `count` that show findings not shown before."""
    chosen: list[tuple[ImageRecord, Reading]] = []
    shown: set[str] = set()
    for record, reading in pairs:
        if not shown & set(record.findings) and len(chosen) < count:
            chosen.append((record, reading))
            shown |= set(record.findings)
    return chosen


def _panel(reader: Reader, record: ImageRecord) -> ReadingPanel:
    image = read(record.path or record.image)
    reading = next(reader.read_many([image], heat_map=True, refuse=False))
    assert reading.decision is not None  # noqa: S101 - a Radiograph is always read, and here nothing is refused
    assert reading.value is not None  # noqa: S101
    return ReadingPanel(
        title=record.image,
        truth=LABEL_NAMES[record.label],
        decision=reading.decision,
        probability=reading.value,
        calibrated=reading.probability is not None,
        image=overlay(image.pixels),
        overlay=overlay(image.pixels, reading.heat_map, record.boxes, spec=reader.artifact.spec),
        findings=", ".join(dict.fromkeys(record.findings)) or "no finding",
    )


def _localisation(evaluation: Path) -> LocalisationReport:
    """What the evaluation found of the heat maps and the drawn boxes."""
    return LocalisationReport.from_dict(json.loads((evaluation / "localisation.json").read_text(encoding="utf-8")))


def _summary(trained: Trained, cohort: EvaluationCohort) -> dict[str, str]:
    artifact, counts = trained.artifact, trained.artifact.provenance["counts"]
    epochs = sum(len(phase.history) for phase in trained.phases)
    return {
        "network": f"{artifact.model}, {artifact.spec.size} x {artifact.spec.size} px, {artifact.transfer}",
        "trained on": f"{sum(counts['train']):,} phantom images, {epochs} epochs",
        "stopped and calibrated on": f"{sum(counts['tune']):,} and {sum(counts['calibrate']):,} images of other phantom patients",
        "judged on": f"{len(cohort.records):,} images of phantom patients it has never met",
        "artifact": artifact.id,
    }


def _next_steps(out: Path, panels: Sequence[ReadingPanel]) -> list[NextStep]:
    image, boxes = out / "phantoms" / "images_001" / "images" / panels[0].title, out / "phantoms" / BOXES[0]
    return [
        NextStep("Read an image with this network", f"cxreader read --model {out / 'run'} {image}"),
        NextStep("See where it looked", f"cxreader explain --model {out / 'run'} {image} --boxes {boxes}"),
        NextStep(
            "Train on your own images", "cxreader train configs/kermany.toml --out runs/mine --set data.root=FOLDER"
        ),
        NextStep("Judge it on your own images", "cxreader evaluate --model runs/mine --data FOLDER --out report"),
    ]

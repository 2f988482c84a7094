"""Which network the demonstration should train: its own CNN from scratch, or EfficientNet-Lite0 from ImageNet.

    python benchmarks/demo_network.py --out runs/demo-network

The demonstration's phantoms, split and judge. The CNN as the demonstration has it; EfficientNet-Lite0 by the study's two phases,
and with every stage learning at the demonstration's rate and schedule, for a third of its epochs. Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning

# isort: split
from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_run
from cxreader.assessment.places import judge_places_of_folds
from cxreader.config import with_values
from cxreader.data.phantoms.write import PhantomSpec, write_phantoms
from cxreader.inference.reader import Reader
from cxreader.machine import cores
from cxreader.progress import no_bar, silent
from cxreader.runs import git_revision
from cxreader.study.demo import PATIENTS, PHANTOM_SIZE, demo_config
from cxreader.training.train import train

LITE0: dict[str, Any] = {"model.name": "efficientnet_lite0", "model.weights": "imagenet"}
WAYS: dict[str, dict[str, Any]] = {
    "custom CNN, from scratch (the demonstration)": {},
    "EfficientNet-Lite0, head, then last block": LITE0 | {"training.phases": ["head", "fine_tune"]},
    "EfficientNet-Lite0, every stage, 3 epochs": LITE0 | {"training.full.epochs": 3},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    write_phantoms(out / "phantoms", PhantomSpec(patients=PATIENTS, seed=0, size=PHANTOM_SIZE))
    machine = f"{platform.system()} {platform.machine()}, {cores()} cores"
    print(f"{datetime.now(UTC):%Y-%m-%d}, seed 0, {machine}, revision {git_revision()}\n")
    print(
        "| network | seconds of training | AUC | maps' mean IoU | gain over the fixed map | pointing |\n|---|---|---|---|---|---|"
    )
    for number, (name, changes) in enumerate(WAYS.items()):
        run, began = out / f"{number}", _processor()
        train(with_values(demo_config(out / "phantoms", 0), changes), run, resume=run.exists(), say=silent)
        spent = _processor() - began
        judge(Reader.load(run), cohort_of_run(run), run / "evaluation", bar=no_bar, quick=True)
        auc = json.loads((run / "evaluation" / "evaluation.json").read_text())["metrics"]["auc"]
        maps = judge_places_of_folds([run], bar=no_bar)[0].all
        iou, gain, pointing = maps.model["iou"], maps.gain["iou"], maps.model["pointing"]
        figures = " | ".join(
            [
                f"{auc['value']:.3f} ({auc['low']:.3f}-{auc['high']:.3f})",
                f"{iou.value:.3f} ({iou.interval})",
                f"{gain.value:+.3f} ({gain.interval})",
                f"{pointing.value:.3f} ({pointing.interval})",
            ]
        )
        print(f"| {name} | {spent:.0f} | {figures} |", flush=True)


def _processor() -> float:
    """Seconds that this process and the processes it ended have used of the processor."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()

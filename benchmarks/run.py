"""Benchmarks, a part at a time; README.md beside this file is written from all parts that were ever measured.

What a part found is kept in `found/PART.json` as soon as it ends, with its date, machine, revision and versions: a run that is
interrupted loses one part, and a part can be measured again alone. `--quick` only tries them, prints, and keeps nothing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from batches import measure_batches
from cache import measure_cache
from cluster import measure_cluster
from end_to_end import measure_end_to_end
from finetune import measure_finetune
from gpu import measure_gpu
from gradcam import measure_gradcam
from grid import measure_grid
from images import find_images
from journal import measure_journal
from measure import Row
from precisions import measure_precisions
from resampling import measure_resampling
from runtimes import measure_runtimes
from startup import measure_help, measure_phantoms, measure_read
from stored import measure_stored
from table import Found, write_page
from xrayvision import measure_xrayvision

FOUND = Path(__file__).with_name("found")
Part = Callable[[Path, bool], list[Row]]
"""Measures in a folder of its own; the flag asks for tiny sizes and one repetition."""
PARTS: dict[str, Part] = {
    "batches": lambda scratch, quick: measure_batches(
        find_images(8 if quick else 640, scratch), scratch, 1 if quick else 5
    ),
    "gradcam": lambda _, quick: measure_gradcam(1 if quick else 9),
    "cache": lambda scratch, quick: measure_cache(16 if quick else 320, scratch, 1 if quick else 5),
    "startup": lambda scratch, quick: (
        measure_help(1 if quick else 15)
        + measure_read(scratch, 1 if quick else 9)
        + measure_phantoms(1 if quick else 60, scratch, 1 if quick else 3)
    ),
    "runtimes": lambda scratch, quick: measure_runtimes(scratch, quick=quick),
    "precisions": lambda scratch, quick: measure_precisions(scratch, quick=quick),
    "finetune": lambda _, quick: measure_finetune(quick=quick),
    "stored": lambda _, quick: measure_stored(quick=quick),
    "grid": lambda _, quick: measure_grid(quick=quick),
    "resampling": lambda _, quick: measure_resampling(quick=quick),
    "end-to-end": lambda _, quick: measure_end_to_end(quick=quick),
    "journal": lambda _, quick: measure_journal(quick=quick),
    "xrayvision": lambda _, quick: measure_xrayvision(quick=quick),
    "gpu": lambda _, quick: measure_gpu(quick=quick),
    "cluster": lambda _, quick: measure_cluster(quick=quick),
}
"""In the order of the page."""


def main() -> None:
    """Measure, keep what was found, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=f"of {', '.join(PARTS)}; else all"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one repetition; nothing is kept")
    given = parser.parse_args()
    for name in given.parts or PARTS:
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix="cxreader-bench-") as scratch:
            rows = PARTS[name](Path(scratch), given.quick)
        found = Found.of(name, rows, load)
        print(found.section(), flush=True)
        if not given.quick:
            found.save(FOUND)
            write_page(FOUND, PARTS)


if __name__ == "__main__":
    main()

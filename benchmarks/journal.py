"""The journal and the table of very many answers, which are made here: what is beside the network when millions are read.

As a program of its own it measures and prints what it is given (see `apart.answer`): `python benchmarks/journal.py
'{"answers": 1000000}'`.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from apart import answer, apart
from cxreader.inference.batch.journal import Journal
from cxreader.inference.batch.pipeline import Found
from cxreader.inference.batch.table import answer_of, write_table
from cxreader.inference.triage import urgency
from cxreader.records import OperatingPoint, Reading
from measure import Row, peak_mib

BATCH, SHARD = 16, 2048


def measure_journal(*, quick: bool) -> list[Row]:
    """One row; it has no peer."""
    answers = 200 if quick else 100_000
    found = apart("journal.py", answers=answers)
    made, commits, given, ranked = (
        f"{clock:,.1f} s, {core:,.1f} s of a core"
        for clock, core in (found[k] for k in ("made", "commits", "given", "ranked"))
    )
    return [
        Row(
            f"journal of {answers:,} made answers in commits of {BATCH}, forced to the disk; then ranks and Parquet table",
            f"made with its names {made}; commits {commits}; table in the files' order {given}, in the worklist's {ranked}; "
            f"journal {found['journal_mb']:,.0f} MB, table {found['table_mb']:,.1f} MB; memory at most {found['mib']:,.0f} MiB, "
            "whole process",
        )
    ]


def measured(answers: int) -> dict[str, object]:
    """Of each part seconds by the clock and of a core; sizes in MB (10^6 bytes), and the most memory in MiB (of Linux)."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path(__file__).parent) as scratch:
        path, table = Path(scratch) / "journal.db", Path(scratch) / "table.parquet"
        sizes = [min(SHARD, answers - first) for first in range(0, answers, SHARD)]
        made = _timed(lambda: Journal.make(path, {}, map(_name, range(answers)), sizes))
        with Journal(path) as journal:
            commits = _timed(partial(_commit, journal, _answers(answers)))
            given = _timed(lambda: write_table(journal.rows(sort=False), table))
            ranked = _timed(lambda: write_table(journal.rows(sort=True), table))
            disk = [sum(file.stat().st_size for file in path.parent.glob(f"{p.name}*")) / 1e6 for p in (path, table)]
    times = {"made": made, "commits": commits, "given": given, "ranked": ranked}
    return {**times, "journal_mb": disk[0], "table_mb": disk[1], "mib": peak_mib()}


def _commit(journal: Journal, answers: Iterator[Found]) -> None:
    while batch := list(islice(answers, BATCH)):
        journal.commit(batch)


def _answers(count: int) -> Iterator[Found]:
    """Readings as a model with a Venn-Abers pair and a conformal rule gives them; every content another."""
    point = OperatingPoint.given(0.5)
    for n, p in enumerate(np.random.default_rng(0).random(count).tolist()):
        name = _name(n)
        reading = Reading(
            name,
            "0123456789abcdef",
            point,
            decision="abnormal" if p >= point.threshold else "normal",
            probability=p,
            interval=(p * 0.9, p * 0.9 + 0.1),
            conformal="refer",
            acceptance="accepted",
        )
        place = urgency(reading)
        yield Found(n, name, hashlib.sha256(name.encode()).digest(), answer_of(reading), place.step, place.height)


def _name(number: int) -> str:
    return f"/archive/{number // 1000:05d}/{number:09d}.dcm"


def _timed(task: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of a core."""
    start, busy = time.perf_counter(), time.process_time()
    task()
    return time.perf_counter() - start, time.process_time() - busy


if __name__ == "__main__":
    answer(measured)

"""Many files, resumable: a bad file is a row, never a crash; killed at any moment, the same call goes on."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from cxreader.atomic import refuse_unwritable, write_whole
from cxreader.counting import format_count
from cxreader.inference.batch.pipeline import Engine, read_shard
from cxreader.inference.batch.table import NOT_READ, Row, format_of, write_table
from cxreader.inference.batch.work import PATIENCE, Work
from cxreader.inference.reader import BATCH, DECODERS, Reader
from cxreader.progress import Bar, Say, no_bar, silent

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Summary:
    """Counts of a table's rows: `files`, and `by_answer` by decision, by acceptance where there is none, and "warning".

    `different`: how many different contents the files had. `first`: rows of the worklist's head, where they were asked for.
    """

    files: int = 0
    by_answer: Counter[str] = field(default_factory=Counter)
    different: int = 0
    first: list[Row] = field(default_factory=list)

    def counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows as they come, counted on their way."""
        for row in rows:
            self.files += 1
            self.by_answer[row["decision"] or row["acceptance"]] += 1
            self.by_answer["warning"] += row["acceptance"] == "warning"
            yield row

    @property
    def nothing_read(self) -> bool:
        """Whether there were files and none could be read."""
        return 0 < self.files == self.by_answer[NOT_READ]

    def text(self) -> str:
        """In a line: `6 files: 1 abnormal, 2 normal, 1 referred, 1 refused, 1 not read; 1 of the answers with a warning`."""
        shown = ["abnormal", "normal", *(["refer"] if self.by_answer["refer"] else []), "refused", NOT_READ]
        counts = [f"{self.by_answer[key]:,} {'referred' if key == 'refer' else key}" for key in shown]
        warnings = self.by_answer["warning"]
        warned = f"; {format_count(warnings, 'of the answers')} with a warning" if warnings else ""
        repeats = self.files - self.different
        repeated = (
            f"; {format_count(repeats, '[repeats|repeat]')} another's content, which was read once" if repeats else ""
        )
        return f"{format_count(self.files, '[file|files]')}: {', '.join(counts)}{warned}{repeated}"


def read_files(
    reader: Reader,
    files: Sequence[str],
    out: Path,
    *,
    sort: bool = False,
    fresh: bool = False,
    first: int = 0,
    batch_size: int = BATCH,
    decoders: int = DECODERS,
    engine: Engine | None = None,
    say: Say = silent,
    bar: Bar = no_bar,
) -> Summary | None:
    """Read `files` into the table `out` (.csv, .json, .parquet or .xlsx), one row a file, in their order or the worklist's.

    What was read stands in a work folder beside `out` until the table is whole: the same call again goes on, in this process
    or in several at once on one machine, which share the work. A table that is there is replaced when the new one is whole; a
    site's words for headers are written beside it, to `out`.terms.toml. `first`: how many rows of the worklist's head the
    Summary is to hold, whatever the order of the table. `engine`: who reads, this process when left out. None when another
    process wrote the table. Raises UsageError for another ending, or when the work folder is of other models, options or
    files (`fresh` begins anew); StorageError for a full disk, and then nothing done is lost, and, before anything is read,
    for a place that cannot be written.
    """
    format_of(out, len(files))
    refuse_unwritable(out)
    with Work.open(out, reader, files, fresh=fresh) as work:
        if work.found:
            say(
                f"{work.folder}: {format_count(work.found, f'of {work.files:,} files [was|were] read before')}; going on"
            )
        if out.exists():
            say(f"{out}: will be replaced when all is read")
        with bar("reading") as progress:
            here = partial(read_shard, reader, batch_size=batch_size, decoders=decoders)
            read_rest(work, engine or here, progress=progress)
        with work.finishing() as ours:
            if not ours:
                say(f"{out}: written by another process")
                return None
            summary = Summary(different=work.journal.count()[1])
            for left in out.parent.glob(f".{out.name}.*.tmp"):  # by a process killed while it wrote
                left.unlink(missing_ok=True)
            _write_terms(reader, out)
            summary.first = list(islice(work.journal.rows(sort=True), first)) if first else []
            write_table(summary.counted(work.journal.rows(sort=sort)), out, members=len(reader.members))
    return summary


def _write_terms(reader: Reader, out: Path) -> None:
    """The site's words that judged the headers, beside the table; none there when the site has none."""
    place = out.with_name(f"{out.name}.terms.toml")
    if reader.site:
        write_whole(place, reader.site.to_toml().encode())
    else:
        place.unlink(missing_ok=True)


@contextmanager
def reading_aside(reader: Reader, files: Sequence[str]) -> Iterator[Work]:
    """A work folder for a table that goes to no file, in a temporary place; read it with `read_rest`."""
    with (
        tempfile.TemporaryDirectory(prefix="cxreader-") as folder,
        Work.open(Path(folder) / "t", reader, files) as work,
    ):
        yield work


def read_rest(work: Work, engine: Engine, *, progress: Progress | None = None) -> None:
    """Read until every file of the work has its answer; shards that other processes hold are waited for, or taken over."""
    while True:
        if progress is not None:
            progress(work.journal.count()[0], work.files)
        for found in engine(work.todo(), known=work.journal.known):
            work.journal.commit(found)
            if progress is not None:
                progress(work.journal.count()[0], work.files)
        if work.journal.is_done():
            return
        time.sleep(PATIENCE)

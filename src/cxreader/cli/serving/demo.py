"""`cxreader serve demo`: the service on phantoms, from C-STORE to the results at a peer."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxreader.cli.output.console import progress, say, show, table
from cxreader.cli.output.out_paths import out_folder
from cxreader.counting import format_count

if TYPE_CHECKING:
    from cxreader.serving.demonstration import Counts, Peer
    from cxreader.serving.service import TriageService
    from cxreader.serving.settings import Settings

SIZE, SEED = 512, 1
"""Of the phantoms: their side in pixels, and patients whom `cxreader demo` never trains on."""
LOG = "serve.log"
"""What the service says, in the folder `out`."""
FIRST = 5
"""Lines of the worklist that are shown."""
OUT = Path("serve-demo")


def demo(
    model: Annotated[Path, typer.Option("--model", "-m", help="A run's or an artifact's folder, exported.")],
    out: Annotated[
        Path, typer.Option(callback=out_folder, help="Phantoms, the log and, while it runs, the home lie here.")
    ] = OUT,
    patients: Annotated[int, typer.Option(min=1, help="Phantom patients, most with several visits.")] = 12,
    minutes: Annotated[float, typer.Option(min=0, help="Over which they are sent.")] = 3.0,
    stay: Annotated[bool, typer.Option("--stay", help="Run on when all is sent, until Ctrl-C.")] = False,
) -> None:
    """Show the service on phantoms: sent by C-STORE, read, ordered, results back at a peer.

    The exit code is 1 where anything did not arrive.
    """
    from cxreader.serving import demonstration

    files = _drawn(out / f"phantoms-{patients}", patients)
    with (
        demonstration.Peer().listening() as peer,
        demonstration.home(out, model, peer) as (settings, password),
        _serving(settings, out / LOG) as process,
    ):
        demonstration.await_start(settings, out / LOG, lambda: process.poll() is None)
        show(f"{settings.web.origin}: sign in as {demonstration.ADMINISTRATOR}, password {password}")
        with progress("sending phantoms") as bar:
            acknowledged = demonstration.send(settings, files, 60 * minutes / len(files), bar)
        whole = _told(settings, peer, len(files), acknowledged)
        if stay:
            say("the service runs on; Ctrl-C ends it")
            process.wait()
    if not whole:
        raise typer.Exit(1)


def _drawn(folder: Path, patients: int) -> list[Path]:
    """Phantoms as DICOM files, drawn where they are not there yet."""
    options = ("--layout", "dicom", "--patients", str(patients), "--size", str(SIZE), "--seed", str(SEED))
    done = subprocess.run([*_command("data", "phantom", str(folder)), *options], stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    if done.returncode:
        raise typer.Exit(done.returncode)
    return sorted(folder.glob("P*/IM*"))


@contextmanager
def _serving(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`cxreader serve` in that home while the block runs, ended in order also where we are asked to end."""
    from cxreader.serving.parent import GRACE

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            log.open("wb") as said,
            subprocess.Popen(_command("serve", "--home", str(settings.home)), stdout=said, stderr=said) as process,  # noqa: S603
        ):
            try:
                yield process
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(2 * GRACE)
                process.kill()
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(settings: Settings, peer: Peer, files: int, acknowledged: int) -> bool:
    """Tell what became of the phantoms; whether all of it arrived."""
    from cxreader.serving.demonstration import settled
    from cxreader.serving.service import TriageService

    service = TriageService.open(settings)
    try:
        counts = settled(service)
        _show_worklist(service)
    finally:
        service.close()
    kinds = ", ".join(f"{count:,} {modality}" for modality, count in sorted(Counter(peer.got.values()).items()))
    rows = [
        ("phantoms acknowledged", f"{acknowledged:,} of {files:,}"),
        ("images received", f"{counts.received:,}"),
        ("images read", f"{counts.read:,}"),
        ("studies ordered", f"{counts.ordered:,}"),
        ("objects sent", f"{counts.sent:,}"),
        ("objects at the peer", f"{len(peer.got):,} ({kinds or 'none'})"),
    ]
    table("counts of one run, without intervals", ("", "count"), rows)
    return _is_whole(counts, peer, files) and acknowledged == files


def _is_whole(counts: Counts, peer: Peer, files: int) -> bool:
    everything = counts.received == counts.read == files and counts.ordered > 0 and not counts.left + counts.lost
    return everything and counts.sent == len(peer.got) >= files


def _show_worklist(service: TriageService) -> None:
    page = service.worklist(size=FIRST)
    rows = [(f"{n}", entry.band, entry.reason) for n, entry in enumerate(page.entries, 1)]
    title = f"the worklist begins with {format_count(len(rows), '[study|studies]')}"
    table(title, ("", "band", "reason"), rows, left=("band", "reason"), folding=("reason",))


def _command(*words: str) -> Sequence[str]:
    return (sys.executable, "-m", "cxreader", *words)

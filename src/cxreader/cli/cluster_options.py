"""Options of the commands that work on a Ray cluster's machines."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cxreader.cli.output.console import say
from cxreader.errors import UsageError

if TYPE_CHECKING:
    from cxreader.study.search.search import Engine

Address = Annotated[
    str | None, typer.Option(help="HOST:PORT of the Ray cluster; the one of this machine when not given.")
]
TrialsEngine = Annotated[
    Literal["local", "ray"], typer.Option(help="Trials on this machine, or on a Ray cluster's machines.")
]
TrialCores = Annotated[
    int | None,
    typer.Option(min=1, help="Of each training on a cluster, 2 when not given; fewer where no machine has so many."),
]


def trials_engine(
    engine: str, address: str | None, cores: int | None, workers: int
) -> AbstractContextManager[Engine | None]:
    """Who tries the points of a search, within its block: None for this machine. Raises UsageError for what contradicts it."""
    if engine == "local":
        for option, given in (("--address", address), ("--cores", cores)):
            if given is not None:
                raise UsageError("nothing is tried on a cluster", where=option, mend="add --engine ray")
        return nullcontext()
    if workers > 1:
        mend = "leave it out, and give --cores for fewer or more trainings at a time"
        raise UsageError("a cluster has as many workers as it has room for", where="--workers", mend=mend)
    from cxreader.cluster.workers import CORES
    from cxreader.study.search.cluster.ray_engine import RayTrials

    return RayTrials(address, cores=cores or CORES, say=say)

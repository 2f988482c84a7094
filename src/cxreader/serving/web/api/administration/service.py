"""How the service does: every check with its mend, what waits, processes, the disk; and whether it is silent."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cxreader import __version__
from cxreader.serving.operations import health
from cxreader.serving.operations.state import State, state_of
from cxreader.serving.settings import Settings
from cxreader.serving.web.allowed import Administrator
from cxreader.serving.web.api.shapes import moment
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["administration"])


class Checked(BaseModel):
    """One thing that was looked at: `why` it is wrong, what is `noted` though it is not, both may be empty, and the `mend`."""

    name: str = Field(examples=["disk"])
    why: str
    noted: str = Field(examples=["2 results were given up"])
    mend: str


class Process(BaseModel):
    """A process of this machine; `starts` counts from 1: more than that, it ended and was started again."""

    kind: str = Field(examples=["worker"])
    number: int
    running: bool
    since: str | None
    starts: int


class Service(BaseModel):
    """The service as it stands."""

    version: str
    silent: bool = Field(description="Everything is received, read and kept; nothing is shown or sent.")
    show_regions: bool
    time_zone: str = Field(
        description="By whose clocks days begin and what is sent is dated.", examples=["Europe/Berlin"]
    )
    checks: list[Checked]
    jobs: dict[str, int] = Field(description="Images to be read, by state.")
    outbox: dict[str, int] = Field(description="Objects to be sent, by state.")
    processes: list[Process]
    free_bytes: int
    total_bytes: int

    @classmethod
    def of(cls, checks: list[health.Check], found: State, settings: Settings) -> Service:
        """What was looked at."""
        processes = [
            Process(
                kind=one.kind,
                number=one.number,
                running=one.running,
                since=None if one.since is None else moment(one.since),
                starts=one.starts,
            )
            for one in found.processes
        ]
        return cls(
            version=__version__,
            silent=settings.silent,
            show_regions=settings.show_regions,
            time_zone=settings.zone.told,
            checks=[
                Checked(name=one.name, why=one.why, noted=one.noted, mend=one.mend if one.why or one.noted else "")
                for one in checks
            ],
            jobs=found.jobs,
            outbox=found.outbox,
            processes=processes,
            free_bytes=found.free,
            total_bytes=found.total,
        )


@router.get("/service", responses=responses())
def service(door: TheDoor, _: Administrator) -> Service:
    """How the service does."""
    return Service.of(health.ready(door.service), state_of(door.service), door.settings)

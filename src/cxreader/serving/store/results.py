"""Results in immutable revisions: a Reading as JSON, and the maps beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.codec import from_plain, to_plain
from cxreader.inference.triage import urgency
from cxreader.records import Reading
from cxreader.serving.store import queue
from cxreader.serving.store.queue import Claim
from cxreader.serving.store.tables.readings import HeatMap, Result, StoredPixels

HEAT, REGION = "heat", "region"
ANY = "any"
"""The finding of a region map that stands for all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker has for one job: the Reading with its maps, why it has no heat map (`no_map`), and where its pixels lie.

    `pixels`: digest, bytes and description of the decoded picture (`StoredPixels`), None where it could not be decoded.
    """

    claim: Claim
    reading: Reading
    no_map: str = ""
    pixels: tuple[str, int, Mapping[str, Any]] | None = None


def keep(session: Session, now: float, answer: Answer) -> Result | None:
    """Keep an answer and end its job; None, and nothing is kept, where the lease was lost."""
    if not queue.finish(session, now, answer.claim):
        return None
    place = urgency(answer.reading)
    result = Result(
        instance_id=answer.claim.instance,
        sha256=answer.claim.sha256,
        models_id=answer.claim.models,
        revision=answer.claim.revision,
        reading=plain_reading(answer.reading),
        step=place.step,
        height=place.height,
        reason=place.reason,
        no_map=answer.no_map,
        read_at=now,
    )
    session.add(result)
    session.flush()
    session.add_all(_maps(result.id, answer.reading))
    if answer.pixels is not None:
        digest, size, about = answer.pixels
        session.merge(StoredPixels(instance_id=answer.claim.instance, sha256=digest, bytes=size, about=dict(about)))
    return result


def plain_reading(reading: Reading) -> dict[str, Any]:
    """A Reading without its maps as plain values for JSON."""
    return dict(to_plain(_bare(reading)))


def reading_of(result: Result) -> Reading:
    """The Reading that was kept, without its maps."""
    made: Reading = from_plain(Reading, result.reading)
    return made


def revisions(session: Session, instance: int) -> Sequence[Result]:
    """All results of an image, the latest first."""
    return session.scalars(select(Result).where(Result.instance_id == instance).order_by(Result.revision.desc())).all()


def map_values(kept: HeatMap) -> NDArray[np.float32]:
    """The values of a map, float32 (height, width)."""
    return np.frombuffer(kept.data, "<f2").reshape(kept.height, kept.width).astype(np.float32)


def _bare(reading: Reading) -> Reading:
    members = tuple(map(_bare, reading.members))
    return replace(reading, heat_map=None, region_map=None, region_maps={}, members=members)


def _maps(result: int, reading: Reading) -> list[HeatMap]:
    found = []
    for one in reading.members or (reading,):
        each = {(HEAT, ""): one.heat_map, (REGION, ANY): one.region_map}
        each |= {(REGION, finding): values for finding, values in one.region_maps.items()}
        for (kind, finding), values in each.items():
            if values is not None:
                height, width = values.shape
                data = np.ascontiguousarray(values, "<f2").tobytes()
                kept = HeatMap(result_id=result, model=one.artifact, kind=kind, finding=finding, data=data)
                kept.height, kept.width = height, width
                found.append(kept)
    return found

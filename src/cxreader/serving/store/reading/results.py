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
from cxreader.imaging.preprocess import InputSpec
from cxreader.inference.triage import urgency
from cxreader.records import Reading
from cxreader.serving.store.tables.readings import HeatMap, Result, StoredPixels
from cxreader.serving.store.work import queue
from cxreader.serving.store.work.queue import Claim

HEAT, REGION = "heat", "region"
ANY = "any"
"""The finding of a region map that stands for all."""


@dataclass(frozen=True, slots=True)
class KeptPixels:
    """Where the decoded pixels of an image were put: digest in the object store, bytes, and how to show them (`store.pixels`)."""

    sha256: str
    bytes: int
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker has for one job: the Reading with its maps, and why it has no heat map (`no_map`).

    `specs`: of each model by its id, so that its maps can be laid on the picture.
    """

    claim: Claim
    reading: Reading
    specs: Mapping[str, InputSpec]
    no_map: str = ""


def keep(session: Session, now: float, answers: Sequence[Answer]) -> list[tuple[Answer, Result]]:
    """Keep answers and end their jobs; those whose lease was lost are left out, and nothing of them is kept."""
    done = queue.finish(session, now, [answer.claim for answer in answers])
    kept = [(answer, _result(now, answer)) for answer in answers if answer.claim.job in done]
    session.add_all(result for _, result in kept)
    session.flush()
    session.add_all(one for answer, result in kept for one in _maps(result.id, answer))
    session.flush()
    return kept


def _result(now: float, answer: Answer) -> Result:
    place = urgency(answer.reading)
    return Result(
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


def keep_pixels(session: Session, instance: int, pixels: KeptPixels) -> None:
    """Remember where the pixels of an image lie, in the place of what was known before."""
    about = dict(pixels.about)
    session.merge(StoredPixels(instance_id=instance, sha256=pixels.sha256, bytes=pixels.bytes, about=about))


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


def _maps(result: int, answer: Answer) -> list[HeatMap]:
    found = []
    for one in answer.reading.members or (answer.reading,):
        each = {(HEAT, ""): one.heat_map, (REGION, ANY): one.region_map}
        each |= {(REGION, finding): values for finding, values in one.region_maps.items()}
        for (kind, finding), values in each.items():
            if values is not None:
                kept = HeatMap(result_id=result, model=one.artifact, kind=kind, finding=finding)
                kept.height, kept.width = values.shape
                kept.fit = answer.specs[one.artifact].fit
                kept.data = np.ascontiguousarray(values, "<f2").tobytes()
                found.append(kept)
    return found


def frame(fit: str, width: int, height: int) -> tuple[float, float, float, float]:
    """Where a map lies on its picture of `width` x `height` square pixels: left, top, width, height, in those pixels.

    A map covers the square that the network was shown: all of the picture where it was stretched (`squash`), else a square
    of its longer side, of which some lies beside the picture (`InputSpec.content`).
    """
    if fit == "squash":
        return 0.0, 0.0, float(width), float(height)
    side = float(max(width, height))
    return (width - side) / 2, (height - side) / 2, side, side

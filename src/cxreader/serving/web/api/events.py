"""Live events: that something happened to a study, by its key; what it was is asked for anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from cxreader.errors import StorageError
from cxreader.serving.store import events
from cxreader.serving.web.allowed import Reader
from cxreader.serving.web.api.shapes import KEY
from cxreader.serving.web.door import TheDoor
from cxreader.serving.web.problems import responses

router = APIRouter(prefix="/api/v1", tags=["events"])
LOOK = 1.0
"""Seconds between two looks for new events."""
LONGEST = 300.0
"""Seconds after which a stream ends: a browser comes back by itself, and shows again who it is."""


class Happened(BaseModel):
    """Something happened to a study: its worklist line has this revision now."""

    study: str = Field(examples=[KEY])
    revision: int


def _slot(door: TheDoor, _: Reader) -> Iterator[None]:
    """One of the streams, until it ends."""
    with door.streams.taken():
        yield


@router.get("/events", response_class=EventSourceResponse, dependencies=[Depends(_slot)], responses=responses(429))
async def stream(
    request: Request,
    door: TheDoor,
    _: Reader,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**31 - 1)] = None,
    after: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Events (server-sent) from now on, or after the one named by Last-Event-ID, else by `after`.

    `event` is its kind, `id` its number.

    The 10,000 latest are kept: who comes back later lists the worklist anew.
    """
    last = after if last_event_id is None else last_event_id
    if last is None:
        last = await run_in_threadpool(door.read, lambda session, _: events.last(session))
    yield ServerSentEvent(comment="begins", id=str(last), retry=2000)
    until = asyncio.get_running_loop().time() + LONGEST
    while not (door.stopped() or await request.is_disconnected() or asyncio.get_running_loop().time() > until):
        try:
            found = await run_in_threadpool(door.service.events, last)
        except StorageError:
            return
        for event in found:
            last = event.number
            told = Happened(study=event.study, revision=event.revision)
            yield ServerSentEvent(data=told, event=event.kind, id=str(event.number))
        if not found:
            await asyncio.sleep(LOOK)

"""One round for one destination: what is due is made, sent, and written down."""

from __future__ import annotations

import random
from dataclasses import dataclass

from cxreader.errors import AbsentError, ConfigError, ImageError, StorageError
from cxreader.serving.sending import addresses, store_scu, stow
from cxreader.serving.sending.making import Maker, NothingError
from cxreader.serving.sending.outcomes import Outcome
from cxreader.serving.service import TriageService
from cxreader.serving.store import audit
from cxreader.serving.store.audit import Noted
from cxreader.serving.store.tables.sending import Destination
from cxreader.serving.store.work import outbox
from cxreader.serving.store.work.outbox import Parcel

LEASE, FIRST, LONGEST = 300.0, 10.0, 3600.0
"""Seconds that a round may take, before the second attempt, and between two at most, on average."""
_SPREAD = 1.5
_NOT_SENT = "results not sent"
AT_MOST = _SPREAD * LONGEST
"""Seconds between two attempts at most."""


@dataclass(frozen=True, slots=True)
class _Round:
    """Where a round stands: parcels with their files, and what is known of the others already."""

    files: list[tuple[Parcel, bytes]]
    outcomes: list[tuple[Parcel, Outcome]]
    nothing: list[tuple[Parcel, str]]


def deliver(service: TriageService, maker: Maker, destination: Destination, holder: str) -> int:
    """Send what is due for a destination; returns how many entries that were. Raises StorageError as the database."""
    with service.database.writing() as session:
        now = service.database.now(session)
        dead = outbox.expire(session, now, destination.id)
        parcels = outbox.take(session, now, destination.id, holder, now + LEASE)
        if dead:
            audit.note(session, now, [Noted(_NOT_SENT, "sender", destination.name, {"objects": dead})])
    if parcels:
        found = _made(maker, parcels)
        if found.files:
            outcomes = _send(service, destination, [data for _, data in found.files])
            found.outcomes.extend(zip((parcel for parcel, _ in found.files), outcomes, strict=True))
        _write_down(service, destination, found)
    return len(parcels)


def _made(maker: Maker, parcels: list[Parcel]) -> _Round:
    found = _Round([], [], [])
    for parcel in parcels:
        try:
            found.files.append((parcel, maker.file_of(parcel.result, parcel.kind)))
        except NothingError as why:
            found.nothing.append((parcel, str(why)))
        except AbsentError as error:
            found.nothing.append((parcel, error.what))
        except ImageError:
            found.nothing.append((parcel, "the image cannot be decoded"))
        except StorageError as error:
            found.outcomes.append((parcel, Outcome("again", error.what)))
        except Exception as error:  # noqa: BLE001 - what a header makes the library raise is open-ended, and quotes it
            found.outcomes.append((parcel, Outcome("dead", f"it could not be made ({type(error).__name__})")))
    return found


def _send(service: TriageService, destination: Destination, files: list[bytes]) -> list[Outcome]:
    try:
        if destination.kind == "stow":
            return stow.send(addresses.of(service.settings, destination), files)
        return store_scu.send(service.settings.dicom, destination.address, files)
    except ConfigError as error:
        return [Outcome("again", error.what, reached=False)] * len(files)
    except Exception as error:  # noqa: BLE001 - a defect of a library must not lose what is to be sent
        return [Outcome("again", f"the sender failed ({type(error).__name__})")] * len(files)


def _write_down(service: TriageService, destination: Destination, found: _Round) -> None:
    give_up = 3600 * service.settings.results.give_up
    with service.database.writing() as session:
        now, counted = service.database.now(session), {"sent": 0, "dead": 0}
        for parcel, why in found.nothing:
            outbox.end(session, now, parcel, "none", why)
        for parcel, outcome in found.outcomes:
            late = outcome.state == "again" and now - parcel.since > give_up
            if outcome.state == "again" and not late:
                outbox.again(session, parcel, now + pause(parcel.attempt), outcome.why)
            else:
                state = "dead" if late else outcome.state
                counted[state] += outbox.end(session, now, parcel, state, outcome.why)
        if any(not outcome.reached for _, outcome in found.outcomes):
            outbox.postpone(session, destination.id, now + pause(max(p.attempt for p, _ in found.outcomes)))
        noted = {"sent": "results sent", "dead": _NOT_SENT}
        audit.note(
            session,
            now,
            [Noted(noted[k], "sender", destination.name, {"objects": n}) for k, n in counted.items() if n],
        )


def pause(attempt: int) -> float:
    """Seconds before the next attempt: doubled each time, up to an hour, and never quite the same."""
    return min(LONGEST, FIRST * 2.0 ** min(attempt - 1, 20)) * random.uniform(0.5, _SPREAD)  # noqa: S311 - no secret

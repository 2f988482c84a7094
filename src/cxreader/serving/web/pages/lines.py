"""The lines of the worklist in words: what a row of the store says to who reads the list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from cxreader.serving.order.places import BANDS, OVERDUE
from cxreader.serving.store.reading import taking
from cxreader.serving.store.reading.listing import Entry
from cxreader.serving.store.reading.taking import Holder
from cxreader.serving.store.reading.withheld import withheld
from cxreader.serving.store.tables.images import Study
from cxreader.serving.store.tables.people import User
from cxreader.serving.web.pages.dates import short
from cxreader.serving.zone import SiteZone

BAND_WORDS = dict(
    zip((OVERDUE, *BANDS.values()), ("Overdue", "Alarm", "No answer", "Below, in doubt", "Below"), strict=True)
)
BAND_TOLD = dict(
    zip(
        (OVERDUE, *BANDS.values()),
        (
            "waited longer than its band allows",
            "above the operating point, or the models disagree",
            "refused, not readable, or not read yet: a person must look",
            "below the operating point, with a warning or without the conformal rule's consent",
            "below the operating point, which does not rule out disease",
        ),
        strict=True,
    )
)
BAND_KINDS = dict(zip((OVERDUE, *BANDS.values()), ("overdue", "alarm", "no-answer", "in-doubt", "below"), strict=True))
DECISION_WORDS = {
    "abnormal": "Above",
    "refer": "Disagreeing",
    "normal": "Below",
    "refused": "Refused",
    "unread": "Not read yet",
}
_NAMED = re.compile(r"\b(ab)?normal, (probability|score) (\d\.\d\d)")
_FIGURES = re.compile(r"(\w+), (?:probability|score|the highest says) \d\.\d\d(?: \(\d\.\d\d-\d\.\d\d\))?")
_PLACE = {"above": "above the operating point", "below": "below the operating point"}
_STATES = {"open": "Open", "pending": "Put aside", "done": "Done"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as it is shown: `short` today's time or the day and the time, `whole` with everything, `iso` for programs."""

    short: str
    whole: str
    iso: str

    @classmethod
    def of(cls, seconds: float, now: float, zone: SiteZone) -> Moment:
        """A moment by the site's clocks, told short beside `now`."""
        at, today = (zone.at(one) for one in (seconds, now))
        short = at.strftime("%H:%M" if at.date() == today.date() else "%d %b %H:%M")
        return cls(short, at.strftime("%d %b %Y, %H:%M:%S %Z"), at.isoformat(timespec="seconds"))


@dataclass(frozen=True, slots=True)
class Line:
    """A study as one line of the list."""

    key: str
    kind: str
    band: str
    told: str
    waited: str
    cap: str
    received_at: float
    patient: str
    number: str
    sex: str
    age: str
    view: str
    images: str
    acquired: str
    received: Moment
    answer: str
    answer_kind: str
    agreement: str
    reason: str
    state: str
    state_kind: str
    reader: str
    station: str
    sent: str
    sent_kind: str


def lines(session: Session, now: float, entries: Sequence[Entry], user: User, zone: SiteZone) -> list[Line]:
    """Lines in the order of the entries, with who has each in hand and what was sent of it.

    Of an answer that is withheld from this user the figures are left out: the place has told the rest.
    """
    waits = withheld(session, user, [one.row.study_id for one in entries])
    held = taking.holders(session, now, [one.row.study_id for one in entries])
    gone = taking.sent(session, [one.result.id for one in entries if one.result is not None])
    clock = _Clock(now, zone)
    made = [_line(one, clock, held.get(one.row.study_id), gone.get(one.row.result_id or -1, {})) for one in entries]
    return [
        _without_figures(line) if one.row.study_id in waits else line for line, one in zip(made, entries, strict=True)
    ]


def minutes(seconds: float) -> str:
    """How long, for a glance: minutes up to two hours, then hours, then days."""
    whole = max(0, int(seconds // 60))
    if whole < 120:
        return f"{whole} min"
    return f"{whole // 60} h {whole % 60:02d}" if whole < 48 * 60 else f"{whole // 1440} d {whole % 1440 // 60} h"


def person_name(name: str) -> str:
    """A DICOM person name (PS3.5 6.2) as people write it: family name first, of its alphabetic writing."""
    family, *rest = [part.strip() for part in name.partition("=")[0].split("^")]
    given = " ".join(part for part in rest if part)
    return f"{family}, {given}" if family and given else family or given


@dataclass(frozen=True, slots=True)
class _Clock:
    """The moment of a list, and by whose clocks it is told."""

    now: float
    zone: SiteZone

    def moment(self, seconds: float) -> Moment:
        return Moment.of(seconds, self.now, self.zone)


def _line(entry: Entry, clock: _Clock, holder: Holder | None, sent: Mapping[str, int]) -> Line:
    row, study = entry.row, entry.study
    is_done = row.state == "done"
    state, reader, kind = _state(entry, holder, clock)
    told, sent_kind = _sent(sent)
    today = clock.zone.at(clock.now).date()
    return Line(
        key=study.key,
        kind=BAND_KINDS[entry.band],
        band=BAND_WORDS[entry.band],
        told=BAND_TOLD[entry.band],
        waited="" if is_done else minutes(entry.waited),
        cap="" if is_done else minutes(row.due_at - row.received_at),
        received_at=row.received_at,
        patient=person_name(study.patient_name) or "no name",
        number=study.patient_id,
        sex=study.sex,
        age=_age(study),
        view=row.view,
        images=f"{row.images} images" if row.images > 1 else "",
        acquired=short(row.acquired, today) or short(f"{study.study_date}{study.study_time}", today),
        received=clock.moment(row.received_at),
        answer="Not readable" if row.failed and row.decision == "unread" else DECISION_WORDS.get(row.decision, ""),
        answer_kind=row.decision,
        agreement=_agreement(entry),
        reason=_reason(entry),
        state=state,
        state_kind=kind,
        reader=reader,
        station=row.station,
        sent=told,
        sent_kind=sent_kind,
    )


def _without_figures(line: Line) -> Line:
    return replace(line, agreement="", reason=_FIGURES.sub(lambda m: _PLACE.get(m[1], m[1]), line.reason))


def _state(entry: Entry, holder: Holder | None, clock: _Clock) -> tuple[str, str, str]:
    """The state, who has it, and its kind."""
    row = entry.row
    if holder is not None and row.state != "done":
        since = clock.moment(holder.since).short
        return (
            ("Being read", f"{holder.reader} since {since}", "read") if holder.live else ("Left", holder.reader, "left")
        )
    if row.state == "open" and row.reader:
        return "Handed over", f"to {row.reader}", "handed"
    return _STATES[row.state], row.reader, row.state


def _reason(entry: Entry) -> str:
    """The reason of its place in the page's words: never "normal", with the pair around a probability, and why it was refused."""
    row, more = entry.row, list[str]()
    reading = {} if entry.result is None else entry.result.reading
    pair = reading.get("interval")
    shown = f" ({pair[0]:.2f}-{pair[1]:.2f})" if pair else ""
    told = _NAMED.sub(lambda m: f"{'above' if m[1] else 'below'}, {m[2]} {m[3]}{shown}", entry.reason)
    if row.decision == "refused" and reading.get("reasons"):
        told = told.replace("a person must look", "; ".join(reading["reasons"]))
    if row.read < row.images - row.failed:
        more.append(f"{row.read} of {row.images} images read")
    if row.failed:
        more.append(f"{row.failed} not readable")
    if row.conflict:
        more.append(row.conflict_reason)
    return "; ".join([told, *(more if row.images > 1 or row.conflict else ())])


def _agreement(entry: Entry) -> str:
    """How near the models are to each other: 1 less the distance between the lowest and the highest (`records.Reading`)."""
    reading = {} if entry.result is None else entry.result.reading
    found = reading.get("agreement")
    return "" if found is None else f"{found:.2f}"


def _sent(states: Mapping[str, int]) -> tuple[str, str]:
    waiting = states.get("waiting", 0) + states.get("leased", 0)
    if states.get("dead"):
        return f"{states['dead']} failed", "dead"
    if waiting:
        return f"{waiting} waiting", "waiting"
    return ("Sent", "sent") if states.get("sent") else ("", "")


def _age(study: Study) -> str:
    """`058Y` as 58 y (PS3.5 6.2, AS); as it came where it is none."""
    number, unit = study.age[:-1], study.age[-1:].lower()
    return (
        f"{int(number)} {unit}" if number.isascii() and number.isdigit() and unit in ("y", "m", "w", "d") else study.age
    )

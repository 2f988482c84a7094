"""A study: its images in the viewer, the second opinion, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse
from pydantic import Field
from sqlalchemy.orm import Session

from cxreader.findings import known_finding
from cxreader.serving.store.reading import modes, taking
from cxreader.serving.store.reading.modes import Mode
from cxreader.serving.store.reading.patients import other_images
from cxreader.serving.store.reading.verdicts import Impression, Opinion, kind_of
from cxreader.serving.store.reading.views import StudyView
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.people import User
from cxreader.serving.store.tables.readings import StoredPixels
from cxreader.serving.web.allowed import Judge, Key, Reader, person_of
from cxreader.serving.web.api.verdicts import Text
from cxreader.serving.web.door import Door, TheDoor
from cxreader.serving.web.pages.dates import date
from cxreader.serving.web.pages.lines import person_name
from cxreader.serving.web.pages.study_panel import decision_of, finding_names, label_of, mode_of_verdict, panel_of
from cxreader.serving.web.rendering import fragment, page
from cxreader.serving.worker.models import known_artifacts
from cxreader.serving.zone import SiteZone
from cxreader.tables import parse_age

router = APIRouter(prefix="/studies", include_in_schema=False)
_LONGEST = 86_400.0


@dataclass(frozen=True, slots=True)
class Shown:
    """An image that the viewer offers: its key, what it is called, when it was made, and whether its pixels lie decoded."""

    key: str
    label: str
    acquired: str
    decoded: bool
    kept: bool = True


@router.get("/{key}")
def study(request: Request, door: TheDoor, principal: Reader, key: Key) -> HTMLResponse:
    """The page of a study."""
    view = door.service.study(key)
    door.shown(principal, "study", view.study.key)
    images, earlier = door.read(
        lambda session, _: (_images(session, view), _earlier(session, view.study, door.settings.zone))
    )
    told: dict[str, Any] = {
        "study": view.study,
        "row": view.row,
        "images": images,
        "earlier": earlier,
        "whose": _whose(view.study),
    }
    return page(
        request,
        "study/page.html.jinja",
        person=person_of(door, principal),
        here="worklist",
        patient=person_name(view.study.patient_name),
        panel=panel_of(door, principal.user, view),
        models=[{"id": one.id, "name": one.model} for one in known_artifacts(door.settings).values()],
        findings=finding_names(),
        may_judge="verdict" in principal.scopes,
        readers=door.service.readers(),
        handed=door.read(lambda session, now: taking.handed_to(session, now, view.row, principal.user)),
        senders=", ".join(sorted({one.instance.sender for one in view.images if one.instance.sender})),
        **told,
    )


@router.get("/{key}/panel")
def panel(door: TheDoor, principal: Reader, key: Key) -> HTMLResponse:
    """The panel alone, for when an answer may have come."""
    return _panel(door, principal.user, key, may_judge="verdict" in principal.scopes)


@router.post("/{key}/verdict")
def give(
    door: TheDoor,
    principal: Judge,
    key: Key,
    impression: Annotated[Impression, Form()] = "",
    stage: Annotated[str, Form(pattern="^(provisional|final)$")] = "final",
    disagreement: Annotated[Text, Form(max_length=200)] = "",
    adds: Annotated[bool, Form()] = False,
    finding: Annotated[list[Annotated[Text, Field(max_length=200)]], Form(max_length=100)] = [],  # noqa: B006
    comment: Annotated[Text, Form(max_length=10_000)] = "",
    seconds: Annotated[float | None, Form(ge=0, le=_LONGEST)] = None,
) -> HTMLResponse:
    """Give a verdict; its kind follows from the impression and the answer, its mode from how the answer was shown."""
    view, user = door.service.study(key), principal.user
    mode = mode_of_verdict(door, user, view)
    given = {"findings": _findings(finding), "comment": comment.strip(), "seconds": seconds, "impression": impression}
    kind = kind_of(impression, decision_of(view), adds=adds)
    opinion = Opinion(kind, stage, mode, disagreement=disagreement, **given)  # type: ignore[arg-type]
    door.service.give_verdict(key, user, opinion)
    return _panel(door, user, key)


@router.post("/{key}/mode")
def choose_mode(door: TheDoor, principal: Judge, key: Key, mode: Annotated[Mode, Form()]) -> HTMLResponse:
    """Read first, or see the answer at once; it holds for this reader from now on."""
    door.service.study(key)
    door.write(lambda session, now: modes.set_mode(session, now, principal.user, mode))
    changed = door.read(lambda session, _: session.get_one(User, principal.user.id))
    return _panel(door, changed, key)


def _panel(door: Door, user: User, key: str, *, may_judge: bool = True) -> HTMLResponse:
    told = panel_of(door, user, door.service.study(key))
    return HTMLResponse(fragment("study/panel.html.jinja", panel=told, findings=finding_names(), may_judge=may_judge))


def _findings(given: list[str]) -> list[dict[str, str]]:
    """By the names of the fourteen where they are meant, else as they were written."""
    texts = dict.fromkeys(known_finding(text) or text.strip() for text in given if text.strip())
    return [{"finding": text} for text in texts]


def _images(session: Session, view: StudyView) -> list[Shown]:
    count = len(view.images)
    labels = [label_of(one, number, count) for number, one in enumerate(view.images, 1)]
    return [_shown(session, one.instance, label) for one, label in zip(view.images, labels, strict=True)]


def _earlier(session: Session, study: Study, zone: SiteZone) -> list[Shown]:
    found = other_images(session, study)
    return [_shown(session, image, f"{image.view or image.modality} {_day(of, zone)}".strip()) for of, image in found]


def _day(study: Study, zone: SiteZone) -> str:
    """When a study was made, else when it came."""
    return date(study.study_date) or zone.at(study.received_at).date().isoformat()


def _shown(session: Session, image: Instance, label: str) -> Shown:
    decoded = session.get(StoredPixels, image.id) is not None
    return Shown(image.key, label, date(image.acquired), decoded, image.purged_at is None)


def _whose(study: Study) -> list[tuple[str, str]]:
    """What the page tells of the patient and the study beside the name; what the header lacks is left out."""
    age = parse_age(study.age)
    told = {
        "ID": study.patient_id,
        "Sex": {"F": "female", "M": "male", "O": "other"}.get(study.sex, study.sex),
        "Age": study.age if age is None else f"{age:g} years",
        "Study": date(study.study_date + study.study_time),
        "Accession": study.accession_number,
        "Description": study.description,
    }
    return [(what, text) for what, text in told.items() if text]

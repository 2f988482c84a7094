"""Studies as a day brings them, with answers made by hand: every band, state and answer, and nothing that a network would say."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy.orm import Session
from tests.serving.rows import instance, model_set, study

from cxreader.inference.triage import urgency
from cxreader.records import OperatingPoint, Reading
from cxreader.serving.order.places import Waits
from cxreader.serving.store.reading import studies
from cxreader.serving.store.reading.results import plain_reading
from cxreader.serving.store.tables.images import Instance, Study
from cxreader.serving.store.tables.readings import ModelSet, Result

POINT = OperatingPoint("sensitivity 0.95", 0.42, "sensitivity of at least 0.95", 60, 80)
NAMES = (
    "Abel",
    "Baker",
    "Chandra",
    "Dvorak",
    "Eriksen",
    "Fontaine",
    "Garcia",
    "Hoffmann",
    "Ivanova",
    "Jansen",
    "Novak",
    "Okafor",
)
GIVEN = (
    "Ada",
    "Ben",
    "Clara",
    "David",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kaya",
    "Luis",
    "Mira",
    "Noor",
)
STATIONS = ("DX-ROOM-1", "DX-ROOM-2", "MOBILE-3", "admin")


def fill(session: Session, now: float, waits: Waits, count: int, seed: int = 0) -> list[Study]:
    """So many studies of the last hours."""
    draw, models = random.Random(seed), model_set(session, active=False)
    made = [_received(session, now, draw, n) for n in range(1, count + 1)]
    for _, image in made:
        if (answer := _answer(draw)) is not None:
            session.add(_result(image, models, answer, now))
    session.flush()
    studies.refresh(session, now, [one.id for one, _ in made], waits)
    return [one for one, _ in made]


def _received(session: Session, now: float, draw: random.Random, n: int) -> tuple[Study, Instance]:
    at = now - draw.expovariate(1 / 2400) - 30
    name = f"{draw.choice(NAMES)}^{draw.choice(GIVEN)}"
    who = {
        "patient_name": name,
        "patient_id": f"{4000 + n}",
        "sex": draw.choice("FM"),
        "age": f"{draw.randint(19, 93):03}Y",
    }
    one = study(n, received_at=at, accession_number=f"A{9000 + n}", **who)
    session.add(one)
    session.flush()
    told = {
        "view": draw.choice(("PA", "PA", "AP", "")),
        "modality": "DX",
        "sender": draw.choice(STATIONS),
        "door": "dicom",
    }
    image = instance(one, n, received_at=at, acquired=_stamp(at - 240), **told)
    session.add(image)
    session.flush()
    return one, image


def _stamp(at: float) -> str:
    import datetime as dt

    return dt.datetime.fromtimestamp(at).strftime("%Y%m%d%H%M%S")


def _answer(draw: random.Random) -> Reading | None:
    kind = draw.choices(("abnormal", "normal", "refer", "refused", "warning", "unread"), (25, 45, 6, 8, 8, 8))[0]
    if kind == "unread":
        return None
    if kind == "refused":
        why = draw.choice(("the header says that this is no frontal chest radiograph", "unlike the training images"))
        return _reading(acceptance="refused", reasons=(why,))
    if kind == "refer":
        low, high = draw.uniform(0.1, 0.3), draw.uniform(0.6, 0.9)
        members = tuple(_reading(probability=p, decision="normal" if p < 0.42 else "abnormal") for p in (low, high))
        more: dict[str, Any] = {"members": members, "agreement": 1 - (high - low)}
        return _reading(probability=(low + high) / 2, decision="refer", acceptance="accepted", **more)
    probability = draw.uniform(0.42, 0.99) if kind == "abnormal" else draw.uniform(0.01, 0.41)
    decision: Any = "abnormal" if kind == "abnormal" else "normal"
    warned: dict[str, Any] = (
        {"acceptance": "warning", "reasons": ("the lungs' apices are cut off",)} if kind == "warning" else {}
    )
    if kind != "warning":
        warned["interval"] = (max(0.0, probability - 0.04), min(1.0, probability + 0.03))
    return _reading(probability=probability, decision=decision, **({"acceptance": "accepted"} | warned))


def _reading(**more: Any) -> Reading:
    return Reading(image="i", artifact="a", operating_point=POINT, **more)


def _result(image: Instance, models: ModelSet, reading: Reading, now: float) -> Result:
    place, at = urgency(reading), min(now, image.received_at + 20)
    made = Result(instance_id=image.id, sha256=image.sha256, models_id=models.id, revision=1, read_at=at)
    made.reading, made.step, made.height = plain_reading(reading), place.step, place.height
    made.reason, made.no_map = place.reason, ""
    return made

"""The panel beside the viewer: the second opinion in words, and the reader's verdict.

In the mode read-first the panel holds nothing of the answer before the reader's own, provisional verdict: what is not sent cannot
be seen. Verdicts of others lead as well, and wait with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from cxreader.findings import FINDINGS
from cxreader.serving.results.second_opinion import SecondOpinion, second_opinion
from cxreader.serving.store.reading import modes
from cxreader.serving.store.reading.results import reading_of
from cxreader.serving.store.reading.views import ImageView, StudyView
from cxreader.serving.store.tables.people import ShownAnswer, User, Verdict
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.web.api.shapes import Said
from cxreader.serving.web.door import Door
from cxreader.serving.web.withholding import is_shown
from cxreader.serving.worker.models import known_artifacts

Stage = Literal["read", "judge", "done"]
DISAGREEMENTS: Mapping[str, tuple[str, ...]] = {
    "abnormal": (
        "nothing there to see",
        "device, line or artefact",
        "old or known change",
        "normal variant, position or technique",
        "other",
    ),
    "normal": (
        "small or subtle",
        "behind heart, diaphragm or bone",
        "needs history or an earlier image",
        "kind of finding it was not taught",
        "other",
    ),
}
"""By what the answer says, why a reader does not follow it: one click each."""


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to one image: `image` and `result` are keys, `label` names the image, `no_map` says why there is none."""

    image: str
    label: str
    result: str
    opinion: SecondOpinion
    no_map: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """What the panel shows. `stage`: read (the answer is not shown yet), judge, or done (this reader gave a final verdict).

    `decision`: of the answer that decides the study's place, None while it is hidden or there is none. `verdicts`: all, of `read`
    none but how many others there are. `latest`: this reader's own last one. `waiting`: images without an answer yet.
    """

    study: str
    mode: modes.Mode
    stage: Stage
    decision: str | None
    told: tuple[Told, ...]
    verdicts: tuple[Said, ...]
    others: int
    latest: Said | None
    waiting: int
    state: str

    @property
    def reasons(self) -> Sequence[str]:
        """Why a reader may not follow the answer."""
        return DISAGREEMENTS.get(self.decision or "", ())


def panel_of(door: Door, user: User, view: StudyView) -> Panel:
    """The panel of a study for a reader; in the mode concurrent the answer is shown now, which is remembered."""
    own = [one for one in view.verdicts if one.user_id == user.id]
    open_now = is_shown(door, user, view)
    names = door.read(lambda session, _: _names(session, view.verdicts))
    said = tuple(Said.of(one, names[one.user_id]) for one in view.verdicts)
    decisive = _decisive(view) if open_now else None
    return Panel(
        study=view.study.key,
        mode=modes.mode_of(user),
        stage="done" if any(one.stage == "final" for one in own) else "judge" if open_now else "read",
        decision=None if decisive is None else reading_of(decisive).decision,
        told=tuple(_told(door, view)) if open_now else (),
        verdicts=said if open_now else (),
        others=len({one.user_id for one in view.verdicts} - {user.id}),
        latest=Said.of(own[-1], user.name) if own else None,
        waiting=sum(not one.results for one in view.images),
        state=view.row.state,
    )


def mode_of_verdict(door: Door, user: User, view: StudyView) -> modes.Mode:
    """The mode that a verdict given now is of: that in which the answer was shown, else the reader's."""
    shown: ShownAnswer | None = door.read(lambda session, _: modes.shown(session, view.study, user))
    if shown is not None:
        return modes.CONCURRENT if shown.mode == modes.CONCURRENT else modes.READ_FIRST
    return modes.mode_of(user)


def decision_of(view: StudyView) -> str | None:
    """The decision of the answer that decides the study's place."""
    found = _decisive(view)
    return None if found is None else reading_of(found).decision


def label_of(view: ImageView, number: int, count: int) -> str:
    """How an image is called among those of its study."""
    image = view.instance
    named = image.view or image.modality or image.kind.upper()
    return f"{named}, image {number} of {count}" if count > 1 else named


def finding_names() -> list[dict[str, str]]:
    """The fourteen findings for the form: what is sent, what is shown, and all spellings in lower case."""
    return [
        {
            "name": one.name,
            "display": one.display,
            "spellings": "|".join(sorted({t.lower() for t in (one.name, one.display, one.code, *one.aliases)})),
        }
        for one in FINDINGS
    ]


def _decisive(view: StudyView) -> Result | None:
    results = (result for image in view.images for result in image.results)
    return next((one for one in results if one.id == view.row.result_id), None)


def _told(door: Door, view: StudyView) -> list[Told]:
    artifacts = known_artifacts(door.settings)
    found = []
    for number, image in enumerate(view.images, 1):
        if image.results:
            result = image.results[0]
            reading = reading_of(result)
            models = tuple(one.artifact for one in reading.members or (reading,))
            label, opinion = label_of(image, number, len(view.images)), second_opinion(reading, artifacts)
            found.append(Told(image.instance.key, label, result.key, opinion, result.no_map, models))
    return found


def _names(session: Session, verdicts: Sequence[Verdict]) -> dict[int, str]:
    ids = {one.user_id for one in verdicts}
    return {user.id: user.name for user in session.scalars(select(User).where(User.id.in_(ids)))}

"""The review's numbers by hand, and the page that shows them."""

from __future__ import annotations

import math
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.serving.web.conftest import world_of
from tests.serving.web.world import World, revise
from tests.serving.world import dicom, read_all

from cxreader.cli import run
from cxreader.errors import DataError, UsageError
from cxreader.inference.triage import ALARM, NORMAL
from cxreader.serving.clock import SetClock
from cxreader.serving.review import weeks
from cxreader.serving.review.agreement import agreed
from cxreader.serving.review.alarms import rejected_alarms
from cxreader.serving.review.review import review
from cxreader.serving.review.turnaround import FEWEST, arrivals, simulated, waited
from cxreader.serving.review.volumes import volumes
from cxreader.serving.service import TriageService
from cxreader.serving.store.reading import modes
from cxreader.serving.store.reading.exported import label_of
from cxreader.serving.store.reading.judged import Answered, Judged
from cxreader.serving.store.reading.verdicts import Opinion
from cxreader.serving.web.app import create_app
from cxreader.serving.zone import SiteZone

MONDAY = 1_793_577_600.0
"""2026-11-02 00:00 UTC."""
DAY, UTC = 86_400.0, SiteZone("UTC")
POINT = {"name": "p", "threshold": 0.5, "rule": "given", "n_positive": 0, "n_negative": 0, "fitted_on": "given"}


def verdict(study: int, **more: Any) -> Judged:
    """A final verdict, accepted by jane at once, on an answer that calls the study abnormal."""
    own: dict[str, Any] = {"patient": f"p{study}", "user": "jane", "stage": "final", "mode": "concurrent"}
    own |= {
        "kind": "accepted",
        "decision": "abnormal",
        "value": 0.8,
        "step": ALARM,
        "received_at": MONDAY,
        "given_at": MONDAY + 60,
    }
    told = own | {"seconds": 30.0} | more
    return Judged(study=study, label=label_of(told["kind"], told["decision"]), **told)


def test_weeks_begin_on_monday() -> None:
    assert weeks.name(weeks.week_of(MONDAY, UTC)) == "2026-11-02"
    assert weeks.week_of(MONDAY - 1, UTC) == weeks.week_of(MONDAY, UTC) - 1
    assert weeks.begins(weeks.week_of(MONDAY + 3 * DAY, UTC), UTC) == MONDAY
    assert [weeks.name(n) for n in weeks.last(MONDAY, 2, UTC)] == ["2026-10-26", "2026-11-02"]


def test_weeks_are_the_sites_also_where_its_clocks_are_set() -> None:
    """In Berlin the week of 2026-10-19 has 169 hours; Monday 00:00 of 2026-11-02 is 23:00 UTC of the day before."""
    berlin, week = SiteZone("Europe/Berlin"), weeks.week_of(MONDAY - 3600, SiteZone("Europe/Berlin"))
    assert weeks.name(week) == "2026-11-02"
    assert weeks.week_of(MONDAY - 3601, berlin) == week - 1
    assert weeks.begins(week, berlin) == MONDAY - 3600
    assert weeks.begins(week - 1, berlin) - weeks.begins(week - 2, berlin) == 169 * 3600


def test_arrivals_are_those_of_the_wall_clock() -> None:
    """Two studies at 08:00 in Berlin, the Friday before its clocks are set back and the Monday after."""
    friday, monday = (datetime(2026, 10, day, 8, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() for day in (23, 26))
    own = [verdict(1, received_at=friday, given_at=friday), verdict(2, received_at=monday, given_at=monday)]
    assert list(arrivals(own, SiteZone("Europe/Berlin"))) == [4 * 1440 + 480, 7 * 1440 + 480]


def test_kappa_is_cohens_by_hand_and_the_latest_verdict_of_a_study_counts() -> None:
    """20 both abnormal, 5 answer alone, 10 reader alone, 15 neither: agreement 0.7, expected 0.5, kappa 0.4 (Cohen 1960)."""
    kinds = [("abnormal", "accepted")] * 20 + [("abnormal", "rejected")] * 5
    kinds += [("normal", "rejected")] * 10 + [("normal", "accepted")] * 15
    made = [verdict(n, decision=decision, kind=kind) for n, (decision, kind) in enumerate(kinds)]
    first_thought = verdict(0, kind="rejected", given_at=MONDAY)
    found = {one.who: one for one in agreed([first_thought, *made])}
    both = found["all, final"]
    assert (both.both_abnormal, both.only_answer, both.only_reader, both.both_normal) == (20, 5, 10, 15)
    assert both.agreement.value == pytest.approx(0.7)
    assert both.kappa.value == pytest.approx(0.4)
    assert both.kappa.low < 0.4 < both.kappa.high
    assert set(found) == {"all, final", "concurrent, final", "jane, final"}


def test_blind_verdicts_are_told_apart_and_an_answer_of_neither_counts_nowhere() -> None:
    blind = [verdict(n, stage="provisional", mode="read-first", kind="rejected") for n in range(4)]
    final = [verdict(n, mode="read-first") for n in range(4)]
    refused = [verdict(9, decision=None, kind="accepted")]
    found = {one.who: one for one in agreed([*blind, *final, *refused])}
    assert found["blind: before the answer was shown"].agreement.value == 0
    assert found["read-first, final"].agreement.value == 1
    assert found["all, final"].studies == 4
    kappa = found["read-first, final"].kappa
    assert (math.isnan(kappa.value), kappa.reason) == (True, "both call every image the same")


def test_a_falling_share_of_rejected_alarms_is_seen() -> None:
    of = range(weeks.week_of(MONDAY, UTC), weeks.week_of(MONDAY, UTC) + 4)
    made = []
    for week in range(4):
        for n in range(30):
            kind = "rejected" if n < (12 if week < 2 else 1) else "accepted"
            at = MONDAY + week * 7 * DAY + 3600
            made.append(verdict(100 * week + n, kind=kind, given_at=at))
    made.append(verdict(999, decision="normal", kind="rejected", given_at=MONDAY + 5))  # no alarm
    found = rejected_alarms(made, of, UTC)
    assert [(one.alarms, one.rejected) for one in found.weeks] == [(30, 12), (30, 12), (30, 1), (30, 1)]
    assert [found.first.value, found.second.value] == pytest.approx([0.4, 1 / 30])
    assert found.change.value == pytest.approx(1 / 30 - 0.4)
    assert found.falls
    assert (found.first.n_positive, found.first.n_negative) == (24, 36)
    same = rejected_alarms([one for one in made if one.given_at < MONDAY + 7 * DAY], of, UTC)
    assert not same.falls
    assert math.isnan(same.change.value)
    assert same.change.reason == "no alarm got a final verdict in one of the halves"


def test_no_rejected_alarm_has_the_exact_upper_bound() -> None:
    of = range(weeks.week_of(MONDAY, UTC), weeks.week_of(MONDAY, UTC) + 1)
    (week,) = rejected_alarms([verdict(n) for n in range(20)], of, UTC).weeks
    assert week.share.value == 0
    assert week.share.high == pytest.approx(1 - 0.025 ** (1 / 20))  # Clopper and Pearson


def test_volumes_are_counts_by_week() -> None:
    of = range(weeks.week_of(MONDAY, UTC), weeks.week_of(MONDAY, UTC) + 2)
    came = [(MONDAY, 1), (MONDAY + 1, 1), (MONDAY + 7 * DAY, 1), (MONDAY + 7 * DAY, 2)]
    answers = [
        Answered("p", "accepted", (), "abnormal", MONDAY + 2),
        Answered("p", "refused", ("no chest",), None, MONDAY + 2),
        Answered("p", None, ("damaged",), None, MONDAY + 7 * DAY),
    ]
    found = volumes(came, answers, [verdict(1), verdict(1, stage="provisional")], of, UTC)
    assert [(v.images, v.studies, v.read, v.alarms, v.refused, v.verdicts) for v in found] == [
        (2, 1, 2, 1, 1, 1),
        (2, 1, 1, 0, 1, 0),
    ]


def test_turnaround_is_from_received_to_the_first_final_verdict() -> None:
    made = [verdict(n, given_at=MONDAY + 60 * (n + 1)) for n in range(9)]
    made += [verdict(20 + n, step=NORMAL, given_at=MONDAY + 6000) for n in range(3)]
    made.append(verdict(0, given_at=MONDAY + 90_000))  # a second verdict moves nothing
    found = {one.band: one for one in waited(made)}
    assert (found["alarm"].studies, found["alarm"].median.value, found["alarm"].longest) == (9, 5.0, 9.0)
    assert found["alarm"].median.low < 5 < found["alarm"].median.high
    assert (found["below the operating point"].median.value, found["all"].studies) == (100.0, 12)
    assert (
        found["below the operating point"].median.reason == "every resample gives the same value, which bounds nothing"
    )


def test_alarms_first_are_read_sooner_in_the_simulation_of_the_real_times() -> None:
    generator = np.random.default_rng(1)
    made = []
    for n in range(200):
        abnormal = n % 5 == 0
        at = MONDAY + 300.0 * n + float(generator.random())
        own = {"decision": "abnormal" if abnormal else "normal", "value": 0.9 if abnormal else 0.1}
        made.append(verdict(n, received_at=at, given_at=at + 900, seconds=330.0, **own))
    found = simulated(made, POINT, "0-24", 480, UTC)
    first, flagged, _ = found.triage.results
    assert (found.studies, found.read_minutes) == (200, 200)
    assert flagged.times["abnormal"]["mean"].value < 0.5 * first.times["abnormal"]["mean"].value
    assert flagged.change["abnormal"]["mean"].high < 0
    with pytest.raises(DataError, match=rf"{FEWEST} of each are needed"):
        simulated(made[:5], POINT, "0-24", 480, UTC)
    with pytest.raises(UsageError, match="is no shift"):
        simulated(made, POINT, "always", 480, UTC)


def filled(service: TriageService, clock: SetClock) -> World:
    """Eight studies that are read, half alarms; seven have verdicts, one a refusal."""
    world = world_of(service)
    for n in range(8):
        service.receive(dicom(n, PatientID=f"P{n // 2}"), door="http")
    read_all(service)

    def tell(number: int) -> dict[str, Any]:
        told = {"decision": "abnormal" if number % 2 else "normal", "probability": 0.9 if number % 2 else 0.2}
        refused = {"decision": None, "probability": None, "acceptance": "refused", "reasons": ["no chest: a hand"]}
        return {"score": None, "acceptance": "accepted", "reasons": []} | (refused if number == 7 else told)

    revise(service, tell)
    for n, one in enumerate(sorted(service.worklist().entries, key=lambda one: one.study.id)[:7]):
        clock.forward(60)
        user = world.people["reader" if n % 2 else "admin"]
        kind: Any = "rejected" if n == 1 else "accepted"
        service.give_verdict(one.study.key, user, Opinion(kind, mode="concurrent", seconds=30))
    return world


def test_the_page_shows_every_number_with_its_interval_or_why_not(service: TriageService, clock: SetClock) -> None:
    world = filled(service, clock)
    page = unescape(world.browser("reader").get("/review?weeks=4").text)
    assert "Review of the last 4 weeks" in page
    found = review(service, 4)
    whole = next(one for one in found.agreed if one.who == "all, final")
    assert whole.studies == 7
    assert whole.agreement.value == pytest.approx(6 / 7)
    assert "86 % (" in page
    assert ": no alarm got a final verdict; since then: 33 % (" in page
    assert " of 3 alarms rejected" in page
    assert "Doe" not in page  # nobody's name: of patients there is none on this page
    assert "/api/v1/export" not in page  # a reader may not
    admin = world.browser("admin")
    assert "is withheld while you read first" in admin.get("/review").text
    with service.database.writing() as session:
        modes.set_mode(session, service.database.now(session), world.people["admin"], modes.CONCURRENT)
    assert "/api/v1/export?form=parquet" in admin.get("/review").text
    few = unescape(world.browser("reader").get("/review?shift=0-24").text)
    assert "Not simulated: 7 studies have a reading time" in few
    assert world.browser("reader").get("/review?shift=<b>").status_code == 422
    assert world.browser("auditor").get("/review").status_code == 403


def test_an_empty_service_says_why_there_is_nothing(service: TriageService) -> None:
    page = world_of(service).browser("reader").get("/review").text
    for words in (
        "No verdict was given yet",
        "No alarm got its final verdict",
        "Nothing was received",
        "Nothing was read",
    ):
        assert words in page
    assert "nan" not in page


def test_a_silent_service_shows_no_review(service: TriageService) -> None:
    world = world_of(service)
    silent = service.settings.model_copy(update={"silent": True})
    service.settings = silent
    quiet = World(create_app(silent, service), service, world.people)
    assert quiet.browser("reader").get("/review").status_code == 403


def test_what_is_exported_is_judged_by_the_command_as_it_is(
    service: TriageService, clock: SetClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = filled(service, clock).by_token("admin")
    for form in ("csv", "parquet"):
        table = tmp_path / f"readings.{form}"
        table.write_bytes(admin.get(f"/api/v1/export?form={form}").content)
        code = run(["evaluate", "--predictions", str(table), "--threshold", "0.5", "--out", str(tmp_path / form)])
        assert code == 0, capsys.readouterr().err
        assert (tmp_path / form / "evaluation.json").is_file()

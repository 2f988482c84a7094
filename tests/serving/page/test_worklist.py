"""The worklist's page without a browser: what it shows and hides, its pages, what was looked for, what is new, who is next."""

from __future__ import annotations

import html
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select
from tests.serving.page.filled import fill
from tests.serving.rows import study
from tests.serving.web.conftest import world_of
from tests.serving.web.world import World
from tests.serving.world import dicom

from cxreader.inference.triage import ALARM
from cxreader.serving.clock import SetClock
from cxreader.serving.service import TriageService
from cxreader.serving.store.database import Database
from cxreader.serving.store.reading import modes, taking, verdicts
from cxreader.serving.store.reading.facets import facets
from cxreader.serving.store.reading.filters import Filters, patient_clause
from cxreader.serving.store.tables.images import Study, WorklistRow
from cxreader.serving.store.tables.people import LoginSession, User
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.web.app import create_app
from cxreader.serving.web.pages.lines import minutes, person_name

KEY = re.compile(r'<tr id="study-([\w-]+)"')
HEADING = re.compile(r'<tr class="heading">.*?</span>(\w[\w, ]*) <span class="count">([\d,]+)</span>')
CHIP = re.compile(r'class="chip" href="([^"]*)".*?>(\w+): ([^<]*?) <span class="muted">hides ([\d,]+)</span>')
NEXT = re.compile(r'href="([^"]*)" hx-get="[^"]*" data-does="page"')


@pytest.fixture
def world(service: TriageService) -> World:
    """130 studies of the last hours, none done."""
    with service.database.writing() as session:
        fill(session, service.database.now(session), service.settings.worklist.waits, 130)
    return world_of(service)


def rows(world: World) -> dict[str, WorklistRow]:
    with world.service.database.reading() as session:
        found = session.execute(select(Study.key, WorklistRow).join(WorklistRow, WorklistRow.study_id == Study.id))
        return {one.key: one.WorklistRow for one in found}


def everything(client: Any, address: str) -> list[str]:
    """The keys of all its pages."""
    found: list[str] = []
    while address:
        text = client.get(address).text
        keys = KEY.findall(text)
        assert len(keys) <= 50
        found += keys
        address = html.unescape(way[1]) if (way := NEXT.search(text)) else ""
    return found


def user(world: World, name: str) -> User:
    return world.people[name]


def test_every_study_stands_once_in_the_order_of_the_api_under_its_band_with_their_count(
    world: World, clock: SetClock
) -> None:
    reader, held = world.browser(), rows(world)
    found = everything(reader, "/")
    listed = reader.get("/api/v1/worklist", params={"size": 200}).json()["studies"]
    assert found == [one["study"] for one in listed]
    assert len(set(found)) == 130
    bands = Counter(
        "Overdue" if row.due_at <= clock.now else ("Alarm", "No answer", "Below, in doubt", "Below")[row.step]
        for row in held.values()
    )
    assert len(bands) == 5
    shown, address = dict[str, int](), "/"
    while address:
        text = reader.get(address).text
        shown |= {band: int(count) for band, count in HEADING.findall(text)}
        address = html.unescape(way[1]) if (way := NEXT.search(text)) else ""
    assert shown == bands


QUERIES: dict[str, Callable[[WorklistRow, float], bool]] = {
    "view=PA": lambda row, _: row.view == "PA",
    "view=-": lambda row, _: row.view == "",
    "station=MOBILE-3&decision=abnormal": lambda row, _: (row.station, row.decision) == ("MOBILE-3", "abnormal"),
    "band=overdue": lambda row, now: row.due_at <= now,
    "band=alarm": lambda row, now: row.step == ALARM and row.due_at > now,
    "decision=refused": lambda row, _: row.decision == "refused",
    "decision=unread&view=AP": lambda row, _: (row.decision, row.view) == ("unread", "AP"),
}


def test_a_filter_shows_what_it_asks_for_and_tells_what_it_hides(world: World, clock: SetClock) -> None:
    held, reader = rows(world), world.browser()
    for query, fits in QUERIES.items():
        wanted = {key for key, row in held.items() if fits(row, clock.now)}
        assert 0 < len(wanted) < 130
        for sort in ("urgency", "oldest", "newest"):
            found = everything(reader, f"/?{query}&sort={sort}")
            assert (set(found), len(found)) == (wanted, len(wanted)), (query, sort)
            listed = reader.get(f"/api/v1/worklist?size=200&{query}&sort={sort}").json()["studies"]
            assert [one["study"] for one in listed] == found
            times = [held[key].received_at for key in found]
            assert sort == "urgency" or times == sorted(times, reverse=sort == "newest")
        chips = CHIP.findall(reader.get(f"/?{query}").text)
        assert len(chips) == query.count("=")
        for without, _, _, hides in chips:
            assert int(hides) == len(everything(reader, html.unescape(without))) - len(wanted), query


def test_days_are_those_of_this_machine_and_the_last_one_is_whole(world: World, clock: SetClock) -> None:
    import datetime as dt

    today = dt.datetime.fromtimestamp(clock.now).date()
    began = dt.datetime.combine(today, dt.time()).timestamp()
    held = {key for key, row in rows(world).items() if row.received_at >= began}
    reader = world.browser()
    assert len(held) > 0
    assert set(everything(reader, f"/?from={today}&to={today}")) == held
    assert everything(reader, f"/?from={today + dt.timedelta(days=1)}") == []
    assert reader.get("/?from=yesterday").status_code == 422


def test_days_and_times_of_the_list_are_the_sites(world: World, clock: SetClock) -> None:
    """It is 2027-01-15 08:00 UTC: 13:30 of that day in India, whose 15th began at 18:30 UTC of the 14th."""
    settings = world.service.settings.model_copy(update={"time_zone": "Asia/Kolkata"})
    india = World(create_app(settings, world.service), world.service, world.people).browser()
    began = clock.now - 13.5 * 3600
    held = {key for key, row in rows(world).items() if row.received_at >= began}
    assert set(everything(india, "/?from=2027-01-15&to=2027-01-15")) == held
    assert "15 Jan 2027, 13:30:00 IST" in india.get("/").text


def test_why_a_list_is_empty_is_said(world: World, service: TriageService) -> None:
    reader = world.browser()
    hidden = reader.get("/?view=PA&station=nowhere").text
    assert "The filters hide all 130" in hidden
    assert f"hides {sum(row.view == 'PA' for row in rows(world).values())} that the others show" in hidden
    assert "Nothing is put aside" in reader.get("/?state=pending").text
    assert "Nothing is done yet" in reader.get("/?state=done").text
    with service.database.writing() as session:
        for one in session.scalars(select(Study)):
            verdicts.put(session, 0.0, one, user(world, "reader"), "done")
    assert "Nothing waits" in reader.get("/").text
    assert len(everything(reader, "/?state=done&sort=newest")) == 130


def test_an_empty_service_says_how_to_send(service: TriageService) -> None:
    text = world_of(service).browser().get("/").text
    assert "Nothing has been received yet" in text
    assert "<code>CXREADER</code> at 127.0.0.1, port 11112" in text


def test_what_was_looked_for_stays_in_the_session(world: World, service: TriageService) -> None:
    with service.database.writing() as session:
        one = session.scalars(select(Study)).first()
        assert one is not None
        one.patient_name, one.patient_id = "Zyxwv^Quorra", "PID 4711"
        key = one.key
    reader, other = world.browser(), world.browser("admin")
    for typed in ("quorra zyx", "Zyxwv, Quorra", "PID 4711"):
        answer = reader.post("/worklist/search", data={"terms": typed})
        led = answer.headers["hx-redirect"]
        assert (answer.status_code, answer.text) == (204, "")
        assert not re.search("quorra|zyx|4711", led, re.IGNORECASE)
        found = reader.get(led).text
        assert KEY.findall(found) == [key], typed
        assert "Zyxwv, Quorra" in found
        strange = other.get(led).text
        assert "That search is over" in strange
        assert "Quorra" not in strange.partition("<table")[0]
    assert (
        "Nobody found"
        in reader.get(reader.post("/worklist/search", data={"terms": "zyx nobody"}).headers["hx-redirect"]).text
    )
    assert reader.post("/worklist/search", data={"terms": " "}).status_code == 400
    assert world.by_token().post("/worklist/search", data={"terms": "x"}).status_code == 400
    reader.post("/logout", data={"csrf": reader.headers["X-CSRF-Token"]})
    with service.database.reading() as session:
        assert "Quorra" not in str([row.searches for row in session.scalars(select(LoginSession))])


TYPED = {
    "müller": {"MÜLLER^Änne"},
    "Änne": {"MÜLLER^Änne"},
    "o'neil": {"O'Neil^Pat"},
    "100%": {"100%^X"},
    "a_b": set(),
    "pat": {"O'Neil^Pat", "Patel^Ravi"},
    "山田": {"Yamada^Tarou=山田^太郎"},
    "^": set(),
}


def test_names_are_found_by_their_words_in_any_capitals(database: Database) -> None:
    names = ("MÜLLER^Änne", "O'Neil^Pat", "Patel^Ravi", "100%^X", "axb^Y", "Yamada^Tarou=山田^太郎")
    with database.writing() as session:
        session.add_all(study(n, patient_name=name, patient_id=f"id{n}") for n, name in enumerate(names))
    with database.reading() as session:
        for typed, found in TYPED.items():
            assert set(session.scalars(select(Study.patient_name).where(patient_clause(typed)))) == found, typed


def test_news_are_counted_and_lines_that_changed_are_drawn_anew(world: World, clock: SetClock) -> None:
    reader = world.browser()
    drawn = reader.get("/").text
    last, as_of = (re.search(rf'data-{name}="([\d.]+)"', drawn)[1] for name in ("last", "as-of"))
    seen = KEY.findall(drawn)

    def news(query: str = "") -> tuple[str, list[str]]:
        text = reader.get(f"/worklist/news?after={last}&as_of={as_of}&seen={','.join(seen)}{query}").text
        return re.search('data-words="([^"]*)"', text)[1], KEY.findall(text)

    assert news() == ("", [])
    clock.forward(1)
    world.service.receive(dicom(1), door="http", sender="CT9")
    assert news() == ("1 new", [])
    assert news("&station=CT9") == ("1 new", [])
    assert news("&station=MOBILE-3") == ("", [])
    world.browser("admin").put(f"/api/v1/studies/{seen[3]}/lock")
    words, changed = news()
    assert (words, changed) == ("1 new", [seen[3]])
    assert "admin since" in reader.get(f"/worklist/news?after={last}&as_of={as_of}&seen={seen[3]}").text
    due = sorted(row.due_at for row in rows(world).values() if row.due_at > clock.now)
    clock.now = due[1]
    assert news()[0] == "1 new, 2 overdue"


def test_next_is_the_most_urgent_study_that_nobody_else_has(world: World, clock: SetClock) -> None:
    first, second = world.browser("reader"), world.browser("admin")
    order = everything(first, "/")

    def taken(client: Any, query: str = "") -> str | None:
        found: str | None = client.post(f"/api/v1/worklist/next{query}").json()["study"]
        return found

    assert [taken(first), taken(second)] == order[:2]
    assert taken(first) == order[0]  # which they have
    assert taken(first, f"?after={order[0]}") == order[2]
    assert second.put(f"/api/v1/studies/{order[3]}/reader", json={"reader": "reader"}).status_code == 204
    assert [taken(second, f"?after={order[1]}"), taken(first, f"?after={order[2]}")] == [order[4], order[0]]
    clock.forward(verdicts.LOCKED + 1)  # pages that are not heard of any more
    assert taken(second) == order[0]
    refused = {key for key, row in rows(world).items() if row.decision == "refused"}
    assert taken(second, "?decision=refused&band=no-answer") in refused
    assert second.put(f"/api/v1/studies/{order[3]}/reader", json={"reader": "auditor"}).status_code == 400


def test_who_has_a_study_in_hand_is_told_in_words(world: World, clock: SetClock) -> None:
    reader, admin = world.browser("reader"), world.browser("admin")
    key = everything(reader, "/")[0]

    def told() -> tuple[str, str]:
        line = reader.get("/").text.partition(f'<tr id="study-{key}"')[2].partition("</tr>")[0]
        cells = [re.search(rf'<td class="{name}[^"]*">(?:<span[^>]*>)?([^<]*)<', line) for name in ("state", "reader")]
        return cells[0][1], cells[1][1]

    assert told() == ("Open", "")
    admin.put(f"/api/v1/studies/{key}/lock")
    state, who = told()
    assert (state, who[:12]) == ("Being read", "admin since ")
    clock.forward(verdicts.LOCKED + 1)
    assert told() == ("Left", "admin")
    admin.put(f"/api/v1/studies/{key}/lock")
    admin.put(f"/api/v1/studies/{key}/reader", json={"reader": "reader"})
    assert told() == ("Handed over", "to reader")
    reader.put(f"/api/v1/studies/{key}/lock")
    reader.delete(f"/api/v1/studies/{key}/lock")
    assert told() == ("Handed over", "to reader")
    admin.post(f"/api/v1/studies/{key}/verdicts", json={"kind": "accepted", "stage": "provisional"})
    assert told() == ("Handed over", "to reader")
    admin.post(f"/api/v1/studies/{key}/verdicts", json={"kind": "accepted"})
    assert rows(world)[key].reader == "admin"


def reasons_of(world: World) -> dict[str, str]:
    """Why each study stands where it stands, as the reader's pages say it."""
    reader, found = world.browser(), dict[str, str]()
    for address in ("/", *(f"/?decision={one}" for one in ("abnormal", "normal", "refused", "refer", "unread"))):
        text = reader.get(address).text
        found |= zip(KEY.findall(text), re.findall(r'<td class="reason"><span title="([^"]*)"', text), strict=True)
    assert len(found) > 100
    return found


def test_who_reads_first_is_told_reasons_without_figures(world: World) -> None:
    told = {html.unescape(one) for one in reasons_of(world).values()}
    assert not [one for one in told if re.search(r"\d\.\d|\b(ab)?normal\b", one)]
    assert {"above the operating point", "below the operating point"} <= told


def test_reasons_are_told_with_the_pair_and_never_call_anybody_normal(world: World) -> None:
    with world.service.database.writing() as session:
        modes.set_mode(session, world.service.database.now(session), world.people["reader"], modes.CONCURRENT)
    reasons = reasons_of(world)
    with world.service.database.reading() as session:
        found = session.execute(
            select(Study.key, WorklistRow, Result)
            .join(WorklistRow, WorklistRow.study_id == Study.id)
            .outerjoin(Result, Result.id == WorklistRow.result_id)
        )
        readings = {key: {} if result is None else result.reading for key, _, result in found}
    kinds = Counter[str]()
    for key, reason in reasons.items():
        reading, told = readings[key], html.unescape(reason)
        assert not re.search(r"\b(ab)?normal\b", told)
        decision = reading.get("decision")
        if decision in ("abnormal", "normal"):
            pair = reading["interval"]
            word = "above" if decision == "abnormal" else "below"
            shown = f" ({pair[0]:.2f}-{pair[1]:.2f})" if pair else ""
            assert f"{word}, probability {reading['probability']:.2f}{shown}" in told
        elif reading:
            assert "; ".join(reading["reasons"]) in told
        kinds[decision or reading.get("acceptance") or "unread"] += 1
    assert set(kinds) == {"abnormal", "normal", "refer", "refused", "unread"}


def test_who_may_see_no_patient_and_a_silent_service_say_so(world: World) -> None:
    auditor = world.browser("auditor").get("/").text
    assert "No patients for this role" in auditor
    assert not KEY.search(auditor)
    silent = world.service.settings.model_copy(update={"silent": True})
    world.service.settings = silent
    quiet = World(create_app(silent, world.service), world.service, world.people)
    page = quiet.browser("reader").get("/")
    assert (page.status_code, "The service is silent" in page.text) == (200, True)
    assert not KEY.search(page.text)
    assert quiet.browser("reader").get("/worklist/news?after=0&as_of=0").status_code == 403


def test_a_number_that_no_database_holds_is_refused(world: World) -> None:
    for after in (2**31, 10**30):
        assert world.browser().get(f"/worklist/news?after={after}&as_of=0").status_code == 422


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/worklist/news?after=0&as_of=0"),
        ("GET", "/studies/{key}/panel"),
        ("PUT", "/api/v1/studies/{key}/lock"),
        ("GET", "/api/v1/session"),
    ],
)
def test_an_open_page_does_not_keep_a_session_from_ending(
    world: World, clock: SetClock, method: str, address: str
) -> None:
    reader, key = world.browser(), next(iter(rows(world)))
    codes = []
    for _ in range(4):
        clock.forward(9 * 60)
        codes.append(reader.request(method, address.format(key=key), headers={"HX-Request": "true"}).status_code)
    assert codes == [200, 200, 200, 401]  # 36 minutes of which no one was a person's
    ended = reader.get("/")
    assert (ended.headers["location"], ended.headers["clear-site-data"]) == ("/login", '"cache"')


def test_two_readers_are_never_given_the_same_study(world: World, clock: SetClock) -> None:
    """The second one asks while the first one's transaction is under way; on SQLite it waits for its beginning already."""
    first, second = world.people["reader"], world.people["admin"]
    order, database = everything(world.browser(), "/"), world.service.database
    with database.writing() as session:
        left = session.scalars(select(Study).where(Study.key == order[0])).one()
        verdicts.take(session, clock.now, left, world.people["auditor"])
    clock.forward(verdicts.LOCKED + 1)
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as session:
            own = taking.next_study(session, clock.now, first, Filters())
            other = pool.submit(world.service.next_study, second)
            time.sleep(0.5)  # until it waits
        assert (own, other.result()) == (order[0], order[1])


def test_what_is_ended_while_the_next_study_is_looked_for_is_not_given(world: World, clock: SetClock) -> None:
    """On PostgreSQL; where SQLite writes nobody looks, so that it is ended before."""
    order, database = everything(world.browser(), "/"), world.service.database
    with ThreadPoolExecutor(1) as pool:
        with database.writing() as session:
            top = session.scalars(select(Study).where(Study.key == order[0])).one()
            verdicts.put(session, clock.now, top, world.people["admin"], "done")
            other = pool.submit(world.service.next_study, world.people["reader"])
            time.sleep(0.5)
        assert other.result() == order[1]
    assert rows(world)[order[0]].reader == "admin"


def test_facets_count_each_study_once_whatever_is_asked(world: World, clock: SetClock) -> None:
    since = sorted(row.received_at for row in rows(world).values())[40]
    with world.service.database.reading() as session:
        found = facets(session, "open", Filters(since=since), clock.now)
    assert found.states == {"open": 130}
    assert (found.shown(Filters()), found.shown(Filters(since=since))) == (130, 90)
    assert sum(found.by("view", Filters()).values()) == 130


@pytest.mark.parametrize(
    ("seconds", "told"), [(59, "0 min"), (7199, "119 min"), (7260, "2 h 01"), (180_000, "2 d 2 h"), (-5, "0 min")]
)
def test_waiting_is_told_for_a_glance(seconds: float, told: str) -> None:
    assert minutes(seconds) == told


@pytest.mark.parametrize(
    ("name", "told"),
    [("Doe^Jane^M", "Doe, Jane M"), ("Doe", "Doe"), ("^Jane", "Jane"), ("", ""), ("A^B=山^田", "A, B")],
)
def test_names_are_told_as_people_write_them(name: str, told: str) -> None:
    assert person_name(name) == told

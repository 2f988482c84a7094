"""Who may enter, for how long, and what a stolen or forged request gets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select
from tests.serving.web.world import ADDRESS, PASSWORD, World
from tests.serving.world import dicom

from cxreader.serving.access import people, tokens
from cxreader.serving.access.passwords import FREE, REST
from cxreader.serving.access.rates import Rate
from cxreader.serving.access.refusals import TooManyError
from cxreader.serving.clock import SetClock
from cxreader.serving.store.tables.people import ApiToken, LoginSession, User
from cxreader.serving.store.tables.trail import AuditEntry
from cxreader.serving.web.app import create_app


def test_a_session_ends_when_idle_and_in_any_case(world: World, clock: SetClock) -> None:
    reader = world.browser()
    clock.forward(29 * 60)
    assert reader.get("/api/v1/tokens").status_code == 200
    clock.forward(29 * 60)
    assert reader.get("/api/v1/tokens").status_code == 200  # the request before was the last use
    clock.forward(31 * 60)
    assert reader.get("/api/v1/tokens").status_code == 401
    lasting = world.browser()
    for _ in range(30):
        clock.forward(25 * 60)
        last = lasting.get("/api/v1/tokens").status_code
    assert last == 401  # 12.5 hours, never idle


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_the_database_has_its_hash(world: World) -> None:
    client = world.client()
    said = client.post("/login", data={"name": "reader", "password": PASSWORD}).headers["set-cookie"]
    assert "HttpOnly" in said
    assert "SameSite=lax" in said
    assert "Path=/" in said
    token = client.cookies["cxreader"]
    with world.service.database.reading() as session:
        kept = session.scalars(select(LoginSession.token)).all()
    assert token not in kept
    assert len(kept) == 1


def test_behind_tls_the_cookie_is_bound_to_this_host(world: World) -> None:
    settings = world.service.settings
    web = settings.web.model_copy(update={"url": "https://triage.example.org", "behind_proxy": True})
    app = create_app(settings.model_copy(update={"web": web}), world.service)
    client = replace(world, app=app).client()
    client.base_url = "https://triage.example.org"
    answer = client.post("/login", data={"name": "reader", "password": PASSWORD})
    said = answer.headers["set-cookie"]
    assert said.startswith("__Host-cxreader=")
    assert "Secure" in said
    assert "max-age=31536000" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("header", "value"),
    [("X-CSRF-Token", "0" * 64), ("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
)
def test_a_form_of_another_site_changes_nothing(world: World, header: str, value: str) -> None:
    reader = world.browser()
    wanted = {"name": "mine", "scopes": ["read"], "days": 1}
    refused = reader.post("/api/v1/tokens", json=wanted, headers={header: value})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:cxreader:forbidden")
    assert reader.get("/api/v1/tokens").json() == []
    assert reader.post("/api/v1/tokens", json=wanted, headers={"Origin": ADDRESS}).status_code == 201


def test_another_site_cannot_sign_a_browser_in_or_out(world: World) -> None:
    client, form = world.client(), {"name": "reader", "password": PASSWORD}
    assert client.post("/login", data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    reader = world.browser()
    assert reader.post("/logout", data={"csrf": "wrong"}).status_code == 403
    csrf = reader.headers["X-CSRF-Token"]
    out = reader.post("/logout", data={"csrf": csrf})
    assert (out.headers["location"], out.headers["clear-site-data"]) == ("/login", '"cache"')
    assert reader.get("/api/v1/session").status_code == 401


def test_wrong_passwords_rest_the_account_and_nothing_tells_why(world: World, clock: SetClock) -> None:
    client = world.client()

    def sign_in(name: str, password: str) -> tuple[int, str]:
        world.app.state.door.sign_ins._left.clear()  # this test is about the account's own rest
        answer = client.post("/login", data={"name": name, "password": password})
        return answer.status_code, answer.text

    wrong = sign_in("reader", "a wrong password")
    assert wrong[0] == 401
    assert sign_in("nobody", "a wrong password") == wrong
    for _ in range(FREE - 1):
        sign_in("reader", "a wrong password")
    assert sign_in("reader", PASSWORD) == wrong  # it rests
    clock.forward(REST + 1)
    assert sign_in("reader", PASSWORD)[0] == 303
    with world.service.database.reading() as session:
        noted = session.execute(select(AuditEntry.event, AuditEntry.actor, AuditEntry.detail)).all()
    assert [row.detail.get("attempts") for row in noted if row.event == "sign-in refused" and row.actor] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert "nobody" not in str(noted)  # a name that is typed may be a password


def test_attempts_from_one_address_are_limited(world: World) -> None:
    web = world.service.settings.web.model_copy(update={"sign_ins": 1})
    app = create_app(world.service.settings.model_copy(update={"web": web}), world.service)
    client, form = replace(world, app=app).client(), {"name": "nobody", "password": "x"}
    assert [client.post("/login", data=form).status_code for _ in range(2)] == [401, 429]


def test_a_bucket_fills_evenly_and_each_key_has_its_own() -> None:
    now = [0.0]
    rate = Rate(2, "attempts", now=lambda: now[0])
    rate.take("a")
    rate.take("a")
    rate.take("b")
    with pytest.raises(TooManyError) as refused:
        rate.take("a")
    assert refused.value.after == 30  # two a minute
    now[0] = 30.0
    rate.take("a")
    with pytest.raises(TooManyError, match="too many attempts"):
        rate.take("a")


def test_a_token_is_shown_once_kept_hashed_and_holds_no_more_than_its_scopes(world: World) -> None:
    reader = world.browser()
    made = reader.post("/api/v1/tokens", json={"name": "export", "scopes": ["read"], "days": 1}).json()
    assert made["text"].startswith("cxr_")
    listed = reader.get("/api/v1/tokens").json()
    assert made["text"] not in str(listed)
    with world.service.database.reading() as session:
        assert made["text"] not in session.scalars(select(ApiToken.token)).all()
    program = world.client(headers={"Authorization": f"Bearer {made['text']}"})
    assert program.get("/api/v1/worklist").status_code == 200
    assert program.post("/api/v1/images", content=b"x").status_code == 403
    assert program.post("/api/v1/tokens", json={"name": "x", "scopes": ["read"], "days": 1}).status_code == 403
    beyond = reader.post("/api/v1/tokens", json={"name": "x", "scopes": ["export"], "days": 1})
    assert beyond.status_code == 400  # which its user does not have
    assert reader.delete(f"/api/v1/tokens/{made['key']}").status_code == 204
    assert program.get("/api/v1/worklist").status_code == 401


def test_a_token_loses_what_its_user_loses(world: World) -> None:
    program, reader = world.by_token("reader"), world.browser("reader")
    database = world.service.database
    with database.writing() as session:
        user = people.named(session, "reader")
        people.set_role(session, database.now(session), "a test", user, "auditor")
    assert program.get("/api/v1/worklist").status_code == 403
    assert reader.get("/api/v1/session").status_code == 401  # signed out
    with database.writing() as session:
        user = people.named(session, "reader")
        people.set_disabled(session, database.now(session), "a test", user, disabled=True)
    assert program.get("/api/v1/session").status_code == 401
    answer = world.client().post("/login", data={"name": "reader", "password": PASSWORD})
    assert answer.status_code == 401


def test_a_trusted_proxy_names_the_user_and_nobody_else_does(world: World) -> None:
    settings = world.service.settings
    web = settings.web.model_copy(update={"user_header": "X-Remote-User", "proxies": ("10.1.0.0/16",)})
    app = create_app(settings.model_copy(update={"web": web}), world.service)
    inside = replace(world, app=app)
    by_proxy = inside.client(client=("10.1.2.3", 5000))
    named = {"X-Remote-User": "reader"}
    assert by_proxy.get("/login", headers=named).status_code == 303
    assert by_proxy.get("/api/v1/session", headers=named).json()["user"] == "reader"
    assert by_proxy.get("/api/v1/session", headers={"X-Remote-User": "admin"}).status_code == 401
    assert by_proxy.get("/api/v1/session").status_code == 401  # signed out at the proxy
    unknown = inside.client(client=("10.1.2.3", 5000))
    assert unknown.get("/login", headers={"X-Remote-User": "mallory"}).status_code == 401
    other = inside.client(client=("10.2.0.1", 5000))
    assert other.get("/login", headers=named).status_code == 200  # the form
    assert other.get("/api/v1/session", headers=named).status_code == 401


def test_addresses_behind_a_trusted_proxy_are_told_apart(world: World) -> None:
    settings = world.service.settings
    web = settings.web.model_copy(update={"proxies": ("10.1.0.0/16",), "sign_ins": 1})
    app = create_app(settings.model_copy(update={"web": web}), world.service)
    client = replace(world, app=app).client(client=("10.1.2.3", 5000))

    def code(forwarded: str) -> int:
        form = {"name": "nobody", "password": "x"}
        return client.post("/login", data=form, headers={"X-Forwarded-For": forwarded}).status_code

    assert [code("192.0.2.1"), code("192.0.2.2"), code("192.0.2.1")] == [401, 401, 429]
    assert code("192.0.2.9, 192.0.2.1") == 429  # what a client wrote itself stands to the left
    direct = replace(world, app=app).client(client=("192.0.2.50", 5000))
    form = {"name": "nobody", "password": "x"}
    codes = [
        direct.post("/login", data=form, headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code for n in (1, 2)
    ]
    assert codes == [401, 429]  # nobody else's word is believed


def test_another_host_and_a_rebound_name_get_nothing(world: World) -> None:
    for host, code in (("127.0.0.1:8080", 200), ("localhost", 200), ("evil.example", 421), ("[::", 421)):
        assert world.client().get("/login", headers={"Host": host}).status_code == code, host


def test_every_answer_binds_the_browser(world: World) -> None:
    for path in ("/login", "/api/v1/worklist", "/nothing", "/static/css/base.css"):
        headers = world.client().get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == ("no-cache" if "static" in path else "no-store")
    page = world.client().get("/login").text
    assert page.count("<script") == page.count("<script src=") > 0
    assert "style=" not in page


def test_the_keys_of_another_user_s_tokens_open_nothing(world: World) -> None:
    database = world.service.database
    with database.writing() as session:
        user = session.scalars(select(User).where(User.name == "admin")).one()
        made = tokens.add(session, database.now(session), user, name="theirs", scopes=["read"], days=1)
    assert world.browser("reader").delete(f"/api/v1/tokens/{made.row.key}").status_code == 404
    assert world.client(headers={"Authorization": f"Bearer {made.text}"}).get("/api/v1/session").status_code == 200


def test_the_first_page_says_who_is_signed_in(world: World) -> None:
    assert world.client().get("/").headers["location"] == "/login"
    page = world.browser("reader").get("/")
    assert page.status_code == 200
    assert '<span class="muted">Signed in as</span> reader' in page.text


@pytest.mark.parametrize(
    ("to", "led"),
    [
        ("/studies/x?image=2", "/studies/x?image=2"),
        *((bad, "/") for bad in ("//evil.example", "/\\evil.example", "https://evil.example", "", "/\n/evil")),
    ],
)
def test_signing_in_leads_back_to_what_was_asked_for_and_nowhere_else(world: World, to: str, led: str) -> None:
    asked = world.client().get("/?state=pending")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?to=%2F%3Fstate%3Dpending")
    answer = world.client().post("/login", data={"name": "reader", "password": PASSWORD, "to": to})
    assert (answer.status_code, answer.headers["location"]) == (303, led)


def test_a_person_reads_errors_as_a_page_and_a_program_as_json(world: World) -> None:
    reader = world.browser("reader")
    shown = reader.get("/nothing")
    assert (shown.status_code, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Not Found</h1>" in shown.text
    for path, more in (("/api/v1/nothing", {}), ("/static/none.css", {}), ("/nothing", {"HX-Request": "true"})):
        answer = reader.get(path, headers=more)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:cxreader:http"), path


def test_a_watcher_needs_no_sign_in_for_health_alone(world: World) -> None:
    client = world.client()
    assert client.get("/healthz").json() == {"status": "running"}
    assert set(client.get("/readyz").json()) == {"database", "disk", "models", "queue", "node", "outbox"}
    answer = world.by_token("auditor", "metrics").get("/metrics")
    assert "cxreader_jobs" in answer.text


def test_a_dead_letter_is_told_and_takes_no_service_from_its_balancer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxreader.serving.operations.health import Check
    from cxreader.serving.web import watched

    client = world.client()
    for check, status in ((Check("outbox", noted="1 result was given up"), 200), (Check("outbox", "late"), 503)):
        monkeypatch.setattr(watched, "ready", lambda _, check=check: [check])
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()) == (status, {"outbox": check.why or check.noted})


def test_who_was_shown_what_is_in_the_audit_log(world: World) -> None:
    got = world.service.receive(dicom(1), door="http")
    reader = world.by_token("reader")
    for path in (
        *("/api/v1/worklist", f"/api/v1/studies/{got.study}", f"/api/v1/studies/{got.study}"),
        *(f"/api/v1/images/{got.instance}/pixels", f"/api/v1/images/{got.instance}/original"),
        *(
            "/dicomweb/studies?PatientName=Doe*",
            "/dicomweb/studies/1.2.3.1",
            f"/fhir/ImagingStudy/{got.study.replace('_', '.')}",
        ),
    ):
        assert reader.get(path).status_code == 200, path
    with world.service.database.reading() as session:
        query = select(AuditEntry).where(AuditEntry.event.like("% shown")).order_by(AuditEntry.number)
        noted = [(one.event, one.actor, one.subject) for one in session.scalars(query)]
    assert noted == [
        ("worklist shown", "reader", ""),
        ("study shown", "reader", got.study),  # once, however often and by whatever door
        ("image shown", "reader", got.instance),
        ("file shown", "reader", got.instance),
        ("search shown", "reader", ""),
    ]

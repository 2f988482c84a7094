"""A running application, people who may enter, and clients that are signed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from cxreader.serving.access import tokens
from cxreader.serving.roles import SCOPES, Role
from cxreader.serving.service import TriageService
from cxreader.serving.store import users
from cxreader.serving.store.reading import studies
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.people import User
from cxreader.serving.store.tables.readings import Result

PASSWORD = "correct horse battery staple"  # noqa: S105 - of the tests' own people
ADDRESS = "http://127.0.0.1:8080"


@dataclass(frozen=True)
class World:
    """An application on a service, with a user of each role, called as the role."""

    app: FastAPI
    service: TriageService
    people: dict[str, User]

    def client(self, **more: Any) -> TestClient:
        """A client that nobody is signed in with."""
        return TestClient(self.app, base_url=ADDRESS, follow_redirects=False, raise_server_exceptions=False, **more)

    def by_token(self, role: str = "reader", *scopes: str, days: float = 1) -> TestClient:
        """A program with an API token of this role's user."""
        held: Any = scopes or sorted(SCOPES[role])
        user, database = self.people[role], self.service.database
        with database.writing() as session:
            made = tokens.add(session, database.now(session), user, name="test", scopes=held, days=days)
        return self.client(headers={"Authorization": f"Bearer {made.text}"})

    def browser(self, role: str = "reader") -> TestClient:
        """A browser that is signed in, and sends its CSRF token."""
        client = self.client()
        assert client.post("/login", data={"name": role, "password": PASSWORD}).status_code == 303
        client.headers["X-CSRF-Token"] = client.get("/api/v1/session").json()["csrf"]
        return client


def people(service: TriageService) -> dict[str, User]:
    """A user of each role."""
    made: dict[str, User] = {}
    with service.database.writing() as session:
        now = service.database.now(session)
        for role in get_args(Role):
            made[role] = users.add(session, now, name=role, role=role, password=PASSWORD)
    return made


def revise(service: TriageService, tell: Callable[[int], dict[str, Any]]) -> list[Result]:
    """The next revision of every latest answer, in the images' order: `tell` says by their number what differs."""
    made = []
    with service.database.writing() as session:
        latest = {one.instance_id: one for one in session.scalars(select(Result).order_by(Result.revision))}
        for number, old in enumerate(latest[image] for image in sorted(latest)):
            same = ("instance_id", "sha256", "models_id", "step", "height", "reason", "no_map", "read_at")
            new = Result(**{name: getattr(old, name) for name in same}, revision=old.revision + 1)
            new.reading = old.reading | tell(number)
            session.add(new)
            made.append(new)
        session.flush()
        of = [session.get_one(Instance, one.instance_id).study_id for one in made]
        studies.refresh(session, service.database.now(session), of, service.settings.worklist.waits)
    return made

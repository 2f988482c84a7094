"""A running application, people who may enter, and clients that are signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from cxreader.serving.access import tokens
from cxreader.serving.roles import SCOPES
from cxreader.serving.service import TriageService
from cxreader.serving.store import users
from cxreader.serving.store.tables.people import User

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
        for role in SCOPES:
            made[role] = users.add(session, now, name=role, role=role, password=PASSWORD)
    return made

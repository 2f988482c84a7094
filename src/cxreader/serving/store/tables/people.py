"""Who uses the service, and what they said: users, sessions, tokens, verdicts, locks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from cxreader.serving.store.tables.base import Base, Digest, Key, Moment, Values, Words, new_key


class User(Base):
    """A person. `role`: reader, admin or auditor.

    `password`: an argon2id hash, empty for who signs in elsewhere, by OIDC, as `subject` of `issuer`.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[Key] = mapped_column(default=new_key)
    name: Mapped[Words] = mapped_column(unique=True)
    role: Mapped[Words]
    password: Mapped[Words]
    issuer: Mapped[Words]
    subject: Mapped[Words]
    created_at: Mapped[Moment]
    disabled_at: Mapped[Moment | None]
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[Moment | None]
    settings: Mapped[Values] = mapped_column(default=dict)


class LoginSession(Base):
    """A signed-in browser: `token` is the digest of what it holds. It ends at `ends_at`, or a while after `seen_at`.

    `confirmed_at`: when its user last proved to be there, by the password or at the provider. `searches`: what was looked for,
    by a random name that stands in a page's address in its place.
    """

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[Digest] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[Moment]
    seen_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    confirmed_at: Mapped[Moment | None]
    searches: Mapped[Values] = mapped_column(default=dict)


class ApiToken(Base):
    """A program's key: `token` is the digest of what was shown once; `scopes` what it may do."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[Key] = mapped_column(default=new_key)
    token: Mapped[Digest] = mapped_column(unique=True)
    name: Mapped[Words]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    used_at: Mapped[Moment | None]
    revoked_at: Mapped[Moment | None]


class Verdict(Base):
    """What a reader said of a study; never changed, the latest final one counts.

    `kind`: accepted, rejected or supplemented. `stage`: provisional or final. `mode`: read-first or concurrent. `result_id`:
    the answer that it is of, None where none was there. `seconds`: from opening the study to this. `findings`: a list of plain
    values. `impression`: what the reader calls the study, normal or abnormal; empty where it was not said. `disagreement`: why
    the reader does not follow the answer, a word of the form or the reader's own; empty for who follows, and where it was not
    said.
    """

    __tablename__ = "verdicts"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    result_id: Mapped[int | None] = mapped_column(ForeignKey("results.id"), index=True)
    kind: Mapped[Words]
    stage: Mapped[Words]
    mode: Mapped[Words]
    findings: Mapped[list[Any]] = mapped_column(JSON)
    comment: Mapped[Words]
    seconds: Mapped[float | None]
    given_at: Mapped[Moment]
    impression: Mapped[Words]
    disagreement: Mapped[Words]


class ShownAnswer(Base):
    """That a reader was shown the answer to a study, and when; `result_id`: the first that was shown.

    `mode`: read-first after a provisional verdict, else concurrent.
    """

    __tablename__ = "shown_answers"

    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, autoincrement=False)
    result_id: Mapped[int] = mapped_column(ForeignKey("results.id"), index=True)
    mode: Mapped[Words]
    at: Mapped[Moment]


class StudyLock(Base):
    """Who reads a study now: a lease with a heartbeat. It warns others and keeps nobody out.

    `reader_before`: whom the worklist named before, None where the lock left that name as it was.
    """

    __tablename__ = "locks"

    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    since: Mapped[Moment]
    until: Mapped[Moment]
    reader_before: Mapped[str | None] = mapped_column(Text)

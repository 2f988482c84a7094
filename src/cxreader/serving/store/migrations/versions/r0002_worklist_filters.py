"""What the worklist is filtered by stands in its row; searches stand in the session."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"
_AT_ONCE = 1000
_COLUMNS = ("decision", "view", "station", "acquired", "reader")
_FACETS = ("state", "step", "decision", "view", "station", "reader", "due_at", "received_at", "study_id")


def upgrade() -> None:
    """Add the columns, fill them from what is known, and then make their indices."""
    for name in _COLUMNS:
        op.add_column("worklist", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("sessions", sa.Column("searches", sa.JSON(), server_default="{}", nullable=False))
    _fill(op.get_bind())
    op.create_index("ix_worklist_any_state", "worklist", ["received_at", "study_id"], unique=False)
    op.create_index("ix_worklist_facets", "worklist", list(_FACETS), unique=False)


def _fill(connection: sa.Connection) -> None:
    last, worklist = -1, sa.table("worklist", sa.column("study_id"), *map(sa.column, _COLUMNS))
    while found := connection.execute(_PAGE, {"last": last, "most": _AT_ONCE}).mappings().all():
        for row in found:
            values = {name: row[name] for name in ("view", "acquired")}
            values |= {
                "decision": _decision(row),
                "station": row["sender"] or row["door"],
                "reader": row["reader"] or "",
            }
            connection.execute(sa.update(worklist).where(worklist.c.study_id == row["study_id"]).values(**values))
        last = found[-1]["study_id"]


def _decision(row: Any) -> str:
    return "unread" if row["reading"] is None else row["reading"].get("decision") or "refused"


_PAGE = sa.text(
    """
    SELECT w.study_id, i.view, i.acquired, i.sender, i.door, r.reading, u.name AS reader
    FROM worklist w
    JOIN instances i ON i.id = coalesce(
        (SELECT instance_id FROM results WHERE id = w.result_id),
        (SELECT min(id) FROM instances WHERE study_id = w.study_id)
    )
    LEFT JOIN results r ON r.id = w.result_id
    LEFT JOIN users u ON u.id = coalesce(
        (SELECT user_id FROM locks WHERE study_id = w.study_id),
        (SELECT user_id FROM verdicts v WHERE v.study_id = w.study_id AND v.stage = 'final' ORDER BY v.id DESC LIMIT 1)
    )
    WHERE w.study_id > :last ORDER BY w.study_id LIMIT :most
    """
).columns(reading=sa.JSON())

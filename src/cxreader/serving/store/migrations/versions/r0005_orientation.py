"""Which way up an image is, whom a lock's reader took the place of, and indices of what is counted by time and of answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"
_INDICES = (
    ("instances", "received_at"),
    ("results", "read_at"),
    ("shown_answers", "result_id"),
    ("verdicts", "result_id"),
    ("worklist", "result_id"),
)


def upgrade() -> None:
    """Two columns and the indices. A lock that is held put its reader's name where none is to stay once it is given back."""
    op.add_column("instances", sa.Column("patient_orientation", sa.Text(), nullable=False, server_default=""))
    op.add_column("locks", sa.Column("reader_before", sa.Text(), nullable=True))
    op.execute("UPDATE locks SET reader_before = ''")
    for table, column in _INDICES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)

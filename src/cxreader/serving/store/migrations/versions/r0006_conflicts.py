"""What an image's header says otherwise than its study, why studies are in conflict, and how often a sender was lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"


def upgrade() -> None:
    """Three columns. Until now a conflict was of one kind."""
    op.add_column("instances", sa.Column("differs", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("worklist", sa.Column("conflict_reason", sa.Text(), nullable=False, server_default=""))
    op.add_column("outbox", sa.Column("lost", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE worklist SET conflict_reason = 'one of its images came in two versions' WHERE conflict")

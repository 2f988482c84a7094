"""When the user of a session last proved to be there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    """A column, empty for sessions that are open: they are asked."""
    op.add_column("sessions", sa.Column("confirmed_at", sa.Float(precision=53), nullable=True))

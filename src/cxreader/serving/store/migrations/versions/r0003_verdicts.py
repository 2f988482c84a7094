"""What readers call a study and why they do not follow the answer; who was shown which answer, and in which mode."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    """Two columns, empty for verdicts that were given before, and a table."""
    for name in ("impression", "disagreement"):
        op.add_column("verdicts", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "shown_answers",
        sa.Column("study_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("result_id", sa.Integer(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name=op.f("fk_shown_answers_result_id")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_shown_answers_study_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_shown_answers_user_id")),
        sa.PrimaryKeyConstraint("study_id", "user_id", name=op.f("pk_shown_answers")),
    )

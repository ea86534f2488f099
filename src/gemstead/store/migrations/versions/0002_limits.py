"""What was spent of each limit, and every version of the policy that was applied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_limits"
down_revision = "0001_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limit_marks",
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("at_us", sa.Integer, nullable=False),
        # "2026-11-24" or "2026-11"; empty for a minute, which has no name.
        sa.Column("period", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "policy_versions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("applied_at_s", sa.Float, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for name in ("policy_versions", "limit_marks"):
        op.drop_table(name)

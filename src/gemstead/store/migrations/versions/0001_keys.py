"""Access keys, the number of their last change, and failed sign-ins by the hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_keys"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        # Lists, and the quota, are JSON: nothing is ever looked up by what is in them.
        *[sa.Column(name, sa.Text, nullable=False) for name in ("groups", "scopes", "models", "tools", "labels")],
        sa.Column("quota", sa.Text, nullable=False),
        sa.Column("created_at_s", sa.Float, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at_s", sa.Float),
        sa.Column("last_used_at_s", sa.Float),
        sa.Column("revoked_at_s", sa.Float),
        sa.Column("rotated_from", sa.Text, sa.ForeignKey("keys.id")),
        sa.Column("ends_at_s", sa.Float),
        sa.Column("change_number", sa.Integer, nullable=False, index=True),
    )
    changes = op.create_table("key_changes", sa.Column("number", sa.Integer, nullable=False))
    op.bulk_insert(changes, [{"number": 0}])
    op.create_table(
        "sign_in_failures",
        sa.Column("hour_s", sa.Integer, primary_key=True),
        sa.Column("network", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    for name in ("sign_in_failures", "key_changes", "keys"):
        op.drop_table(name)

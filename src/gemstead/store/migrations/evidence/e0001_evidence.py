"""The records, each with the hash that binds it to all before, and the signed checkpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e0001_evidence"
down_revision = None
branch_labels = None
depends_on = None

# Computed when asked for, out of the record itself: nothing is stored twice, so nothing can disagree.
FIELDS = (("at_ms", "INTEGER"), ("kind", "TEXT"), ("exchange", "TEXT"), ("key", "TEXT"), ("model", "TEXT"))
OFTEN_ABSENT = ("exchange", "key", "model")


def upgrade() -> None:
    fields = "".join(
        f", \"{name}\" {kind} GENERATED ALWAYS AS (json_extract(record, '$.{name}')) VIRTUAL" for name, kind in FIELDS
    )
    # `record` is canonical JSON; past its retention it is blanked, and `leaf`, its hash in the tree, stands for it.
    op.execute(
        "CREATE TABLE records (position INTEGER PRIMARY KEY, record TEXT, leaf BLOB, hash BLOB NOT NULL"
        f"{fields}, CHECK ((record IS NULL) <> (leaf IS NULL)))"
    )
    for name, _ in FIELDS:
        where = f' WHERE "{name}" IS NOT NULL' if name in OFTEN_ABSENT else ""
        op.execute(f'CREATE INDEX records_by_{name} ON records ("{name}"){where}')
    op.create_table(
        "checkpoints",
        sa.Column("size", sa.Integer, primary_key=True),
        sa.Column("at_ms", sa.Integer, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        # Roots of the full subtrees, largest first: from here the tree is built on. The signed root vouches for them.
        sa.Column("peaks", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("checkpoints")
    op.drop_table("records")

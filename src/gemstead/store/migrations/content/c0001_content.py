"""Prompts and replies that a policy keeps, under one key for each person they concern."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c0001_content"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # One row: which master key all of it is under, so that another one is told at once.
    op.create_table(
        "vault",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
        sa.Column("master_key", sa.Text, nullable=False),
    )
    op.create_table(
        "subjects",
        sa.Column("id", sa.Text, primary_key=True),
        # The owner whose key was used, for a subject that a request named; no foreign key: either may go first.
        sa.Column("parent", sa.Text),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.Integer, nullable=False),
    )
    op.create_table(
        "contents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("subject", sa.Text, sa.ForeignKey("subjects.id"), nullable=False),
        # The position of the exchange's opening record in the evidence, and its id.
        sa.Column("opened", sa.Integer, nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("at_ms", sa.Integer, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("expires_at_ms", sa.Integer, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_contents_subject", "contents", ["subject"])
    op.create_index("ix_contents_expires_at_ms", "contents", ["expires_at_ms"])
    # What running servers have to forget, and which of them have.
    op.create_table(
        "erasures",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "erasures_done",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", "pid"),
    )
    # Files outside that hold the wrapped keys, for backups: an erasure has to reach them, too.
    op.create_table(
        "key_copies",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("written_at_ms", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    for name in ("key_copies", "erasures_done", "erasures", "contents", "subjects", "vault"):
        op.drop_table(name)

"""The audit: who changed what, or was refused it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMES_A_USER = sa.text("reference_key <> ''")


def upgrade() -> None:
    """Create the table, with an index for each filter of its list."""
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("reference_key", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    for columns in (["who", "id"], ["action", "id"], ["who", "action", "id"]):
        op.create_index(f"ix_audit_{'_'.join(columns)}", "audit", columns)
    op.create_index(
        "ix_audit_reference_key",
        "audit",
        ["reference_key"],
        sqlite_where=NAMES_A_USER,
        postgresql_where=NAMES_A_USER,
    )

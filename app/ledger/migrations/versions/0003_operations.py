"""The operations: bulk replays and discards that the workers carry out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAMING_A_USER = sa.text("named IS NOT NULL")
UNDER_WAY = sa.text("state IN ('running', 'stopping')")
OVER = sa.text("state IN ('done', 'stopped', 'failed')")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "operations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("selection", sa.Text, nullable=False),
        sa.Column("named", sa.Text),
        sa.Column("pinned", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("gone", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Double),
        sa.Column("chunk_end", sa.Double),
        sa.Column("chunk_size", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
    )
    for name, column, which in (
        ("named", "named", NAMING_A_USER),
        ("under_way", "lease_until", UNDER_WAY),
        ("over", "ended_at", OVER),
    ):
        op.create_index(
            f"ix_operations_{name}",
            "operations",
            [column],
            sqlite_where=which,
            postgresql_where=which,
        )

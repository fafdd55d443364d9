"""Which releases may work on the schema: each migration from this one on says so when it is run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
# The oldest revision whose releases may work on the schema from here on (CONTRIBUTING.md).
compatible_since = "0001"


def upgrade() -> None:
    """Create the table; Alembic's environment adds the rows."""
    op.create_table(
        "schema_compatibility",
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("compatible_since", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_schema_compatibility"),
    )

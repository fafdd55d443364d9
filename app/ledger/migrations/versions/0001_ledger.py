"""The ledger's tables, and the view that a team reads standings from.

There is no way down from here, nor from any later migration: it would drop what was recorded.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# What a team may build on: columns are added here, never renamed or removed.
VIEW = """
CREATE VIEW reference_standings AS
SELECT client_reference_id, account, livemode, status, session_id, since, verified_at, attempts,
       last_error_code, next_step, redaction, type, verification_flow, options, version, purpose,
       attempts_counted, attempts_granted, verified_until
FROM standings
WHERE version > 0
"""
# Indexes of a part of the sessions: their columns, and which part. The first four are what the
# sweep asks about, by kind.
PARTS_OF_SESSIONS = {
    "processing": (
        ["livemode", "poll_at"],
        "status = 'processing' AND redaction IS NULL AND missing_since IS NULL"
        " AND poll_at IS NOT NULL",
    ),
    "redacting": (
        ["livemode", "poll_at"],
        "redaction IN ('validated', 'processing') AND missing_since IS NULL"
        " AND poll_at IS NOT NULL",
    ),
    "open": (
        ["livemode", "poll_at"],
        "status = 'requires_input' AND redaction IS NULL AND missing_since IS NULL"
        " AND poll_at IS NOT NULL",
    ),
    "missing": (["livemode", "poll_at"], "missing_since IS NOT NULL AND poll_at IS NOT NULL"),
    "redaction_since": (["redaction_since"], "redaction IN ('validated', 'processing')"),
    "orphans": (["livemode", "id"], "reference_key IS NULL"),
    "redactable": (
        ["livemode", "redactable_since"],
        "redactable_since IS NOT NULL"
        " AND (redaction_claimed IS NULL OR redaction_claimed <> redactable_since)",
    ),
    "account": (["livemode", "account"], "account <> ''"),
}
PARTS_OF_EFFECTS = {
    "unsent": (["due"], "enqueued_at IS NULL AND status = 'pending'"),
    "enqueued": (["enqueued_at"], "enqueued_at IS NOT NULL AND status = 'pending'"),
    "failed": (["updated_at"], "status = 'failed'"),
    "ended": (["updated_at"], "status IN ('done', 'dropped')"),
}
EXPIRING = sa.text("verified_until IS NOT NULL")
NAMED_PURPOSE = sa.text("default_key IS NOT NULL")


def upgrade() -> None:
    """Create all tables and the view."""
    _create_events()
    _create_sessions()
    _create_standings()
    _create_effects()
    _create_cursors()
    _create_notifications()
    op.execute(VIEW)


def _create_indexes(table: str, parts: dict[str, tuple[list[str], str]]) -> None:
    for name, (columns, which) in parts.items():
        op.create_index(
            f"ix_{table}_{name}",
            table,
            columns,
            sqlite_where=sa.text(which),
            postgresql_where=sa.text(which),
        )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("applied_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_created", "events", ["created"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("type", sa.Text),
        sa.Column("verification_flow", sa.Text),
        sa.Column("options", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("last_error_code", sa.Text),
        sa.Column("report", sa.Text),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("redaction", sa.Text),
        sa.Column("redaction_since", sa.BigInteger),
        sa.Column("redactable_since", sa.BigInteger),
        sa.Column("reference", sa.Text),
        sa.Column("reference_source", sa.Integer, nullable=False),
        sa.Column("reference_as_of", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("purpose_as_of", sa.BigInteger, nullable=False),
        sa.Column("since", sa.Text, nullable=False),
        sa.Column("reference_key", sa.Text),
        sa.Column("observations", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("poll_at", sa.BigInteger),
        sa.Column("missing_since", sa.BigInteger),
        sa.Column("redaction_claimed", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", "account", "livemode", name="pk_sessions"),
        postgresql_with={"fillfactor": 60},
    )
    _create_indexes("sessions", PARTS_OF_SESSIONS)
    op.create_index("ix_sessions_reference_key", "sessions", ["reference_key"])
    op.create_table(
        "attempts",
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("attempt", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("entered", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "account", "livemode", "attempt", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["session_id", "account", "livemode"],
            ["sessions.id", "sessions.account", "sessions.livemode"],
            name="fk_attempts_sessions",
        ),
    )


def _create_standings() -> None:
    op.create_table(
        "standings",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("client_reference_id", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("default_key", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("since", sa.BigInteger),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error_code", sa.Text),
        sa.Column("next_step", sa.Text, nullable=False),
        sa.Column("redaction", sa.Text),
        sa.Column("type", sa.Text),
        sa.Column("verification_flow", sa.Text),
        sa.Column("options", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("attempts_counted", sa.Integer, nullable=False),
        sa.Column("attempts_granted", sa.Integer, nullable=False),
        sa.Column("verified_until", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_standings"),
        postgresql_with={"fillfactor": 60},
    )
    op.create_index(
        "ix_standings_client_reference_id",
        "standings",
        ["client_reference_id"],
        postgresql_using="hash",
    )
    op.create_index(
        "ix_standings_default_key",
        "standings",
        ["default_key"],
        sqlite_where=NAMED_PURPOSE,
        postgresql_where=NAMED_PURPOSE,
    )
    op.create_index(
        "ix_standings_verified_until",
        "standings",
        ["verified_until"],
        sqlite_where=EXPIRING,
        postgresql_where=EXPIRING,
    )
    op.create_table(
        "timeline",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("reference_key", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("previous_status", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error_code", sa.Text),
        sa.Column("next_step", sa.Text, nullable=False),
        sa.Column("redaction", sa.Text),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("cause_session_id", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_timeline"),
        sa.ForeignKeyConstraint(["reference_key"], ["standings.key"], "fk_timeline_standings"),
    )
    op.create_index("ix_timeline_reference_key_id", "timeline", ["reference_key", "id"])
    op.create_index("ix_timeline_event_id", "timeline", ["event_id"])


def _create_effects() -> None:
    op.create_table(
        "effects",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("livemode", sa.Boolean, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("reference_key", sa.Text),
        sa.Column("version", sa.BigInteger),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("enqueued_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_effects"),
    )
    _create_indexes("effects", PARTS_OF_EFFECTS)


def _create_cursors() -> None:
    op.create_table(
        "cursors",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cursors"),
    )


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("reference_key", sa.Text, nullable=False),
        sa.Column("receiver", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("reference_key", "receiver", name="pk_notifications"),
        sa.ForeignKeyConstraint(["reference_key"], ["standings.key"], "fk_notifications_standings"),
    )

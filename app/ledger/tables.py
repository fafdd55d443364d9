"""The ledger's tables. Times are Unix seconds. No column holds a secret or verified data."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    literal_column,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# The true guard against doubles: an event whose id stands here has been applied.
events = Table(
    "events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),  # the last part of its type
    Column("created", BigInteger, nullable=False, index=True),
    Column("account", Text, nullable=False),  # "" is the team's own
    Column("livemode", Boolean, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
)

# Account and livemode are part of the key, so that whatever is sent, a test-mode event cannot
# reach a live session. `reference_key` has no foreign key: a session is written before its
# reference is locked.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("livemode", Boolean, primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("type", Text),
    Column("status", Text, nullable=False),
    Column("last_error_code", Text),
    Column("report", Text),
    Column("as_of", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),  # "" if an API answer showed the status
    Column("redaction", Text),
    Column("redaction_since", BigInteger),
    Column("reference", Text),
    Column("reference_source", Integer, nullable=False),
    Column("reference_as_of", BigInteger, nullable=False),
    Column("since", JSON, nullable=False),
    Column("reference_key", Text, index=True),  # null: an orphan
    Column("observations", BigInteger, nullable=False),  # how many have been merged into it
    Column("updated_at", BigInteger, nullable=False),
    # The sweep's own: when it last asked Stripe, and since when Stripe does not know the session.
    Column("checked_at", BigInteger, nullable=False, server_default="0"),
    Column("missing_since", BigInteger),
    # Every event updates a session twice: room for its new versions in its own page.
    postgresql_with={"fillfactor": 60},
)

# The sessions that the sweep asks about. As text, so that a database sees which index is meant.
PROCESSING = literal_column("sessions.status = 'processing'", Boolean)
REDACTING = literal_column("sessions.redaction IN ('validated', 'processing')", Boolean)
OPEN = literal_column("sessions.status = 'requires_input'", Boolean)
for _name, _which in (
    ("processing", "status = 'processing'"),
    ("redacting", "redaction IN ('validated', 'processing')"),
    ("open", "status = 'requires_input'"),
):
    Index(
        f"ix_sessions_{_name}",
        sessions.c.checked_at,
        sqlite_where=text(_which),
        postgresql_where=text(_which),
    )

# One row for each failed attempt, so that each counts once.
attempts = Table(
    "attempts",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("livemode", Boolean, primary_key=True),
    Column("attempt", Text, primary_key=True),
    ForeignKeyConstraint(
        ["session_id", "account", "livemode"],
        ["sessions.id", "sessions.account", "sessions.livemode"],
    ),
)

# A client_reference_id may be 5,000 characters of four bytes, and PostgreSQL's B-tree takes rows
# of 2,704 bytes at most. So the key is a digest of account, livemode and reference; the text
# stands beside it, without an index of its own.
standings = Table(
    "standings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("client_reference_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("session_id", Text),
    Column("since", BigInteger),
    Column("verified_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("last_error_code", Text),
    Column("next_step", Text, nullable=False),
    Column("redaction", Text),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 60},
)

# One line for each change of a standing, and for each dead letter that was discarded.
timeline = Table(
    "timeline",
    metadata,
    # SQLite numbers rows by itself only if the key is INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # null: the discarded letter of an orphan
    Column("reference_key", Text, ForeignKey(standings.c.key)),
    Column("version", Integer, nullable=False),
    Column("previous_status", Text),
    Column("status", Text, nullable=False),
    Column("session_id", Text),
    Column("attempts", Integer, nullable=False),
    Column("last_error_code", Text),
    Column("next_step", Text, nullable=False),
    Column("redaction", Text),
    Column("cause", Text, nullable=False),  # the observation's name
    Column("cause_session_id", Text, nullable=False),
    Column("event_id", Text, index=True),  # null: an API answer
    Column("as_of", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("note", Text),  # what an operator gave as the reason
    Index("ix_timeline_reference_key_id", "reference_key", "id"),
)

# What each receiver knows of each reference: nothing older is told to it.
notifications = Table(
    "notifications",
    metadata,
    Column("reference_key", Text, ForeignKey(standings.c.key), primary_key=True),
    Column("receiver", Text, primary_key=True),  # the kind of its effects
    Column("version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

# How far a long work has come, and what is counted over the life of the ledger.
cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

effects = Table(
    "effects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("reference", Text),
    Column("version", Integer),
    Column("due", BigInteger, nullable=False),
    Column("status", Text, nullable=False),  # pending, done, failed or dropped
    Column("created_at", BigInteger, nullable=False),
    Column("enqueued_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
)

# The clock asks for both every few seconds, and almost always there are none.
Index(
    "ix_effects_unsent",
    effects.c.created_at,
    sqlite_where=text("enqueued_at IS NULL AND status = 'pending'"),
    postgresql_where=text("enqueued_at IS NULL AND status = 'pending'"),
)
Index(
    "ix_effects_overdue",
    effects.c.due,
    sqlite_where=text("status = 'pending'"),
    postgresql_where=text("status = 'pending'"),
)

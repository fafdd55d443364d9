"""The ledger's tables. Times are Unix seconds. No column holds a secret or verified data."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
)

from app.ledger.metadata import metadata as metadata
from app.ledger.metadata import part as _part
from app.ledger.operation_table import operations as operations

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
    Column("verification_flow", Text),
    Column("options", Text),  # canonical JSON of those that decide how strong the check is
    Column("status", Text, nullable=False),
    Column("last_error_code", Text),
    Column("report", Text),
    Column("as_of", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),  # "" if an API answer showed the status
    Column("redaction", Text),
    Column("redaction_since", BigInteger),
    Column("redactable_since", BigInteger),  # null: there is nothing to redact
    Column("reference", Text),
    Column("reference_source", Integer, nullable=False),
    Column("reference_as_of", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),  # "" is the default one
    Column("purpose_as_of", BigInteger, nullable=False),
    Column("since", Text, nullable=False),  # JSON: by status, whether it was entered, and when
    Column("reference_key", Text, index=True),  # null: an orphan
    Column("observations", BigInteger, nullable=False),  # how many have been merged into it
    Column("updated_at", BigInteger, nullable=False),
    Column("poll_at", BigInteger),  # when to ask Stripe about it; null: not any more
    # Since when Stripe does not know it. Whatever is merged sets this to null.
    Column("missing_since", BigInteger),
    # The `redactable_since` for which the clock has asked for its redaction.
    Column("redaction_claimed", BigInteger),
    # Every event updates a session: room for its new versions in its own page.
    postgresql_with={"fillfactor": 60},
)

# The sessions that the sweep asks about, by kind, in the order in which they are asked about: each
# kind has an index, whose first is the first that is due.
POLLED = {
    kind: _part("sessions", kind, f"{which} AND poll_at IS NOT NULL", "livemode", "poll_at")
    for kind, which in (
        ("processing", "status = 'processing' AND redaction IS NULL AND missing_since IS NULL"),
        ("redacting", "redaction IN ('validated', 'processing') AND missing_since IS NULL"),
        ("open", "status = 'requires_input' AND redaction IS NULL AND missing_since IS NULL"),
        ("missing", "missing_since IS NOT NULL"),
    )
}
# Those that are being redacted, to find what takes Stripe too long.
REDACTING = _part(
    "sessions", "redaction_since", "redaction IN ('validated', 'processing')", "redaction_since"
)
# Those whose redaction nobody has asked for: the clock asks for what is due of them.
REDACTABLE = _part(
    "sessions",
    "redactable",
    "redactable_since IS NOT NULL"
    " AND (redaction_claimed IS NULL OR redaction_claimed <> redactable_since)",
    "livemode",
    "redactable_since",
)
# Those that name nobody, as they are listed.
ORPHANED = _part("sessions", "orphans", "reference_key IS NULL", "livemode", "id")
# Those of the accounts beside our own, each found by one look into this.
_part("sessions", "account", "account <> ''", "livemode", "account")

# One row for each failed attempt, so that each counts once.
attempts = Table(
    "attempts",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("livemode", Boolean, primary_key=True),
    Column("attempt", Text, primary_key=True),  # of a report only the digest of its id
    Column("at", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("entered", Boolean, nullable=False),
    ForeignKeyConstraint(
        ["session_id", "account", "livemode"],
        ["sessions.id", "sessions.account", "sessions.livemode"],
    ),
)

# A client_reference_id may be 5,000 characters of four bytes, and PostgreSQL's B-tree takes rows
# of 2,704 bytes at most. So the key is a digest of account, livemode, reference and purpose; the
# text stands beside it, without an index of its own.
standings = Table(
    "standings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("livemode", Boolean, nullable=False),
    Column("client_reference_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),  # "" is the default one
    # Of a named purpose: the key of the same user's default one.
    Column("default_key", Text),
    Column("status", Text, nullable=False),
    Column("session_id", Text),
    Column("since", BigInteger),
    Column("verified_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("last_error_code", Text),
    Column("next_step", Text, nullable=False),
    Column("redaction", Text),
    Column("type", Text),
    Column("verification_flow", Text),
    Column("options", Text),
    Column("version", BigInteger, nullable=False),
    Column("attempts_counted", Integer, nullable=False),  # against MAX_ATTEMPTS
    Column("attempts_granted", Integer, nullable=False),  # beyond it, by an operator
    Column("verified_until", BigInteger),  # null: for ever, or not verified
    Column("updated_at", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 60},
)

# For SQL of the team's own, which joins by it. A hash, for PostgreSQL, as it may be too long for a
# B-tree; SQLite has but one kind.
Index(
    "ix_standings_client_reference_id",
    standings.c.client_reference_id,
    postgresql_using="hash",
)

# Every purpose of a user: those who use none pay nothing for it.
_part("standings", "default_key", "default_key IS NOT NULL", "default_key")
# What expires next. Where nothing does, the column never changes, and costs nothing.
_part("standings", "verified_until", "verified_until IS NOT NULL", "verified_until")

# One line for each change of a standing, and for each dead letter that was discarded.
timeline = Table(
    "timeline",
    metadata,
    # SQLite numbers rows by itself only if the key is INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    # null: the discarded letter of an orphan
    Column("reference_key", Text, ForeignKey(standings.c.key)),
    Column("version", BigInteger, nullable=False),
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
    Column("version", BigInteger, nullable=False),
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
    Column("reference_key", Text),  # of what is notified
    Column("version", BigInteger),
    Column("due", BigInteger, nullable=False),
    Column("status", Text, nullable=False),  # pending, done, failed or dropped
    Column("created_at", BigInteger, nullable=False),
    Column("enqueued_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
)

# The clock asks for the first two every few seconds, and almost always there are none.
UNSENT = _part("effects", "unsent", "enqueued_at IS NULL AND status = 'pending'", "due")
ENQUEUED = _part(
    "effects", "enqueued", "enqueued_at IS NOT NULL AND status = 'pending'", "enqueued_at"
)
FAILED = _part("effects", "failed", "status = 'failed'", "updated_at")
ENDED = _part("effects", "ended", "status IN ('done', 'dropped')", "updated_at")

# Who changed what, or was refused it. Rows stay; `references forget` takes the user out of them.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("via", Text, nullable=False),  # console, api or cli
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),  # JSON: ids by name
    Column("reference_key", Text),  # null: about no user; "": about one who was forgotten
    Column("reason", Text, nullable=False),
    Column("result", Text, nullable=False),
    Index("ix_audit_who_id", "who", "id"),
    Index("ix_audit_action_id", "action", "id"),
    Index("ix_audit_who_action_id", "who", "action", "id"),
)
ABOUT_A_USER = _part("audit", "reference_key", "reference_key <> ''", "reference_key")

# Which releases may work on the schema, as each migration says when it is run: those that know the
# second revision. A release asks it of a migration that it does not know.
schema_compatibility = Table(
    "schema_compatibility",
    metadata,
    Column("revision", Text, primary_key=True),
    Column("compatible_since", Text, nullable=False),
)

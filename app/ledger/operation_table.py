"""The table of operations: letters replayed or discarded in bulk, as people have asked for it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Table, Text

from app.ledger.metadata import metadata, part

operations = Table(
    "operations",
    metadata,
    Column("id", Text, primary_key=True),  # begins with its time: the newest is the greatest
    Column("kind", Text, nullable=False),  # replay or discard
    Column("queue", Text, nullable=False),
    Column("selection", Text, nullable=False),  # JSON: the filters, or the ids
    Column("named", Text),  # a digest of the user whom the filters name
    Column("pinned", Text, nullable=False),  # the digest of the set that was agreed to
    Column("reason", Text, nullable=False),  # a person's words
    Column("rate", Double),  # letters a second at most; null: no limit
    Column("who", Text, nullable=False),
    Column("via", Text, nullable=False),  # console, api or cli
    Column("state", Text, nullable=False),  # running, stopping, stopped, done or failed
    Column("note", Text, nullable=False),  # why it waits, or has failed
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),  # put back, or discarded
    Column("failed", BigInteger, nullable=False),  # of these: dead again
    Column("gone", BigInteger, nullable=False),  # dead no more when their turn came
    # How far it has come: the place of the first letter that is not done yet. While a chunk is
    # under way: the place of its last letter, and how many it has.
    Column("position", Double),
    Column("chunk_end", Double),
    Column("chunk_size", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),  # the process that carries it out
    Column("lease_until", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)

NAMING_A_USER = part("operations", "named", "named IS NOT NULL", "named")
UNDER_WAY = part("operations", "under_way", "state IN ('running', 'stopping')", "lease_until")
OVER = part("operations", "over", "state IN ('done', 'stopped', 'failed')", "ended_at")

"""A ledger of years, written by SQL alone: a million sessions take a minute.

Its proportions are those of a team that has been at it for long: most users are verified, many gave
up, few are being checked, and the same few accounts own nearly all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from sqlalchemy import Engine, Table, text

from app.domain.durations import DAY
from app.ledger.tables import (
    attempts,
    audit,
    effects,
    events,
    notifications,
    operations,
    sessions,
    standings,
    timeline,
)

NOW = 1_800_000_000  # Unix seconds; the ledger's last event is of this moment
YEARS = 1000 * DAY
NUMBERS = (
    "WITH RECURSIVE numbers(n) AS "
    "(SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) "
)
# The expressions of `n` below: each table's row n is about session n, which is user n's.
ID = "md5(CAST(n AS TEXT))"
OWN = {
    "account": "CASE WHEN n % 50 = 7 THEN 'acct_' || (n % 3) ELSE '' END",
    "livemode": "n % 20 <> 3",
}
MOMENT = f"{NOW} - (n % {YEARS // 60}) * 60"
KEY = f"CASE WHEN n % 100 = 11 THEN NULL ELSE 'key_' || {ID} END"  # every hundredth is an orphan's
STATUS = (
    "CASE WHEN n % 1000 = 1 THEN 'processing' WHEN n % 10 = 2 THEN 'requires_input'"
    " WHEN n % 10 = 5 THEN 'canceled' ELSE 'verified' END"
)
SINCE = (
    "'"
    + json.dumps(
        {
            "processing": [True, NOW],
            "requires_input": [True, NOW],
            "canceled": [True, NOW],
            "verified": [True, NOW],
        }
    )
    + "'"
)
REDACTION = "CASE WHEN n % 500 = 4 THEN 'processing' WHEN n % 5 = 4 THEN 'redacted' END"

ROWS: Mapping[Table, Mapping[str, str]] = {
    sessions: {
        "id": f"'vs_' || {ID}",
        **OWN,
        "created": MOMENT,
        "type": "'document'",
        "status": STATUS,
        "as_of": MOMENT,
        "event_id": f"'evt_' || {ID}",
        "redaction": REDACTION,
        "redaction_since": f"CASE WHEN n % 5 = 4 THEN {MOMENT} END",
        "redactable_since": f"CASE WHEN n % 10 < 2 THEN {MOMENT} END",
        "redaction_claimed": f"CASE WHEN n % 10 = 0 THEN {MOMENT} END",
        "reference": f"CASE WHEN n % 100 = 11 THEN NULL ELSE 'user_' || {ID} END",
        "reference_source": "1",
        "reference_as_of": MOMENT,
        "purpose": "''",
        "purpose_as_of": "0",
        "since": SINCE,
        "reference_key": KEY,
        "observations": "3",
        "updated_at": MOMENT,
        # Most of those that gave up are not asked about any more; of some it is time.
        "poll_at": f"CASE WHEN n % 1000 IN (1, 2, 4) THEN {NOW} + (n % 100 - 50) * 3600 END",
        "missing_since": f"CASE WHEN n % 1000 = 32 THEN {MOMENT} END",
    },
    attempts: {
        "session_id": f"'vs_' || {ID}",
        **OWN,
        "attempt": "'1'",
        "at": MOMENT,
        "code": "'document_expired'",
        "entered": "n % 2 = 0",
    },
    standings: {
        "key": f"'key_' || {ID}",
        **OWN,
        "client_reference_id": f"'user_' || {ID}",
        "purpose": "CASE WHEN n % 40 = 9 THEN 'driver' ELSE '' END",
        "default_key": f"CASE WHEN n % 40 = 9 THEN 'key_' || {ID} || '0' END",
        "status": STATUS,
        "session_id": f"'vs_' || {ID}",
        "since": MOMENT,
        "attempts": "0",
        "next_step": "'none'",
        "version": MOMENT,
        "attempts_counted": "0",
        "attempts_granted": "0",
        "verified_until": f"CASE WHEN n % 10 = 0 THEN {NOW} + (n % 1000 - 5) * 3600 END",
        "updated_at": MOMENT,
    },
    notifications: {
        "reference_key": f"'key_' || {ID}",
        "receiver": "'notify_callback'",
        "version": "1",
        "status": "'verified'",
        "updated_at": MOMENT,
    },
    audit: {
        "at": MOMENT,
        "who": "CASE WHEN n % 100 = 7 THEN 'anna' ELSE 'app' END",
        "via": "'api'",
        "action": "CASE WHEN n % 70 = 7 THEN 'redact_reference' ELSE 'create' END",
        "target": "'{}'",
        "reference_key": f"CASE WHEN n % 9 <> 0 THEN 'key_' || {ID} END",
        "reason": "''",
        "result": "'done'",
    },
    operations: {
        "id": f"'op_' || {ID}",
        "kind": "'replay'",
        "queue": "'events'",
        "selection": "'{}'",
        "named": f"CASE WHEN n % 10 = 1 THEN {ID} END",
        "pinned": "''",
        "reason": "''",
        "who": "'anna'",
        "via": "'console'",
        "state": "CASE WHEN n % 1000 = 3 THEN 'running' ELSE 'done' END",
        "note": "''",
        "total": "n",
        "done": "n",
        "failed": "0",
        "gone": "0",
        "chunk_size": "0",
        "holder": "''",
        "lease_until": MOMENT,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        "ended_at": f"CASE WHEN n % 1000 <> 3 THEN {MOMENT} END",
    },
}
# Three of each session's.
THRICE: Mapping[Table, Mapping[str, str]] = {
    events: {
        "id": f"'evt_' || {ID}",
        "name": "'verified'",
        "created": MOMENT,
        **OWN,
        "session_id": "'vs_' || md5(CAST(n / 3 AS TEXT))",
        "applied_at": MOMENT,
    },
    timeline: {
        "reference_key": "'key_' || md5(CAST((n + 2) / 3 AS TEXT))",
        "version": "n",
        "previous_status": "'processing'",
        "status": "'verified'",
        "attempts": "0",
        "next_step": "'none'",
        "cause": "'verified'",
        "cause_session_id": "'vs_' || md5(CAST(n / 3 AS TEXT))",
        "event_id": f"'evt_' || {ID}",
        "as_of": MOMENT,
        "at": MOMENT,
    },
    effects: {
        "id": f"'evt_' || {ID} || '-notify'",
        "kind": "'notify'",
        **OWN,
        "session_id": "'vs_' || md5(CAST(n / 3 AS TEXT))",
        "reference_key": "'key_' || md5(CAST(n / 3 AS TEXT))",
        "version": "n",
        "due": MOMENT,
        "status": (
            "CASE WHEN n % 500 = 0 THEN 'pending' WHEN n % 500 = 1 THEN 'failed'"
            " WHEN n % 9 = 2 THEN 'dropped' ELSE 'done' END"
        ),
        "created_at": MOMENT,
        "enqueued_at": f"CASE WHEN n % 1000 <> 0 THEN {MOMENT} END",
        "updated_at": MOMENT,
    },
}


def fill(engine: Engine, size: int) -> None:
    """Write `size` sessions, users and notifications, and three times as many events and effects.

    The ledger is migrated and empty.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            driver = connection.connection.driver_connection
            assert driver is not None
            # Indexes of a million digests do not fit into the 2 MB it takes by itself.
            connection.exec_driver_sql("PRAGMA cache_size = -1000000")
            driver.create_function("md5", 1, lambda of: hashlib.md5(of.encode()).hexdigest())
        else:
            # It is longer than any statement of ours, and its keys are known to be right.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for rows, times in ((ROWS, 1), (THRICE, 3)):
            for table, columns in rows.items():
                numbers = NUMBERS.format(first=1, last=size * times)
                # In the order of most keys: a tree that grows at its end is many times as fast.
                chosen = f"SELECT {', '.join(columns.values())} FROM numbers ORDER BY {ID}"
                insert = f"INSERT INTO {table.name} ({', '.join(columns)}) "
                if engine.dialect.name == "postgresql":
                    statement = insert + numbers + chosen
                else:
                    statement = numbers + insert + chosen
                connection.execute(text(statement.replace(":", "\\:")))


def analyze(engine: Engine) -> None:
    """Let the database count what it holds, as it does by itself after some time."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("ANALYZE"))

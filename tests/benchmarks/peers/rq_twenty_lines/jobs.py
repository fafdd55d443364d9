"""The job: one upsert, the newest wins. RQ forks for each job, so each connects anew."""

from __future__ import annotations

import os

import psycopg

TABLE = "CREATE TABLE users (id text PRIMARY KEY, status text NOT NULL, as_of bigint NOT NULL)"
UPSERT = """
    INSERT INTO users (id, status, as_of) VALUES (%s, %s, %s)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, as_of = excluded.as_of
    WHERE users.as_of <= excluded.as_of
"""


def apply(user: str, status: str, as_of: int) -> None:
    """Write how a user stands."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(UPSERT, (user, status, as_of))


if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"]) as created:
        created.execute(TABLE)

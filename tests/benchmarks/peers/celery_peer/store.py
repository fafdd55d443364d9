"""One transaction for each event, written by hand for PostgreSQL and SQLite."""

from __future__ import annotations

import os
import re
import sqlite3
from typing import Any, Protocol

import psycopg

Event = dict[str, Any]
# What time mends.
TRANSIENT = (psycopg.OperationalError, sqlite3.OperationalError)

TABLES = (
    """CREATE TABLE events (
        id text PRIMARY KEY, name text NOT NULL, created bigint NOT NULL, session text NOT NULL
    )""",
    """CREATE TABLE sessions (
        id text PRIMARY KEY, user_id text, status text NOT NULL, as_of bigint NOT NULL
    )""",
    """CREATE TABLE users (
        id text PRIMARY KEY, status text NOT NULL, as_of bigint NOT NULL, version int NOT NULL
    )""",
)
# An event that came before changes nothing.
EVENT = """
    INSERT INTO events (id, name, created, session) VALUES (:event, :name, :as_of, :session)
    ON CONFLICT DO NOTHING
"""
# The last writer wins, by the event's time.
SESSION = """
    INSERT INTO sessions (id, user_id, status, as_of) VALUES (:session, :user, :status, :as_of)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, as_of = excluded.as_of
    WHERE sessions.as_of <= excluded.as_of
"""
USER = """
    INSERT INTO users (id, status, as_of, version) VALUES (:user, :status, :as_of, 1)
    ON CONFLICT (id) DO UPDATE
    SET status = excluded.status, as_of = excluded.as_of, version = users.version + 1
    WHERE users.as_of <= excluded.as_of
"""


class Store(Protocol):
    """Where events are applied."""

    def apply(self, event: Event) -> None:
        """In one transaction, and once."""


class PostgresStore:
    """Psycopg prepares each statement by itself once it has seen it five times."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        self._event, self._session, self._user = (
            re.sub(r":(\w+)", r"%(\1)s", text).encode() for text in (EVENT, SESSION, USER)
        )

    def apply(self, event: Event) -> None:
        """In one transaction, and once."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            if cursor.execute(self._event, event).rowcount:
                cursor.execute(self._session, event)
                cursor.execute(self._user, event)


class SqliteStore:
    """A file, written ahead, and synced at each commit."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")

    def apply(self, event: Event) -> None:
        """In one transaction, and once."""
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute(EVENT, event).rowcount:
                connection.execute(SESSION, event)
                connection.execute(USER, event)


def open_store(url: str) -> Store:
    """The store of a DATABASE_URL."""
    if url.startswith("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"))
    return PostgresStore(url)


def create_tables(url: str) -> None:
    """For a new database."""
    if url.startswith("sqlite:///"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            for table in TABLES:
                file.execute(table)
    else:
        with psycopg.connect(url) as server:
            for table in TABLES:
                server.execute(table.encode())


if __name__ == "__main__":
    create_tables(os.environ["DATABASE_URL"])

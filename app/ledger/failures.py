"""What is wrong with the database, by the driver's error: where, what, and what to do about it.

Nothing is asked here. Whether an error passes with time is decided in `engine.py`. The texts of the
drivers are not passed on: they may quote a row, or a user's name.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from app.configuration.addresses import POSTGRES_PORT
from app.faults import Explanation, explain
from app.ledger.faults import FAULTS

# By SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
BY_STATE = {
    "28P01": "wrong_password",
    "3D000": "missing_database",
    "42501": "no_right",
    "42P01": "not_migrated",
    "42703": "not_migrated",
    "3F000": "not_migrated",
    "25006": "read_only",
    "26000": "prepared_elsewhere",
    "42P05": "prepared_elsewhere",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "53300": "too_many_connections",
    "55P03": "lock_timeout",
    "40P01": "deadlock",
    "57014": "statement_timeout",
    "57P01": "connection_lost",
    "57P02": "connection_lost",
    "57P05": "connection_lost",
    "25P03": "connection_lost",
    "57P03": "starting",
    "58030": "disk_broken",
    "XX001": "damaged",
    "XX002": "damaged",
}
# While a connection is made, the driver gives a text and no SQLSTATE. The first that is found.
BY_TEXT = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        # Of several hosts one may be away, and another a standby.
        (r"session is read-only|in hot standby mode", "no_primary"),
        # PgBouncer's.
        (r"unsupported startup parameter", "startup_option"),
        (r"query_wait_timeout", "pool_empty"),
        (r"server login has been failing", "pooler_refused"),
        (r"statement pooling mode", "pooled_by_statement"),
        (r"failed to resolve host|could not translate host name", "name_not_found"),
        (r"no password supplied", "password_missing"),
        (r"password authentication failed", "wrong_password"),
        (r'role ".*" does not exist', "missing_role"),
        (r'database ".*" does not exist|no such database', "missing_database"),
        (r"pg_hba.conf|permission denied for database|not permitted to log in", "not_admitted"),
        (r"too many clients|connection slots are|too many connections", "too_many_connections"),
        (r"no more connections allowed", "too_many_connections"),  # PgBouncer's
        (r"starting up|shutting down|recovery mode|not yet accepting|not accepting", "starting"),
        (r"does not support SSL", "tls_not_offered"),
        (r"certificate verify failed|root certificate|server certificate", "tls_certificate"),
        (r"invalid response to SSL|expected authentication request", "not_postgresql"),
        (r"timeout expired|timed out", "connection_timeout"),
        (r"No such file or directory", "socket_missing"),
        (r"Connection refused", "connection_refused"),
        (r"No route to host|unreachable", "unreachable"),
        (r"closed the connection|Connection reset|SYSCALL|connection is lost", "connection_lost"),
        (r"valid client certificate|certificate authentication failed", "client_certificate"),
        (r"SSL|TLS|certificate|private key", "tls_failed"),
    )
)
# By the beginning of SQLite's name for the error; the first that fits.
BY_SQLITE_NAME = (
    ("SQLITE_BUSY", "file_locked"),
    ("SQLITE_LOCKED", "file_locked"),
    ("SQLITE_READONLY", "file_read_only"),
    ("SQLITE_PERM", "file_forbidden"),
    ("SQLITE_AUTH", "file_forbidden"),
    ("SQLITE_FULL", "disk_full"),
    ("SQLITE_INTERRUPT", "statement_timeout"),
    ("SQLITE_IOERR", "disk_broken"),
    ("SQLITE_CORRUPT", "damaged"),
    ("SQLITE_NOTADB", "not_sqlite"),
    ("SQLITE_CANTOPEN", "file_not_opened"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ledger is, without what may be secret of its address."""

    store: str  # PostgreSQL at host:5432, PostgreSQL on the socket in /tmp, the SQLite file /path
    where: str  # the same without the kind of store
    database: str  # its name at a server

    @classmethod
    def of(cls, url: URL) -> Place:
        """The place of an engine's address. A relative path is made whole."""
        if url.get_backend_name() == "sqlite":
            if not url.database or url.database == ":memory:":
                return cls("the SQLite database in memory", "memory", "")
            path = str(Path(url.database).absolute())
            return cls(f"the SQLite file {path}", path, "")
        if "@" in (url.database or ""):  # of a password with @ and /, which was read as a host
            where, database = "the server in DATABASE_URL", "in DATABASE_URL"
            return cls(f"PostgreSQL at {where}", where, database)
        database = url.database or "of its user's name"
        _, options = url.get_dialect()().create_connect_args(url)
        hosts = str(options.get("host") or "").split(",")
        if hosts == [""] or hosts[0].startswith("/"):
            where = f"the socket in {hosts[0]}" if hosts[0] else "its default socket"
            return cls(f"PostgreSQL on {where}", where, database)
        ports = str(options.get("port") or "").split(",")
        ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
        where = ",".join(_address(*one) for one in zip(hosts, ports, strict=True))
        return cls(f"PostgreSQL at {where}", where, database)

    def explain(self, code: str, detail: str = "") -> Explanation:
        """The words for a fault here; `detail` is the database's own code for it."""
        fields = {"store": self.store, "where": self.where, "database": self.database}
        return explain(FAULTS, code, detail, **fields)


def classify(orig: BaseException | None, *, passes: bool) -> str:
    """The code of a driver's error; `passes`: whether one that is not known passes with time."""
    otherwise = "unavailable" if passes else "statement_refused"
    if isinstance(orig, sqlite3.Error):
        return _of_sqlite(orig) or otherwise
    state = getattr(orig, "sqlstate", None)
    if state in BY_STATE:
        return BY_STATE[state]
    if passes and (state is None or state.startswith(("08", "28"))):
        text = str(orig)
        return next((code for pattern, code in BY_TEXT if pattern.search(text)), otherwise)
    return otherwise


def _of_sqlite(orig: sqlite3.Error) -> str | None:
    # One name for these and for every other fault in a statement.
    if isinstance(orig, sqlite3.OperationalError) and str(orig).startswith(
        ("no such table", "no such column")
    ):
        return "not_migrated"
    name = getattr(orig, "sqlite_errorname", None) or ""
    return next((code for start, code in BY_SQLITE_NAME if name.startswith(start)), None)


def _address(host: str, port: str) -> str:
    host = host.rpartition("@")[2]  # before it: of a password with an @, which was read as a host
    return f"[{host}]:{port or POSTGRES_PORT}" if ":" in host else f"{host}:{port or POSTGRES_PORT}"

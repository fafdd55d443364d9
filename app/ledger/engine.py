"""The connection to the database, and what its errors mean to us."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import (
    DBAPIError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)

from app.addresses import parse_database_url
from app.domain.errors import IdentityError, Misconfigured, Permanent, Transient

# Seconds that a SQLite writer waits for the one before it. Under a job's time limit of 20, so that
# a lock is reported as one; the same goes for the others here.
BUSY_TIMEOUT = 10
# libpq's options, unless the URL says otherwise. The last four (seconds, seconds, tries,
# milliseconds) end a wait for a server that has vanished within a minute; TCP alone takes hours.
POSTGRES_CONNECTION = {
    "connect_timeout": "5",  # seconds
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# Milliseconds. A process that stops inside a transaction, or loses the network there, must not
# hold its references' locks for as long as TCP takes to notice.
POSTGRES_TIMEOUTS = {
    "statement_timeout": 15_000,
    "lock_timeout": 10_000,
    "idle_in_transaction_session_timeout": 60_000,
}
# Every statement of ours has an index to go by. On a table that was never analyzed PostgreSQL would
# rather read the whole of it, and keep that plan while the table grows.
POSTGRES_PLANS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
# Connections a process may hold. Small plans allow 20 in all.
POOL = {"pool_size": 5, "max_overflow": 0, "pool_timeout": 10}

READ_ONLY = "ledger_read_only"  # an execution option

# SQLSTATEs: undefined table, undefined column, invalid schema name.
NOT_MIGRATED = frozenset({"42P01", "42703", "3F000"})
READ_ONLY_SERVER = "25006"  # while a standby is being promoted


class LedgerUnavailable(Transient):
    """The database did not take or give a record: it is down, locked, full, or not migrated."""


class LedgerBroken(Permanent):
    """The database refuses what we ask of it. The ledger has not changed."""


def open_engine(url: str, *, patience: float | None = None) -> Engine:
    """The engine for DATABASE_URL; it connects when first used, so open it after a fork.

    `patience` is how many seconds to wait for a lock, if that is less than above: it has to end
    before a job's time limit does. Raises Misconfigured if the URL cannot be used.
    """
    try:
        parsed = parse_database_url(url)
    except ValueError as error:
        raise Misconfigured([f"DATABASE_URL {error}"]) from None
    patience = BUSY_TIMEOUT if patience is None else min(BUSY_TIMEOUT, patience)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            hide_parameters=True,
            # The driver's own transactions begin too late: the lock has to come before the read.
            connect_args={"isolation_level": None, "timeout": patience},
        )
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        parsed.set(query={**POSTGRES_CONNECTION, **parsed.query}),
        hide_parameters=True,
        # Statements after a lock have to see what its last holder committed.
        isolation_level="READ COMMITTED",
        **POOL,
    )
    event.listen(engine, "connect", partial(_set_up_postgres, patience))
    return engine


def for_reading(engine: Engine) -> Engine:
    """The same pool, for transactions that only read, all of one moment, and wait for no writer."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{READ_ONLY: True})
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


P = ParamSpec("P")
R = TypeVar("R")


def translates_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Raise the database's errors as LedgerUnavailable or LedgerBroken.

    A connection that has broken since it was last used is replaced, once: to ask each for a sign of
    life before its use would cost a round trip each time. What was committed just as the connection
    broke is then done twice, which the ledger's keys make harmless.

    The errors are not chained: a database's message quotes what it was sent.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            try:
                return function(*args, **kwargs)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            return function(*args, **kwargs)
        except SQLAlchemyError as error:
            failure = translate(error)
        # Outside of the handler, where Python attaches no context.
        raise failure

    return call


def translate(error: SQLAlchemyError) -> IdentityError:
    """The domain's error for a database's, in classes and codes only."""
    if isinstance(error, PoolTimeout):
        return LedgerUnavailable("the ledger is busy: no connection came free in time")
    if not isinstance(error, DBAPIError):
        return LedgerBroken(f"the ledger could not be asked: {type(error).__name__}")
    code = _code(error.orig)
    if _is_not_migrated(error.orig, code):
        return LedgerUnavailable(
            f"the ledger is not migrated ({code}): run `python -m app migrate`"
        )
    what = f"{type(error.orig).__name__} {code}".strip()
    away = isinstance(error, OperationalError) or error.connection_invalidated
    if away or code == READ_ONLY_SERVER:
        return LedgerUnavailable(f"the ledger does not answer: {what}")
    return LedgerBroken(f"the ledger refused a statement: {what}")


def _code(orig: BaseException | None) -> str:
    return getattr(orig, "sqlstate", None) or getattr(orig, "sqlite_errorname", None) or ""


def _is_not_migrated(orig: BaseException | None, code: str) -> bool:
    if isinstance(orig, sqlite3.OperationalError):
        # SQLite has one code for these and for every other fault in a statement.
        return str(orig).startswith(("no such table", "no such column"))
    return code in NOT_MIGRATED


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            # SQLite does not wait here where two processes switch a new file at once.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READ_ONLY)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _set_up_postgres(patience: float, connection: Any, record: object) -> None:
    # By statement, as poolers such as PgBouncer refuse the start-up parameter for these.
    lock_timeout = min(POSTGRES_TIMEOUTS["lock_timeout"], int(patience * 1000))
    options = {**POSTGRES_TIMEOUTS, "lock_timeout": lock_timeout, **POSTGRES_PLANS}
    settings = "; ".join(f"SET {name} = {value}" for name, value in options.items())
    autocommit = connection.autocommit
    connection.autocommit = True
    connection.execute(settings)
    connection.autocommit = autocommit

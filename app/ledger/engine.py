"""The connection to the database, and what its errors mean to us."""

from __future__ import annotations

import os
import sqlite3
import time
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from rq.timeouts import JobTimeoutException
from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import (
    DBAPIError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeout,
)

from app.configuration.addresses import parse_database_url
from app.domain.errors import Misconfigured, Permanent, StoreFailure, Transient
from app.ledger import beginning, pipeline
from app.ledger.beginning import PIPELINED, READ_ONLY, begin_as_postgres, begin_as_sqlite
from app.ledger.failures import Place, classify
from app.ledger.statement_time import limit_statements

# Seconds that a SQLite writer waits for the one before it. Under a job's time limit of 20, so that
# a lock is reported as one; the same goes for the others here.
BUSY_TIMEOUT = 10
# Pages that SQLite writes ahead before it moves them into its file: 16 MB. By its own thousand, the
# pages that every batch changes are moved every few batches, which takes a tenth of the time.
CHECKPOINT_AFTER = 4_000
# libpq's options, unless the URL says otherwise. The last four (seconds, seconds, tries,
# milliseconds) end a wait for a server that has vanished within a minute; TCP alone takes hours.
POSTGRES_CONNECTION = {
    "connect_timeout": "5",  # seconds
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# Connections a process may hold. Small plans allow 20 in all.
POOL = {"pool_size": 5, "max_overflow": 0, "pool_timeout": 10}

# Of the faults that pass with time, those that the driver counts among the others: somebody
# migrates the ledger, promotes the standby, or sets the pooler right.
PASSING = frozenset({"not_migrated", "read_only", "prepared_elsewhere"})
READS_ONLY = "25006"  # PostgreSQL's code for a write at a standby


class LedgerUnavailable(StoreFailure, Transient):
    """The database did not take or give a record: it is down, locked, full, or not migrated."""

    store = "ledger"


class LedgerTooNew(LedgerUnavailable):
    """A later release has migrated the database to a schema that this one cannot work on."""


class LedgerBroken(StoreFailure, Permanent):
    """The database refuses what we ask of it. The ledger has not changed."""

    store = "ledger"


def open_engine(
    url: str,
    *,
    patience: float | None = None,
    connections: int | None = None,
    seconds: float | None = None,
) -> Engine:
    """The engine for DATABASE_URL; it connects when first used, so open it after a fork.

    `patience` is how many seconds to wait for a lock, if that is less than above: it has to end
    before a job's time limit does. `connections` and `seconds`, of a statement and of every wait,
    are for whoever must not take more of the database. Raises Misconfigured if the URL cannot be
    used.
    """
    try:
        parsed = parse_database_url(url)
    except ValueError as error:
        raise Misconfigured([f"DATABASE_URL {error}"]) from None
    patience = min(wait for wait in (BUSY_TIMEOUT, patience, seconds) if wait is not None)
    pool: dict[str, Any] = POOL | ({} if connections is None else {"pool_size": connections})
    pool |= {} if seconds is None else {"pool_timeout": seconds}
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            hide_parameters=True,
            # The driver's own transactions begin too late: the lock has to come before the read.
            connect_args={"isolation_level": None, "timeout": patience},
            **({} if connections is None or not parsed.database else pool),
        )
        if seconds is not None:
            limit_statements(engine, seconds)
        event.listen(engine, "connect", _set_up_sqlite)
        begin_as_sqlite(engine, patience)
        event.listen(engine, "handle_error", _close_late)
        return engine
    bounds = {} if seconds is None else {"connect_timeout": str(max(2, int(seconds)))}
    engine = create_engine(
        parsed.set(query={**POSTGRES_CONNECTION, **bounds, **parsed.query}),
        hide_parameters=True,
        connect_args={"autocommit": True},  # each transaction is begun by ours
        **pool,
    )
    begin_as_postgres(engine, patience, seconds)
    pipeline.send_together(engine)
    event.listen(engine, "handle_error", _close_late)
    event.listen(engine, "handle_error", _leave_a_standby)
    return engine


def for_reading(engine: Engine) -> Engine:
    """The same pool, for transactions that only read, all of one moment, and wait for no writer."""
    return engine.execution_options(**{READ_ONLY: True})


def for_pipelines(engine: Engine) -> Engine:
    """The same pool, for transactions of which all statements are sent by pipelines."""
    return engine.execution_options(**{PIPELINED: True})


P = ParamSpec("P")
R = TypeVar("R")


def translates_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Raise the database's errors as LedgerUnavailable or LedgerBroken, which say where it is.

    The first argument is the engine, or an object that has it as `_engine`.

    A connection that has broken since it was last used is replaced, once: to ask each for a sign of
    life before its use would cost a round trip each time. What was committed just as the connection
    broke is then done twice, which the ledger's keys make harmless.

    A job whose time ends while it waits for the database is the database's failure; while a handler
    runs in the transaction, it is the job's own. The errors are not chained: a database's message
    quotes what it was sent.
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
            failure = translate(error, _engine_of(args[0]))
        except (JobTimeoutException, MemoryError) as error:
            if not _came_from_database(error):
                raise
            # Python's driver of SQLite has no error of its own for a lack of memory.
            fault = "out_of_memory" if isinstance(error, MemoryError) else "job_timeout"
            failure = LedgerUnavailable(*_place(_engine_of(args[0])).explain(fault))
        # Outside of the handler, where Python attaches no context.
        raise failure

    return call


def _close_late(context: ExceptionContext) -> None:
    # The statement that a job's time cut off may be under way still: its connection takes no other.
    if isinstance(context.original_exception, JobTimeoutException):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def _leave_a_standby(context: ExceptionContext) -> None:
    # One that was a primary until now, or one that an address of several hosts has led to: the next
    # connection may lead to the primary.
    if getattr(context.original_exception, "sqlstate", None) == READS_ONLY:
        context.is_disconnect = True


def _came_from_database(error: BaseException) -> bool:
    modules = [
        frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    last = next((m for m in reversed(modules) if m.startswith(("app.", "sqlalchemy."))), "")
    return last in (__name__, beginning.__name__, pipeline.__name__) or last.startswith(
        "sqlalchemy."
    )


def _engine_of(argument: Any) -> Engine:
    engine: Engine = argument if isinstance(argument, Engine) else argument._engine
    return engine


def _place(engine: Engine) -> Place:
    return Place.of(engine.url)


def translate(error: SQLAlchemyError, engine: Engine) -> StoreFailure:
    """The domain's error for a database's, which says what is wrong where, and what to do."""
    place = _place(engine)
    if isinstance(error, PoolTimeout):
        return LedgerUnavailable(*place.explain("pool_exhausted"))
    if not isinstance(error, DBAPIError):
        return LedgerBroken(*place.explain("statement_refused", type(error).__name__))
    away = isinstance(error, OperationalError) or error.connection_invalidated
    fault = classify(error.orig, passes=away)
    code = _code(error.orig)
    if fault == "file_not_opened":
        fault = _why_not_opened(Path(place.where))
    if fault in ("unavailable", "statement_refused"):
        code = f"{type(error.orig).__name__} {code}".strip()
    kind = LedgerUnavailable if away or fault in PASSING else LedgerBroken
    return kind(*place.explain(fault, code))


def _code(orig: BaseException | None) -> str:
    return getattr(orig, "sqlstate", None) or getattr(orig, "sqlite_errorname", None) or ""


def _why_not_opened(path: Path) -> str:
    """Why SQLite could not open its file, for which it has one code."""
    effective = os.access in os.supports_effective_ids
    try:
        if path.is_dir():
            return "is_a_folder"
        if not path.parent.is_dir():
            return "folder_missing"
        needed = [path.parent, path] if path.exists() else [path.parent]
    except PermissionError:
        return "file_forbidden"
    allowed = (os.access(one, os.R_OK | os.W_OK, effective_ids=effective) for one in needed)
    return "file_not_opened" if all(allowed) else "file_forbidden"


def _set_up_sqlite(connection: Any, record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_AFTER}")
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

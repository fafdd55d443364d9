"""How a transaction begins: at SQLite with its lock, at PostgreSQL with all that holds in it.

What holds in a transaction of PostgreSQL's is set in it, in one round trip with its BEGIN, and
never for the connection: a pooler such as PgBouncer lends a connection for one transaction, so what
is set for longer would be missing in our next one and hold in somebody else's.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, event

# Execution options.
READ_ONLY = "ledger_read_only"
PIPELINED = "ledger_pipelined"  # the transaction begins with its first pipeline

UNSENT = "ledger_begin"  # in a connection's `info`: what the pipeline has to begin with

# Seconds between two looks for it. SQLite's own wait sleeps for up to a tenth of a second, while
# the lock is free for a few thousandths at a time.
LOOK_FOR_LOCK = 0.001
# Milliseconds. A process that stops inside a transaction, or loses the network there, must not
# hold its references' locks for as long as TCP takes to notice.
POSTGRES_TIMEOUTS: Mapping[str, int] = {
    "statement_timeout": 15_000,
    "lock_timeout": 10_000,
    "idle_in_transaction_session_timeout": 60_000,
}
# Every statement of ours has an index to go by. On a table that was never analyzed PostgreSQL would
# rather read the whole of it, and keep that plan while the table grows.
POSTGRES_PLANS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
# What a pipeline sends is planned once. For a list of one, as an event alone has, PostgreSQL would
# plan anew each time, which costs more than the statement itself.
PIPELINE_PLANS = {**POSTGRES_PLANS, "plan_cache_mode": "force_generic_plan"}
# Statements after a lock have to see what its last holder committed.
WRITES = "BEGIN ISOLATION LEVEL READ COMMITTED"
# All of one moment.
READS = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def begin_as_postgres(engine: Engine, patience: float, seconds: float | None) -> None:
    """Have each transaction begin with its settings; the driver's connections are autocommit.

    `patience` is how many seconds it waits for a lock, `seconds` how many for a statement.
    """
    limits = dict(POSTGRES_TIMEOUTS)
    limits["lock_timeout"] = min(limits["lock_timeout"], int(patience * 1000))
    if seconds is not None:
        limits["statement_timeout"] = int(seconds * 1000)
    settings = _set_locally({**limits, **POSTGRES_PLANS})
    of_pipelines = _set_locally({**limits, **PIPELINE_PLANS})
    event.listen(engine, "connect", _prepare_nothing_at_a_pooler)
    event.listen(engine, "begin", partial(_begin_postgres, settings, of_pipelines))


def begin_as_sqlite(engine: Engine, patience: float) -> None:
    """Have each transaction that writes begin with the lock; it waits so many seconds for it."""
    event.listen(engine, "begin", partial(_begin_sqlite, patience))


def is_pooled(connection: Any) -> bool:
    """Whether a pooler stands before the server, by a driver's connection.

    A pooler gives each client a number of its own to cancel statements by; a server gives its
    process' number.
    """
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(process != connection.info.backend_pid)


def _prepare_nothing_at_a_pooler(connection: Any, record: object) -> None:
    # A prepared statement stays with a connection of the server's, where the next client may have
    # another under the same name.
    if is_pooled(connection):
        connection.prepare_threshold = None


def _set_locally(options: Mapping[str, str | int]) -> str:
    # One statement, and SET is none that can be prepared.
    values = [f"set_config('{name}', '{value}', true) AS {name}" for name, value in options.items()]
    return f"SELECT {', '.join(values)}"


def _begin_postgres(settings: str, of_pipelines: str, connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(PIPELINED):
        connection.info[UNSENT] = (WRITES, of_pipelines)
        return
    connection.info.pop(UNSENT, None)
    connection.exec_driver_sql(f"{READS if options.get(READ_ONLY) else WRITES}; {settings}")


def take_begin(connection: Connection) -> tuple[str, ...]:
    """The statements that the transaction has still to begin with; () if it has begun."""
    begin: tuple[str, ...] = connection.info.pop(UNSENT, ())
    return begin


def _begin_sqlite(patience: float, connection: Connection) -> None:
    if connection.get_execution_options().get(READ_ONLY):
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        if not _await_lock(driver, patience):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises as any statement does
    finally:
        driver.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")


def _await_lock(driver: Any, patience: float) -> bool:
    """Begin to write once no other process does; False if there is no lock in that time."""
    deadline = time.monotonic() + patience
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return True
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                return False
        time.sleep(LOOK_FOR_LOCK)

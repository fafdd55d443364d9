"""Statements that are sent together: at PostgreSQL they take one round trip.

A round trip costs more than most of our statements do. PostgreSQL executes what it is sent together
one after the other, and none after one that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from rq.timeouts import JobTimeoutException
from sqlalchemy import Connection, Engine, ExecutionContext, event
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect

from app.ledger.beginning import take_begin
from app.ledger.bulk import AllAtOnce, Bulk, Query

STEPS = "ledger_pipeline"  # an execution option
COMMIT = "COMMIT"


@dataclass(slots=True)
class Answer:
    """What a statement has given, once its pipeline has been run."""

    rows: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    sent: Bulk | Query
    given: Any
    answer: Answer


class Pipeline:
    """Statements for one transaction, executed in their order by `run`."""

    def __init__(self, connection: Connection) -> None:
        """`connection` is in a transaction."""
        self._connection = connection
        self._steps: list[_Step] = []

    def write(self, bulk: Bulk, rows: Sequence[Mapping[str, Any]]) -> Answer:
        """Add a statement over rows, if there are any."""
        answer = Answer()
        if rows:
            self._steps.append(_Step(bulk, rows, answer))
        return answer

    def read(self, query: Query, lists: Mapping[str, Sequence[str]]) -> Answer:
        """Add a query by lists, unless all of them are empty."""
        answer = Answer()
        if any(lists.values()):
            self._steps.append(_Step(query, lists, answer))
        return answer

    def run(self, *, commit: bool = False) -> None:
        """Execute what was added. Raises what executing a statement raises.

        `commit` sends the COMMIT along, where the database takes it so: whoever began the
        transaction ends it in any case.
        """
        steps, self._steps = self._steps, []
        if self._connection.dialect.name != "postgresql":
            for step in steps:
                execute = step.sent.read if isinstance(step.sent, Query) else step.sent.write
                step.answer.rows = execute(self._connection, step.given)
            return
        begin = take_begin(self._connection)
        sent = [(text, None) for text in begin]
        sent += [_prepared(step) for step in steps]
        sent += [(COMMIT, None)] if commit else []
        if not sent:
            return
        # By way of SQLAlchemy, which tells a broken connection from a refused statement.
        cursors: list[Any] = []
        self._connection.exec_driver_sql("-- pipeline", execution_options={STEPS: (sent, cursors)})
        for step, cursor in zip(steps, cursors[len(begin) :], strict=False):  # less the COMMIT
            if cursor.description is not None:
                step.answer.rows = cursor.fetchall()


def send_together(engine: Engine) -> None:
    """Have an engine of PostgreSQL's run pipelines."""
    event.listen(engine, "do_execute", _execute)


def _execute(cursor: Any, statement: str, parameters: Any, context: ExecutionContext) -> bool:
    """True if it was a pipeline; else SQLAlchemy goes on."""
    if STEPS not in context.execution_options:
        return False
    sent, found = context.execution_options[STEPS]
    driver = cursor.connection
    try:
        with driver.pipeline():
            for text, parameters in sent:
                one = driver.cursor(row_factory=namedtuple_row)
                one.execute(text, parameters)
                found.append(one)
    except (psycopg.Error, JobTimeoutException) as error:
        raise _first(error) from None
    return True


def _first(error: BaseException) -> BaseException:
    # Psycopg ends a pipeline after an error too. What then fails would hide what failed first.
    while isinstance(error.__context__, psycopg.Error | JobTimeoutException):
        error = error.__context__
    return error


def _prepared(step: _Step) -> tuple[str, Any]:
    if not isinstance(step.sent, AllAtOnce | Query):
        raise TypeError("SQLite alone is given rows one by one")
    return _text(step.sent.statement), step.sent.parameters(step.given)


@cache
def _text(statement: Any) -> str:
    return str(statement.compile(dialect=psycopg_dialect()))  # type: ignore[no-untyped-call]  # its

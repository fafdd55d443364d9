"""Statements that are sent together: at PostgreSQL they take one round trip.

A round trip costs more than most of our statements do. PostgreSQL executes what it is sent together
one after the other, and none after one that fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
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
    given: Any  # rows, or lists by their names
    answer: Answer

    def values(self) -> Any:
        return self.given if isinstance(self.sent, Query) else [*self.given]


class Pipeline:
    """Statements for one transaction, executed in their order by `run`."""

    def __init__(self, connection: Connection) -> None:
        """`connection` is in a transaction."""
        self._connection = connection
        self._steps: list[_Step] = []

    def write(self, bulk: Bulk, rows: Iterable[Mapping[str, Any]]) -> Answer:
        """Add a statement over rows, if there are any; a generator is run when its turn comes.

        So the rows of one statement are made while the database executes those before it.
        """
        answer = Answer()
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
        if not steps and not commit:
            return
        if self._connection.dialect.name != "postgresql":
            for step in steps:
                execute = step.sent.read if isinstance(step.sent, Query) else step.sent.write
                step.answer.rows = execute(self._connection, step.values())
            return
        sent = chain(
            [(text, None, None) for text in take_begin(self._connection)],
            _prepared(steps),
            [(COMMIT, None, None)] if commit else [],
        )
        # By way of SQLAlchemy, which tells a broken connection from a refused statement.
        self._connection.exec_driver_sql("-- pipeline", execution_options={STEPS: sent})


def send_together(engine: Engine) -> None:
    """Have an engine of PostgreSQL's run pipelines."""
    event.listen(engine, "do_execute", _execute)


def _execute(cursor: Any, statement: str, parameters: Any, context: ExecutionContext) -> bool:
    """True if it was a pipeline; else SQLAlchemy goes on."""
    if STEPS not in context.execution_options:
        return False
    driver = cursor.connection
    answered: list[tuple[Answer, Any]] = []
    try:
        with driver.pipeline():
            try:
                for text, values, answer in context.execution_options[STEPS]:
                    one = driver.cursor(row_factory=namedtuple_row)
                    one.execute(text, values)
                    if answer is not None:
                        answered.append((answer, one))
            except JobTimeoutException:
                driver.close()  # the end of the pipeline would wait for what is under way
                raise
    except (psycopg.Error, JobTimeoutException) as error:
        raise _first(error) from None
    for answer, one in answered:
        # Not `description`, which makes an object for each column.
        if one.pgresult.nfields:
            answer.rows = one.fetchall()
    return True


def _first(error: BaseException) -> BaseException:
    # Psycopg ends a pipeline after an error too. What then fails would hide what failed first.
    while isinstance(error.__context__, psycopg.Error | JobTimeoutException):
        error = error.__context__
    return error


def _prepared(steps: Iterable[_Step]) -> Iterator[tuple[str, dict[str, Any], Answer]]:
    for step in steps:
        values = step.values()
        if values:
            if not isinstance(step.sent, AllAtOnce | Query):
                raise TypeError("SQLite alone is given rows one by one")
            yield _text(step.sent.statement), step.sent.parameters(values), step.answer


@cache
def _text(statement: Any) -> str:
    return str(statement.compile(dialect=psycopg_dialect()))  # type: ignore[no-untyped-call]  # SQLAlchemy's

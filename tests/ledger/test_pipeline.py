"""Statements that are sent together succeed or fail as if they were sent one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from rq.timeouts import JobTimeoutException
from sqlalchemy import select, text

from app.ledger.apply_statements import APPLY
from app.ledger.bulk import Postgres, Query
from app.ledger.engine import LedgerBroken, LedgerUnavailable, for_pipelines, translates_errors
from app.ledger.pipeline import Pipeline
from app.ledger.tables import events
from tests.ledger.conftest import Scribe
from tests.support.ledger import observation
from workers.time_limit import TimeLimit

FIND = Postgres().query(select(events.c.id).where(Postgres().is_in(events.c.id, "ids")))


# SQLite has no pipelines: it is given its statements one by one.
pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


def sent(statement: str) -> Query:
    """A query of this text, which takes one list, `ids`."""
    return Postgres().query(text(f"{statement} AND CAST(:ids AS text[]) IS NOT NULL"))


def run_together(scribe: Scribe, *queries: Query) -> None:
    @translates_errors
    def run(_: object) -> None:
        with for_pipelines(scribe.engine).begin() as connection:
            pipeline = Pipeline(connection)
            for query in queries:
                pipeline.read(query, {"ids": ["evt_1"]})
            pipeline.run(commit=True)

    run(scribe.engine)


INSERT = sent("INSERT INTO events SELECT 'evt_1', 'created', 1, '', false, 'vs_1', 1 WHERE true")
MISTAKE = sent("SELECT 1 / 0 WHERE true")
SLOW = sent("SELECT pg_sleep(30) WHERE true")


def limited(seconds: float) -> TimeLimit:
    """The time limit of a job."""
    return TimeLimit(seconds, JobTimeoutException)  # type: ignore[no-untyped-call]  # RQ's


def test_they_are_executed_and_committed(scribe: Scribe) -> None:
    run_together(scribe, INSERT, FIND)
    assert scribe.query("SELECT id FROM events") == [("evt_1",)]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_fails_is_what_is_told_and_nothing_is_committed(
    scribe: Scribe, place: int
) -> None:
    queries = [INSERT, FIND]
    queries.insert(place, MISTAKE)
    with pytest.raises(LedgerBroken, match="DivisionByZero 22012"):
        run_together(scribe, *queries)
    assert scribe.query("SELECT id FROM events") == []


def test_the_connection_is_used_again_after_one_that_failed(scribe: Scribe) -> None:
    with scribe.engine.connect() as connection:
        process = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    with pytest.raises(LedgerBroken):
        run_together(scribe, MISTAKE)
    scribe.apply(observation("processing", 110))
    with scribe.engine.connect() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar() == process


def test_a_job_whose_time_ends_in_them_waits_no_longer(scribe: Scribe) -> None:
    began = time.monotonic()
    with pytest.raises(LedgerUnavailable, match="time"), limited(0.3):
        run_together(scribe, SLOW)
    assert time.monotonic() - began < 5  # the statement takes 30
    scribe.apply(observation("processing", 110))
    assert scribe.query("SELECT name FROM events") == [("processing",)]


def test_a_job_whose_time_ends_while_rows_are_made_waits_no_longer(scribe: Scribe) -> None:
    def rows() -> Iterator[dict[str, str]]:
        time.sleep(10)
        yield {}

    def run() -> None:
        with for_pipelines(scribe.engine).begin() as connection:
            pipeline = Pipeline(connection)
            pipeline.read(SLOW, {"ids": ["evt_1"]})
            pipeline.write(APPLY["postgresql"].insert_events, rows())
            pipeline.run()

    began = time.monotonic()
    with pytest.raises(JobTimeoutException), limited(0.3):
        run()
    assert time.monotonic() - began < 5
    assert scribe.apply(observation("processing", 110))[0].outcome == "applied"


def test_rows_are_made_when_their_statement_is_sent(scribe: Scribe) -> None:
    made: list[str] = []

    def rows() -> Iterator[dict[str, str]]:
        made.append("rows")
        yield from ()

    with for_pipelines(scribe.engine).begin() as connection:
        pipeline = Pipeline(connection)
        answer = pipeline.write(APPLY["postgresql"].insert_events, rows())
        assert made == []
        pipeline.run()
    assert (made, answer.rows) == (["rows"], ())


def test_their_limits_hold_from_the_first_statement(scribe: Scribe) -> None:
    shown = {
        "statement_timeout": "15s",
        "enable_seqscan": "off",
        "plan_cache_mode": "force_generic_plan",
    }
    with for_pipelines(scribe.engine).begin() as connection:
        pipeline = Pipeline(connection)
        answers = [
            pipeline.read(sent(f"SELECT current_setting('{name}') WHERE true"), {"ids": ["x"]})
            for name in shown
        ]
        pipeline.run()
        assert [answer.rows[0][0] for answer in answers] == [*shown.values()]
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1  # in the same transaction
    with scribe.engine.connect() as connection:
        mode = connection.exec_driver_sql("SHOW plan_cache_mode").scalar()
    assert mode == "auto"

"""No statement of the ledger's reads a whole table, on both databases, analyzed and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Select, bindparam, select, text

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.tables import events, standings
from tests.ledger.big import analyze, fill
from tests.ledger.prebuilt import digest, execution, prebuilt
from tests.support.ledger import observation
from tests.support.plans import excess

SIZE = 3_000  # sessions; a third of what each other large table has
# Rows that a statement may read; each below asks for a few.
MOST = 150


@pytest.fixture(scope="module")
def years(years_url: str) -> Iterator[Engine]:
    """A ledger of years that was never analyzed."""
    engine = open_engine(years_url)
    fill(engine, SIZE)
    yield engine
    engine.dispose()


def full_scans(engine: Engine) -> dict[str, list[str]]:
    """The statements that read too much, and of what."""
    found = {}
    for name, one in prebuilt(engine.dialect.name).items():
        read = excess(engine, *execution(name, one, engine), MOST)
        if read:
            found[name] = read
    return found


def test_no_statement_reads_more_than_it_was_asked_for(years: Engine) -> None:
    assert full_scans(years) == {}
    analyze(years)
    assert full_scans(years) == {}


# SQLite plans nothing anew, and counts no rows.
@pytest.mark.parametrize("years_url", ["postgresql"], indirect=True)
def test_an_event_reads_few_rows_by_plans_that_are_made_once(years: Engine) -> None:
    ledger = Ledger(years)
    for number in range(10):
        ledger.apply([observation("processing", 100, session=f"vs_n{number}")], policy=None, now=1)
    before = rows_read(years)
    ledger.apply([observation("verified", 200, session="vs_n5")], policy=None, now=1)
    assert rows_read(years) - before < MOST


def rows_read(engine: Engine) -> int:
    """How many rows PostgreSQL has read so far."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
        )
        return int(found.scalar_one())


def test_every_statement_is_looked_at(years: Engine) -> None:
    names = prebuilt(years.dialect.name)
    some = {"TO_CHECK", "UNSENT_EFFECTS", "record_sent", "lock_sessions", "insert_sessions"}
    assert some <= set(names)
    assert len(names) > 35


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(
            select(events.c.id).where(events.c.session_id == bindparam("session_id")),
            id="no index",
        ),
        pytest.param(
            select(standings.c.key)
            .where(standings.c.status == "expired")
            .order_by(standings.c.key)
            .limit(10),
            id="an index that is read to its end",
        ),
    ],
)
def test_a_statement_that_reads_a_whole_table_is_found(years: Engine, bad: Select[Any]) -> None:
    _, given = execution("bad", bad, years)
    assert excess(years, bad, given, MOST) != []


def test_the_join_in_the_readme_finds_a_user_by_an_index(years: Engine) -> None:
    join = text(
        "SELECT users.id, coalesce(standing.status, 'none') FROM (SELECT :user AS id) AS users "
        "LEFT JOIN reference_standings AS standing ON standing.client_reference_id = users.id "
        "AND standing.account = '' AND standing.purpose = '' AND NOT standing.livemode"
    )
    assert excess(years, join, {"user": f"user_{digest(9)}"}, MOST) == []

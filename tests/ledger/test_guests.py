"""Whoever must not take much of the database: fewer connections, and less time for each thing."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import Engine, text

from app.ledger.engine import LedgerUnavailable, open_engine, translates_errors
from tests.support.postgres import Postgres

SECONDS = 0.2
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


@translates_errors
def run(engine: Engine, statement: str) -> list[object]:
    with engine.connect() as connection:
        return list(connection.execute(text(statement)).scalars())


@pytest.mark.parametrize("selected", ["max(i)", "i"], ids=["executing", "fetching"])
def test_a_statement_of_a_guest_is_cut_off(empty_url: str, selected: str) -> None:
    engine = open_engine(empty_url, connections=1, seconds=SECONDS)
    begun = time.monotonic()
    with pytest.raises(LedgerUnavailable, match="took too long over a statement"):
        run(engine, ENDLESS.format(selected))
    assert SECONDS <= time.monotonic() - begun < 3
    assert run(engine, "SELECT 1") == [1]
    engine.dispose()


def test_a_guest_gets_no_more_connections_than_its_share(empty_url: str) -> None:
    engine = open_engine(empty_url, connections=1, seconds=SECONDS)
    with (
        engine.connect(),
        pytest.raises(LedgerUnavailable, match="all connections of this process"),
    ):
        run(engine, "SELECT 1")
    engine.dispose()


def test_what_is_no_guest_has_the_usual_time(postgres: Postgres) -> None:
    engine = open_engine(postgres.url())
    assert run(engine, "SHOW statement_timeout") == ["15s"]
    engine.dispose()

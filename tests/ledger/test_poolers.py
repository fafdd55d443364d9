"""The ledger behind a PgBouncer that lends each transaction another connection of the server's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import text

from app.ledger import beginning, migrate
from app.ledger.engine import LedgerUnavailable, for_reading
from app.ledger.ledger import Ledger
from app.ledger.schema import revisions
from app.ledger.server import look_at
from tests.ledger.asking import ask, engine_of, fault_at
from tests.support.ledger import NOW, POLICY, count_events, observation
from tests.support.pgbouncer import pooled
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

CLIENTS, LENT = 20, 4
HOLDS = {"statement_timeout": "15s", "lock_timeout": "10s", "enable_seqscan": "off"}


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[Postgres]:
    """The server behind a small pool, by transaction."""
    with pooled(postgres, "transaction", default_pool_size=LENT) as server:
        yield server


@pytest.fixture
def url(server: Postgres) -> Iterator[str]:
    """An empty database there, migrated through the pooler."""
    name = server.create_database()
    url = server.url(name)
    with engine_of(url) as engine:
        assert migrate.upgrade(engine) == revisions()
    yield url
    server.drop_database(name)


def test_what_holds_in_a_transaction_holds_in_those_of_more_clients_than_connections(
    url: str,
) -> None:
    with ExitStack() as stack:
        engines = [stack.enter_context(engine_of(url)) for _ in range(CLIENTS)]
        threads = stack.enter_context(ThreadPoolExecutor(CLIENTS))

        def look(number: int) -> tuple[int, dict[str, str]]:
            engine = engines[number % CLIENTS]
            engine = for_reading(engine) if number % 3 else engine
            with engine.connect() as connection:
                process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
                found = {
                    name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in HOLDS
                }
            return process, found

        seen = list(threads.map(look, range(CLIENTS * 20)))
    assert [found for _, found in seen if found != HOLDS] == []
    assert 1 < len({process for process, _ in seen}) <= LENT


def test_nothing_of_ours_holds_for_others_who_come_by_the_same_pooler(url: str) -> None:
    with engine_of(url) as engine:
        ledger = Ledger(engine)
        for number in range(10):
            ledger.apply([observation("processing", 100 + number)], policy=POLICY, now=NOW)
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as other:
            found = [other.execute(f"SHOW {name}".encode()).fetchone() for name in HOLDS]
            prepared = other.execute("SELECT name FROM pg_prepared_statements").fetchall()
    assert found == [("0",), ("0",), ("on",)]
    assert prepared == []


def test_clients_that_apply_at_once_meet_no_statement_of_each_others(url: str) -> None:
    with ExitStack() as stack:
        ledgers = [Ledger(stack.enter_context(engine_of(url))) for _ in range(CLIENTS)]
        threads = stack.enter_context(ThreadPoolExecutor(CLIENTS))

        def apply(number: int) -> str:
            ledger = ledgers[number % CLIENTS]
            at, session = 100 + number, f"vs_{number % 50}"
            seen = observation("processing", at, session=session, reference=f"user_{session}")
            (applied,) = ledger.apply([seen], policy=POLICY, now=NOW)
            assert ledger.read_reference(f"user_{session}", livemode=False) is not None
            return applied.outcome

        outcomes = list(threads.map(apply, range(400)))
        assert outcomes == ["applied"] * 400
        with engine_of(url) as engine:
            assert count_events(engine) == 400
            assert len(dict(Ledger(engine).all_standings(livemode=False))) == 50


def test_processes_that_migrate_at_once_through_a_pooler_take_turns(server: Postgres) -> None:
    url = server.url(server.create_database())
    with ExitStack() as stack:
        engines = [stack.enter_context(engine_of(url)) for _ in range(LENT)]
        threads = stack.enter_context(ThreadPoolExecutor(LENT))
        assert sorted(threads.map(migrate.upgrade, engines)) == [[]] * (LENT - 1) + [revisions()]


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_is_told_of(postgres: Postgres, mode: str) -> None:
    with engine_of(postgres.url()) as engine:
        direct = look_at(engine)
        assert direct is not None
        assert not direct.has_pooler
    with pooled(postgres, mode) as server, engine_of(server.url()) as engine:
        assert str(look_at(engine)) == f"PostgreSQL {direct.version}, through a pooler"


def test_a_pooler_in_session_mode_serves_as_the_server_does(postgres: Postgres) -> None:
    with pooled(postgres, "session") as server:
        url = server.url(server.create_database())
        with engine_of(url) as engine:
            migrate.upgrade(engine)
            for number in range(20):
                seen = observation("processing", 100 + number)
                Ledger(engine).apply([seen], policy=POLICY, now=NOW)
            assert count_events(engine) == 20


# --- what it refuses ------------------------------------------------------------------------


def test_an_option_that_a_pooler_refuses_is_told(server: Postgres) -> None:
    fault = fault_at(server.url() + "&options=-cwork_mem%3D8MB")
    assert fault.code == "startup_option"
    assert str(fault) == (
        f"PostgreSQL on the socket in {server.door and server.door[0]} refuses an option of"
        " DATABASE_URL: take `options` out of it, or name it in the pooler's"
        " ignore_startup_parameters"
    )


def test_a_pool_that_is_empty_for_too_long_is_told(postgres: Postgres) -> None:
    settings = {"default_pool_size": 1, "query_wait_timeout": 1}
    with (
        pooled(postgres, "transaction", **settings) as server,
        psycopg.connect(server.url(), prepare_threshold=None) as holder,
    ):
        holder.execute("SELECT 1")
        fault = fault_at(server.url())
    assert fault.code == "pool_empty"


def test_a_pooler_with_no_place_for_another_client_is_told(postgres: Postgres) -> None:
    with (
        pooled(postgres, "transaction", max_client_conn=1) as server,
        psycopg.connect(server.url()),
    ):
        assert fault_at(server.url()).code == "too_many_connections"


def test_a_pooler_by_statement_is_told(postgres: Postgres) -> None:
    with pooled(postgres, "statement") as server:
        assert fault_at(server.url()).code == "pooled_by_statement"


def test_a_database_that_a_poolers_server_has_not_is_told(server: Postgres) -> None:
    assert fault_at(server.url("no-such-ledger")).code == "missing_database"


def test_a_pooler_whose_server_is_away_is_told(postgres: Postgres) -> None:
    away = Postgres(postgres.directory / "nothing-here", postgres.binaries, postgres.process)
    with pooled(away, "transaction", query_wait_timeout=1) as server:
        assert fault_at(server.url()).code == "pool_empty"


def test_a_pooler_that_its_server_refuses_is_told(postgres: Postgres) -> None:
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'stranger'"
    postgres.administer("CREATE ROLE stranger LOGIN")
    with pooled(postgres, "transaction", query_wait_timeout=1) as server:
        url = server.url().replace("postgres@", "stranger@")
        with engine_of(url) as engine:
            ask(engine)
            postgres.administer("ALTER ROLE stranger NOLOGIN", ended)
        fault_at(url)  # it may wait for the connection that is refused
        assert fault_at(url).code == "pooler_refused"  # which is not tried again at once
    postgres.administer("DROP ROLE stranger")


def test_a_pooler_that_is_not_recognised_is_told_and_waited_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beginning, "is_pooled", lambda connection: False)
    with engine_of(url) as first, engine_of(url) as second:
        ledgers = [Ledger(engine) for engine in (first, second)]

        def write_by_turns() -> None:
            for number in range(100):
                ledgers[number % 2].check_writable()

        with pytest.raises(LedgerUnavailable, match="is not where it was prepared") as raised:
            write_by_turns()
    assert raised.value.code == "prepared_elsewhere"

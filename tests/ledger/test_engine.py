"""What a database's failures become, and what they may not say."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from app.domain import reconcile
from app.domain.errors import Misconfigured
from app.ledger import beginning
from app.ledger import engine as engines
from app.ledger.engine import LedgerBroken, LedgerUnavailable, for_reading, open_engine
from app.ledger.ledger import Ledger
from tests.ledger.conftest import Scribe, administer
from tests.support.ledger import NOW, POLICY, count_events, observation
from tests.support.postgres import Postgres
from workers.time_limit import TimeLimit

PERSONAL = "jenny.rosen@example.com"


@contextmanager
def opened(url: str, patience: float | None = None) -> Iterator[Ledger]:
    engine = open_engine(url, patience=patience)
    yield Ledger(engine)
    engine.dispose()


def fails(ledger: Ledger, error: type[Exception], match: str) -> None:
    """Apply an event that names a person; hold that it fails as told, and names nobody."""
    with pytest.raises(error, match=match) as raised:
        ledger.apply([observation("verified", 100, reference=PERSONAL)], policy=POLICY, now=NOW)
    names_nobody(raised.value)


def names_nobody(error: BaseException) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None
    assert PERSONAL not in "".join(traceback.format_exception(error))


def test_a_database_not_migrated_is_unavailable_and_says_what_to_do(empty_url: str) -> None:
    with opened(empty_url) as ledger:
        fails(ledger, LedgerUnavailable, "python -m app migrate")
        with pytest.raises(LedgerUnavailable, match="python -m app migrate"):
            list(ledger.all_standings(False))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@127.0.0.1:1/ledger",
        "postgres:///ledger?host=/nowhere",
        "sqlite:////nowhere/ledger.db",
    ],
)
def test_a_database_out_of_reach_is_unavailable(url: str) -> None:
    with opened(url) as ledger:
        fails(ledger, LedgerUnavailable, "DATABASE_URL")
        with pytest.raises(LedgerUnavailable) as raised:
            ledger.ping()
    assert "hunter2" not in str(raised.value)


def test_a_database_that_answers_is_pinged(ledger: Ledger) -> None:
    ledger.ping()


def test_a_refused_statement_is_broken_and_names_nobody(scribe: Scribe) -> None:
    seen = observation("verified", 100, reference=PERSONAL)
    no_time = seen._replace(snapshot=seen.snapshot._replace(created=None))  # type: ignore[arg-type]  # what no event can hold
    with pytest.raises(LedgerBroken, match="refused a statement") as raised:
        scribe.ledger.apply([no_time], policy=POLICY, now=NOW)
    names_nobody(raised.value)
    assert count_events(scribe.engine) == 0


def test_a_lock_held_too_long_is_unavailable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT", 0.1)
    monkeypatch.setitem(beginning.POSTGRES_TIMEOUTS, "lock_timeout", 100)
    holder = open_engine(url)
    with opened(url) as ledger:
        ledger.apply([observation("processing", 90, reference=PERSONAL)], policy=POLICY, now=NOW)
        with holder.begin() as connection:
            connection.exec_driver_sql("UPDATE standings SET version = version")
            fails(ledger, LedgerUnavailable, "SQLITE_BUSY|55P03")
        ledger.apply([observation("verified", 100)], policy=POLICY, now=NOW)
    holder.dispose()


def test_a_database_for_which_a_job_waits_until_its_time_is_over_is_unavailable(url: str) -> None:
    holder = open_engine(url)
    with opened(url, patience=1.5) as ledger:
        ledger.apply([observation("processing", 90, reference=PERSONAL)], policy=POLICY, now=NOW)
        with holder.begin() as connection:
            connection.exec_driver_sql("UPDATE standings SET version = version")
            with TimeLimit(1.0, JobTimeoutException):  # type: ignore[no-untyped-call]  # RQ's
                fails(ledger, LedgerUnavailable, "did not answer within the job's time")
        [applied] = ledger.apply([observation("verified", 100)], policy=POLICY, now=NOW)
        assert applied.outcome == "applied"
    holder.dispose()


def test_a_handler_that_takes_the_jobs_time_is_no_fault_of_the_database(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(change: object) -> None:
        with TimeLimit(0.05, JobTimeoutException):  # type: ignore[no-untyped-call]  # RQ's
            time.sleep(10)

    monkeypatch.setitem(vars(reconcile), "handle", hangs)
    with pytest.raises(JobTimeoutException):
        ledger.apply([observation("verified", 100)], policy=POLICY, now=NOW)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_full_disk_is_unavailable(scribe: Scribe) -> None:
    with scribe.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    long = observation("verified", 100, reference=PERSONAL * 200)
    many = [
        long._replace(snapshot=long.snapshot._replace(id=f"vs_{number}"), event_id=f"evt_{number}")
        for number in range(50)
    ]
    with pytest.raises(LedgerUnavailable, match="SQLITE_FULL") as raised:
        scribe.apply(*many)
    names_nobody(raised.value)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_connections_that_the_server_ended_are_replaced(scribe: Scribe) -> None:
    scribe.apply(observation("processing", 100))
    other = open_engine(scribe.engine.url.render_as_string(hide_password=False))
    with other.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    other.dispose()
    [applied] = scribe.apply(observation("verified", 110))
    assert applied.outcome == "applied"


def test_a_reader_neither_waits_for_a_writer_nor_sees_its_draft(scribe: Scribe) -> None:
    scribe.apply(observation("processing", 100))
    with scribe.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE standings SET status = 'draft'")
        record = scribe.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert record.standing.status == "processing"


def test_a_reader_sees_one_moment(engine: Engine, scribe: Scribe) -> None:
    count = "SELECT count(*) FROM events"
    with for_reading(engine).connect() as connection:
        assert connection.exec_driver_sql(count).scalar() == 0
        scribe.apply(observation("verified", 100))
        assert connection.exec_driver_sql(count).scalar() == 0


def test_sqlite_is_opened_to_keep_what_was_committed(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    full = 2
    assert found == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


# What holds in a transaction, and what a server as it comes has outside of it.
HOLDS = {
    "statement_timeout": ("15s", "0"),
    "lock_timeout": ("10s", "0"),
    "idle_in_transaction_session_timeout": ("1min", "0"),
    "enable_seqscan": ("off", "on"),
    "enable_hashjoin": ("off", "on"),
    "enable_mergejoin": ("off", "on"),
}


@pytest.mark.parametrize("reads", [False, True])
def test_what_holds_in_a_transaction_of_postgresql_ends_with_it(
    postgres: Postgres, reads: bool
) -> None:
    engine = open_engine(postgres.url().replace("postgresql://", "postgres://"))
    with (for_reading(engine) if reads else engine).connect() as connection:
        inside = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in HOLDS]
        connection.rollback()
        driver: Any = connection.connection.driver_connection
        outside = [driver.execute(f"SHOW {name}").fetchone()[0] for name in HOLDS]
    engine.dispose()
    assert [*zip(inside, outside, strict=True)] == [*HOLDS.values()]


def test_a_guest_has_time_limits_of_its_own(postgres: Postgres) -> None:
    engine = open_engine(postgres.url(), seconds=2)
    with engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("statement_timeout", "lock_timeout")
        ]
    engine.dispose()
    assert found == ["2s", "2s"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_reader_cannot_write(engine: Engine) -> None:
    with (
        for_reading(engine).connect() as connection,
        pytest.raises(DBAPIError, match="read-only transaction"),
    ):
        connection.exec_driver_sql("DELETE FROM events")


@pytest.mark.parametrize(
    "url", ["", "mysql://root:hunter2@host/db", "hunter2", "postgresql+asyncpg://host/db"]
)
def test_other_urls_are_misconfigured(url: str) -> None:
    with pytest.raises(Misconfigured, match="DATABASE_URL") as raised:
        open_engine(url)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_ledger_that_only_reads_takes_no_record(
    scribe: Scribe, make_read_only: Callable[[], None]
) -> None:
    scribe.ledger.check_writable()
    make_read_only()
    with pytest.raises(LedgerUnavailable):
        scribe.ledger.check_writable()


def test_a_connection_that_has_read_writes_no_more_than_the_server_allows(
    scribe: Scribe, make_read_only: Callable[[], None]
) -> None:
    make_read_only()
    scribe.ledger.ping()
    with pytest.raises(LedgerUnavailable):
        scribe.ledger.check_writable()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_connection_at_which_nothing_can_be_written_is_replaced(
    scribe: Scribe, url: str, make_read_only: Callable[[], None]
) -> None:
    """What a connection was told when it was made holds for it; a standby's is to be left, too."""
    make_read_only()
    with pytest.raises(LedgerUnavailable, match="is read-only: a standby"):
        scribe.ledger.check_writable()
    administer(url, "ALTER DATABASE {} RESET default_transaction_read_only")
    scribe.ledger.check_writable()

"""Each fault of a PostgreSQL, made for real, has its own line: what, where, and what to do."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from app.ledger import engine as engines
from app.ledger.engine import LedgerBroken, LedgerUnavailable, open_engine
from app.ledger.failures import Place
from app.ledger.faults import FAULTS
from app.local.valkey import free_port
from tests.ledger.asking import PASSWORD, ask, engine_of, fault_at, says_of
from tests.support.no_network import without_network
from tests.support.postgres import Postgres
from tests.support.stub_server import (
    Talk,
    says,
    says_in_turn,
    self_signed,
    silent,
    speaks_tls,
    stub_server,
    tls_context,
)

# PostgreSQL's answer to a client that asks for TLS.
NO_TLS, TLS = b"N", b"S"


# --- out of reach ---------------------------------------------------------------------------


def test_a_host_name_that_does_not_resolve() -> None:
    fault = fault_at(f"postgresql://me:{PASSWORD}@nothing.invalid/ledger")
    assert str(fault) == (
        "the host name of PostgreSQL at nothing.invalid:5432 does not resolve:"
        " correct the host in DATABASE_URL, or the DNS of this machine"
    )
    assert (fault.code, type(fault)) == ("name_not_found", LedgerUnavailable)


def test_a_port_at_which_nothing_listens() -> None:
    port = free_port()
    fault = fault_at(f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/ledger")
    assert str(fault) == (
        f"PostgreSQL at 127.0.0.1:{port} refuses the connection:"
        " start it, or correct host and port in DATABASE_URL"
    )


def test_a_socket_that_is_not_there() -> None:
    fault = fault_at("postgresql:///ledger?host=/nowhere")
    assert str(fault) == (
        "PostgreSQL on the socket in /nowhere is not there:"
        " start it, or correct the host in DATABASE_URL"
    )


def test_a_server_to_which_no_route_leads() -> None:
    url = f"postgresql://me:{PASSWORD}@127.0.0.1:5432/ledger"
    assert str(without_network(lambda: fault_at(url))) == (
        "no route leads to PostgreSQL at 127.0.0.1:5432:"
        " see to the network between this machine and the database"
    )


PORT = "PORT"  # in a line, for the port of a test's own server
PLAYED: dict[str, tuple[Talk, str, str]] = {
    "not_postgresql": (
        says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        "",
        f"what answers at 127.0.0.1:{PORT} does not speak PostgreSQL's protocol:"
        " correct host and port in DATABASE_URL",
    ),
    "tls_not_offered": (
        says(NO_TLS),
        "?sslmode=require",
        f"PostgreSQL at 127.0.0.1:{PORT} does not offer TLS, which the sslmode in DATABASE_URL"
        " asks for: switch `ssl` on there, or take sslmode out",
    ),
    "tls_failed": (
        says_in_turn(TLS, b"no TLS at all, but enough of it"),
        "?sslmode=require",
        f"no TLS connection to PostgreSQL at 127.0.0.1:{PORT} comes about: see that sslmode,"
        " sslrootcert, sslcert and sslkey in DATABASE_URL fit the server",
    ),
    "connection_lost": (
        says_in_turn(NO_TLS),
        "",
        f"PostgreSQL at 127.0.0.1:{PORT} closed the connection:"
        " it is tried again; if it was not restarted, read its log",
    ),
    "starting": (
        says_in_turn(
            NO_TLS,
            b"E"
            + struct.pack("!I", 64)
            + b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0".ljust(60, b"\0"),
        ),
        "",
        f"PostgreSQL at 127.0.0.1:{PORT} is starting up or shutting down:"
        " wait; if it lasts, read its log",
    ),
}


@pytest.mark.parametrize("code", PLAYED)
def test_what_a_server_that_cannot_be_used_says(code: str) -> None:
    talk, options, line = PLAYED[code]
    with stub_server(talk) as port:
        fault = fault_at(f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/ledger{options}")
        assert str(fault) == line.replace(PORT, str(port))
    assert fault.code == code


@pytest.mark.slow  # the driver waits for two seconds at least
def test_a_server_that_does_not_answer() -> None:
    with stub_server(silent) as port:
        fault = fault_at(f"postgresql://me@127.0.0.1:{port}/ledger?connect_timeout=1")
        assert str(fault) == (
            f"PostgreSQL at 127.0.0.1:{port} did not accept the connection in time: see whether"
            " a firewall is in the way, and whether the host in DATABASE_URL is right"
        )


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    served = self_signed(tmp_path, "db.example")
    (tmp_path / "other").mkdir()
    trusted, _ = self_signed(tmp_path / "other", "db.example")
    with stub_server(speaks_tls(tls_context(served), before=TLS)) as port:
        options = f"?sslmode=verify-full&sslrootcert={trusted}"
        fault = fault_at(f"postgresql://me:{PASSWORD}@127.0.0.1:{port}/ledger{options}")
        assert str(fault) == (
            f"the TLS certificate of PostgreSQL at 127.0.0.1:{port} does not pass the check that"
            " sslmode asks for: name its authority by ?sslrootcert=FILE, and the host as the"
            " certificate does"
        )


# --- not admitted ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Iterator[Postgres]:
    """A server with users whom it does not take, each for another reason."""
    rules = postgres.directory / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all guarded scram-sha-256\nlocal all stranger reject\n{before}")
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}-right'")
        connection.execute("CREATE ROLE stranger LOGIN")
        connection.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
        connection.execute("CREATE ROLE poor LOGIN")
        connection.execute("SELECT pg_reload_conf()")
        yield postgres
        rules.write_text(before)
        for role in ("guarded", "stranger", "crowded", "poor"):
            connection.execute(f"DROP ROLE {role}".encode())
        connection.execute("SELECT pg_reload_conf()")


REFUSED = {
    "wrong_password": (
        f"guarded:{PASSWORD}",
        "postgres",
        "{store} refuses the user or the password in DATABASE_URL:"
        " correct them, or set the role's password by ALTER ROLE",
    ),
    "password_missing": (
        "guarded",
        "postgres",
        "{store} asks for a password, and DATABASE_URL has none:"
        " write postgres://user:password@host:5432/name",
    ),
    "missing_role": (
        f"nobody-here:{PASSWORD}",
        "postgres",
        "{store} has no role for the user in DATABASE_URL:"
        " create it by CREATE ROLE, or correct the user",
    ),
    "missing_database": (
        "postgres",
        "no-such-ledger",
        "{store} has no database no-such-ledger: create it by CREATE DATABASE,"
        " or correct the name at the end of DATABASE_URL",
    ),
    "not_admitted": (
        "stranger",
        "postgres",
        "{store} does not admit this machine and user to the database postgres: add a line to its"
        " pg_hba.conf, GRANT CONNECT, or add ?sslmode=require if that asks for it",
    ),
    "too_many_connections": (
        "crowded",
        "postgres",
        "{store} has no connection to spare:"
        " raise max_connections there, or run fewer processes: each takes 5 at most",
    ),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_a_server_that_refuses_us_says(code: str, guarded: Postgres) -> None:
    user, database, line = REFUSED[code]
    fault = fault_at(f"postgresql://{user}@/{database}?host={guarded.directory}")
    store = f"PostgreSQL on the socket in {guarded.directory}"
    assert (fault.code, str(fault)) == (code, line.format(store=store))


def test_a_role_without_the_right_to_a_table(guarded: Postgres) -> None:
    url = f"postgresql://poor@/postgres?host={guarded.directory}"
    fault = fault_at(url, "SELECT * FROM pg_authid")
    assert str(fault) == (
        f"PostgreSQL on the socket in {guarded.directory} does not give the role in DATABASE_URL"
        " the right to that (42501): GRANT it, or use the role that ran `python -m app migrate`"
    )
    assert type(fault) is LedgerBroken


# --- what a statement meets -----------------------------------------------------------------

# The server raises these as it would raise them itself.
RAISED = {
    "26000": "prepared_elsewhere",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "58030": "disk_broken",
    "XX001": "damaged",
    "57P01": "connection_lost",
    "57014": "statement_timeout",
    "40P01": "deadlock",
    "55P03": "lock_timeout",
    "25006": "read_only",
    "42P01": "not_migrated",
}


@pytest.mark.parametrize("state", RAISED)
def test_what_a_server_in_trouble_says(state: str, postgres: Postgres) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION '{PASSWORD}' USING ERRCODE = '{state}'; END $$"
    fault = fault_at(postgres.url(), raising)
    place = Place("PostgreSQL on the socket in " + str(postgres.directory), "", "")
    assert (fault.code, str(fault)) == (RAISED[state], says_of(RAISED[state], place, state))


OTHERS = {
    "unavailable": (
        "DO $$ BEGIN RAISE 'hunter2' USING ERRCODE = '08000'; END $$",
        "{store} does not answer as it should (ConnectionException 08000): connect by `psql` with"
        " the same address, which shows the server's own words",
    ),
    "statement_refused": (
        "SELECT 'hunter2' hunter2 hunter2",
        "{store} refused a statement (SyntaxError 42601):"
        " report it with the code: this is a fault of ours",
    ),
}


@pytest.mark.parametrize("code", OTHERS)
def test_what_has_no_words_of_its_own_is_told_by_the_servers_code(
    code: str, postgres: Postgres
) -> None:
    statement, line = OTHERS[code]
    fault = fault_at(postgres.url(), statement)
    store = f"PostgreSQL on the socket in {postgres.directory}"
    assert (fault.code, str(fault)) == (code, line.format(store=store))


def test_a_standby_is_told_apart_from_one_that_is_away(postgres: Postgres) -> None:
    fault = fault_at(
        postgres.url() + "&options=-cdefault_transaction_read_only%3Don", "CREATE TABLE x ()"
    )
    assert str(fault) == (
        f"PostgreSQL on the socket in {postgres.directory} is read-only: a standby, or set so"
        " (25006): point DATABASE_URL to the primary"
    )
    assert type(fault) is LedgerUnavailable


def test_a_pool_whose_connections_are_all_in_use(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "POOL", {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05})
    with (
        engine_of(postgres.url()) as engine,
        engine.connect(),
        pytest.raises(LedgerUnavailable) as raised,
    ):
        ask(engine)
    assert str(raised.value) == (
        f"all connections of this process to PostgreSQL on the socket in {postgres.directory} are"
        " in use: it is tried again; if it lasts, look for statements that hang in"
        " pg_stat_activity"
    )


# --- the table ------------------------------------------------------------------------------


def test_no_two_faults_share_their_words() -> None:
    assert len({fault.says for fault in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("postgresql://me:p@ss@db.example/ledger", "db.example:5432"),
        ("postgresql://me:hunter2@b/c@db.example/ledger", "the server in DATABASE_URL"),
        ("postgresql://me@[::1]:5433/ledger", "[::1]:5433"),
        ("postgresql://me@/ledger?host=one,two&port=1,2", "one:1,two:2"),
        ("postgresql:///ledger", "its default socket"),
    ],
)
def test_a_place_holds_nothing_of_a_password(url: str, where: str) -> None:
    with ExitStack() as stack:
        engine = open_engine(url)
        stack.callback(engine.dispose)
        place = Place.of(engine.url)
    assert place.where == where
    assert "hunter2" not in "".join((place.store, place.where, place.database))

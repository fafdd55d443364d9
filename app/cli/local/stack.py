"""The whole product on one machine: Valkey, a local Stripe, web and workers, in one folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import requests

from app.cli.local.valkey import Valkey, free_port
from app.ledger.engine import open_engine
from app.ledger.migrate import upgrade

ROOT = Path(__file__).resolve().parents[3]
# Seconds a process may take to answer; two busy cores need two.
START_WITHIN = 30.0
# A worker ends within 25 (see workers/supervisor.py).
STOP_WITHIN = 30.0
REQUEST_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class Secrets:
    """What signs and opens the local stack."""

    webhook: str
    api_key: str
    api_token: str


class NotStarted(Exception):
    """A process did not start; the text says where its log is."""


class Stack:
    """Starts everything in order and stops it in the other."""

    def __init__(
        self,
        folder: Path,
        secrets: Secrets,
        *,
        seed: int = 0,
        web_port: int | None = None,
        sandbox_port: int | None = None,
        extra: dict[str, str] | None = None,
    ) -> None:
        """`folder` keeps all files and logs. Ports are free ones where none is given.

        `extra` is more environment for web and workers.
        """
        self.folder = folder
        self.secrets = secrets
        self.web = f"http://127.0.0.1:{web_port or free_port()}"
        self.sandbox = f"http://127.0.0.1:{sandbox_port or free_port()}"
        self.valkey = Valkey(folder / "valkey")
        self._seed = seed
        self._extra = extra or {}
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._lock: IO[str] | None = None

    @property
    def database_url(self) -> str:
        """What DATABASE_URL has to be."""
        return f"sqlite:///{self.folder / 'identity.db'}"

    @property
    def environment(self) -> dict[str, str]:
        """What web, workers and commands need to know of this stack."""
        return {
            "STRIPE_WEBHOOK_SECRET": self.secrets.webhook,
            "STRIPE_API_KEY": self.secrets.api_key,
            "STRIPE_API_BASE": self.sandbox,
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": self.database_url,
            "API_TOKENS": self.secrets.api_token,
            "HOST": "127.0.0.1",
            "PORT": self.web.rpartition(":")[2],
            **self._extra,
        }

    def start(self, tell: Callable[[str], None] = lambda what: None) -> None:
        """Start all and wait until each answers; `tell` hears what is being started.

        Raises NotStarted; what was started by then is stopped by `stop`.
        """
        for address in (self.web, self.sandbox):
            _refuse_taken(int(address.rpartition(":")[2]))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_folder()
        tell("Valkey")
        with _signals_held():
            self.valkey.start()
        engine = open_engine(self.database_url)
        upgrade(engine)
        engine.dispose()
        tell("sandbox")
        self._start_sandbox()
        tell("web")
        self._run("web", "app.web")
        self._await(self.web + "/readyz", "web")
        tell("workers")
        self._run("workers", "workers")

    def _lock_folder(self) -> None:
        """Two servers that append to the same files would ruin them."""
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise NotStarted(f"{self.folder} is in use: it runs already") from None
        self._lock = lock

    def _start_sandbox(self) -> None:
        first_secret = self.secrets.webhook.split(",", maxsplit=1)[0]
        self._run(
            "sandbox",
            "deploy.sandbox",
            *("--port", self.sandbox.rpartition(":")[2]),
            *("--webhook", self.web + "/webhooks/stripe", "--secret", first_secret),
            *("--seed", str(self._seed), "--state", str(self.folder / "sandbox.json")),
        )
        self._await(self.sandbox + "/_sandbox/clock", "sandbox")

    def _run(self, name: str, module: str, *arguments: str) -> None:
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        with (self.folder / f"{name}.log").open("ab") as log, _signals_held():
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**inherited, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A terminal's Ctrl-C is for us: we stop them in their order.
                start_new_session=True,
            )
            self._processes.append((name, process))

    def _await(self, url: str, name: str) -> None:
        process = self._processes[-1][1]
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(requests.RequestException):
                if requests.get(url, timeout=REQUEST_TIMEOUT).ok:
                    return
            time.sleep(0.05)
        raise NotStarted(f"{name} did not start; its log is {self.folder / (name + '.log')}")

    def dead(self) -> str | None:
        """The name of a process that has ended by itself, or None."""
        return next((name for name, process in self._processes if process.poll() is not None), None)

    def tail(self, lines: int = 20) -> str:
        """The last lines of every process' log: a temporary folder is gone when they are wanted."""
        told = []
        for log in sorted(self.folder.glob("**/*.log")):
            last = log.read_text(errors="replace").splitlines()[-lines:]
            told.append("\n".join([f"--- {log.name}", *last]))
        return "\n".join(told)

    def stop(self) -> None:
        """Stop workers and web first, then Stripe's stand-in, Valkey last; signals wait for it."""
        with _signals_held(deliver=False):
            for _, process in reversed(self._processes):
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_WITHIN)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self._processes.clear()
            self.valkey.stop()
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _refuse_taken(port: int) -> None:
    """Raises NotStarted, before anything is started and could mistake the other for its own."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise NotStarted(
                f"port {port} is in use: end what uses it, or choose another"
            ) from None


@contextlib.contextmanager
def _signals_held(*, deliver: bool = True) -> Iterator[None]:
    """A Ctrl-C in the middle of a start or a stop would leave processes that nobody knows of.

    The first that came meanwhile is delivered at the end, where it is to be.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals do not come here
        return
    came: list[int] = []
    # A handler, as what is ignored would be ignored by the processes started as well.
    before = {
        each: signal.signal(each, lambda signum, frame: came.append(signum))
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if came and deliver:
        signal.raise_signal(came[0])

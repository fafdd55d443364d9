"""The whole product on one machine: Valkey, the sandbox, web and workers, in one folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from app.ledger.engine import open_engine
from app.ledger.migrate import upgrade
from app.local.extra import missing_extra
from app.local.folder_lock import FolderInUse, FolderLock
from app.local.ports import port_problem
from app.local.signals import hold_stop_signals
from app.local.valkey import Valkey, free_port
from app.queue.backlog import read_backlog
from app.queue.connection import open_redis
from app.queue.model import EFFECTS, EVENTS
from app.stripe.signatures import WEBHOOK_PATH

ROOT = Path(__file__).resolve().parents[2]
# Seconds. Two busy cores need two until a process answers.
START_TIMEOUT = 30.0
# A worker ends within 25 (see workers/supervisor.py).
STOP_TIMEOUT = 30.0
REQUEST_TIMEOUT = 10
POLL_INTERVAL = 0.05
# Begins the signing secrets made here: whoever finds one in an environment knows whose it is.
LOCAL_WEBHOOK_SECRET = "whsec_local_"  # noqa: S105 - a prefix, which is no secret


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a local stack, as in STRIPE_WEBHOOK_SECRET, STRIPE_API_KEY, API_TOKENS."""

    webhook: str
    api_key: str
    api_token: str

    @classmethod
    def random(cls) -> Secrets:
        """New ones."""
        return cls(
            webhook=LOCAL_WEBHOOK_SECRET + secrets.token_hex(16),
            api_key="sk_test_" + secrets.token_hex(16),
            api_token=secrets.token_hex(16),
        )


class NotStarted(Exception):
    """A process did not start; the text says where its log is."""


class Stack:
    """Starts everything in order, and stops it in reverse order."""

    def __init__(
        self,
        folder: Path,
        secrets: Secrets,
        *,
        seed: int = 0,
        web_port: int | None = None,
        sandbox_port: int | None = None,
        valkey_port: int | None = None,
        extra: dict[str, str] | None = None,
        own_stripe: dict[str, str] | None = None,
    ) -> None:
        """`folder` keeps all files and logs. A port that is not given is a free one.

        `seed` makes the sandbox reproducible. `extra` is more environment for web and workers.
        `own_stripe` is the environment of an account at Stripe itself: there is no sandbox then.
        """
        self.folder = folder
        self.secrets = secrets
        self.web = f"http://127.0.0.1:{web_port or free_port()}"
        self.sandbox = f"http://127.0.0.1:{sandbox_port or free_port()}"
        self.valkey = Valkey(folder / "valkey", port=valkey_port)
        self._seed = seed
        self._extra = extra or {}
        self.own_stripe = own_stripe
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._lock = FolderLock(folder)

    @property
    def database_url(self) -> str:
        """The DATABASE_URL of this stack."""
        return f"sqlite:///{self.folder / 'identity.db'}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment that web, workers and commands run with."""
        sandbox = {
            "STRIPE_WEBHOOK_SECRET": self.secrets.webhook,
            "STRIPE_API_KEY": self.secrets.api_key,
            "STRIPE_API_BASE": self.sandbox,
        }
        return {
            # One or the other: the sandbox knows no session of an account at Stripe.
            **(sandbox if self.own_stripe is None else self.own_stripe),
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": self.database_url,
            "API_TOKENS": self.secrets.api_token,
            "HOST": "127.0.0.1",
            "PORT": self.web.rpartition(":")[2],
            **self._extra,
        }

    def start(self, report: Callable[[str], None] = lambda what: None) -> None:
        """Start everything and wait until each answers; `report` is given the name of each.

        Raises NotStarted. `stop` stops what was started by then.
        """
        if missing := missing_extra():
            raise NotStarted(missing)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock_folder()
        self._refuse_taken_ports()
        report("Valkey")
        with hold_stop_signals():
            process = self.valkey.start(self._lock.inherited).process
            if process is not None:
                self._lock.add(process.pid)
        # Both take a while, and need neither each other nor the ledger to start.
        if self.own_stripe is None:
            report("sandbox")
            self._start_sandbox()
        report("web")
        self._run("web", "app.web")
        engine = open_engine(self.database_url)
        upgrade(engine)
        engine.dispose()
        if self.own_stripe is None:
            self._await("sandbox", lambda: _answers(self.sandbox + "/_sandbox/clock"))
        self._await("web", lambda: _answers(self.web + "/readyz"))
        report("workers")
        self._run("workers", "workers")
        self._await("workers", self._have_workers)

    def _lock_folder(self) -> None:
        try:
            self._lock.acquire()
        except FolderInUse as error:
            raise NotStarted(str(error)) from None

    def _refuse_taken_ports(self) -> None:
        addresses = [self.web, *([self.sandbox] if self.own_stripe is None else [])]
        ports = [*(int(address.rpartition(":")[2]) for address in addresses), self.valkey.port]
        for problem in filter(None, map(port_problem, ports)):
            raise NotStarted(problem)

    def _start_sandbox(self) -> None:
        first_secret = self.secrets.webhook.split(",", maxsplit=1)[0]
        self._run(
            "sandbox",
            "deploy.sandbox",
            *("--port", self.sandbox.rpartition(":")[2]),
            *("--webhook", self.web + WEBHOOK_PATH),
            *("--seed", str(self._seed), "--state", str(self.folder / "sandbox.json")),
            # Not an argument: every user of the machine can read those.
            environment={"SANDBOX_WEBHOOK_SECRET": first_secret},
        )

    def _run(
        self, name: str, module: str, *arguments: str, environment: dict[str, str] | None = None
    ) -> None:
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        with (self.folder / f"{name}.log").open("ab") as log, hold_stop_signals():
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**inherited, **(environment or self.environment)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal must not reach them: `stop` stops them in order.
                start_new_session=True,
                pass_fds=self._lock.inherited,
            )
            self._processes.append((name, process))
            self._lock.add(process.pid)

    def _have_workers(self) -> bool:
        with contextlib.closing(open_redis(self.valkey.url)) as redis:
            return all(read_backlog(redis, spec).workers for spec in (EVENTS, EFFECTS))

    def _await(self, name: str, is_up: Callable[[], bool]) -> None:
        process = dict(self._processes)[name]
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and process.poll() is None:
            if is_up():
                return
            time.sleep(POLL_INTERVAL)
        raise NotStarted(f"{name} did not start; its log is {self.folder / (name + '.log')}")

    def dead(self) -> str | None:
        """The name of a process that has ended by itself; None if all run."""
        return next((name for name, process in self._processes if process.poll() is not None), None)

    def tail(self, lines: int = 20) -> str:
        """The last lines of every log, to show when a temporary folder is gone."""
        return tail_of_logs(self.folder, lines)

    def stop(self) -> None:
        """Stop workers and web first, then the sandbox, Valkey last. Signals are ignored."""
        with hold_stop_signals(deliver=False):
            for _, process in reversed(self._processes):
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_TIMEOUT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self._processes.clear()
            self.valkey.stop()
            self._lock.release()

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=REQUEST_TIMEOUT).ok
    return False


def tail_of_logs(folder: Path, lines: int) -> str:
    """The last lines of every log in a folder."""
    parts = []
    for log in sorted(folder.glob("**/*.log")):
        last = log.read_text(errors="replace").splitlines()[-lines:]
        parts.append("\n".join([f"--- {log.name}", *last]))
    return "\n".join(parts)

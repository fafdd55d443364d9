"""The real product under faults: Valkey, a database, web and workers, killed and started again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from app.local.stack import tail_of_logs
from app.local.valkey import Valkey, free_port
from tests.faults.observer import Observer
from tests.faults.processes import (
    cpu_seconds,
    end,
    is_alive,
    kill,
    parent_of,
    start,
)
from tests.faults.sender import SECRET
from tests.faults.slow_disk import slow_disk
from tests.support.waiting import eventually

# Two cores that others use as well.
START_WITHIN = 120.0
CHILDREN = ("events", "effects", "clock")


class Rig(Observer):
    """One product of its own. `lease` is LEASE_SECONDS; all it writes is in `folder`."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        *,
        lease: int = 2,
        event_workers: int = 2,
        workers: str = "workers",
        has_slow_disk: bool = False,
        extra: dict[str, str] | None = None,
    ) -> None:
        """`workers` is the module that is run as the supervisor; `extra` is more environment.

        `has_slow_disk` is Valkey's.
        """
        self.folder = folder
        self.database_url = database_url
        self.port = free_port()
        self.valkey = Valkey(folder / "valkey", fsync="everysec")
        self.web: subprocess.Popen[bytes] | None = None
        self.supervisor: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []
        self._module = workers
        self._has_slow_disk = has_slow_disk
        self._log_from = 0
        self.environment = {
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": database_url,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "LEASE_SECONDS": str(lease),
            "EVENT_WORKERS": str(event_workers),
            **(extra or {}),
        }
        super().__init__(self.valkey.url, database_url)

    def __enter__(self) -> Rig:
        self._start_valkey()
        return self

    def _start_valkey(self) -> None:
        self.valkey.start()
        if self._has_slow_disk:
            assert self.valkey.process is not None
            self._started.append(slow_disk(self.valkey.process.pid, self.folder / "strace.log"))

    def start(self, **limits: object) -> Rig:
        """Start web and workers; `limits` are more options of the workers' Popen."""
        self.start_web(wait=False)
        self.start_workers(**limits)
        self.await_web()
        return self

    def start_web(self, *, wait: bool = True) -> None:
        """Start the web process."""
        self.web = start("app.web", self.folder / "web.log", self.environment)
        self._started.append(self.web)
        if wait:
            self.await_web()

    def await_web(self) -> None:
        """Wait until it answers."""
        eventually(self.web_answers, START_WITHIN, "web answers")

    def start_workers(self, **limits: object) -> None:
        """Start the supervisor; its children follow."""
        log = self.folder / "workers.log"
        self._log_from = log.stat().st_size if log.exists() else 0
        self.supervisor = start(self._module, log, self.environment, **limits)
        self._started.append(self.supervisor)

    def await_workers(self) -> dict[str, int]:
        """Wait until all children run; their process ids by name."""
        numbers = [int(self.environment.get(f"{kind}_WORKERS", 1)) for kind in ("EVENT", "EFFECT")]
        wanted = sum(numbers) + 1  # and the clock
        eventually(lambda: len(self.children()) >= wanted, START_WITHIN, "workers run")
        return self.children()

    def web_answers(self) -> bool:
        """Whether the web process answers at all."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            with connection.getresponse() as answer:
                return answer.status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def children(self) -> dict[str, int]:
        """The supervisor's children that live now, by name; it logs each that it starts."""
        if self.supervisor is None:
            return {}
        found = started_children(self.folder / "workers.log", self._log_from)
        return {n: pid for n, pid in found.items() if parent_of(pid) == self.supervisor.pid}

    def processes(self) -> dict[str, int]:
        """All of the product's processes that live now."""
        named = {"web": self.web, "supervisor": self.supervisor}
        running = {n: p.pid for n, p in named.items() if p is not None and is_alive(p.pid)}
        return {**running, **self.children()}

    def cpu(self) -> dict[str, float]:
        """The processor's time that each has taken so far."""
        return {name: cpu_seconds(pid) for name, pid in self.processes().items()}

    def kill(self, victim: str, draw: random.Random | None = None) -> bool:
        """SIGKILL to a part, which is started again if nobody else does. False: none ran."""
        if victim in CHILDREN:
            pids = [pid for name, pid in self.children().items() if name.startswith(victim)]
            killed = bool(pids) and kill((draw or random).choice(pids))
        elif victim == "web":
            assert self.web is not None
            killed = kill(self.web.pid)
            self.web.wait()
            self.start_web(wait=False)
        elif victim == "supervisor":
            assert self.supervisor is not None
            killed = kill(self.supervisor.pid)
            self.supervisor.wait()
            self.start_workers()
        else:
            self.valkey.kill()
            self._start_valkey()
            killed = True
        self.kills[victim] += killed
        return killed

    def terminate(self) -> tuple[list[int], float]:
        """SIGTERM to every process at once: the exit codes of web and supervisor, and how long."""
        both = [process for process in (self.web, self.supervisor) if process is not None]
        began = time.monotonic()
        for pid in self.processes().values():
            kill(pid, signal.SIGTERM)
        codes = [process.wait(40) for process in both]
        return codes, time.monotonic() - began

    def tail(self, lines: int = 30) -> str:
        """The last lines of every log, for a test that failed."""
        return tail_of_logs(self.folder, lines)

    def __exit__(self, *failure: object) -> None:
        for process in self._started:
            end(process)
        self.close()
        self.valkey.kill()


def started_children(log: Path, log_from: int = 0) -> dict[str, int]:
    """The process ids by name that a supervisor has logged; of a name, the last."""
    found = {}
    with log.open("rb") as lines:
        lines.seek(log_from)
        for line in lines:
            if b'"child started"' in line:
                told = json.loads(line)
                found[told["child"]] = told["pid"]
    return found

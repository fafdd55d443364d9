"""A stop signal that Python drops, since it came within a destructor, is obeyed all the same."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from app.starting import ExitRequest
from tests.support.stores import migrate_database
from tests.workers.process import started
from workers.readiness import await_ledger

# What each process does at one place: a signal comes while an object is freed.
ASKED_WHILE_FREEING = """
import signal
class Freed:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
def freeing(*_, **__):
    Freed()
"""
STARTING = f"""{ASKED_WHILE_FREEING}
import workers.__main__ as workers
workers.await_ledger = freeing
workers.main()
"""
CLOCK = f"""{ASKED_WHILE_FREEING}
import ctypes, os
from app.configuration.settings import Settings
import workers.__main__ as workers
workers.Clock.run_once = freeing
times = (ctypes.c_double * workers.SHARED)()
workers.tick(Settings.from_environment(os.environ), os.getppid(), times, ctypes.c_double())
"""
WEB = f"""{ASKED_WHILE_FREEING}
import uvicorn
original = uvicorn.Config.{{place}}
uvicorn.Config.{{place}} = lambda config: freeing() or original(config)
from app.web.__main__ import main
main()
"""
PROCESSES = {
    "workers that start": STARTING,
    "the clock": CLOCK,
    "web": WEB.format(place="load_app"),
    "the first of several web processes": WEB.format(place="bind_socket"),
}


class Freed:
    """Something a signal comes in the destructor of."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGUSR1)


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What Python has dropped."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: found.append(told.exc_type))
    return found


@pytest.fixture
def request_to_exit() -> Any:
    before = signal.getsignal(signal.SIGUSR1)
    yield ExitRequest(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_ends_the_process_at_once(request_to_exit: ExitRequest) -> None:
    with pytest.raises(SystemExit) as end:
        signal.raise_signal(signal.SIGUSR1)
    assert end.value.code == 0


def test_one_that_was_dropped_ends_it_at_the_next_check(
    request_to_exit: ExitRequest, dropped: list[Any]
) -> None:
    request_to_exit.check()  # none has come
    Freed()
    assert dropped == [SystemExit]
    with pytest.raises(SystemExit) as end:
        request_to_exit.check()
    assert end.value.code == 0


def test_one_that_was_dropped_ends_the_wait_for_the_ledger(
    request_to_exit: ExitRequest, dropped: list[Any]
) -> None:
    def look() -> str:
        Freed()
        return "not migrated"

    with pytest.raises(SystemExit):
        await_ledger(
            "sqlite://",
            mismatch=look,
            check_stop=request_to_exit.check,
            sleep=lambda seconds: pytest.fail("it waits"),
        )


@pytest.mark.parametrize("name", PROCESSES)
def test_one_that_was_dropped_ends_the_process(name: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate_database(url)
    several = {"WEB_CONCURRENCY": "2"} if "several" in name else {}
    settings = {"DATABASE_URL": url, "STRIPE_WEBHOOK_SECRET": "whsec_1", "PORT": "0", **several}
    with started("-c", PROCESSES[name], **settings) as told:
        code = told.ended(20)
        assert code == 0, told.text
        assert "Exception ignored" in told.text  # it was dropped
        assert "child started" not in told.text
        assert '"durability"' not in told.text  # what web says once it serves

"""Starts over several web processes, one of which dies."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.operations import start_verification
from tests.support.waiting import eventually
from tests.web import processes
from tests.web.processes import Web
from tests.web.sessions.conftest import AT_STRIPE, BASE, BEARER, Backend

pytestmark = pytest.mark.slow


def create(web: Web, reference: str, **params: Any) -> httpx2.Response:
    body = {"type": "document", "client_reference_id": reference} | params
    with httpx2.Client(trust_env=False, timeout=30) as client:
        return client.post(f"http://127.0.0.1:{web.port}{BASE}", json=body, headers=BEARER)


def test_ten_at_once_on_two_web_processes_make_one_session_whatever_each_asks(
    environment: dict[str, str], backend: Backend, reference: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        webs = [
            stack.enter_context(processes.running(_made(tmp_path / name), **environment))
            for name in ("one", "two")
        ]
        together = threading.Barrier(10)

        def start(number: int) -> httpx2.Response:
            together.wait()
            return create(webs[number % 2], reference, metadata={"n": str(number)})

        with ThreadPoolExecutor(10) as pool:
            answers = [answer.json() for answer in pool.map(start, range(10))]
    (only,) = backend.at_stripe(reference)
    assert {answer["id"] for answer in answers} == {only}
    assert sorted(answer["resumed"] for answer in answers) == [False] + [True] * 9
    assert all(answer["client_secret"] and answer["url"] for answer in answers)
    assert [answer["metadata"]["n"] for answer in answers] == [str(n) for n in range(10)]


def test_a_web_process_that_is_killed_between_stripe_and_the_ledger_leaves_one_session(
    environment: dict[str, str], backend: Backend, reference: str, tmp_path: Path
) -> None:
    slow = {"path": AT_STRIPE, "method": "POST", "delay": 1}
    with processes.running(_made(tmp_path / "one"), **environment) as web:
        backend.sandbox.control("POST", "/faults", slow)

        def start() -> None:
            with suppress(httpx2.TransportError):
                create(web, reference, metadata={"try": "1"})

        thread = threading.Thread(target=start)
        thread.start()
        # Stripe has the call when the fault is taken.
        eventually(lambda: backend.sandbox.control("GET", "/faults")["data"] == [], 20)
        os.killpg(web.process.pid, signal.SIGKILL)
        thread.join()
    eventually(lambda: backend.at_stripe(reference), 10)
    (left,) = backend.at_stripe(reference)
    assert backend.record(reference) is None
    # Its lock expires by itself, after LOCK_TTL.
    (lock,) = backend.context.stores.redis.scan_iter("identity:start:*")
    assert 0 < backend.context.stores.redis.ttl(lock) <= start_verification.LOCK_TTL
    assert start_verification.LOCK_TTL < start_verification.LOCK_WAIT
    backend.context.stores.redis.delete(lock)
    started = backend.created(reference, metadata={"try": "2"})
    assert (started["id"], started["metadata"]) == (left, {"try": "2"})
    assert backend.at_stripe(reference) == [left]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder

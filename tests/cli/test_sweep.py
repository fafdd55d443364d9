"""`sweep`: what an operator sees of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from app.cli import sweep as module
from app.operations.apply import apply_observations
from app.queue.model import EFFECTS, decode
from app.queue.transitions import JobQueue
from tests.support.account import Account
from tests.support.cli import Run
from workers.jobs import call


@contextmanager
def effects_worker(account: Account) -> Iterator[None]:
    """An effects worker, in a thread: it takes over no signals."""
    connection = account.context.stores.events.connection
    ended = threading.Event()

    def loop() -> None:
        jobs = JobQueue(connection, EFFECTS)
        while not ended.wait(0.02):
            for job in jobs.claim("token", 60, 10):
                call([decode(job.data)], account.context)
                jobs.complete("token", [job.id])

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        with capture_logs():  # which would be on the command's standard output
            yield
    finally:
        ended.set()
        thread.join()


def due(account: Account) -> str:
    """A session that was verified, of which only its opening was heard."""
    session = account.open()
    observation = account.stripe.retrieve(session, "")
    apply_observations([observation], account.context.stores, account.context.now())
    account.sandbox.submit(session, "verified")
    # As the command has the time of this machine: Stripe's is far ahead.
    account.execute("UPDATE sessions SET poll_at = 1 WHERE id = :id", id=session)
    return session


def test_what_is_due_comes_to_stand_as_stripe_says(account: Account, run: Run) -> None:
    due(account)
    with effects_worker(account):
        done = run("sweep")
    assert (done.code, done.out) == (0, "1 sessions were due; Stripe was asked about 1.\n")
    assert account.standing().status == "verified"  # type: ignore[union-attr]


def test_json_is_one_object(account: Account, run: Run) -> None:
    due(account)
    with effects_worker(account):
        found = run("sweep", "--json").object
        again = run("sweep", "--json").object
    assert found == {
        "asked": 1,
        "done": 1,
        "deferred": 0,
        "failed": 0,
        "waiting": 0,
        "redactions_overdue": 0,
    }
    assert again["asked"] == 0


def test_if_no_worker_runs_it_says_so_and_exits_with_1(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL_TIMEOUT", 0.5)
    due(account)
    done = run("sweep")
    assert done.code == 1
    assert "1 still wait: does a worker run?" in done.out


def test_without_a_key_it_says_so_and_exits_with_2(run: Run, environment: dict[str, str]) -> None:
    del environment["STRIPE_API_KEY"]
    assert run("sweep").code == 2

"""Commands in this process; unless a test says otherwise, on an account at a local Stripe."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from redis import Redis

from app.local.valkey import Valkey
from tests.sandbox.processes import Sandbox, running
from tests.support.account import KEY, Account, opened_account
from tests.support.cli import Run, command_runner


@pytest.fixture(autouse=True)
def signals_of_a_terminal() -> Iterator[None]:
    """What runs in the background ignores these two, and so would every process it starts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    """A local Stripe, with all that its module's tests leave there."""
    with running("--seed", "31") as sandbox:
        yield sandbox


@pytest.fixture
def account(process: Sandbox, redis: Redis, valkey: Valkey, database_url: str) -> Iterator[Account]:
    """A team's account at it, with an empty queue and an empty ledger."""
    with opened_account(process, valkey.url, database_url) as account:
        yield account


@pytest.fixture
def environment(account: Account, valkey: Valkey, database_url: str) -> dict[str, str]:
    """The settings that the commands read; a test may change them."""
    return {
        "STRIPE_API_KEY": KEY,
        "STRIPE_API_BASE": account.sandbox.url,
        "REDIS_URL": valkey.url,
        "DATABASE_URL": database_url,
    }


@pytest.fixture
def run(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `identity` with these settings."""
    return command_runner(environment, monkeypatch, capsys)

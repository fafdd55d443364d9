"""Signals while a stack starts and stops."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from app.local.signals import STOP_SIGNALS, hold_stop_signals, raise_on_stop_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """The handlers of this process, as they were."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_first_signal_raises_and_those_after_it_are_noted() -> None:
    stop = raise_on_stop_signals()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    assert stop.received


def test_a_signal_that_is_held_is_raised_at_the_end_of_the_block() -> None:
    raise_on_stop_signals()
    held = hold_stop_signals()
    held.__enter__()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        held.__exit__(None, None, None)


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = raise_on_stop_signals()
    with hold_stop_signals():
        signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    assert not stop.received

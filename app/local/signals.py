"""Ctrl-C and SIGTERM while a stack starts, runs and stops."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def raise_on_stop_signals() -> None:
    """Make both raise KeyboardInterrupt from now on."""
    # SIGINT too: a shell that starts us in the background sets it to be ignored.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)


def ignore_stop_signals() -> None:
    """Ignore both from now on: all is stopped, and another Ctrl-C would only break off the exit."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def hold_stop_signals(*, deliver: bool = True) -> Iterator[None]:
    """Hold both until the end of the block; then raise the first that came, if `deliver`.

    During a start or a stop they would leave processes behind that nothing stops.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return
    received: list[int] = []
    # A handler rather than SIG_IGN, which the processes that are started would inherit.
    before = {
        number: signal.signal(number, lambda signum, frame: received.append(signum))
        for number in STOP_SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received and deliver:
        signal.raise_signal(received[0])

"""Ctrl-C, SIGTERM and a closed terminal, while a stack starts, runs and stops."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Raises KeyboardInterrupt at the first signal, and only notes those after it.

    By then everything is being stopped: a second one would break that off, and leave processes.
    """

    def __init__(self) -> None:
        """None has come yet."""
        self.received = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. Look at `received` too: Python drops what a destructor raises."""
        first, self.received = not self.received, True
        if first:
            raise KeyboardInterrupt


def raise_on_stop_signals() -> StopRequest:
    """Make the first of them raise KeyboardInterrupt from now on."""
    request = StopRequest()
    for number in STOP_SIGNALS:
        # SIGINT even if it is ignored: a shell that starts us in the background sets it so. But
        # an ignored SIGHUP is `nohup`'s, which means it.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, request)
    return request


def ignore_stop_signals() -> None:
    """Ignore them from now on: all is stopped, and another Ctrl-C would only break off the exit."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def hold_stop_signals(*, deliver: bool = True) -> Iterator[None]:
    """Hold them until the end of the block; then raise the first that came, if `deliver`.

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
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received and deliver:
        signal.raise_signal(received[0])

"""Processes that die at a named point: `python -m tests.faults.dying`.

For each line of JSON on its standard input it forks a process, which plays one role of the product
with one fault laid into it, and tells its id. The product's code is as it is everywhere else; what
is imported once need not be imported for each.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import uuid
from collections.abc import Callable
from multiprocessing.sharedctypes import RawValue
from typing import Any

from app.cli.main import main as command
from app.configuration.settings import Settings
from app.logs import configure
from app.outages import SHARED
from app.queue.transitions import JobQueue
from app.stores import Stores
from app.web.__main__ import main as serve
from tests.faults.fast_clock import FAST_CLOCK
from tests.faults.points import FAULTS, lay
from workers import clock
from workers.__main__ import tick, work


def live(order: dict[str, Any]) -> None:
    """Play the role that the order names."""
    os.environ.clear()
    os.environ.update(order["environment"])
    vars(clock).update(FAST_CLOCK)
    for fault in order["faults"]:
        FAULTS[fault]()
    if order["point"]:
        lay(order["point"], order["flag"])
    ROLES[order["role"]](order["arguments"])


def _over_by() -> ctypes.c_double:
    return RawValue(ctypes.c_double, 0.0)


def _settings() -> Settings:
    settings = Settings.from_environment(os.environ)
    configure(settings.log_format)
    return settings


def _work(queue_of: Callable[[Stores], JobQueue]) -> None:
    """A worker that takes over nobody's place: what a victim held waits for its lease to end."""
    work(_settings(), os.getppid(), uuid.uuid4().hex, queue_of, [0.0] * SHARED, _over_by())


def _command(arguments: list[str]) -> None:
    sys.argv[1:] = arguments
    command()


ROLES: dict[str, Callable[[list[str]], None]] = {
    "worker": lambda _: _work(lambda stores: stores.events),
    "effects": lambda _: _work(lambda stores: stores.effects),
    "clock": lambda _: tick(_settings(), os.getppid(), [0.0] * SHARED, _over_by()),
    "web": lambda _: serve(),
    "command": _command,
}


def main() -> None:
    """Until its input ends; then its children lose their parent, and stop."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for their exit codes
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                for number in (1, 2):
                    os.dup2(log, number)
                live(order)
            except BaseException:  # our own end, whatever it was
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(1)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

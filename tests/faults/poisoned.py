"""`python -m workers` with handlers that some sessions' events are poison to.

POISON in the environment is JSON: what happens, by session. The product is not touched: the fault
is laid into this process and its children.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from app.domain import reconcile
from app.domain.handlers import handle
from workers.__main__ import main

# How much a victim may take: far more than the product needs, far less than there is.
MEMORY = 1 << 30


def raises() -> None:
    """A fault in code."""
    raise KeyError("a reference that nobody may read in a log")


def hangs() -> None:
    """Waits for what never comes, in Python."""
    while True:
        time.sleep(0.01)


def hangs_in_c() -> None:
    """Computes without handling signals until it is done, which is never."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)


def exhausts_memory() -> None:
    """Takes memory until there is none; the limit is the process' own."""
    hoard = []
    while True:
        hoard.append(bytes(64 << 20))


def kills() -> None:
    """Ends its worker, as the kernel does if memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


POISONS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (raises, hangs, hangs_in_c, exhausts_memory, kills)
}


def lay_in() -> None:
    poisons = json.loads(os.environ["POISON"])

    def poisoned(change: Any) -> Any:
        poison = poisons.get(change.session.id)
        if poison is not None:
            POISONS[poison]()
        return handle(change)

    vars(reconcile)["handle"] = poisoned


if __name__ == "__main__":
    lay_in()
    main()

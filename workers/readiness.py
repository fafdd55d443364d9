"""Nothing is claimed before the ledger has a schema that this release may work on."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.ledger import schema
from app.ledger.engine import LedgerBroken, LedgerTooNew, LedgerUnavailable, open_engine
from app.logs import get_logger

log = get_logger("workers")

# Seconds between two looks at the ledger, and between two lines that say the same of it.
POLL_INTERVAL = 1.0
REPEAT_INTERVAL = 60.0


def await_ledger(
    database_url: str,
    *,
    mismatch: Callable[[], str | None] | None = None,
    check_stop: Callable[[], object] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the ledger answers and has all that this release uses, however long that takes.

    It is asked before the workers are forked, so that one process says what is waited for.
    `mismatch()` says what is wrong, or raises the ledger's errors; the database is asked if it is
    not given. `check_stop()` may end the process, before each wait. Raises LedgerTooNew, as no
    waiting helps against that.
    """
    engine = open_engine(database_url)
    mismatch = mismatch or (lambda: schema.mismatch(engine))
    said, said_at = None, 0.0
    try:
        while (why := _obstacle(mismatch)) is not None:
            if why != said or monotonic() - said_at >= REPEAT_INTERVAL:
                log.warning("waiting for the ledger; nothing is claimed", error=why)
                said, said_at = why, monotonic()
            check_stop()
            sleep(POLL_INTERVAL)
    finally:
        engine.dispose()  # the workers are forked next, and must share no connection
    if said is not None:
        log.info("the ledger is ready")


def _obstacle(mismatch: Callable[[], str | None]) -> str | None:
    try:
        return mismatch()
    except LedgerTooNew:
        raise
    except (LedgerUnavailable, LedgerBroken) as error:
        return str(error)

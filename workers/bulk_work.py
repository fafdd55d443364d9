"""Operations are carried out by the clock's process, in a thread beside its ticks."""

from __future__ import annotations

import threading

from app.logs import get_logger
from app.operations.bulk.run import Carrier
from app.operations.bulk.start import LOOKS
from app.outages import Outages
from workers.context import Context
from workers.periodic import PeriodicLock, PeriodicTask

log = get_logger("operations")

# Seconds, over all clocks, between two looks for an operation that nobody carries out: each asks
# the ledger. Who starts one has the next tick look.
LOOK_INTERVAL = 5.0
# Seconds that a clock which ends gives the thread to write how far it has come.
END_TIMEOUT = 5.0


class BulkWork:
    """Carries out what people have asked for, one operation after the other.

    A pause of the workers ends its turn, and so does the end of the process: another goes on.
    """

    def __init__(self, context: Context, holder: str, outages: Outages) -> None:
        """`holder` names the process in the ledger. `outages` tells the log."""
        self._ending = threading.Event()
        self._carrier = Carrier(context.stores, holder, now=context.now, wait=self._ending.wait)
        lock = PeriodicLock(context, LOOKS, LOOK_INTERVAL)
        self._task = PeriodicTask("operations", lock, lambda _: self._work(), outages)

    def begin(self) -> None:
        """Look for operations, unless one is under way here. Raises QueueUnavailable."""
        self._task.begin()

    def end(self) -> None:
        """Leave what is under way to another process."""
        self._ending.set()
        self._task.join(END_TIMEOUT)

    def _work(self) -> None:
        while not self._ending.is_set():
            operation = self._carrier.run_once()
            if operation is None or not operation.over:
                return
            log.info(
                "operation over",
                operation_id=operation.id,
                kind=operation.kind,
                state=operation.state,
                total_count=operation.total,
                done_count=operation.done,
                failed_count=operation.failed,
                gone_count=operation.gone,
                error=operation.note,
            )

"""What happens by time alone: lost leases, due jobs, effects whose process died, Stripe asked.

While the workers are paused, the clock puts due jobs, and those of dead workers, back into their
queue, so that what waits is seen and is done at once afterwards. Nothing else: it asks nobody, and
leaves the ledger alone, which may be what the pause is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from app.domain.errors import Permanent, QueueRefused, QueueUnavailable, Transient
from app.ledger.engine import LedgerTooNew, LedgerUnavailable
from app.ledger.schema import refuse_too_new
from app.logs import get_logger
from app.notifications import stream
from app.operations.dead_effects import record_dead_effects
from app.operations.effects import enqueue_unsent
from app.operations.purge_letters import purge_new_letters
from app.operations.rescue import rescue
from app.outages import Outages
from app.queue.connection import translated_errors
from app.queue.due import read_due
from workers.bulk_work import BulkWork
from workers.context import Context
from workers.periodic import periodic_tasks
from workers.suspension import Suspension

log = get_logger("clock")

# Seconds between two looks at the leases and at what is due.
TICK = 1.0
# Seconds between two looks at the ledger for effects that no queue holds.
EFFECTS_INTERVAL = 15.0
# Seconds an effect may wait for its own process to enqueue it.
EFFECT_GRACE = 30
# Seconds past its time after which an effect is enqueued again, in case Redis was lost. One that is
# still there, or is a dead letter, stays as it is.
EFFECT_OVERDUE = 3600
# Seconds between two looks whether it is time for one of the tasks that ask Stripe.
TASKS_INTERVAL = 5.0
# Seconds between two looks whether a later release has made the ledger's schema another.
SCHEMA_INTERVAL = 5.0


class Clock:
    """One of any number of clocks: each step is atomic or can be done twice."""

    def __init__(
        self,
        context: Context,
        monotonic: Callable[[], float] = time.monotonic,
        outages: Outages | None = None,
        holder: str = "",
    ) -> None:
        """`monotonic` gives seconds for the clock's own rhythm. `outages` tells the log.

        `holder` names its process where it carries out operations.
        """
        self._context = context
        self._monotonic = monotonic
        self._outages = outages or Outages(monotonic)
        self._next_effects = self._next_tasks = self._next_schema = monotonic()
        self._too_old = False
        self._tasks = periodic_tasks(context, self._outages)
        self._bulk_work = BulkWork(context, holder, self._outages)
        self._suspension = Suspension(context.stores.redis, "clock")

    def run_once(self) -> None:
        """Do all that is due now. What a store cannot take now is tried at the next turn."""
        self._try("look at what is due", self.move_what_is_due)
        self._try("look for a pause", self._suspension.look)
        if self._monotonic() >= self._next_schema:
            self._next_schema = self._monotonic() + SCHEMA_INTERVAL
            self._try("look at the schema", self.look_at_schema)
        if self._suspension.on or self._too_old:
            return
        self._try("look for operations", self._bulk_work.begin)
        if self._monotonic() >= self._next_effects:
            self._next_effects = self._monotonic() + EFFECTS_INTERVAL
            self._try("record dead effects", self.record_dead_effects)
            self._try("enqueue effects", self.enqueue_effects)
            self._try("purge letters", self.purge_letters)
            self._try("trim the stream", self.trim_stream)
        if self._monotonic() >= self._next_tasks:
            self._next_tasks = self._monotonic() + TASKS_INTERVAL
            for task in self._tasks:  # they go on beside the ticks, which must not wait for Stripe
                self._try("begin a periodic task", task.begin)

    def close(self) -> None:
        """Leave the operation that is under way to the next clock, which goes on within seconds."""
        self._bulk_work.end()

    def move_what_is_due(self) -> None:
        """Put due jobs, and those of dead workers, back into their queues."""
        stores = self._context.stores
        queues = (stores.events, stores.effects)
        found = read_due(stores.redis, [queue.spec for queue in queues])
        for queue, due in zip(queues, found, strict=True):
            if due.leases:
                self._try(f"rescue {queue.spec.name}", partial(rescue, queue, stores.ledger))
            if due.jobs:
                self._try(f"promote {queue.spec.name}", queue.promote)

    def look_at_schema(self) -> None:
        """Raises LedgerTooNew while this release is too old for the ledger: it is left alone."""
        try:
            refuse_too_new(self._context.stores.engine)
        except LedgerTooNew:
            self._too_old = True
            raise
        self._too_old = False

    def enqueue_effects(self) -> int:
        """Enqueue the effects that no queue may hold; returns how many."""
        now, stores = self._context.now(), self._context.stores
        return enqueue_unsent(
            stores.effects,
            stores.ledger,
            before=int(now) - EFFECT_GRACE,
            overdue=int(now) - EFFECT_OVERDUE,
            now=now,
        )

    def record_dead_effects(self) -> int:
        """Mark in the ledger the effects that died; returns how many."""
        return record_dead_effects(self._context.stores, int(self._context.now()))

    def purge_letters(self) -> int:
        """Purge what died while nobody could say whether its session is redacted."""
        return purge_new_letters(self._context.stores)

    def trim_stream(self) -> None:
        """Let go of what NOTIFY_STREAM has held for its time."""
        stores = self._context.stores
        if stores.settings.notify_stream is not None:
            with translated_errors():
                stream.trim(stores.redis, stores.settings.notify_stream, self._context.now())

    def _try(self, what: str, step: Callable[[], object]) -> None:
        try:
            step()
        except (QueueUnavailable, QueueRefused, LedgerUnavailable) as failure:
            self._outages.failed(what, failure)
        except Transient as error:
            log.warning("step put off", step=what, error=str(error))
        except Permanent as error:  # the other steps still have to be done
            log.error("step failed", step=what, error=str(error))
        else:
            self._outages.succeeded(what)

"""What a worker's process works on: made once, after the fork."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.configuration.settings import Settings
from app.operations.notify import Receivers
from app.stores import Stores, open_stores

if TYPE_CHECKING:
    from app.telemetry.spans import Spans


@dataclass(frozen=True, slots=True)
class Context:
    """The stores, the receivers of notifications, and the time in Unix seconds."""

    stores: Stores
    receivers: Receivers
    now: Callable[[], float] = time.time

    @classmethod
    def of(cls, settings: Settings, spans: Spans | None = None) -> Context:
        """`spans` record what becomes of jobs; None where traces are off.

        Raises Misconfigured if SUBSCRIBER cannot be imported.
        """
        # Half of the least time limit that the lease leaves a job (see `Worker.time_limit`).
        stores = open_stores(settings, patience=settings.lease_seconds / 4, spans=spans)
        tally = stores.effects.tally  # the next effect that ends takes it along
        receivers = Receivers.of(settings, stores.ledger, stores.redis, time.time, tally, spans)
        return cls(stores, receivers)

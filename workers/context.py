"""What a worker's process works on: made once, after the fork."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.operations.notify import Receivers
from app.settings import Settings
from app.stores import Stores, open_stores


@dataclass(frozen=True, slots=True)
class Context:
    """The stores, the receivers of notifications, and the time in Unix seconds."""

    stores: Stores
    receivers: Receivers
    now: Callable[[], float] = time.time

    @classmethod
    def of(cls, settings: Settings) -> Context:
        """Raises Misconfigured if SUBSCRIBER cannot be imported."""
        # Half of the least time limit that the lease leaves a job (see `Worker.time_limit`).
        stores = open_stores(settings, patience=settings.lease_seconds / 4)
        return cls(stores, Receivers.of(settings, stores.ledger, stores.redis, time.time))

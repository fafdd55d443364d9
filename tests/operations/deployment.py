"""A deployment for the doctor: Stripe, Redis, a ledger and workers, each to be made ill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from app.domain.event import EVENT_TYPES
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.operations.checks.finding import Finding
from app.operations.doctor import examine
from app.queue.jobs import JobQueue
from app.queue.model import EFFECTS, EVENTS
from tests.ledger.sights import POLICY, handle, sight
from tests.sandbox.processes import Sandbox
from tests.workers.building import worker_of

ENDPOINT = "https://identity.example/webhooks/stripe"


@dataclass
class Deployment:
    """All that is well where `well` was called."""

    redis: Redis
    sandbox: Sandbox
    environment: dict[str, str]
    now: Callable[[], float] = time.time
    endpoints: list[str] = field(default_factory=list)

    def well(self) -> None:
        """Nothing is wrong from here on."""
        self.start_workers()
        self.add_endpoint()
        self.apply(int(time.time()) - 60)

    def start_workers(self) -> None:
        """Register one worker of each queue."""
        for queue in (EVENTS, EFFECTS):
            worker_of(self.redis, lambda *_: None, queue=JobQueue(self.redis, queue))

    def add_endpoint(self, url: str = ENDPOINT, **fields: Any) -> str:
        """Make a webhook endpoint at Stripe; gives its id."""
        given: Any = {"url": url, "enabled_events": sorted(EVENT_TYPES)} | fields
        endpoint = self.sandbox.client().v1.webhook_endpoints.create(given)
        self.endpoints.append(endpoint.id)
        return endpoint.id

    def change_endpoint(self, **fields: Any) -> None:
        """Change the endpoint that was made last."""
        given: Any = fields
        self.sandbox.client().v1.webhook_endpoints.update(self.endpoints[-1], given)

    def apply(self, at: int, **fields: Any) -> None:
        """Have the ledger take an event of that second."""
        ledger = Ledger(open_engine(self.environment["DATABASE_URL"]))
        ledger.apply(sight("verified", at, **fields), decide=handle, policy=POLICY, now=at)
        ledger.close()

    def examine(self, within: float = 12, **other: str) -> dict[str, Finding]:
        """What the doctor finds, by name; `other` settings go over those of the environment."""
        found = examine(self.environment | other, now=self.now, within=within)
        return {finding.name: finding for finding in found}

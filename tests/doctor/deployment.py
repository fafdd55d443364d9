"""A deployment for the doctor: Stripe, Redis, a ledger and workers, each of which can be broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from app.doctor.result import Finding
from app.doctor.runner import TIMEOUT, examine
from app.domain.event import EVENT_TYPES
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue
from tests.sandbox.processes import Sandbox
from tests.support.ledger import POLICY, observation
from tests.support.workers import worker_of

ENDPOINT = "https://identity.example/webhooks/stripe"


@dataclass
class Deployment:
    """The parts; nothing of it is wrong after `complete`."""

    redis: Redis
    sandbox: Sandbox
    environment: dict[str, str]
    now: Callable[[], float] = time.time
    endpoints: list[str] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)

    def complete(self) -> None:
        """Add all that a deployment needs: workers, a webhook endpoint, and an event."""
        self.start_workers()
        self.add_endpoint()
        self.apply(int(time.time()) - 60)

    def start_workers(self) -> None:
        """Register one worker of each queue."""
        for spec in (EVENTS, EFFECTS):
            worker_of(self.redis, lambda *_: None, queue=JobQueue(self.redis, spec))

    def add_endpoint(self, url: str = ENDPOINT, **fields: Any) -> str:
        """Create a webhook endpoint at Stripe; returns its id."""
        given: Any = {"url": url, "enabled_events": sorted(EVENT_TYPES)} | fields
        endpoint = self.sandbox.client().v1.webhook_endpoints.create(given)
        self.endpoints.append(endpoint.id)
        return endpoint.id

    def change_endpoint(self, **fields: Any) -> None:
        """Change the endpoint that was created last."""
        given: Any = fields
        self.sandbox.client().v1.webhook_endpoints.update(self.endpoints[-1], given)

    def apply(self, at: int, **fields: Any) -> None:
        """Bring an event of that second into the ledger."""
        ledger = Ledger(open_engine(self.environment["DATABASE_URL"]))
        ledger.apply([observation("verified", at, **fields)], policy=POLICY, now=at)
        ledger.close()

    def remember(self, name: str, value: str) -> None:
        """Set one of the ledger's named values."""
        ledger = Ledger(open_engine(self.environment["DATABASE_URL"]))
        ledger.cursors.set(name, value, 1)
        ledger.close()

    def examine(self, timeout: float = TIMEOUT, **other: str) -> dict[str, Finding]:
        """What the doctor finds, by name; `other` settings go over those of the environment."""
        found = examine(self.environment | other, now=self.now, timeout=timeout)
        return {finding.name: finding for finding in found}


def assert_is(finding: Finding, state: str, *parts: str) -> None:
    """The finding has the state, names the parts, says what to do, and quotes no secret."""
    line = f"{finding.message} {finding.hint}"
    assert finding.state == state, line
    for part in parts:
        assert part in line
    assert state == "ok" or finding.hint
    assert "PLANTED" not in line

"""One product for a test of a named point: its processes are ordered one by one.

The lease is the least there is (2 s), the clock looks once a second, and another worker is idle.
That other worker is started at the instant of the kill, so that it cannot be the one that has
taken the job.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from app.domain.event import SessionEvent
from app.domain.session import Observation
from app.queue.model import NewJob, event_job
from tests.faults.killable import Killable
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.stripe_stub import StripeStub
from tests.faults.traffic import BEGAN, Event, event_of, of
from tests.faults.verdict import Verdict, judge
from tests.properties.lives import Step
from tests.support.waiting import eventually

# Seconds: what a job takes that nobody has to find, on two cores that others use as well.
AT_ONCE = 3.0
# What is promised where the lease is the least and another worker is idle.
AFTER_LEASE = 5.0
DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@dataclass
class Scene:
    """A product whose processes are ordered one by one."""

    rig: Rig
    stub: StripeStub
    killable: Killable

    def order(
        self,
        role: str,
        point: str = "",
        *,
        faults: tuple[str, ...] = (),
        arguments: tuple[str, ...] = (),
    ) -> int:
        """Start a process in this role, which dies at the point."""
        return self.killable.order(
            self.rig.folder,
            self.rig.environment,
            role,
            point=point,
            faults=faults,
            arguments=arguments,
        )

    def die(self, role: str, point: str, **options: tuple[str, ...]) -> float:
        """Have a process die at the point; when it did."""
        return self.killable.killed_at(self.rig.folder, self.order(role, point, **options))

    def enqueue(self, *events: Event) -> None:
        """Put events into the queue, as the web process does."""
        for event in events:
            self.rig.events.enqueue(job_of(event))

    def await_applied(self, *events: Event) -> None:
        """Wait until the events are in the ledger, and their jobs have ended."""
        ids = {event.id for event in events}
        eventually(lambda: self.rig.ledger.has_events(ids) == ids, 20, "applied")
        eventually(self.finished(ids), 20, "completed")

    def finished(self, ids: set[str]) -> Callable[[], bool]:
        """Asks whether these jobs are completed."""
        return lambda: set(self.rig.events.statuses(sorted(ids)).values()) == {"finished"}

    def judge(self, *events: Event) -> Verdict:
        """What has become of these events, which were acknowledged."""
        sender = Sender(self.rig.port)
        sender.acknowledged = {event.id: ["enqueued"] for event in events}
        sender.sent = set(sender.acknowledged)
        return judge(self.rig, sender, of(events), stub=self.stub, seconds=20)


def job_of(event: Event) -> NewJob:
    """The job that the web process makes of an event."""
    return event_job(parsed(event))


def observation_of(event: Event) -> Observation:
    """What the ledger is given of an event."""
    return parsed(event).observation()


def parsed(event: Event) -> SessionEvent:
    """The event as the web process reads it."""
    found = SessionEvent.parse(json.loads(event.body))
    assert found is not None
    return found


def failed_attempt(user: int = 1) -> Event:
    """An event with an effect: the last attempt has failed, so the session is to be cancelled."""
    step = Step(f"vs_{user}", "requires_input", "requires_input", "document_expired", f"vr_{user}")
    return event_of(f"user-{user}", replace(step, at=BEGAN + 60, opened=BEGAN))

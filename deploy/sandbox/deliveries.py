"""Delivery of events over HTTP: signed, retried, counted."""

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpx2

from deploy.sandbox import thin
from deploy.sandbox.chaos import Chaos
from deploy.sandbox.endpoints import Endpoint
from deploy.sandbox.events import Event
from deploy.sandbox.schedule import Copy, Schedule

CONCURRENCY = 16
TIMEOUT_SECONDS = 10.0
# An answer's `outcome` is a word; a longer answer is not parsed.
_MAX_ANSWER = 65_536


@dataclass
class Retries:
    """Exponential backoff, in seconds: from `initial`, doubling, up to `maximum`.

    Stripe retries "for up to three days with an exponential back off"; its first retries come
    within minutes, a laptop's within seconds.
    """

    initial: float = 1.0
    maximum: float = 60.0
    give_up_after: float = 3 * 24 * 3600.0

    def wait(self, tries: int) -> float:
        """Seconds from the end of try number `tries` (from 1) to the next."""
        return float(min(self.initial * 2 ** min(tries - 1, 40), self.maximum))


def signature_header(payload: bytes, secrets: Iterable[str], timestamp: int) -> str:
    """`Stripe-Signature`: https://docs.stripe.com/webhooks/signature.

    One `v1` for each secret; `timestamp` in seconds since the epoch.
    """
    signed = f"{timestamp}.".encode() + payload
    digests = (hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in secrets)
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])


class Deliveries:
    """Sends each event to each endpoint that wants it, up to `CONCURRENCY` at once."""

    def __init__(
        self,
        endpoints: dict[str, Endpoint],
        chaos: Chaos,
        retries: Retries,
        touch: Callable[[], None],
    ) -> None:
        self.enabled = True
        self.retries = retries
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._endpoints = endpoints
        self._chaos = chaos
        self._touch = touch
        self._schedule = Schedule()
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._wake = asyncio.Event()
        self._tries: set[asyncio.Task[None]] = set()

    def publish(self, event: Event) -> None:
        """Plan the delivery of a new event, through the chaos that is set."""
        self.counts["events"] += 1
        self._touch()
        if not self.enabled:
            return
        for endpoint in self._endpoints.values():
            if not endpoint.wants(event):
                continue
            event.pending.append(endpoint.id)
            copies = self._chaos.plan()
            if not copies:
                self.counts["dropped"] += 1
                event.given_up(endpoint.id)
            self.counts["duplicates"] += max(0, len(copies) - 1)
            for late, ordered in copies:
                self._add(Copy(event, endpoint, ordered), late)

    def resend(self, event: Event) -> int:
        """Send an event once more to each endpoint that wants it; returns the number of copies."""
        wanting = [endpoint for endpoint in self._endpoints.values() if endpoint.wants(event)]
        self.counts["duplicates"] += len(wanting)
        for endpoint in wanting:
            self._add(Copy(event, endpoint, ordered=False), 0.0)
        return len(wanting)

    def resume(self, events: Iterable[Event]) -> None:
        """Plan again, after a restart, what was still to be delivered."""
        for event in events:
            for endpoint_id in event.pending:
                if endpoint_id in self._endpoints:
                    self._add(Copy(event, self._endpoints[endpoint_id], ordered=True), 0.0)

    def render(self) -> dict[str, Any]:
        """What has been sent so far, as JSON."""
        names = ("events", "deliveries", "tries", "duplicates", "dropped", "failed")
        return {
            **{name: self.counts[name] for name in names},
            "pending": self._schedule.pending,
            "statuses": dict(self.statuses),
            "outcomes": dict(self.outcomes),
        }

    async def run(self) -> None:
        """Deliver until cancelled."""
        limits = httpx2.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        # The environment's proxies are not meant for a laptop's own webhook.
        async with httpx2.AsyncClient(limits=limits, timeout=None, trust_env=False) as client:
            try:
                while True:
                    await self._slots.acquire()
                    copy = await self._next()
                    task = asyncio.create_task(self._try(client, copy))
                    self._tries.add(task)
                    task.add_done_callback(self._tried)
            finally:
                for task in self._tries:
                    task.cancel()
                await asyncio.gather(*self._tries, return_exceptions=True)

    def _add(self, copy: Copy, late: float) -> None:
        self._schedule.add(copy, time.monotonic() + late)
        self._wake.set()

    def _tried(self, task: asyncio.Task[None]) -> None:
        self._tries.discard(task)
        self._slots.release()
        self._wake.set()

    async def _next(self) -> Copy:
        while True:
            copy = self._schedule.take(time.monotonic())
            if copy is not None:
                return copy
            self._wake.clear()
            due = self._schedule.next_due()
            wait = None if due is None else max(0.0, due - time.monotonic())
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
            except TimeoutError:
                continue

    async def _try(self, client: httpx2.AsyncClient, copy: Copy) -> None:
        """One try of one copy; given up if its endpoint is disabled or deleted by now."""
        if copy.endpoint.disabled or copy.endpoint.id not in self._endpoints:
            copy.event.given_up(copy.endpoint.id)
            self._schedule.done(copy)
            return
        self.counts["tries"] += 1
        copy.first_try = copy.first_try or time.monotonic()
        delivered = await self._post(client, copy)
        self._touch()
        wait = self.retries.wait(copy.tries + 1)
        if delivered:
            self.counts["deliveries"] += 1
            copy.event.delivered(copy.endpoint.id)
            self._schedule.done(copy)
            return
        self.counts["failed"] += 1
        if time.monotonic() + wait - copy.first_try > self.retries.give_up_after:
            copy.event.given_up(copy.endpoint.id)
            self._schedule.done(copy)
        else:
            self._schedule.again(copy, time.monotonic() + wait)

    async def _post(self, client: httpx2.AsyncClient, copy: Copy) -> bool:
        """Whether the endpoint answered 2xx.

        The signature's time is the wall clock's, whatever the sandbox's own clock says: receivers
        refuse what is too old or too new.
        """
        payload = json.dumps(_body(copy), separators=(",", ":")).encode()
        secrets = [copy.endpoint.secret, self._chaos.second_secret]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature_header(payload, filter(None, secrets), int(time.time())),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                answer = await client.post(copy.endpoint.url, content=payload, headers=headers)
        except (OSError, ValueError, httpx2.HTTPError, httpx2.InvalidURL):  # TimeoutError: OSError
            return False
        self.statuses[str(answer.status_code)] += 1
        outcome = _outcome(answer.content)
        if outcome is not None:
            self.outcomes[outcome] += 1
        return answer.is_success


def _body(copy: Copy) -> dict[str, Any]:
    """What the endpoint is sent of the event."""
    origin = copy.endpoint.origin(copy.event)
    if copy.endpoint.thin:
        return thin.notification(copy.event, origin)
    return copy.event.render(copy.endpoint.api_version, origin)


def _outcome(body: bytes) -> str | None:
    """The `outcome` of a receiver that answers in JSON."""
    try:
        answer = json.loads(body) if len(body) <= _MAX_ANSWER else None
    except ValueError:
        return None
    outcome = answer.get("outcome") if isinstance(answer, dict) else None
    return outcome if isinstance(outcome, str) else None

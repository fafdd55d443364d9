"""Delivers events as Stripe does: signed, again after each answer that is no 2xx."""

from __future__ import annotations

import heapq
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException

from tests.faults.traffic import Event
from tests.web.deliveries import signature

SECRET = "whsec_faults"
# Under `everysec` an answer waits for a second or so: as many as the fastest tests send in one.
SENDERS = 100
# Stripe waits for hours; seconds are enough to see the same.
FIRST_RETRY, LONGEST_RETRY = 0.2, 1.0
TIMEOUT = 15.0
# Seconds that a delivery may be refused for. Stripe's first tries are minutes apart: what it
# sends again then is taken.
REFUSED_FOR = 60


class Sender:
    """Threads that deliver what they are given until each delivery has been acknowledged."""

    def __init__(
        self,
        port: int,
        *,
        rate: float = 1e9,
        hosts: Sequence[str] = ("127.0.0.1",),
        senders: int = SENDERS,
        timeout: float = TIMEOUT,
    ) -> None:
        """`port` is the web process' on each of its `hosts`; `rate` is deliveries a second at most.

        `senders` deliveries are under way at once, each for `timeout` seconds at most.
        """
        self._port = port
        self._timeout = timeout
        self._rate = rate
        self._lock = threading.Condition()
        self._waiting: list[tuple[float, int, Event, int]] = []
        self._numbers = itertools.count()
        self._open = 0
        self._ending = False
        self.secrets: tuple[str, ...] = (SECRET,)  # Stripe signs by both while one is rolled
        self.sent: set[str] = set()
        self.first_tried: dict[str, float] = {}  # monotonic
        self.acknowledged: dict[str, list[str]] = {}
        self.answers: Counter[int] = Counter()  # by HTTP status; 0 is none at all
        self.delivered_at: dict[str, float] = {}  # when it was first acknowledged, monotonic
        self._threads = [
            threading.Thread(target=self._work, args=(hosts[number % len(hosts)],))
            for number in range(senders)
        ]

    def __enter__(self) -> Sender:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._ending = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join(self._timeout + 5)

    @property
    def outcomes(self) -> Counter[str]:
        """How often each outcome was answered."""
        with self._lock:
            return Counter(each for told in self.acknowledged.values() for each in told)

    @property
    def duplicates(self) -> int:
        """How many acknowledgements were of an event acknowledged before."""
        with self._lock:
            return sum(len(told) - 1 for told in self.acknowledged.values())

    @property
    def longest_refusal(self) -> float:
        """Seconds between the first try of a delivery and its acknowledgement, at most."""
        with self._lock:
            return max(at - self.first_tried[id] for id, at in self.delivered_at.items())

    def give(self, events: Iterable[Event]) -> None:
        """Deliver these, as many a second as may be."""
        now = time.monotonic()
        with self._lock:
            for place, event in enumerate(events):
                due = now + place / self._rate
                heapq.heappush(self._waiting, (due, next(self._numbers), event, 0))
                self._open += 1
            self._lock.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until every delivery has been acknowledged."""
        deadline = time.monotonic() + seconds
        with self._lock:
            while self._open:
                left = deadline - time.monotonic()
                assert left > 0, f"{self._open} not acknowledged: {dict(self.answers)}"
                self._lock.wait(min(left, 0.5))

    @property
    def is_done(self) -> bool:
        """Whether every delivery has been acknowledged."""
        with self._lock:
            return not self._open

    def _work(self, host: str) -> None:
        connection = HTTPConnection(host, self._port, timeout=self._timeout)
        with suppress(OSError):
            while (taken := self._take()) is not None:
                event, tries = taken
                status, outcome = self._deliver(connection, event)
                self._note(event, tries, status, outcome)
        connection.close()

    def _take(self) -> tuple[Event, int] | None:
        with self._lock:
            while not self._ending:
                now = time.monotonic()
                if self._waiting and self._waiting[0][0] <= now:
                    _, _, event, tries = heapq.heappop(self._waiting)
                    return event, tries
                self._lock.wait(self._waiting[0][0] - now if self._waiting else 0.5)
        return None

    def _deliver(self, connection: HTTPConnection, event: Event) -> tuple[int, str]:
        body = event.body
        self.sent.add(event.id)
        self.first_tried.setdefault(event.id, time.monotonic())
        try:
            connection.request("POST", "/webhooks/stripe", body, self._headers(body))
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, HTTPException):
            connection.close()
            return 0, ""
        return answer.status, json.loads(told)["outcome"] if answer.status == 200 else ""

    def _headers(self, body: bytes) -> dict[str, str]:
        at = time.time()
        signatures = (f"v1={signature(body, secret, at)}" for secret in self.secrets)
        return {"Stripe-Signature": ",".join((f"t={int(at)}", *signatures))}

    def _note(self, event: Event, tries: int, status: int, outcome: str) -> None:
        with self._lock:
            self.answers[status] += 1
            if status == 200:
                self.acknowledged.setdefault(event.id, []).append(outcome)
                self.delivered_at.setdefault(event.id, time.monotonic())
                self._open -= 1
                self._lock.notify_all()
                return
            due = time.monotonic() + min(FIRST_RETRY * 2**tries, LONGEST_RETRY)
            heapq.heappush(self._waiting, (due, next(self._numbers), event, tries + 1))

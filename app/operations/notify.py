"""Notify receivers: in order of version for each reference, and never of what they know."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from redis import Redis

from app.configuration.settings import Settings
from app.domain.effects import PendingEffect, effect_id
from app.domain.errors import Retry
from app.ledger.ledger import Ledger
from app.ledger.notification_log import ReceiverState
from app.logs import get_logger
from app.notifications import stream, subscriber
from app.notifications.callback import Callback, Delivery, ReceiverGone
from app.notifications.message import ReferenceChanged
from app.notifications.traced import TracedCallback
from app.queue.breaker import Breaker
from app.queue.connection import translated_errors
from app.queue.counts import Tally
from app.queue.locks import locked

if TYPE_CHECKING:
    from app.telemetry.spans import Spans

log = get_logger("notify")

# The kinds of the effects that notify one receiver.
CALLBACK, SUBSCRIBER, STREAM = "notify_callback", "notify_subscriber", "notify_stream"
RECEIVER_PREFIX = "notify_"
# How a message was sent, for the metrics: what failed is tried again, or dies with its job.
DELIVERED, FAILED, GONE = "delivered", "failed", "gone"

# Seconds a lock outlives its worker, at most: longer than an effect's time limit.
LOCK_TTL = 30
# Seconds until a worker that finds the reference locked tries again.
RETRY_AFTER = 1.0

Send = Callable[[ReferenceChanged], object]


@dataclass(frozen=True, slots=True)
class Receivers:
    """The receivers that the settings name, and what is needed to notify them."""

    senders: Mapping[str, Send]  # by kind of effect
    ledger: Ledger
    redis: Redis
    gone_flag: str  # the name of the cursor that says that the address answered 410
    lock_ttl: int = LOCK_TTL
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(
        cls,
        settings: Settings,
        ledger: Ledger,
        redis: Redis,
        now: Callable[[], float],
        tally: Tally | None = None,
        spans: Spans | None = None,
    ) -> Receivers:
        """Raises Misconfigured if SUBSCRIBER cannot be imported. `now` gives Unix seconds.

        What was sent, and how long it took, is counted in `tally`. `spans` record calls; None where
        traces are off.
        """
        senders: dict[str, Send] = {}
        if settings.notify_url is not None:
            make = Callback if spans is None else partial(TracedCallback, spans=spans)
            callback = make(
                settings.notify_url, settings.notify_secrets, settings.notify_allow_private, now
            )
            senders[CALLBACK] = callback.send
        if settings.subscriber is not None:
            function = subscriber.load(settings.subscriber)
            senders[SUBSCRIBER] = lambda message: subscriber.call(function, message)
        if settings.notify_stream is not None:
            name = settings.notify_stream
            senders[STREAM] = lambda message: _append(redis, name, message, now())
        # A job takes half a lease at most: a lock that lasts longer only holds up the next try.
        lock_ttl = min(LOCK_TTL, settings.lease_seconds)
        flag = gone_flag(settings.notify_url)
        return cls(senders, ledger, redis, flag, lock_ttl, tally or Tally())

    def split(self, effect: PendingEffect) -> list[PendingEffect]:
        """One effect for each receiver, so that one that is away holds up no other."""
        return [replace(effect, id=effect_id(effect.id, kind), kind=kind) for kind in self.senders]

    def notify(self, effect: PendingEffect, now: int) -> bool:
        """Notify one receiver of the reference's standing. False if it knows it already.

        It sends the newest standing: the effect of an older one finds later that the receiver
        knows more. `now` is in Unix seconds.
        """
        send = self.senders.get(effect.kind)
        if send is None or effect.reference_key is None:
            return False
        if effect.kind == CALLBACK and self.ledger.cursors.get(self.gone_flag):
            return False
        self._breaker(effect.kind).refuse()
        busy = Retry(RETRY_AFTER, "another worker is notifying this receiver of this reference")
        # One worker at a time for a reference and receiver: versions keep their order.
        name = f"notify:{effect.kind}:{effect.reference_key}"
        with locked(self.redis, name, ttl=self.lock_ttl, busy=busy):
            state = self.ledger.notifications.receiver_state(effect.reference_key, effect.kind)
            if state is None or state.known_version >= (effect.version or 0):
                return False
            self._send(send, effect, state, now)
            self.ledger.notifications.record_sent(state.key, effect.kind, state.standing, now)
        return True

    def _send(self, send: Send, effect: PendingEffect, state: ReceiverState, now: int) -> None:
        message = ReferenceChanged(
            client_reference_id=state.client_reference_id,
            account=effect.account,
            livemode=effect.livemode,
            purpose=state.purpose,
            standing=state.standing,
            previous_status=state.known_status,
            id=f"msg_{state.key[:32]}_{state.standing.version}",
        )
        try:
            with self._breaker(effect.kind).watched(), self._counted(effect.kind):
                answer = send(message)
        except ReceiverGone:
            self.ledger.cursors.set(self.gone_flag, "410", now)
            log.error("receiver answered 410; nothing more is sent to it")
            raise
        if isinstance(answer, Delivery) and answer.unencrypted:
            _warn_of_plain_http()

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        """Count how the block ends, and how long it takes; raises what it raises."""
        receiver, began, outcome = kind.removeprefix(RECEIVER_PREFIX), time.monotonic(), FAILED
        try:
            yield
            outcome = DELIVERED
        except ReceiverGone:
            outcome = GONE
            raise
        finally:
            self.tally.add("sent", receiver, outcome)
            self.tally.observe("send", receiver, seconds=time.monotonic() - began)

    def _breaker(self, kind: str) -> Breaker:
        return Breaker(self.redis, kind)


@cache
def _warn_of_plain_http() -> None:
    """One line in the life of this process."""
    log.warning("NOTIFY_URL is http:// to a public address")


def _append(redis: Redis, name: str, message: ReferenceChanged, now: float) -> None:
    with translated_errors():
        stream.append(redis, name, message, now)


def gone_flag(url: str | None) -> str:
    """The flag for an address that answered 410: each address has its own."""
    return "callback_gone:" + hashlib.sha256((url or "").encode()).hexdigest()[:16]


def is_gone(settings: Settings, ledger: Ledger) -> bool | None:
    """Whether the callback's address has answered 410; None if there is none. Ledger's errors."""
    if settings.notify_url is None:
        return None
    return bool(ledger.cursors.get(gone_flag(settings.notify_url)))

"""Notify receivers: in order of version for each reference, and never of what they know."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from redis import Redis
from redis.exceptions import RedisError

from app.domain.effects import PendingEffect, effect_id
from app.domain.errors import Retry
from app.ledger.ledger import Ledger
from app.ledger.notification_log import ReceiverState
from app.logs import get_logger
from app.notifications import stream, subscriber
from app.notifications.callback import Callback, ReceiverGone
from app.notifications.message import ReferenceChanged
from app.queue.connection import translated_errors
from app.queue.locks import locked
from app.settings import Settings

log = get_logger("notify")

# The kinds of the effects that notify one receiver.
CALLBACK, SUBSCRIBER, STREAM = "notify_callback", "notify_subscriber", "notify_stream"

# Seconds a lock outlives its worker, at most: longer than an effect's time limit.
LOCK_TTL = 30
# Seconds until a worker that finds the reference locked tries again.
RETRY_AFTER = 1.0
# A receiver that takes this many seconds to fail is left alone for five times as long: it then
# occupies a worker for a sixth of the time at most, and other receivers' effects do not wait.
SLOW_FAILURE = 4.0
REST_FACTOR, MAX_REST = 5, 60.0

Send = Callable[[ReferenceChanged], object]


@dataclass(frozen=True, slots=True)
class Receivers:
    """The receivers that the settings name, and what is needed to notify them."""

    senders: Mapping[str, Send]  # by kind of effect
    ledger: Ledger
    redis: Redis
    gone_flag: str  # the name of the cursor that says that the address answered 410
    lock_ttl: int = LOCK_TTL

    @classmethod
    def of(
        cls, settings: Settings, ledger: Ledger, redis: Redis, now: Callable[[], float]
    ) -> Receivers:
        """Raises Misconfigured if SUBSCRIBER cannot be imported. `now` gives Unix seconds."""
        senders: dict[str, Send] = {}
        if settings.notify_url is not None:
            callback = Callback(
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
        return cls(senders, ledger, redis, gone_flag(settings.notify_url), lock_ttl)

    def split(self, effect: PendingEffect) -> list[PendingEffect]:
        """One effect for each receiver, so that one that is away holds up no other."""
        return [replace(effect, id=effect_id(effect.id, kind), kind=kind) for kind in self.senders]

    def notify(self, effect: PendingEffect, now: int) -> bool:
        """Notify one receiver of the reference's standing. False if it knows it already.

        It sends the newest standing: the effect of an older one finds later that the receiver
        knows more. `now` is in Unix seconds.
        """
        send = self.senders.get(effect.kind)
        if send is None or effect.reference is None:
            return False
        if effect.kind == CALLBACK and self.ledger.cursors.get(self.gone_flag):
            return False
        self._refuse_resting(effect.kind)
        name = f"{effect.kind}:{effect.account}:{effect.livemode}:{effect.reference}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        busy = Retry(RETRY_AFTER, "another worker is notifying this receiver of this reference")
        # One worker at a time for a reference and receiver: versions keep their order.
        with locked(self.redis, f"notify:{digest}", ttl=self.lock_ttl, busy=busy):
            state = self.ledger.notifications.receiver_state(
                effect.reference,
                account=effect.account,
                livemode=effect.livemode,
                receiver=effect.kind,
            )
            if state is None or state.known_version >= (effect.version or 0):
                return False
            self._send(send, effect, state, now)
            self.ledger.notifications.record_sent(state.key, effect.kind, state.standing, now)
        return True

    def _send(self, send: Send, effect: PendingEffect, state: ReceiverState, now: int) -> None:
        message = ReferenceChanged(
            client_reference_id=effect.reference or "",
            account=effect.account,
            livemode=effect.livemode,
            standing=state.standing,
            previous_status=state.known_status,
            id=f"msg_{state.key[:32]}_{state.standing.version}",
        )
        began = time.monotonic()
        try:
            send(message)
        except ReceiverGone:
            self.ledger.cursors.set(self.gone_flag, "410", now)
            log.error("receiver answered 410; nothing more is sent until `notify test`")
            raise
        except Exception:
            self._rest(effect.kind, time.monotonic() - began)
            raise

    def _refuse_resting(self, kind: str) -> None:
        with translated_errors():
            left = self.redis.pttl(_resting(kind))
        if left > 0:
            raise Retry(left / 1000, "the receiver was slow to fail and is left alone for a while")

    def _rest(self, kind: str, took: float) -> None:
        if took < SLOW_FAILURE:
            return
        seconds = min(took * REST_FACTOR, MAX_REST)
        log.warning("receiver left alone", receiver=kind, seconds=round(seconds, 1))
        with suppress(RedisError):  # the receiver's failure is the one to raise
            self.redis.set(_resting(kind), "1", px=int(seconds * 1000))


def _resting(kind: str) -> str:
    return f"identity:resting:{kind}"


def _append(redis: Redis, name: str, message: ReferenceChanged, now: float) -> None:
    with translated_errors():
        stream.append(redis, name, message, now)


def gone_flag(url: str | None) -> str:
    """The flag for an address that answered 410: each address has its own."""
    return "callback_gone:" + hashlib.sha256((url or "").encode()).hexdigest()[:16]

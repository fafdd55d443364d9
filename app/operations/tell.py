"""How a receiver is told: in order for each reference, and nothing that it knows already."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from redis import Redis
from redis.exceptions import LockError, RedisError

from app.domain.effects import EffectRow
from app.domain.errors import Retry
from app.ledger.telling import Telling, ToTell
from app.ledger.upkeep import Upkeep
from app.logs import get_logger
from app.notifications import stream, subscriber
from app.notifications.callback import Callback, ReceiverGone
from app.notifications.message import ReferenceChanged
from app.queue.connection import translated_errors
from app.settings import Settings

log = get_logger("notify")

# Seconds a telling's lock outlives its worker, at most: longer than an effect's time limit.
LOCK_TTL = 30
# Seconds until a second worker that meets the same reference looks again.
LOOK_AGAIN = 1.0
# A receiver that takes as many seconds to fail is left alone for five times as long: it then holds
# a worker for a sixth of its time at most, and the other receivers' effects do not wait for it.
SLOW_TO_FAIL = 4.0
REST, LONGEST_REST = 5, 60.0

Send = Callable[[ReferenceChanged], object]


@dataclass(frozen=True, slots=True)
class Receivers:
    """The receivers that the settings name, and what is needed to tell them."""

    senders: Mapping[str, Send]  # by kind of effect
    telling: Telling
    upkeep: Upkeep
    redis: Redis
    gone_mark: str  # names the address that answered 410
    lock_ttl: int = LOCK_TTL

    @classmethod
    def of(
        cls,
        settings: Settings,
        telling: Telling,
        upkeep: Upkeep,
        redis: Redis,
        now: Callable[[], float],
    ) -> Receivers:
        """Raises Misconfigured where SUBSCRIBER cannot be imported."""
        senders: dict[str, Send] = {}
        if settings.notify_url is not None:
            callback = Callback(
                settings.notify_url, settings.notify_secrets, settings.notify_allow_private, now
            )
            senders["notify_callback"] = callback.send
        if settings.subscriber is not None:
            function = subscriber.load(settings.subscriber)
            senders["notify_subscriber"] = lambda message: subscriber.call(function, message)
        if settings.notify_stream is not None:
            name = settings.notify_stream
            senders["notify_stream"] = lambda message: _append(redis, name, message, now())
        # A job takes half a lease at most: a lock that lasts longer only holds up the next try.
        lock_ttl = min(LOCK_TTL, settings.lease_seconds)
        return cls(senders, telling, upkeep, redis, gone_mark(settings.notify_url), lock_ttl)

    def split(self, row: EffectRow) -> list[EffectRow]:
        """One effect for each receiver, so that one that is away holds up no other."""
        return [replace(row, id=f"{row.id}-{kind}", kind=kind) for kind in self.senders]

    def tell(self, row: EffectRow, now: int) -> bool:
        """Tell one receiver how the row's reference stands. False where there is nothing to tell.

        What is sent is the newest standing: an older one that waited is overtaken, and its own
        effect finds later that the receiver knows more. `now` is in Unix seconds.
        """
        send = self.senders.get(row.kind)
        if send is None or row.reference is None:
            return False
        if row.kind == "notify_callback" and self.upkeep.mark(self.gone_mark):
            return False
        self._refuse_resting(row.kind)
        with self._locked(f"{row.kind}:{row.account}:{row.livemode}:{row.reference}"):
            found = self.telling.to_tell(
                row.reference, account=row.account, livemode=row.livemode, receiver=row.kind
            )
            if found is None or found.told_version >= (row.version or 0):
                return False
            self._send(send, row, found, now)
            self.telling.mark_told(found.key, row.kind, found.standing, now)
        return True

    def _send(self, send: Send, row: EffectRow, found: ToTell, now: int) -> None:
        message = ReferenceChanged(
            client_reference_id=row.reference or "",
            account=row.account,
            livemode=row.livemode,
            standing=found.standing,
            previous_status=found.told_status,
            id=f"msg_{found.key[:32]}_{found.standing.version}",
        )
        began = time.monotonic()
        try:
            send(message)
        except ReceiverGone:
            self.upkeep.set_mark(self.gone_mark, "410", now)
            log.error("the receiver answered 410; nothing more is sent until `notify test`")
            raise
        except Exception:
            self._rest(row.kind, time.monotonic() - began)
            raise

    def _refuse_resting(self, kind: str) -> None:
        with translated_errors():
            left = self.redis.pttl(_resting(kind))
        if left > 0:
            raise Retry(left / 1000, "the receiver was slow to fail and is left alone for a while")

    def _rest(self, kind: str, took: float) -> None:
        if took < SLOW_TO_FAIL:
            return
        seconds = min(took * REST, LONGEST_REST)
        log.warning("receiver left alone", receiver=kind, seconds=round(seconds, 1))
        with suppress(RedisError):  # what failed is what is to be told
            self.redis.set(_resting(kind), "1", px=int(seconds * 1000))

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """One worker at a time for a reference and receiver: versions keep their order."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        lock = self.redis.lock(f"identity:telling:{digest}", timeout=self.lock_ttl)
        with translated_errors():
            if not lock.acquire(blocking=False):
                raise Retry(LOOK_AGAIN, "another worker is telling this reference's receiver")
        try:
            yield
        finally:
            with suppress(LockError, RedisError):  # it has run out, or will
                lock.release()


def _resting(kind: str) -> str:
    return f"identity:resting:{kind}"


def _append(redis: Redis, name: str, message: ReferenceChanged, now: float) -> None:
    with translated_errors():
        stream.append(redis, name, message, now)


def gone_mark(url: str | None) -> str:
    """The ledger's mark for an address that answered 410: another address has another."""
    return "callback_gone:" + hashlib.sha256((url or "").encode()).hexdigest()[:16]

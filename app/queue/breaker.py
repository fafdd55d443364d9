"""A circuit breaker in Redis: who is slow to fail is left alone for a while, by every worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import RedisError

from app.domain.errors import Retry
from app.logs import get_logger
from app.queue.connection import translated_errors

log = get_logger("breaker")

# Who takes this many seconds to fail is left alone for five times as long: it then occupies a
# worker for a sixth of the time at most, and what waits for others does not wait for it.
SLOW_FAILURE = 4.0
REST_FACTOR, MAX_REST = 5, 60.0
# What Stripe is called; a receiver is called by the kind of its effects.
STRIPE = "Stripe"


class Breaker:
    """For one that a worker asks, and waits for: a receiver of notifications, or Stripe."""

    def __init__(
        self,
        redis: Redis,
        name: str,
        *,
        failure: type[Exception] = Exception,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`name` says who it is, to Redis and to people. What is no `failure` is not its fault."""
        self._redis = redis
        self._name = name
        self._key = f"identity:resting:{name}"
        self._failure = failure
        self._monotonic = monotonic

    def rests(self) -> float:
        """For how many seconds more it is left alone; 0: it is not. Raises QueueUnavailable."""
        with translated_errors():
            return max(0, self._redis.pttl(self._key)) / 1000

    def refuse(self) -> None:
        """Raises Retry while it is left alone; QueueUnavailable."""
        left = self.rests()
        if left > 0:
            why = f"{self._name} was slow to fail and is left alone for a while"
            raise Retry(left, why)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Leave it alone after this, if the block is slow to fail; raises what the block raises."""
        began = self._monotonic()
        try:
            yield
        except self._failure:
            self._rest(self._monotonic() - began)
            raise

    def _rest(self, took: float) -> None:
        if took < SLOW_FAILURE:
            return
        seconds = min(took * REST_FACTOR, MAX_REST)
        log.warning(
            "slow to fail; left alone for a while", name=self._name, for_seconds=round(seconds, 1)
        )
        with suppress(RedisError):  # the failure itself is the one to raise
            self._redis.set(self._key, "1", px=int(seconds * 1000))

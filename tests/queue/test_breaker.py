"""Who is slow to fail is left alone; who answers, or fails at once, is not."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from redis import Redis

from app.domain.errors import Permanent, Retry, Transient
from app.queue.breaker import MAX_REST, Breaker


def took(redis: Redis, seconds: float, error: Exception | None, name: str = "receiver") -> None:
    """Somebody was asked, and it took so long."""
    times = iter([100.0, 100.0 + seconds])
    breaker = Breaker(redis, name, failure=Transient, monotonic=times.__next__)
    with nullcontext() if error is None else pytest.raises(type(error)), breaker.watched():
        if error is not None:
            raise error


def left_alone(redis: Redis, name: str = "receiver") -> float:
    """For how many seconds more; 0 if it may be asked."""
    try:
        Breaker(redis, name).refuse()
    except Retry as refusal:
        return refusal.after
    return 0.0


def test_a_slow_failure_is_followed_by_five_times_as_long_a_rest(redis: Redis) -> None:
    took(redis, 8, Transient("x"))
    assert 35 < left_alone(redis) <= 40


def test_the_rest_is_a_minute_at_most_and_ends_by_itself(redis: Redis) -> None:
    took(redis, 20, Transient("x"))
    assert MAX_REST - 5 < left_alone(redis) <= MAX_REST
    redis.pexpire("identity:resting:receiver", 1)
    while redis.exists("identity:resting:receiver"):
        pass
    assert left_alone(redis) == 0


@pytest.mark.parametrize(
    ("seconds", "error"),
    [(3.9, Transient("x")), (20, None), (20, Permanent("not its fault"))],
    ids=["a quick failure", "a slow answer", "a fault of another"],
)
def test_nobody_is_left_alone_for(redis: Redis, seconds: float, error: Exception | None) -> None:
    took(redis, seconds, error)
    assert left_alone(redis) == 0


def test_each_is_left_alone_for_itself(redis: Redis) -> None:
    took(redis, 8, Transient("x"), "Stripe")
    assert left_alone(redis, "receiver") == 0
    assert left_alone(redis, "Stripe") > 0

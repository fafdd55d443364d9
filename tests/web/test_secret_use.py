"""When each signing secret was last used: noted beside the deliveries, for all processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from redis import Redis
from starlette.datastructures import Secret
from structlog.testing import capture_logs

from app.configuration.credentials import SigningSecret
from app.local.valkey import Valkey, free_port
from app.queue.connection import open_async_redis
from app.queue.secret_use import KEY, fingerprint, read_secret_use
from app.web.secret_use import SecretUse

NEW = SigningSecret(Secret("whsec_new"), None)
OLD = SigningSecret(Secret("whsec_old"), None)
# Seconds: no test waits for it.
LONG = 300.0


class Time:
    """A clock that the test moves."""

    now = 1_000.9

    def __call__(self) -> float:
        return self.now


def noting(url: str, now: Time, scenario: Callable[[SecretUse], Awaitable[None]]) -> list[str]:
    """What is logged while `scenario` notes secrets."""

    async def run() -> None:
        redis = open_async_redis(url)
        use = SecretUse(redis, now, LONG)
        await scenario(use)
        await use.close()
        await redis.aclose()

    with capture_logs() as lines:
        asyncio.run(run())
    return [str(line["event"]) for line in lines]


def test_the_first_use_is_written_at_once_and_the_others_later(
    valkey: Valkey, redis: Redis
) -> None:
    now = Time()

    async def scenario(use: SecretUse) -> None:
        use.note(NEW)
        while not read_secret_use(redis, [NEW])[NEW]:
            await asyncio.sleep(0.01)
        now.now = 2_000
        for _ in range(1_000):
            use.note(NEW)
        await asyncio.sleep(0)
        assert read_secret_use(redis, [NEW]) == {NEW: 1_000}
        calls = redis.info("commandstats")["cmdstat_hset"]["calls"]
        use.note(OLD)
        assert redis.info("commandstats")["cmdstat_hset"]["calls"] == calls

    assert noting(valkey.url, now, scenario) == []
    assert read_secret_use(redis, [NEW, OLD]) == {NEW: 2_000, OLD: 2_000}


def test_a_secret_that_was_never_used_was_used_at_no_time(redis: Redis) -> None:
    assert read_secret_use(redis, [NEW, OLD]) == {NEW: 0, OLD: 0}
    assert read_secret_use(redis, []) == {}


def test_nothing_of_a_secret_stands_in_redis(valkey: Valkey, redis: Redis) -> None:
    async def scenario(use: SecretUse) -> None:
        use.note(NEW)

    noting(valkey.url, Time(), scenario)
    assert redis.hgetall(KEY) == {fingerprint(NEW).encode(): b"1000"}
    assert len(fingerprint(NEW)) == 8
    assert "new" not in fingerprint(NEW)
    assert fingerprint(NEW) != fingerprint(OLD)


def test_without_redis_a_use_is_lost_with_a_line_in_the_log() -> None:
    async def scenario(use: SecretUse) -> None:
        use.note(NEW)

    url = f"redis://127.0.0.1:{free_port()}"
    assert noting(url, Time(), scenario) == ["use of a signing secret is not noted"]

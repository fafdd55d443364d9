"""What is refused is counted and logged, however much of it there is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from redis import Redis
from structlog.testing import capture_logs

from app.local.valkey import Valkey, free_port
from app.queue.connection import open_async_redis
from app.web.refusals import Refusal, Refusals, read_refusals

UNKNOWN = Refusal("token", "GET /metrics")
SCOPE = Refusal("scope", "POST /v1/verification_sessions", "grafana")
# Seconds: no test waits for it.
LONG = 300.0


def refusing(url: str, scenario: Callable[[Refusals], Awaitable[None]]) -> list[dict[str, object]]:
    """The lines that are logged while `scenario` refuses requests."""

    async def run() -> None:
        redis = open_async_redis(url)
        refusals = Refusals(redis, LONG)
        await scenario(refusals)
        await refusals.close()
        await redis.aclose()

    with capture_logs() as lines:
        asyncio.run(run())
    return [dict(line) for line in lines]


def test_the_first_is_one_line_at_once_and_the_others_are_one_line_later(
    valkey: Valkey, redis: Redis
) -> None:
    async def scenario(refusals: Refusals) -> None:
        refusals.count(UNKNOWN)
        while not read_refusals(redis):
            await asyncio.sleep(0.01)
        for _ in range(1_000):
            refusals.count(UNKNOWN)
            refusals.count(SCOPE)

    first, second = refusing(valkey.url, scenario)
    assert first["refused"] == [UNKNOWN._asdict() | {"count": 1}]
    assert second["refused"] == [
        {"why": "token", "call": "GET /metrics", "token": None, "count": 1_000},
        SCOPE._asdict() | {"count": 1_000},
    ]
    assert read_refusals(redis) == {"token": 1_001, "scope": 1_000}


def test_without_redis_they_are_logged_and_not_counted() -> None:
    async def scenario(refusals: Refusals) -> None:
        refusals.count(UNKNOWN)

    refused, lost = refusing(f"redis://127.0.0.1:{free_port()}", scenario)
    assert refused["event"] == "requests refused"
    assert (lost["event"], lost["code"]) == ("waiting for Redis", "connection_refused")

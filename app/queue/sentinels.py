"""Connections whose server is named by Redis Sentinel: each new one asks where the primary is."""

from __future__ import annotations

from typing import Any, cast

from redis import Redis, exceptions
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from app.configuration.addresses import SentinelAddress
from app.queue.alerts import missed_alert, missed_alert_of_loop

# Seconds for one sentinel, of which there are several: the next one is asked soon.
SENTINEL_TIMEOUT = 1.0


class NoPrimary(exceptions.ConnectionError):
    """No sentinel knows the service: none can be reached, or it has another name there."""

    def __init__(self, service: str, why: Exception | None) -> None:
        """`why` is what kept the sentinel that was asked last from answering; None if it did."""
        super().__init__(service)
        self.why = why


def sentinel_options(address: SentinelAddress, verify: bool) -> dict[str, Any]:
    """How a client talks to the sentinels; `verify` is whether it checks their certificates.

    The files and checks of TLS that the address names are for Redis and sentinels alike.
    """
    options: dict[str, Any] = {
        "socket_timeout": SENTINEL_TIMEOUT,
        "socket_connect_timeout": SENTINEL_TIMEOUT,
        "username": address.username,
        "password": address.password,
    }
    if address.redis_url.startswith("rediss://"):
        options["ssl"] = True
        if not verify:
            options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
        named = parse_url(address.redis_url)
        options |= {name: value for name, value in named.items() if name.startswith("ssl_")}
    return options


class BySentinels:
    """A mixin for connections, whose class says `address` and `options`.

    It asks as https://redis.io/docs/latest/develop/reference/sentinel-clients/ says, the first that
    answers. redis-py's own pool has no limit to wait at, and knows of no primary for a moment after
    a failover. Nothing is kept open: the sentinels are asked once for each connection.
    """

    address: SentinelAddress
    options: dict[str, Any]

    def _connect(self) -> Any:
        self.host, self.port = self._find_primary()
        return super()._connect()  # type: ignore[misc]  # a mixin

    def _find_primary(self) -> tuple[str, int]:
        why: Exception | None = None
        for host, port in self.address.hosts:
            with Redis(host, port, retry=Retry(NoBackoff(), 0), **self.options) as sentinel:
                try:
                    found = sentinel.sentinel_get_master_addr_by_name(self.address.service)
                    why = None
                except (exceptions.RedisError, OSError) as error:
                    found, why = None, error
                    connection = sentinel.connection_pool.make_connection()
                    if alert := missed_alert(connection, error):
                        error.__cause__ = alert
            if found:
                return cast(tuple[str, int], found)
        raise NoPrimary(self.address.service, why)


class AsyncBySentinels:
    """The same for the event loop's connections."""

    address: SentinelAddress
    options: dict[str, Any]

    async def _connect(self) -> None:
        self.host, self.port = await self._find_primary()
        await super()._connect()  # type: ignore[misc]  # a mixin

    async def _find_primary(self) -> tuple[str, int]:
        why: Exception | None = None
        for host, port in self.address.hosts:
            retry = AsyncRetry(NoBackoff(), 0)
            async with AsyncRedis(host=host, port=port, retry=retry, **self.options) as sentinel:
                try:
                    asked: Any = sentinel.sentinel_get_master_addr_by_name(self.address.service)
                    found = await asked
                    why = None
                except (exceptions.RedisError, OSError) as error:
                    found, why = None, error
                    connection = sentinel.connection_pool.make_connection()
                    if alert := await missed_alert_of_loop(connection, error):
                        error.__cause__ = alert
            if found:
                return cast(tuple[str, int], found)
        raise NoPrimary(self.address.service, why)

"""A Redis that speaks TLS, and asks its clients for certificates of its own authority."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from app.domain.errors import StoreFailure
from app.local.valkey import Valkey, free_port
from app.queue.connection import open_async_redis, open_redis, translated_call, translated_errors
from tests.support.certificates import Authority, Pair
from tests.support.servers import DEBIAN, Server

# Of the servers that tests can start, only Debian's is built with TLS.
NAME = DEBIAN


def tls_options(authority: Authority, shown: Pair, port: int) -> dict[str, str]:
    """What has a server, or a sentinel, listen with TLS at a port."""
    return {
        "tls-port": str(port),
        "tls-cert-file": str(shown.certificate),
        "tls-key-file": str(shown.key),
        "tls-ca-cert-file": str(authority.certificate),
        "tls-replication": "yes",
    }


def with_files(address: str, authority: Authority, own: Pair | None) -> str:
    """A REDIS_URL that names the authority, and a client's certificate."""
    url = f"{address}?ssl_ca_certs={authority.certificate}"
    return url if own is None else f"{url}&ssl_certfile={own.certificate}&ssl_keyfile={own.key}"


@dataclass
class Secured:
    """The server, whose other port is without TLS, and its authority."""

    server: Valkey
    port: int
    authority: Authority
    shown: Pair
    client: Pair

    def url(
        self,
        *,
        host: str = "localhost",
        port: int | None = None,
        authority: Authority | None = None,
        own: Pair | str | None = "good",
    ) -> str:
        """What REDIS_URL has to be, or something that is wrong in one point."""
        shown = self.client if isinstance(own, str) else own
        address = f"rediss://{host}:{port or self.port}/0"
        return with_files(address, authority or self.authority, shown)

    @contextmanager
    def showing(self, pair: Pair) -> Iterator[None]:
        """The server with another certificate, for the block."""
        self._show(pair)
        try:
            yield
        finally:
            self._show(self.shown)

    def _show(self, pair: Pair) -> None:
        with Redis(port=self.server.port) as admin:
            files = ("tls-cert-file", pair.certificate, "tls-key-file", pair.key)
            admin.execute_command("CONFIG", "SET", *map(str, files))


@contextmanager
def secured(folder: Path, *options: str, authority: Authority | None = None) -> Iterator[Secured]:
    """A running one, whose certificate is for `localhost`."""
    authority = authority or Authority(folder / "authority")
    shown, port = authority.sign("localhost"), free_port()
    tls = tls_options(authority, shown, port)
    words = [word for name, value in tls.items() for word in (f"--{name}", value)]
    with Server(folder / "server", NAME, *words, *options) as server:
        yield Secured(server, port, authority, shown, authority.sign("client"))


async def ask_once(url: str, verify: bool) -> None:
    async with aclosing(open_async_redis(url, verify=verify)) as calls, translated_call(calls):
        await calls.get("identity:probe")


def codes(url: str, *, verify: bool = True) -> list[str]:
    """What threads, and then the event loop, say of a Redis; "" where it answers."""
    found = []
    for loops in (False, True):
        try:
            if loops:
                asyncio.run(ask_once(url, verify))
            else:
                with open_redis(url, verify=verify) as client, translated_errors():
                    client.get("identity:probe")
            found.append("")
        except StoreFailure as failure:
            found.append(failure.code)
    return found

"""The addresses that the settings name: whether one can be used, and what of it may be shown.

The one judge of both, for settings, stores and the doctor. Nothing is connected.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from redis.asyncio.connection import ConnectionPool as AsyncConnectionPool
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
SENTINEL_SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
SENTINEL_PORT = 26379
POSTGRES_PORT = 5432
# A name in the same network. It begins with a letter: 134744072 is an address on the internet.
BARE_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
POSTGRES_DRIVER = "postgresql+psycopg"
# SQLAlchemy's name of the driver, by the scheme that people write.
DRIVERS = {
    "postgres": POSTGRES_DRIVER,
    "postgresql": POSTGRES_DRIVER,
    POSTGRES_DRIVER: POSTGRES_DRIVER,
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
}

# No message quotes the address, nor the client's own error, which may quote a part of it.


def check_http_url(text: str) -> SplitResult:
    """The address in its parts. Raises ValueError, which says what is wrong."""
    problem = "has to be an http:// or https:// address"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(problem) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(problem)
    return parts


def check_stripe_url(text: str) -> None:
    """Raises ValueError, which says what is wrong, if no key must be sent to the address.

    `http://` may lead to this host, and to a name without a dot, as only a network of containers
    has: there the local Stripe is. That one is for keys of test mode alone (`leaves_host`).
    """
    parts = check_http_url(text)
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_this_host(host) and not BARE_NAME.fullmatch(host):
        raise ValueError(
            "is http:// to another host: whoever is on the way would read the key and people's "
            "data; use https://"
        )


def leaves_host(url: str) -> bool:
    """Whether what is sent to this address, which has been checked, leaves this host in clear."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_this_host(parts.hostname or "")


def is_this_host(host: str) -> bool:
    """Whether a name or an address is loopback's: nobody is on the way to it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """`redis+sentinel://[user:password@]host[:26379][,host…]/service[/database][?options]`.

    User and password are Redis'; the sentinels' are the options sentinel_username and
    sentinel_password. `rediss+sentinel://` speaks TLS to both.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    redis_url: str  # all but where Redis is: a redis:// or rediss:// address of another host
    username: str | None
    password: str | None


def parse_sentinel_url(text: str) -> SentinelAddress:
    """Raises ValueError, which says what is wrong."""
    scheme, _, rest = text.partition("+sentinel://")
    authority, _, path = rest.partition("/")
    user, at, hosts = authority.rpartition("@")
    path, _, query = path.partition("?")
    service, _, database = path.partition("/")
    try:
        found = [urlsplit(f"//{host}") for host in hosts.split(",")]
        addresses = tuple((one.hostname or "", one.port or SENTINEL_PORT) for one in found)
    except ValueError:
        addresses = ()
    if not addresses or not service or not all(host for host, _ in addresses):
        raise ValueError(
            "cannot be read: write redis+sentinel://user:password@host:26379,host:26379/service/0"
        )
    options = dict(parse_qsl(query))
    username = options.pop("sentinel_username", None)
    password = options.pop("sentinel_password", None)
    url = f"{scheme}://{user}{at}sentinel/{database}?{urlencode(options)}"
    return SentinelAddress(addresses, unquote(service), url, username, password)


def check_redis_url(text: str) -> None:
    """Raises ValueError, which says what is wrong, if Redis' client cannot use the address."""
    if text.startswith(SENTINEL_SCHEMES):
        text = parse_sentinel_url(text).redis_url
    if not text.startswith(REDIS_SCHEMES):
        raise ValueError("has to start with redis://, rediss://, redis+sentinel:// or unix://")
    try:
        pool = ConnectionPool.from_url(text)
    except ValueError:
        raise ValueError(
            "cannot be read: write redis://user:password@host:6379/0 or unix:///path"
        ) from None
    try:
        pool.make_connection()
        AsyncConnectionPool.from_url(text).make_connection()  # web has both
    except (TypeError, ValueError, RedisError):
        raise ValueError("has an option, after the ?, that Redis' client does not take") from None
    _check_tls_files(pool.connection_kwargs)


def _check_tls_files(options: Mapping[str, Any]) -> None:
    """Raises ValueError for files that no TLS connection can be made with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    files, folder = options.get("ssl_ca_certs"), options.get("ssl_ca_path")
    if files or folder:
        try:
            context.load_verify_locations(files, folder)
        except OSError:
            raise ValueError(
                "names by ssl_ca_certs or ssl_ca_path what is not there, or no certificate"
            ) from None
    certificate, key = options.get("ssl_certfile"), options.get("ssl_keyfile")
    if key and not certificate:
        raise ValueError("names a key by ssl_keyfile, and not its certificate by ssl_certfile")
    if certificate:
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(certificate, key, options.get("ssl_password", ""))
        except OSError:
            raise ValueError(
                "names by ssl_certfile and ssl_keyfile what is not there, cannot be read, or does "
                "not belong together; ssl_password is that of the key"
            ) from None


def parse_database_url(text: str) -> URL:
    """The address for SQLAlchemy. Raises ValueError, which says what is wrong."""
    scheme = text.partition("://")[0]
    if "://" not in text or scheme not in DRIVERS:
        raise ValueError("has to start with postgres://, postgresql:// or sqlite:///")
    try:
        url = _read_url(text).set(drivername=DRIVERS[scheme])
    except (ArgumentError, ValueError):
        raise ValueError(
            "cannot be read: write postgres://user:password@host:5432/name or sqlite:///file"
        ) from None
    if url.drivername == "sqlite":
        if url.host or url.username or url.password or url.port:
            raise ValueError("names a host or a user, which SQLite does not have: sqlite:///file")
        return url
    try:
        url.get_dialect()().create_connect_args(url)
    except ArgumentError:
        raise ValueError("names several hosts, and ports that do not match them") from None
    try:
        make_conninfo("", **{name: str(value) for name, value in url.query.items()})
    except (ProgrammingError, TypeError):
        raise ValueError("has an option, after the ?, that PostgreSQL does not take") from None
    return url


def _read_url(text: str) -> URL:
    """The address; several hosts as libpq has them, `one:5432,two:5432`, become two options."""
    scheme, _, rest = text.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, hosts = authority.rpartition("@")
    if "," not in hosts:
        return make_url(text)
    found = [urlsplit(f"//{host}") for host in hosts.split(",")]
    url = make_url(f"{scheme}://{user}{at}{rest.removeprefix(authority)}")
    return url.update_query_dict(
        {
            "host": ",".join(unquote(one.hostname or "") for one in found),
            "port": ",".join(str(one.port or POSTGRES_PORT) for one in found),
        }
    )


def describe_address(url: str) -> str:
    """Where an address points to, without what may be secret in it: user, password, options."""
    scheme, _, rest = url.partition("://")
    if scheme.startswith("sqlite"):
        return f"SQLite file {rest.partition('?')[0].removeprefix('/')}"
    server, *beyond = re.split(r"[/?#]", rest, maxsplit=1)
    host = server.rpartition("@")[2]
    if "@" in "".join(beyond):  # a password with a slash in it: what precedes that is no host
        return "its server"
    return host or "a socket"

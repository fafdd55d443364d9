"""The addresses of the stores: whether one can be used, and what of it may be shown.

The one judge of both, for settings, stores and the doctor. Nothing is connected.
"""

from __future__ import annotations

import re

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
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


def check_redis_url(text: str) -> None:
    """Raises ValueError, which says what is wrong, if Redis' client cannot use the address."""
    if not text.startswith(REDIS_SCHEMES):
        raise ValueError("has to start with redis://, rediss:// or unix://")
    try:
        pool = ConnectionPool.from_url(text)
    except ValueError:
        raise ValueError(
            "cannot be read: write redis://user:password@host:6379/0 or unix:///path"
        ) from None
    try:
        pool.make_connection()
    except (TypeError, ValueError, RedisError):
        raise ValueError("has an option, after the ?, that Redis' client does not take") from None


def parse_database_url(text: str) -> URL:
    """The address for SQLAlchemy. Raises ValueError, which says what is wrong."""
    scheme = text.partition("://")[0]
    if "://" not in text or scheme not in DRIVERS:
        raise ValueError("has to start with postgres://, postgresql:// or sqlite:///")
    try:
        url = make_url(text).set(drivername=DRIVERS[scheme])
    except (ArgumentError, ValueError):
        raise ValueError(
            "cannot be read: write postgres://user:password@host:5432/name or sqlite:///file"
        ) from None
    if url.drivername == "sqlite":
        if url.host or url.username or url.password or url.port:
            raise ValueError("names a host or a user, which SQLite does not have: sqlite:///file")
        return url
    try:
        make_conninfo("", **{name: str(value) for name, value in url.query.items()})
    except (ProgrammingError, TypeError):
        raise ValueError("has an option, after the ?, that PostgreSQL does not take") from None
    return url


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

"""What a release wrote into Redis and into its ledger, as text files: kept, and put back."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, cast

from redis import Redis

FOLDER = Path(__file__).parent
JOBS, LEDGER = "jobs.json", "ledger.sql"


def keep_jobs(redis: Redis, path: Path) -> None:
    """Every key with its type and value, one a line, in the order of their names."""
    keys = sorted(cast(list[bytes], redis.keys()))
    lines = [json.dumps([key.decode(), *_read(redis, key.decode())]) for key in keys]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def restore_jobs(redis: Redis, path: Path) -> None:
    """Put back what `keep_jobs` kept."""
    for key, kind, value in json.loads(path.read_text()):
        if kind == "hash":
            redis.hset(key, mapping=value)
        elif kind == "list":
            redis.rpush(key, *value)
        elif kind == "set":
            redis.sadd(key, *value)
        elif kind == "zset":
            redis.zadd(key, value)
        elif kind == "stream":
            redis.xadd(key, value)
        else:
            raise AssertionError(f"{key} is of the kind {kind}")


def keep_ledger(database: Path, path: Path) -> None:
    """A SQLite ledger as SQL."""
    with sqlite3.connect(database) as connection:
        path.write_text("\n".join(connection.iterdump()) + "\n")
    connection.close()


def restore_ledger(path: Path, database: Path) -> str:
    """The URL of a ledger that holds what `keep_ledger` kept."""
    with sqlite3.connect(database) as connection:
        connection.executescript(path.read_text())
    connection.close()
    return f"sqlite:///{database}"


def _read(redis: Any, key: str) -> tuple[str, Any]:
    kind = redis.type(key).decode()
    if kind == "hash":
        return kind, dict(
            sorted((name.decode(), v.decode()) for name, v in redis.hgetall(key).items())
        )
    if kind == "list":
        return kind, [one.decode() for one in redis.lrange(key, 0, -1)]
    if kind == "set":
        return kind, sorted(one.decode() for one in redis.smembers(key))
    if kind == "zset":
        return kind, {one.decode(): score for one, score in redis.zrange(key, 0, -1, withscores=1)}
    if kind == "stream":
        ((_, fields),) = redis.xrange(key)
        return kind, {name.decode(): value.decode() for name, value in fields.items()}
    raise AssertionError(f"{key} is of the kind {kind}")

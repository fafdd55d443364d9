"""What a release wrote into Redis and into its ledgers, as text files: kept, and put back."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, cast

import psycopg
from redis import Redis

from tests.support.postgres import client_programs

FOLDER = Path(__file__).parent
JOBS, STANDINGS, STATEMENTS = "jobs.json", "standings.json", "statements.json"
LEDGERS = {"sqlite": "ledger.sqlite.sql", "postgresql": "ledger.postgresql.sql"}
# The versions that have written something, in the order of their names.
RELEASES = sorted(path.parent.name for path in FOLDER.glob(f"*/{JOBS}"))
AT_REVISION = re.compile(r"""INSERT INTO "?alembic_version"? VALUES\('(\w+)'\)""")
# What pg_dump writes beside statements that make and fill tables: for psql, and for its own server.
NOT_OF_THE_LEDGER = re.compile(r"^(--|\\|SET |SELECT pg_catalog\.set_config).*\n|^\n", re.MULTILINE)


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


def file_of(url: str) -> str:
    """The path of a SQLite ledger."""
    return url.removeprefix("sqlite:///")


def dump(url: str, *, rows: bool = True) -> str:
    """A ledger as SQL: its schema, and its rows."""
    if url.startswith("sqlite"):
        with sqlite3.connect(file_of(url)) as connection:
            lines = list(connection.iterdump())
        connection.close()
        return "\n".join(one for one in lines if rows or not one.startswith("INSERT")) + "\n"
    options = ["--inserts", "--no-owner", "--no-privileges", *([] if rows else ["--schema-only"])]
    dumped = subprocess.run(
        [client_programs() / "pg_dump", *options, url],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return NOT_OF_THE_LEDGER.sub("", dumped.stdout)


def restore(sql: str, url: str) -> None:
    """Put back what `dump` gave, into an empty database."""
    if url.startswith("sqlite"):
        with sqlite3.connect(file_of(url)) as connection:
            connection.executescript(sql)
        connection.close()
        return
    with psycopg.connect(url) as server:
        server.execute(sql.encode())


def restore_ledger(release: str, url: str) -> None:
    """Put a release's ledger into an empty database."""
    kind = "sqlite" if url.startswith("sqlite") else "postgresql"
    restore((FOLDER / release / LEDGERS[kind]).read_text(), url)


def revision_of(release: str) -> str:
    """The migration that a release's ledger was at."""
    found = AT_REVISION.search((FOLDER / release / LEDGERS["sqlite"]).read_text())
    assert found is not None
    return found[1]


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

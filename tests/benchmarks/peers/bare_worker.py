"""The limit of a worker: takes a delivery from the list, writes its event's id, and commits.

It loses what it holds when it dies, and knows of no user: less than this no worker can do.
`migrate` as its argument creates the table.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import psycopg
from redis import Redis

TABLE = "CREATE TABLE events (id text PRIMARY KEY)"
EVENT = "INSERT INTO events (id) VALUES (%s) ON CONFLICT DO NOTHING"


def main() -> None:
    """Until it is killed."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        if sys.argv[1:] == ["migrate"]:
            connection.execute(TABLE)
            return
        redis = Redis.from_url(os.environ["REDIS_URL"])
        while True:
            found: Any = redis.blpop(["deliveries"])
            connection.execute(EVENT, [json.loads(found[1])["id"]])


if __name__ == "__main__":
    main()

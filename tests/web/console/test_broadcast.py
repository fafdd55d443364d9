"""One reader for all who watch what is live."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from app.web.console.broadcast import BEHIND, PING, Broadcast

SOON = 0.001


class Source:
    """Gives a new message at each reading, and counts them; a test may have it stand still."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.readings = 0
        self.still = False
        self.broken = False

    async def read(self) -> str:
        self.readings += 1
        if self.broken:
            raise ValueError("a fault of ours")
        return "still" if self.still else str(next(self.numbers))


def broadcast(source: Source, **seconds: float) -> Broadcast:
    return Broadcast(source.read, **{"interval": SOON, "heartbeat": 60, "lifetime": 60, **seconds})


async def first(messages: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(messages), 2)


async def to_the_end(messages: AsyncIterator[str]) -> None:
    async for _ in messages:
        pass


def test_all_viewers_get_the_same_of_one_reading() -> None:
    async def watch() -> None:
        source = Source()
        source.still = True
        live = broadcast(source, interval=60)
        viewers = [live.watch() for _ in range(50)]
        assert {await first(viewer) for viewer in viewers} == {"still"}
        assert (live.viewers, source.readings) == (50, 1)

    asyncio.run(watch())


def test_what_has_not_changed_is_not_sent_again() -> None:
    async def watch() -> None:
        source = Source()
        source.still = True
        viewer = broadcast(source, heartbeat=0.05).watch()
        assert [await first(viewer), await first(viewer)] == ["still", PING]
        assert source.readings > 2

    asyncio.run(watch())


def test_nothing_is_read_while_nobody_watches() -> None:
    async def watch() -> None:
        source = Source()
        live = broadcast(source)
        viewer = live.watch()
        await first(viewer)
        await viewer.aclose()
        await asyncio.sleep(0.02)
        readings = source.readings
        await asyncio.sleep(0.02)
        assert (source.readings, live.viewers) == (readings, 0)
        assert int(await first(live.watch())) > readings

    asyncio.run(watch())


def test_a_stream_ends_when_its_time_is_over() -> None:
    async def watch() -> None:
        source = Source()
        source.still = True
        live = broadcast(source, lifetime=0.05)
        assert [message async for message in live.watch()] == ["still"]
        assert live.viewers == 0

    asyncio.run(watch())


def test_who_does_not_keep_up_is_left_out_and_the_others_go_on() -> None:
    async def watch() -> None:
        source = Source()
        live = broadcast(source)
        slow, quick = live.watch(), live.watch()
        await first(slow)
        for _ in range(BEHIND + 5):
            await first(quick)
        with pytest.raises(StopAsyncIteration):
            await first(slow)
        assert live.viewers == 1
        await first(quick)

    asyncio.run(watch())


def test_a_fault_ends_the_streams_so_that_they_begin_anew() -> None:
    async def watch() -> None:
        source = Source()
        live = broadcast(source)
        viewer = live.watch()
        await first(viewer)
        source.broken = True
        await asyncio.wait_for(to_the_end(viewer), 2)
        source.broken = False
        await first(live.watch())

    asyncio.run(watch())

"""How long a connection without a request is kept."""

from __future__ import annotations

import asyncio

import pytest

from tests.web.processes import request
from tests.web.served import KEPT, connected

ASKED = request("GET", "/")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.connections.LOOK_EVERY", 0.02)


async def lasts(sent: list[tuple[float, bytes]]) -> float:
    """Seconds from the last of what is sent, each after a pause, to the end of the connection."""
    async with connected() as (reader, writer):
        for pause, part in sent:
            await asyncio.sleep(pause)
            writer.write(part)
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(60):
            await reader.read()
        return loop.time() - began


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "least"),
    [
        ([(0, ASKED)], KEPT),
        ([(0, ASKED), (KEPT * 0.7, ASKED)], KEPT),
        ([(0, ASKED), (KEPT * 0.7, ASKED), (KEPT * 0.7, ASKED)], KEPT),
        ([(0, request("GET", "/slow"))], KEPT * 2.5),
    ],
    ids=["one request", "two", "three", "a slow one"],
)
def test_a_connection_is_kept_for_so_long_after_its_last_answer(
    sent: list[tuple[float, bytes]], least: float
) -> None:
    assert least * 0.95 <= asyncio.run(lasts(sent)) <= least + 10  # of a loaded machine

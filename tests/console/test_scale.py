"""The console of a large deployment: no page is slow, and no delivery waits for those who look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.console.scale import Large, large

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]
MOST_MS = 100.0


@pytest.fixture(scope="module")
def deployment() -> Iterator[Large]:
    """A ledger of a million events, and a hundred thousand dead letters."""
    with large() as deployment:
        yield deployment


def test_every_page_is_there_within_a_tenth_of_a_second(deployment: Large) -> None:
    times = deployment.page_times()
    assert {path: found for path, found in times.items() if found.p99 >= MOST_MS} == {}


def test_fifty_viewers_cost_a_delivery_next_to_nothing(deployment: Large) -> None:
    alone = deployment.delivery_times("a")
    with deployment.viewers():
        beside = deployment.delivery_times("b")
    assert beside.p99 < max(3 * alone.p99, 50.0)

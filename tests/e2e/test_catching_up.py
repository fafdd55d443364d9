"""Whatever was lost on the way: afterwards every standing agrees with Stripe again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from rq.suspension import suspend

from app.local.scenarios import scenarios
from tests.e2e.catching_up import (
    DAY,
    IN_FLIGHT,
    advance,
    await_agreement,
    await_delivered,
    command,
    disagreeing,
    receive_webhooks,
    run_all,
)
from tests.e2e.parts import WITHIN, Product, running
from tests.support.waiting import eventually
from workers.worker import LOOK_AT_SUSPENSION


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("catching-up")) as product:
        # Redaction makes no event when it begins: only its end can be learnt from events.
        product.sandbox.control("redaction", {"seconds": 0})
        yield product


def wipe_redis_in_the_middle(product: Product, deliveries: int) -> None:
    """Scenarios with so many deliveries or more; the first half of them is queued, and lost."""
    suspend(product.redis)  # else the workers may have emptied the queue by then
    time.sleep(LOOK_AT_SUSPENSION)  # whoever is woken from now on looks first
    chosen = scenarios(deliveries // 3, seed=11)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(run_all, product, chosen)
        eventually(
            lambda: product.sandbox.control("deliveries")["deliveries"] > deliveries // 2,
            WITHIN * 10,
        )
        product.redis.flushall()  # and with the queue the suspension
        under_way.result()
    await_delivered(product)


@pytest.mark.slow
@pytest.mark.parametrize("deliveries", [300, 5_000])
def test_after_redis_was_wiped_in_the_middle_of_deliveries_one_backfill_restores_all(
    product: Product, deliveries: int
) -> None:
    wipe_redis_in_the_middle(product, deliveries)
    assert disagreeing(product)
    advance(product, IN_FLIGHT)  # from here on the clock's own backfill may be the first
    assert command(product, "backfill")["events"] >= deliveries
    await_agreement(product)


@pytest.mark.slow
def test_three_days_without_a_webhook_are_made_up_for_by_one_backfill(product: Product) -> None:
    chosen = scenarios(90, seed=12)
    run_all(product, chosen[:30])
    await_delivered(product)
    receive_webhooks(product, enabled=False)
    for first in (30, 50, 70):
        advance(product, DAY)
        run_all(product, chosen[first : first + 20])
    receive_webhooks(product, enabled=True)
    assert disagreeing(product)
    advance(product, IN_FLIGHT)
    found = command(product, "backfill", "--since", "30d")
    assert found["events"] == product.sandbox.control("deliveries")["events"]
    await_agreement(product)
    assert command(product, "backfill")["missing"] == 0

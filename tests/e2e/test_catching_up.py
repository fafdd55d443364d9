"""Whatever was lost on the way: afterwards every standing agrees with Stripe again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.ledger.ledger import Ledger
from app.ledger.tables import metadata
from app.local.demo import Comparison
from app.local.scenarios import Scenario, run, scenarios
from tests.e2e.parts import WITHIN, Product, running
from tests.sandbox.processes import ROOT
from tests.support.ledger import count_events
from tests.support.places import LIST
from tests.support.waiting import eventually

DAY = 86400
FOR_EACH = 0.1  # seconds more for each reference: a recheck is a call to Stripe
# A backfill leaves younger events to the webhook.
IN_FLIGHT = 120


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("catching-up")) as product:
        # Redaction makes no event when it begins: only its end can be learnt from events.
        product.sandbox.control("redaction", {"seconds": 0})
        yield product


def run_all(product: Product, chosen: list[Scenario]) -> None:
    """Run scenarios, several at the same time."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda scenario: run(scenario, product.sandbox), chosen))


def command(product: Product, *arguments: str) -> dict[str, Any]:
    """The command's JSON output."""
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments, "--json"],
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **product.stack.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def await_delivered(product: Product) -> None:
    """Stripe has nothing left to send, and the workers nothing left to do."""
    eventually(lambda: not product.sandbox.control("deliveries")["pending"], WITHIN)
    product.await_quiet()


def disagreeing(product: Product) -> list[Comparison]:
    """The references that do not stand as Stripe says."""
    truths = product.sandbox.truth()
    standings = dict(Ledger(product.engine).all_standings(livemode=False))
    compared = [Comparison(name, standings.get(name), truth) for name, truth in truths.items()]
    return [comparison for comparison in compared if not comparison.matches]


def await_agreement(product: Product) -> None:
    """Ties, two statuses of one second, are completed by rechecks some seconds later."""
    product.await_quiet()
    deadline = time.monotonic() + WITHIN + FOR_EACH * len(product.sandbox.truth())
    while (found := disagreeing(product)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == []


def advance(product: Product, seconds: float) -> None:
    product.sandbox.control("clock", {"advance": seconds})


# In one step: workers may have emptied the queue by the time that a second call arrives.
WIPE_WITH_EVENTS_QUEUED = """
if redis.call('LLEN', KEYS[1]) == 0 then return 0 end
redis.call('FLUSHALL')
return 1
"""


def wipe_redis_in_the_middle(product: Product, deliveries: int) -> None:
    """Scenarios with so many deliveries or more; events are lost once half have come."""
    chosen = scenarios(deliveries // 3, seed=11)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(run_all, product, chosen)
        eventually(
            lambda: product.sandbox.control("deliveries")["deliveries"] > deliveries // 2,
            WITHIN * 10,
        )
        eventually(lambda: product.redis.eval(WIPE_WITH_EVENTS_QUEUED, 1, LIST), WITHIN)
        under_way.result()
    await_delivered(product)


@pytest.mark.parametrize("deliveries", [300, pytest.param(5_000, marks=pytest.mark.slow)])
def test_after_redis_was_wiped_in_the_middle_of_deliveries_one_backfill_restores_all(
    product: Product, deliveries: int
) -> None:
    wipe_redis_in_the_middle(product, deliveries)
    advance(product, IN_FLIGHT)
    found = command(product, "backfill")
    assert found["events"] >= deliveries
    assert found["missing"] > 0
    await_agreement(product)


@pytest.mark.slow
def test_three_days_without_a_webhook_are_made_up_for_by_one_backfill(product: Product) -> None:
    chosen = scenarios(90, seed=12)
    run_all(product, chosen[:30])
    await_delivered(product)
    product.sandbox.control("webhooks", {"enabled": False})
    for first in (30, 50, 70):
        advance(product, DAY)
        run_all(product, chosen[first : first + 20])
    product.sandbox.control("webhooks", {"enabled": True})
    assert disagreeing(product)
    advance(product, IN_FLIGHT)
    found = command(product, "backfill", "--since", "30d")
    assert found["events"] == product.sandbox.control("deliveries")["events"]
    await_agreement(product)
    assert command(product, "backfill")["missing"] == 0


@pytest.mark.slow
def test_after_the_ledger_was_wiped_import_and_backfill_bring_back_every_standing(
    product: Product,
) -> None:
    run_all(product, scenarios(60, seed=13))
    await_delivered(product)
    advance(product, IN_FLIGHT)
    await_agreement(product)
    with product.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    sessions = product.sandbox.control("sessions")["data"]
    assert command(product, "import")["sessions"] == len(sessions)
    command(product, "backfill")
    await_agreement(product)
    assert count_events(product.engine) == product.sandbox.control("deliveries")["events"]

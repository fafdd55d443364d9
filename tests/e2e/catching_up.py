"""What the tests of losses share: scenarios at Stripe, commands, and waiting for agreement."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.ledger.ledger import Ledger
from app.local.comparison import Comparison
from app.local.scenarios import Scenario, run
from tests.e2e.parts import WITHIN, Product
from tests.notifications.receiver import Receiver
from tests.sandbox.processes import ROOT
from tests.support.waiting import eventually
from workers.clock import EFFECT_GRACE, EFFECTS_INTERVAL

DAY = 86400
FOR_EACH = 0.1  # seconds more for each reference: a recheck is a call to Stripe
# A backfill leaves younger events to the webhook.
IN_FLIGHT = 120


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
    """Ties, two statuses of one second, are completed by rechecks some seconds later.

    One that was lost with Redis is enqueued again by the clock, which gives its process time to.
    """
    product.await_quiet()
    patience = WITHIN + EFFECT_GRACE + EFFECTS_INTERVAL
    deadline = time.monotonic() + patience + FOR_EACH * len(product.sandbox.truth())
    while (found := disagreeing(product)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == []


def advance(product: Product, seconds: float) -> None:
    """Move Stripe's clock."""
    product.sandbox.control("clock", {"advance": seconds})


def receive_webhooks(product: Product, enabled: bool) -> None:
    """Whether what happens at Stripe from now on is delivered."""
    product.sandbox.control("webhooks", {"enabled": enabled})


def users_told(receiver: Receiver) -> dict[str, tuple[str, str]]:
    """Status and session of each user, of whom only a newer version changes the row."""
    versions: dict[str, int] = {}
    rows: dict[str, tuple[str, str]] = {}
    for message in list(receiver.accepted):
        user, standing = message["data"]["client_reference_id"], message["data"]["standing"]
        if standing["version"] > versions.get(user, 0):
            versions[user] = standing["version"]
            rows[user] = (standing["status"], standing["session_id"])
    return rows

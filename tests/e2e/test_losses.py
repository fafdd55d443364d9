"""A store is lost while Stripe goes on: afterwards all agree again, the team's receivers too."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from app.ledger.tables import metadata, standings
from app.local.scenarios import Scenario, scenarios
from tests.e2e.catching_up import (
    IN_FLIGHT,
    advance,
    await_agreement,
    await_delivered,
    command,
    receive_webhooks,
    run_all,
    users_told,
)
from tests.e2e.ledgers import ledger_of
from tests.e2e.parts import WITHIN, Product, running
from tests.notifications.receiver import SECRET, Receiver, receiving
from tests.support.waiting import eventually

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Team:
    """The product, and the team's system that it notifies."""

    product: Product
    receiver: Receiver

    @property
    def users(self) -> dict[str, tuple[str, str]]:
        """Status and session of each user, as the team's system knows them."""
        return users_told(self.receiver)

    def await_truth(self) -> None:
        """Ledger and receiver come to say what Stripe says."""
        await_agreement(self.product)
        truths = self.product.sandbox.truth()
        expected = {user: (truth.status, truth.session_id) for user, truth in truths.items()}
        try:
            eventually(lambda: self.users == expected, WITHIN)
        except AssertionError:
            assert self.users == expected
            raise


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def team(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Team]:
    url = ledger_of(request)
    with receiving() as receiver:
        notify = {
            "NOTIFY_URL": receiver.url,
            "NOTIFY_SECRET": SECRET,
            "NOTIFY_ALLOW_PRIVATE": "1",
        }
        with running(tmp_path_factory.mktemp("losses"), url, **notify) as product:
            # Redaction makes no event when it begins: only its end can be learnt from events.
            product.sandbox.control("redaction", {"seconds": 0})
            yield Team(product, receiver)


def dump(engine: Engine) -> Rows:
    """All that the database holds."""
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
        }


def restore(engine: Engine, rows: Rows) -> None:
    """Replace all that the database holds."""
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        for table in metadata.sorted_tables:
            if rows.get(table.name):
                connection.execute(table.insert(), rows[table.name])


def lose_ledger(product: Product, backup: Rows) -> None:
    restore(product.engine, {})


def lose_redis(product: Product, backup: Rows) -> None:
    product.redis.flushall()


def lose_both(product: Product, backup: Rows) -> None:
    lose_redis(product, backup)
    lose_ledger(product, backup)


def go_back_an_hour(product: Product, backup: Rows) -> None:
    restore(product.engine, backup)


def named(prefix: str, count: int, seed: int) -> list[Scenario]:
    """Scenarios of users that no other test has."""
    return [Scenario(prefix + one.reference, one.steps) for one in scenarios(count, seed)]


def live_on(team: Team, lost: str) -> Rows:
    """An hour at Stripe, of which the last part is not delivered; a backup of its beginning."""
    product = team.product
    run_all(product, named(f"{lost}_before_", 4, 21))
    await_delivered(product)
    backup = dump(product.engine)
    # The same users go on: their standings have the more versions.
    run_all(product, named(f"{lost}_before_", 4, 22))
    run_all(product, named(f"{lost}_since_", 2, 23))
    await_delivered(product)
    team.await_truth()
    receive_webhooks(product, enabled=False)
    run_all(product, named(f"{lost}_before_", 4, 24))
    run_all(product, named(f"{lost}_unheard_", 2, 25))
    receive_webhooks(product, enabled=True)
    return backup


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lose_ledger, marks=pytest.mark.slow),
        pytest.param(lose_redis, marks=pytest.mark.slow),
        pytest.param(lose_both, marks=pytest.mark.slow),
        pytest.param(go_back_an_hour, marks=pytest.mark.slow),
    ],
)
def test_after_a_loss_import_and_backfill_bring_ledger_and_receivers_to_the_truth(
    team: Team, lose: Callable[[Product, Rows], None]
) -> None:
    product = team.product
    backup = live_on(team, lose.__name__)
    with product.engine.connect() as connection:
        newest = connection.execute(select(func.max(standings.c.version))).scalar_one()
    eventually(lambda: time.time() > newest + 1, WITHIN)  # an hour would do
    lose(product, backup)
    advance(product, IN_FLIGHT)
    command(product, "import", "--notify")
    command(product, "backfill")
    team.await_truth()


@pytest.mark.slow  # it reads what the tests above have left, most of which are
def test_no_message_id_is_given_to_two_messages(team: Team) -> None:
    bodies: dict[str, set[str]] = {}
    for message in team.receiver.accepted:
        bodies.setdefault(message["id"], set()).add(json.dumps(message["data"], sort_keys=True))
    assert bodies
    assert [id for id, found in bodies.items() if len(found) > 1] == []

"""A Stripe account in the sandbox, and a ledger and a queue that have to keep up with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, text
from starlette.datastructures import Secret

from app.configuration.settings import Settings
from app.domain.standing import Standing
from app.ledger.tables import metadata
from app.local.sandbox_client import SandboxClient
from app.operations.backfill import Backfill
from app.stripe.retrying import StripeLists
from tests.sandbox.processes import Sandbox
from tests.support.places import counts
from tests.support.workers import worker_of
from workers.context import Context

KEY = "sk_test_123"
DAY = 86400
# Stripe forgets events after thirty days: so far apart, no test sees those of another.
APART = 32 * DAY


@dataclass
class Account:
    """What a test does at Stripe, and what came of it here."""

    sandbox: Sandbox
    context: Context
    engine: Engine

    @property
    def side(self) -> SandboxClient:
        return SandboxClient(self.sandbox.url, KEY)

    @property
    def stripe(self) -> Any:
        assert self.context.stores.stripe is not None
        return self.context.stores.stripe

    def stripe_now(self) -> float:
        """Stripe's clock."""
        return float(self.sandbox.control("GET", "/clock")["now"])

    def sessions(self) -> int:
        """How many Stripe has, those of earlier tests among them."""
        return len(self.sandbox.control("GET", "/sessions")["data"])

    def advance(self, seconds: float) -> None:
        """Move Stripe's clock."""
        self.sandbox.control("POST", "/clock", {"advance": seconds})

    def open(self, reference: str | None = "user-1", **params: Any) -> str:
        """A session that the team has opened."""
        if reference is not None:
            params["client_reference_id"] = reference
        sessions: Any = self.sandbox.client(KEY).v1.identity.verification_sessions
        return str(sessions.create({"type": "document", **params}).id)

    def verified(self, reference: str = "user-1") -> str:
        """A session through to its end: three events."""
        session = self.open(reference)
        self.sandbox.submit(session, "verified")
        return session

    def backfill(self, stripe: StripeLists | None = None, **options: Any) -> Backfill:
        """A run that has not begun."""
        return Backfill(stripe or self.stripe, self.context.stores, now=self.context.now, **options)

    def work(self) -> None:
        """Workers do all that is queued."""
        worker = worker_of(self.context.stores.redis, self.context)
        while counts(self.context.stores.events)["queued"]:
            worker.run_once()

    def standing(self, reference: str = "user-1") -> Standing | None:
        record = self.context.stores.ledger.read_reference(reference, livemode=False)
        return None if record is None else record.standing

    def status(self, reference: str = "user-1") -> str | None:
        """The reference's status; None if it was never seen."""
        standing = self.standing(reference)
        return None if standing is None else standing.status

    def wipe_ledger(self) -> None:
        """The database was lost, and migrated anew."""
        with self.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())

    def execute(self, statement: str, **values: Any) -> None:
        """Change the ledger behind its back."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)


@contextmanager
def opened_account(sandbox: Sandbox, redis_url: str, database_url: str) -> Iterator[Account]:
    """The account with an empty ledger and queue, long after what was done to it before."""
    sandbox.control("DELETE", "/faults")
    sandbox.control("POST", "/limits", {"per_second": None})
    for _ in range(2):  # at the first, what was still to happen happens
        sandbox.control("POST", "/clock", {"advance": APART})
    settings = Settings(
        stripe_api_key=Secret(KEY),
        stripe_api_base=sandbox.url,
        redis_url=Secret(redis_url),
        database_url=Secret(database_url),
    )
    context = Context.of(settings)
    account = Account(sandbox, context, context.stores.engine)
    account.context = replace(context, now=account.stripe_now)
    yield account
    context.stores.close()


class Lists:
    """Stripe's lists with something done to each question or answer."""

    def __init__(self, stripe: Any, asked: Callable[[dict[str, Any]], None]) -> None:
        self._stripe = stripe
        self._asked = asked

    def own_account(self) -> str | None:
        return str(self._stripe.own_account())

    def list_events(self, params: dict[str, Any], account: str = "") -> Any:
        self._asked(params)
        return self._stripe.list_events(params, account)

    def list_sessions(self, params: dict[str, Any], account: str = "") -> Any:
        self._asked(params)
        return self._stripe.list_sessions(params, account)

    def observe(self, session: Any, page: Any, account: str = "") -> Any:
        return self._stripe.observe(session, page, account)

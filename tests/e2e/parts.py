"""The whole product in processes, and a team's and Stripe's side of it."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from redis import Redis
from sqlalchemy import Engine, text

from app.ledger.engine import open_engine
from app.local.fault_injection import broken_session
from app.local.sandbox_client import SandboxClient
from app.local.stack import Secrets, Stack
from app.queue.backlog import read_backlog
from app.queue.connection import open_redis
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from tests.support.events import event_body
from tests.support.waiting import eventually

SECRETS = Secrets("whsec_" + "e" * 32, "sk_test_" + "e" * 32, "token-" + "e" * 32)
WITHIN = 30.0


@dataclass
class Product:
    """A running stack, and how to talk to it from outside."""

    stack: Stack
    engine: Engine
    redis: Redis
    sandbox: SandboxClient
    http: requests.Session
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def events(self) -> JobQueue:
        return JobQueue(self.redis, EVENTS)

    def counts(self) -> Mapping[str, int]:
        """How many events are queued, started, scheduled and failed."""
        return read_backlog(self.redis, EVENTS).counts

    def fresh(self, prefix: str) -> str:
        """An id that no other test uses."""
        return f"{prefix}_{next(self._numbers)}x"

    def deliver(self, body: bytes | dict[str, Any], secret: str = SECRETS.webhook) -> Any:
        """What the webhook answers to a signed delivery."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        now = int(time.time())
        signature = hmac.new(secret.encode(), f"{now}.".encode() + payload, hashlib.sha256)
        return self.http.post(
            self.stack.web + "/webhooks/stripe",
            data=payload,
            headers={
                "Stripe-Signature": f"t={now},v1={signature.hexdigest()}",
                "Content-Type": "application/json",
            },
            timeout=WITHIN,
        )

    def outcome(self, body: dict[str, Any]) -> str:
        """The outcome of a delivery that was accepted."""
        answer = self.deliver(body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["outcome"])

    def event(self, session: str, *names: str, **fields: Any) -> dict[str, Any]:
        """An event of the session, under an id of its own."""
        return event_body(*names, session=session, id=self.fresh("evt"), **fields)

    def read(self, reference: str, account: str = "") -> dict[str, Any] | None:
        """What the team's backend reads of a reference; None if the answer is 404."""
        answer = self.http.get(
            f"{self.stack.web}/v1/references/{quote(reference, safe='')}",
            params={"account": account} if account else {},
            headers={"Authorization": f"Bearer {SECRETS.api_token}"},
            timeout=WITHIN,
        )
        assert answer.status_code in (200, 404), answer.text
        return None if answer.status_code == 404 else dict(answer.json())

    def await_status(self, reference: str, status: str, account: str = "") -> dict[str, Any]:
        """The reference's record, as soon as it stands so."""

        def stands() -> dict[str, Any] | None:
            record = self.read(reference, account)
            return record if record and record["standing"]["status"] == status else None

        found = eventually(stands, WITHIN)
        assert found is not None
        return found

    def await_quiet(self) -> None:
        """Wait until no event is queued or in work."""
        eventually(lambda: not any(self.counts()[place] for place in ("queued", "started")), WITHIN)

    def is_dead(self, event_id: str) -> bool:
        return self.redis.zscore("rq:failed:identity-events", event_id) is not None

    @contextmanager
    def broken(self, session: str) -> Iterator[None]:
        """While inside, the database refuses the session's events."""
        if self.engine.dialect.name == "sqlite":
            with broken_session(self.engine, session):
                yield
            return
        rule = f"CHECK (session_id <> '{session}') NOT VALID"
        self._execute(f"ALTER TABLE events ADD CONSTRAINT fault {rule}")
        try:
            yield
        finally:
            self._execute("ALTER TABLE events DROP CONSTRAINT fault")

    def _execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))


@contextmanager
def running(folder: Path, database_url: str | None = None, **extra: str) -> Iterator[Product]:
    """The product with a ledger of its own, or the migrated one at `database_url`."""
    if database_url is not None:
        extra["DATABASE_URL"] = database_url
    stack = Stack(folder, SECRETS, extra=extra)
    with stack:
        stack.start()
        engine = open_engine(database_url or stack.database_url)
        try:
            with open_redis(stack.valkey.url) as redis, requests.Session() as http:
                sandbox = SandboxClient(stack.sandbox, SECRETS.api_key)
                yield Product(stack, engine, redis, sandbox, http)
        finally:
            engine.dispose()
    assert "Traceback" not in stack.tail(10_000)

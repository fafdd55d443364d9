"""The product with its console: web process, workers, a local Stripe, and hands to use them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
from argon2 import PasswordHasher

from app.configuration.settings import Settings
from app.domain.event import SessionEvent
from app.operations.backfill import Backfill
from app.queue.model import EFFECTS, EVENTS, NewJob, event_job
from tests.sandbox import processes as sandbox
from tests.support.deployment import Deployment
from tests.support.places import counts
from tests.support.waiting import eventually
from tests.web import processes as web
from tests.web.deliveries import SECRET, URL, signed
from tests.workers.process import started
from workers.context import Context

PASSWORD = "a horse, a battery and a staple"
READER, OPERATOR, REDACTOR = "rita", "oscar", "dora"
ROLES = {READER: "read", OPERATOR: "operate", REDACTOR: "redact"}
KEY = "sk_test_console"
WITHIN = 30.0


@dataclass
class Site:
    """A running product whose console people can sign in to."""

    url: str
    web: web.Web
    sandbox: sandbox.Sandbox
    deployment: Deployment
    environment: dict[str, str]
    # Ids that addresses of pages hold, by the words that stand for them there.
    ids: dict[str, str] = field(default_factory=dict)

    def deliver(self, *bodies: dict[str, Any]) -> None:
        """Send these events as Stripe does."""
        with requests.Session() as http:
            for body in bodies:
                sent = json.dumps(body).encode()
                answer = http.post(self.url + URL, data=sent, headers=signed(sent), timeout=WITHIN)
                assert answer.ok, answer.text

    def backfill(self) -> None:
        """Bring what Stripe has, and no webhook told of, into the queue."""
        stores = self.deployment.stores
        for _ in Backfill(stores.require_stripe(), stores, now=self.deployment.context.now).steps():
            pass

    def open_session(self, reference: str | None = None) -> str:
        """A session at Stripe."""
        named = {} if reference is None else {"client_reference_id": reference}
        sessions: Any = self.sandbox.client(KEY).v1.identity.verification_sessions
        return str(sessions.create({"type": "document", **named}).id)

    def await_quiet(self) -> None:
        """Wait until no worker has anything to do now."""
        queues = (self.deployment.stores.events, self.deployment.stores.effects)

        def quiet() -> bool:
            found = [counts(queue) for queue in queues]
            return not any(each[place] for each in found for place in ("queued", "started"))

        eventually(quiet, WITHIN, "quiet")

    def status(self, reference: str) -> str | None:
        """How the reference stands; None if it was never seen."""
        record = self.deployment.ledger.read_reference(reference, livemode=False)
        return None if record is None else record.standing.status

    @contextmanager
    def signed_in(self, name: str) -> Iterator[requests.Session]:
        """Calls of somebody who has signed in, without a browser."""
        with requests.Session() as http:
            form = {"name": name, "password": PASSWORD}
            headers = {"Origin": self.url}
            answer = http.post(self.url + "/console/sign-in", form, headers=headers, timeout=WITHIN)
            answer.raise_for_status()
            yield http

    @contextmanager
    def workers(self) -> Iterator[None]:
        """While inside, workers do what there is to do."""
        settings = {**self.environment, "EVENT_WORKERS": "1"}
        with started("-m", "workers", **settings) as told:
            for queue in (EVENTS, EFFECTS):
                told.await_line(queue.name, seconds=WITHIN)
            try:
                yield
            finally:
                told.process.terminate()
                told.ended(WITHIN)


@cache
def hashed() -> str:
    """The hash of the one password that everybody has here."""
    return PasswordHasher().hash(PASSWORD)


def console_users() -> str:
    """CONSOLE_USERS with somebody of each role."""
    return "\n".join(f"{name}:{role}:{hashed()}" for name, role in ROLES.items())


def job_of(body: dict[str, Any]) -> NewJob:
    """The job that the web process makes of an event."""
    event = SessionEvent.parse(body)
    assert event is not None
    return event_job(event)


@contextmanager
def opened(folder: Path, redis_url: str, database_url: str, **other: str) -> Iterator[Site]:
    """The product on an empty Redis and a migrated ledger; its logs are in the folder.

    `other` settings go over the usual ones.
    """
    with sandbox.running("--seed", "51") as stripe:
        settings = {
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_API_KEY": KEY,
            "STRIPE_API_BASE": stripe.url,
            "REDIS_URL": redis_url,
            "DURABILITY": "memory",
            "DATABASE_URL": database_url,
            "NOTIFY_STREAM": "told",
            "MAX_ATTEMPTS": "3",
            "REDACT_AFTER_DAYS": "90",
            "CONSOLE_USERS": console_users(),
            "CONSOLE_INSECURE_COOKIE": "1",
            **other,
        }
        context = Context.of(Settings.from_environment(settings))
        with (
            patch("workers.jobs.log"),
            patch("workers.worker.log"),
            web.running(folder, **settings) as process,
        ):
            environment = {**web.environment(**settings), "PATH": os.environ["PATH"]}
            deployment = Deployment(context, database_url)
            url = f"http://127.0.0.1:{process.port}"
            yield Site(url, process, stripe, deployment, environment)
        context.stores.close()

"""One sandbox for each module; each test finds it well-behaved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.sandbox.processes import Receiver, Sandbox, receiving, running


@pytest.fixture(scope="module")
def process() -> Iterator[Sandbox]:
    with running("--seed", "7") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(process: Sandbox) -> Iterator[Sandbox]:
    yield process
    process.control("DELETE", "/faults")
    process.control("POST", "/limits", {"per_second": None})
    process.control("POST", "/redaction", {"seconds": 4 * 24 * 3600, "canceled": "attempted"})
    process.control("POST", "/webhooks", {"enabled": True})
    process.control(
        "POST",
        "/chaos",
        {"duplicate": 0, "reorder": 0, "delay": 0, "drop": 0, "second_secret": None},
    )


@pytest.fixture
def client(sandbox: Sandbox) -> stripe.StripeClient:
    return sandbox.client()


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    """A receiver; a test enables the endpoint itself."""
    with receiving() as receiver:
        yield receiver
        endpoints = sandbox.client().v1.webhook_endpoints
        for endpoint in endpoints.list().data:
            endpoints.delete(endpoint.id)

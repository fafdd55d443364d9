"""A user is redacted in a running product: nothing of the person stays but the tombstone.

The tombstone is the standing with its sessions, under the team's own `client_reference_id`: status,
times, codes and ids of Stripe's. Whom it is about is named in two tables alone, and in what a
receiver was told of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from app.domain.event import SessionEvent
from app.ledger.engine import for_reading
from app.ledger.tables import metadata
from app.local.valkey import free_port
from app.queue.model import EVENTS, NewJob, event_job
from app.queue.transitions import JobQueue
from tests.e2e.ledgers import ledger_of
from tests.e2e.parts import SECRETS, Product, running
from tests.e2e.test_canaries import CANARY, in_redis, places_with, planted
from tests.support.waiting import eventually

REFERENCE = "R3FERENCE-of-a-person"
TOMBSTONE = {"standings", "sessions"}
STREAM = "changes"


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def product(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    url = ledger_of(request)
    receivers = {
        "NOTIFY_URL": f"http://127.0.0.1:{free_port()}/",  # nobody is there: all is deferred
        "NOTIFY_SECRET": "whsec_" + "c" * 40,
        "NOTIFY_ALLOW_PRIVATE": "1",
        "NOTIFY_STREAM": STREAM,
    }
    with running(tmp_path_factory.mktemp("product"), url, **receivers) as product:
        yield product


@pytest.fixture(scope="module")
def redacted(product: Product) -> dict[str, Any]:
    """A life with faults, and its redaction; what Stripe last said of the session."""
    session = attempts_and_success(product)
    letters(product, session)
    before = places_with(REFERENCE, product)
    product.sandbox.control("redaction", {"seconds": 0})
    answer = call(product, "POST", f"references/{quote(REFERENCE)}/redact")
    assert answer["sessions"][0]["redaction"] == "asked"
    eventually(lambda: shown(product, session)["redaction"] == "redacted", 30)
    eventually(lambda: REFERENCE not in what_is_dead(product), 30)
    late_letter(product, session)
    product.await_quiet()
    # What is appended to is rewritten as it grows, and holds what was for so long.
    product.redis.bgrewriteaof()
    eventually(lambda: not product.redis.info("persistence")["aof_rewrite_in_progress"], 30)
    return {"before": before, "session": session}


def call(product: Product, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """What our API answers to the team's backend."""
    answer = product.http.request(
        method,
        f"{product.stack.web}/v1/{path}",
        json=body,
        headers={"Authorization": f"Bearer {SECRETS.api_token}"},
        timeout=30,
    )
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json())


def attempts_and_success(product: Product) -> str:
    """A session that the team starts, with two attempts; its id."""
    started = {
        "type": "document",
        "client_reference_id": REFERENCE,
        "metadata": {"note": CANARY},
        "provided_details": {"email": f"{CANARY}@example.com"},
    }
    session = str(call(product, "POST", "verification_sessions", started)["id"])
    for outcome in ("document_expired", "verified"):
        given = {"reason": CANARY} if outcome != "verified" else {}
        body = {"outcome": outcome, "verified_outputs": {"first_name": CANARY}, **given}
        product.sandbox.control(f"sessions/{session}/submit", body)
        eventually(lambda: shown(product, session)["status"] != "processing", 30)
    product.await_status(REFERENCE, "verified")
    return session


def letters(product: Product, session: str) -> None:
    """An event of the session that is dead, and one that waits for its next try."""
    dead = planted(product.event(session, "processing", "processing", reference=REFERENCE))
    with product.broken(session):
        assert product.outcome(dead) == "enqueued"
        eventually(lambda: product.is_dead(dead["id"]), 30)
    body = planted(product.event(session, "processing", "processing", reference=REFERENCE))
    event = SessionEvent.parse(body)
    assert event is not None
    job = event_job(event)
    deferred = NewJob(job.id, job.payload, job.description, 3600)
    assert JobQueue(product.redis, EVENTS).enqueue(deferred) == "enqueued"


def late_letter(product: Product, session: str) -> None:
    """An event that is delivered after the purge, and dies."""
    body = planted(product.event(session, "processing", "processing", reference=REFERENCE))
    with product.broken(session):
        assert product.outcome(body) == "enqueued"
        eventually(lambda: product.is_dead(body["id"]), 30)


def shown(product: Product, session: str) -> dict[str, Any]:
    """How the ledger's API shows the session."""
    record = product.read(REFERENCE)
    assert record is not None
    return next(dict(each) for each in record["sessions"] if each["id"] == session)


def what_is_dead(product: Product) -> str:
    """All that Redis holds, but for the stream."""
    return "\n".join(
        line for line in in_redis(product.redis).split("\n") if f"b'{STREAM}'" not in line
    )


def tables_with(product: Product, text: str) -> set[str]:
    """The tables of which a row holds the text."""
    with for_reading(product.engine).connect() as connection:
        return {
            table.name
            for table in metadata.sorted_tables
            if text in repr(connection.execute(select(table)).all())
        }


def test_the_reference_was_wherever_the_search_looks(redacted: dict[str, Any]) -> None:
    assert "redis" in redacted["before"]
    assert any(name.endswith(".aof") for name in redacted["before"])


def test_the_standing_keeps_its_outcome_and_is_marked(
    product: Product, redacted: dict[str, Any]
) -> None:
    record = product.await_status(REFERENCE, "verified")
    assert record["standing"]["redaction"] == "redacted"


def test_the_letters_are_still_there(product: Product, redacted: dict[str, Any]) -> None:
    counts = product.counts()
    assert (counts["failed"], counts["scheduled"]) == (2, 1)


def test_the_notifications_that_nobody_took_are_still_there(
    product: Product, redacted: dict[str, Any]
) -> None:
    assert product.redis.zcard("rq:scheduled:identity-effects") > 0
    assert product.redis.xlen(STREAM) > 0


def test_no_planted_value_is_anywhere(product: Product, redacted: dict[str, Any]) -> None:
    assert places_with(CANARY, product) == []
    assert tables_with(product, CANARY) == set()


def test_nothing_in_redis_names_the_person_but_what_a_reader_was_told(
    product: Product, redacted: dict[str, Any]
) -> None:
    assert REFERENCE not in what_is_dead(product)


def test_the_tombstone_alone_names_the_person_in_the_ledger(
    product: Product, redacted: dict[str, Any]
) -> None:
    assert tables_with(product, REFERENCE) == TOMBSTONE


def test_no_report_is_named_anywhere(product: Product, redacted: dict[str, Any]) -> None:
    reports = product.sandbox.control("sessions")["data"]
    assert reports
    assert places_with("vr_", product) == []
    assert tables_with(product, "vr_") == set()


def test_no_log_names_the_person(product: Product, redacted: dict[str, Any]) -> None:
    logs = [name for name in places_with(REFERENCE, product) if name.endswith(".log")]
    assert logs == []

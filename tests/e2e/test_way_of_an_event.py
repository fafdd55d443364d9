"""An event's way from a signed delivery to the answer that the team's backend gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import stripe

from tests.e2e.parts import SECRETS, Product, running
from tests.support.events import OPENED
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database
from tests.support.waiting import eventually


@pytest.fixture(
    scope="module",
    params=[
        "sqlite",
        "postgresql",
    ],
)
def product(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("product")
    if request.param == "sqlite":
        with running(folder) as product:
            yield product
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.url(server.create_database())
    migrate_database(url)
    with running(folder, url) as product:
        yield product


@pytest.fixture(autouse=True)
def all_is_well(product: Product) -> Iterator[None]:
    """No test kills a process, or leaves a worker that has stuck."""
    yield
    assert product.stack.dead() is None
    reference = product.fresh("after")
    assert product.outcome(product.event(product.fresh("vs"), reference=reference)) == "enqueued"
    product.await_status(reference, "requires_input")


def test_a_signed_event_is_a_standing_that_the_team_can_read(product: Product) -> None:
    session, reference = product.fresh("vs"), product.fresh("user")
    assert product.read(reference) is None
    event = product.event(session, "verified", "verified", reference=reference, at=OPENED + 60)
    assert product.outcome(event) == "enqueued"
    record = product.await_status(reference, "verified")
    assert record["standing"]["session_id"] == session
    assert record["standing"]["verified_at"] == OPENED + 60
    assert [line["event_id"] for line in record["timeline"]] == [event["id"]]


def test_an_event_that_comes_ten_times_is_one_line_in_the_timeline(product: Product) -> None:
    reference = product.fresh("user")
    event = product.event(product.fresh("vs"), "verified", "verified", reference=reference)
    outcomes = [product.outcome(event) for _ in range(10)]
    assert outcomes == ["enqueued"] + ["duplicate"] * 9
    product.await_quiet()
    # Where Redis has forgotten that it had it, the ledger has not.
    product.redis.delete(f"rq:job:{event['id']}")
    assert product.outcome(event) == "enqueued"
    product.await_quiet()
    record = product.await_status(reference, "verified")
    assert [line["version"] for line in record["timeline"]] == [record["standing"]["version"]]


def test_events_in_reverse_order_give_what_the_right_order_gives(product: Product) -> None:
    def lived(reference: str, backwards: bool) -> dict[str, object]:
        session = product.fresh("vs")
        life = [
            product.event(session, "created", reference=reference, at=OPENED),
            product.event(session, "processing", "processing", reference=reference, at=OPENED + 1),
            product.event(
                session,
                "requires_input",
                reference=reference,
                at=OPENED + 2,
                error="abandoned",
                report="vr_1",
            ),
            product.event(session, "processing", "processing", reference=reference, at=OPENED + 3),
            product.event(session, "verified", "verified", reference=reference, at=OPENED + 4),
        ]
        for event in reversed(life) if backwards else life:
            assert product.outcome(event) == "enqueued"
            product.await_quiet()
        standing = product.await_status(reference, "verified")["standing"]
        return {k: v for k, v in standing.items() if k not in ("session_id", "version")}

    straight = lived(product.fresh("user"), backwards=False)
    assert lived(product.fresh("user"), backwards=True) == straight
    assert straight["attempts"] == 1


LONG = "L" * 4_990


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("NUL \0 inside", False),
        ("\0", False),
        ("lone \ud800 surrogate", False),
        ("\udfff", False),
        (LONG + "L" * 11, False),
        ("", False),
        (17, False),
        (LONG + "L" * 10, True),
        ("é😀/../?&#%00 ' \" ; --", True),
    ],
    ids=["NUL", "only NUL", "surrogate", "only surrogate", "5001", "empty", "17", "5000", "odd"],
)
def test_no_reference_however_odd_holds_up_the_events_behind_it(
    product: Product, bad: object, named: bool
) -> None:
    session, reference = product.fresh("vs"), product.fresh("user")
    odd = product.event(session, "verified", "verified", reference=bad)
    good = product.event(product.fresh("vs"), "verified", "verified", reference=reference)
    assert product.outcome(odd) == "enqueued"
    assert product.outcome(good) == "enqueued"
    product.await_status(reference, "verified")
    product.await_quiet()
    assert product.redis.hget(f"rq:job:{odd['id']}", "status") == b"finished"
    if named:
        record = product.await_status(str(bad), "verified")
        assert record["client_reference_id"] == bad


def test_a_delivery_that_cannot_be_read_is_refused_and_holds_up_nothing(product: Product) -> None:
    for body in (b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000, b'{"type": 1}', b"{}"):
        assert product.deliver(body).status_code == 400


def test_a_delivery_signed_with_another_secret_changes_nothing(product: Product) -> None:
    reference = product.fresh("user")
    event = product.event(product.fresh("vs"), "verified", "verified", reference=reference)
    assert product.deliver(event, secret="whsec_another").status_code == 400
    product.await_quiet()
    assert product.read(reference) is None


def test_a_resend_of_a_dead_letter_puts_it_back(product: Product) -> None:
    session, reference = product.fresh("vs"), product.fresh("user")
    event = product.event(session, "verified", "verified", reference=reference)
    with product.broken(session):
        assert product.outcome(event) == "enqueued"
        eventually(lambda: product.is_dead(event["id"]))
        assert product.read(reference) is None
    assert product.outcome(event) == "replayed"
    record = product.await_status(reference, "verified")
    assert len(record["timeline"]) == 1


def test_a_dead_letter_that_an_operator_replays_is_applied(product: Product) -> None:
    session, reference = product.fresh("vs"), product.fresh("user")
    event = product.event(session, "verified", "verified", reference=reference)
    with product.broken(session):
        product.outcome(event)
        eventually(lambda: product.is_dead(event["id"]))
    assert product.events.replay([event["id"]]) == 1
    product.await_status(reference, "verified")


def test_what_happens_at_stripe_comes_to_stand_in_the_ledger(product: Product) -> None:
    reference = product.fresh("user")
    session = product.sandbox.create(reference)
    product.await_status(reference, "requires_input")
    product.sandbox.submit(session, "document_expired")
    eventually(lambda: (product.read(reference) or {})["standing"]["attempts"] == 1, 30)
    record = product.await_status(reference, "requires_input")
    assert record["standing"]["next_step"] == "use_another_document"
    product.sandbox.submit(session, "verified")
    product.await_status(reference, "verified")


@pytest.mark.parametrize("payload", ["snapshot", "thin"])
def test_an_event_of_a_connected_account_is_that_accounts(product: Product, payload: str) -> None:
    destination = {
        "url": product.stack.web + "/webhooks/stripe",
        "secret": SECRETS.webhook,
        "events_from": ["@accounts"],
        "event_payload": payload,
    }
    added = product.sandbox.control("event_destinations", destination)
    account, reference = f"acct_{payload}", product.fresh("user")
    client = stripe.StripeClient(
        SECRETS.api_key, base_addresses={"api": product.stack.sandbox}, stripe_account=account
    )
    session = client.v1.identity.verification_sessions.create(
        {"type": "document", "client_reference_id": reference}
    )
    product.sandbox.submit(session.id, "verified")
    record = product.await_status(reference, "verified", account=account)
    assert record["standing"]["session_id"] == session.id
    assert product.read(reference) is None  # of our own account there is none
    requests.delete(f"{product.stack.sandbox}/_sandbox/event_destinations/{added['id']}", timeout=9)

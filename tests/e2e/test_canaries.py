"""Secrets and personal data are planted wherever Stripe sends them, and are found nowhere."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from redis import Redis

from tests.e2e.parts import Product, running
from tests.support.waiting import eventually
from tests.telemetry.sink import environment, listening

CANARY = "K4NARY"
# Where Stripe's side keeps what it knows: its own files, not ours.
STRIPES = ("sandbox.json", "sandbox.log")


def planted(body: dict[str, Any]) -> dict[str, Any]:
    """The event, with a canary in every field that must not be kept."""
    marked = json.loads(json.dumps(body).replace("KEEP-OUT", CANARY))
    session = marked["data"]["object"]
    session |= {
        "client_secret": f"vs_secret_{CANARY}1",
        "url": f"https://verify.stripe.com/{CANARY}2",
        "verified_outputs": {"first_name": f"{CANARY}3", "id_number": f"{CANARY}4"},
        "provided_details": {"email": f"{CANARY}5@example.com"},
        "metadata": {"note": f"{CANARY}6", f"{CANARY}7": "x"},
        "options": {"document": {f"{CANARY}8": f"{CANARY}9"}},
    }
    if session["last_error"]:
        session["last_error"]["reason"] = f"the document of {CANARY}"
    return dict(marked)


def unpacked(entry: Any) -> dict[bytes, bytes]:
    """An entry of a stream, with what RQ has compressed in plain text."""
    found = dict(entry)
    if b"exc_string" in found:
        found[b"exc_string"] = zlib.decompress(b64decode(found[b"exc_string"]))
    return found


def in_redis(redis: Redis) -> str:
    """Every value of every key, read by its type, and as the server would hand it on."""
    read: dict[Any, Callable[[bytes], Any]] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"none": lambda key: None,  # gone since it was named
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"stream": lambda key: [unpacked(entry) for _, entry in cast(Any, redis.xrange(key))],
    }
    keys = list(redis.scan_iter())
    return "\n".join(repr((key, read[redis.type(key)](key), redis.dump(key))) for key in keys)


def places_with(text: str, product: Product) -> list[str]:
    """Where the text is to be found: Redis, and each file that is ours."""
    found = ["redis"] if text in in_redis(product.redis) else []
    for file in sorted(product.stack.folder.rglob("*")):
        if file.is_file() and file.name not in STRIPES and text.encode() in file.read_bytes():
            found.append(file.name)
    return found


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("product")
    settings = {"REFERENCE_METADATA_KEYS": "user_id", "MAX_ATTEMPTS": "2"}
    # What leaves by traces, and reports of bugs, is looked through as files are.
    with (
        listening(folder / "exported") as sink,
        running(folder, **settings, **environment(sink)) as product,
    ):
        yield product


@pytest.fixture(scope="module")
def flown(product: Product) -> list[str]:
    """The whole flow, faults included; gives the secrets that Stripe itself has made."""
    reference = "visible-reference"
    refused_deliveries(product)
    sessions_that_die_and_are_replayed(product, reference)
    made = session_at_stripe(product)
    product.await_quiet()
    return made


def refused_deliveries(product: Product) -> None:
    """Bodies that are signed but cannot be read, and one that is not signed."""
    good = planted(product.event("vs_refused"))
    for field, wrong in (
        ("status", f"{CANARY} is no status"),
        ("created", CANARY),
        ("last_error", CANARY),
        ("id", f"vs {CANARY}"),
    ):
        bad = json.loads(json.dumps(good))
        bad["data"]["object"][field] = wrong
        assert product.deliver(bad).status_code == 400
    for body in (f'{{"{CANARY}'.encode(), CANARY.encode() + b"\xff"):
        assert product.deliver(body).status_code == 400
    assert product.deliver(good, secret=f"whsec_{CANARY}").status_code == 400
    headers = {"Stripe-Signature": f"t=1,v1={CANARY}", "Authorization": f"Bearer {CANARY}"}
    for path in ("/webhooks/stripe", f"/v1/references/{CANARY}?livemode={CANARY}"):
        method = "GET" if "references" in path else "POST"
        requests.request(method, product.stack.web + path, headers=headers, timeout=30)


def sessions_that_die_and_are_replayed(product: Product, reference: str) -> None:
    """Each kind of event, buried, replayed, and delivered once more."""
    bodies = [
        planted(product.event("vs_dies", *names, reference=reference, **fields))
        for names, fields in (
            (("created", "requires_input"), {}),
            (("processing", "processing"), {"at": 1_700_000_010}),
            (("requires_input", "requires_input"), {"at": 1_700_000_020, "error": "abandoned"}),
            (("verified", "verified"), {"at": 1_700_000_030}),
            (("canceled", "canceled"), {"at": 1_700_000_030}),
            (("redacted", "canceled"), {"at": 1_700_000_040, "redaction": "redacted"}),
        )
    ]
    ids = [body["id"] for body in bodies]
    with product.broken("vs_dies"):
        for body in bodies:
            assert product.outcome(body) == "enqueued"
        eventually(lambda: all(product.is_dead(id) for id in ids))
        assert CANARY not in in_redis(product.redis)
    assert product.events.replay(ids[:3]) == 3
    for body in bodies:
        product.outcome(body)
    product.await_status(reference, "canceled")


def session_at_stripe(product: Product) -> list[str]:
    """Stripe's own session, with a real secret and address; two failures end in a cancel."""
    base, key = product.stack.sandbox, product.stack.secrets.api_key
    made = requests.post(
        f"{base}/v1/identity/verification_sessions",
        auth=(key, ""),
        data={
            "type": "document",
            "metadata[user_id]": "another-reference",
            "metadata[note]": f"{CANARY}-note",
            "provided_details[email]": f"{CANARY}@example.com".lower(),
        },
        timeout=30,
    )
    assert made.ok, made.text
    session = made.json()
    for _ in range(2):
        product.sandbox.control(
            f"sessions/{session['id']}/submit",
            {"outcome": "document_expired", "reason": f"{CANARY}-reason"},
        )
        eventually(lambda: truth(product, session["id"])["status"] == "requires_input")
    product.await_status("another-reference", "canceled")
    return [session["client_secret"], session["url"], f"{CANARY}@example.com".lower()]


def truth(product: Product, session: str) -> Any:
    found = product.sandbox.control("sessions")["data"]
    return next(each for each in found if each["id"] == session)


def test_the_search_finds_what_is_kept(product: Product, flown: list[str]) -> None:
    found = places_with("visible-reference", product)
    assert any(name.endswith(".aof") for name in found)
    assert any(name.startswith("identity.db") for name in found)
    assert "workers.log" in places_with("job buried", product)
    assert "exported" in places_with("vs_dies", product)
    assert "web.log" in places_with("delivery refused", product)


def test_no_planted_value_is_anywhere(product: Product, flown: list[str]) -> None:
    assert places_with(CANARY, product) == []


def test_no_reference_leaves_by_traces(product: Product, flown: list[str]) -> None:
    assert "exported" not in places_with("visible-reference", product)


def test_no_planted_value_and_no_reference_is_in_the_metrics(
    product: Product, flown: list[str]
) -> None:
    headers = {"Authorization": f"Bearer {product.stack.secrets.api_token}"}
    metrics = requests.get(product.stack.web + "/metrics", headers=headers, timeout=30).text
    assert "identity_deliveries_total" in metrics
    assert CANARY not in metrics
    assert "visible-reference" not in metrics


def test_no_secret_that_stripe_made_is_anywhere(product: Product, flown: list[str]) -> None:
    assert all(flown)
    assert [places_with(secret, product) for secret in flown] == [[]] * len(flown)


def test_no_secret_of_our_own_is_in_a_log(product: Product, flown: list[str]) -> None:
    keys = product.stack.secrets
    for secret in (keys.webhook, keys.api_key, keys.api_token):
        assert places_with(secret, product) == []


def test_no_log_holds_a_traceback(product: Product, flown: list[str]) -> None:
    assert "Traceback" not in product.stack.tail(100_000)


def test_the_logs_are_where_we_look(product: Product) -> None:
    logs = {file.name for file in Path(product.stack.folder).glob("*.log")}
    assert logs == {"web.log", "workers.log", "sandbox.log"}

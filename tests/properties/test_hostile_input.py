"""Whatever a sender sends is taken, or refused in our words: signatures, events, parameters.

Each is tried for a moment here, and for many minutes under the `soak` marker.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.types import Message

from app.configuration.credentials import SigningSecret
from app.domain.errors import BadSignature, UnreadableEvent
from app.domain.event import SessionEvent
from app.domain.snapshot import MetadataKeys
from app.domain.thin_event import ThinEvent
from app.queue.model import decode, encode, event_job
from app.stripe.query import query_of
from app.stripe.signatures import verify
from app.web.minimise import minimise
from app.web.parameters import BadParameter, query_parameters, read_parameters
from tests.domain.strategies import json_values
from tests.support.events import event_body, full_body, paths, with_value
from tests.support.fuzzing import A_FEW, MANY, soak

NOW = 1_700_000_000
SECRETS = [SigningSecret(Secret("whsec_a"), None), SigningSecret(Secret("whsec_b"), True)]
KEYS = MetadataKeys(("user_id",), "purpose")


# --- signatures -----------------------------------------------------------------------------------


def signature_of(body: bytes, secret: str) -> str:
    return hmac.digest(secret.encode(), b"%d." % NOW + body, "sha256").hex()


BODIES = st.binary(max_size=40)
PARTS = st.sampled_from(
    ["t", "=", ",", " ", "v1", "v0", "v2", f"t={NOW}", "v1=", "A", "B", "C", "T=", "\x00", "é"]
)
HEADERS = st.lists(
    PARTS | st.text(max_size=3) | st.text("0123456789abcdef", max_size=64), max_size=12
)


def check_signature(body: bytes, header: list[str]) -> None:
    """Who passes has signed: A and B stand for signatures of our secrets, C for another's."""
    signatures = {
        name: signature_of(body, secret)
        for name, secret in (("A", "whsec_a"), ("B", "whsec_b"), ("C", "whsec_c"))
    }
    told = "".join(signatures.get(part, part) for part in header)
    try:
        text, _ = verify(body, told, SECRETS, NOW)
    except BadSignature:
        return
    assert text.encode() == body
    assert f"t={NOW}" in told.replace(" ", "")
    assert signatures["A"] in told.replace(" ", "") or signatures["B"] in told.replace(" ", "")


test_only_who_has_signed_passes = A_FEW(given(BODIES, HEADERS)(check_signature))
test_only_who_has_signed_passes_at_length = soak(MANY(given(BODIES, HEADERS)(check_signature)))


# --- events ---------------------------------------------------------------------------------------

EVENTS = [
    full_body(),
    full_body(reference=None),
    event_body(),
    event_body(metadata={"user_id": "u"}),
]
PATHS = sorted({path for body in EVENTS for path in paths(body)})
CHANGES = st.lists(st.tuples(st.sampled_from(PATHS), json_values), max_size=3)
CUTS = st.none() | st.tuples(
    st.integers(0, 3_000), st.integers(0, 30), st.text('{}[]",:\\ntrue0123.eE-\ud800', max_size=4)
)


def check_event(body: dict[str, Any], changes: list[tuple[tuple[str, ...], Any]], cut: Any) -> None:
    """What is taken comes out of the queue as it went in."""
    for path, value in changes:
        with suppress(KeyError, TypeError):  # an earlier change has taken the place away
            body = with_value(body, path, value)
    text = json.dumps(body)
    if cut is not None:
        start, length, put = cut
        start %= len(text)
        text = text[:start] + put + text[start + length :]
    text = text.encode(errors="replace").decode()  # a body is UTF-8
    try:
        event = minimise(text, KEYS)
    except UnreadableEvent:
        return
    if isinstance(event, SessionEvent | ThinEvent):
        job = event_job(event)
        [packed] = decode(encode("function", job.payload)).arguments
        assert type(event).unpack(packed) == event


ANY_EVENT = (st.sampled_from(EVENTS), CHANGES, CUTS)
test_an_event_that_is_taken_leaves_the_queue_as_it_came = A_FEW(given(*ANY_EVENT)(check_event))
test_an_event_that_is_taken_leaves_the_queue_as_it_came_at_length = soak(
    MANY(given(*ANY_EVENT)(check_event))
)


# --- parameters -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


async def read(body: bytes, type: str) -> dict[str, Any]:
    """The parameters of a request with this body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    headers = [(b"content-type", type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    return await read_parameters(Request(scope, receive))


def of_query(query: str) -> dict[str, Any]:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    return query_parameters(Request({**scope, "query_string": query.encode()}))


NAMES = st.text("ab[]0123 \x00é%", max_size=8)
FORMS = st.lists(st.tuples(NAMES, st.text(max_size=4)), max_size=6).map(urlencode) | st.text(
    "ab[]=&;%01+\x00é", max_size=40
)
JSON_BODIES = (
    st.dictionaries(st.text(max_size=5) | st.just("metadata"), json_values, max_size=4).map(
        json.dumps
    )
    | json_values.map(json.dumps)
    | st.text('{}[]",:\\ntrue0123.eE- ', max_size=20)
)


def check_form(loop: asyncio.AbstractEventLoop, text: str) -> None:
    """What is read can be sent on to Stripe, and is read there as it was here."""
    form = "application/x-www-form-urlencoded"
    try:
        found = loop.run_until_complete(read(text.encode(errors="replace"), form))
    except BadParameter:
        return
    assert of_query(query_of(found)) == found


def check_json(loop: asyncio.AbstractEventLoop, text: str) -> None:
    """What is read can be sent on to Stripe."""
    try:
        found = loop.run_until_complete(read(text.encode(errors="replace"), "application/json"))
    except BadParameter:
        return
    of_query(query_of(found))


test_a_form_is_sent_on_as_it_was_read = A_FEW(given(text=FORMS)(check_form))
test_a_form_is_sent_on_as_it_was_read_at_length = soak(MANY(given(text=FORMS)(check_form)))
test_a_json_body_that_is_read_can_be_sent_on = A_FEW(given(text=JSON_BODIES)(check_json))
test_a_json_body_that_is_read_can_be_sent_on_at_length = soak(
    MANY(given(text=JSON_BODIES)(check_json))
)

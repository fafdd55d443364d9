"""Whatever a sender does, the answer has Stripe's error shape, and is never a 5xx."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, MutableMapping
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from starlette.applications import Starlette
from starlette.datastructures import Secret
from starlette.routing import Route
from starlette.testclient import TestClient

from app.configuration.credentials import SigningSecret
from app.configuration.settings import Settings
from app.domain.event import EVENT_TYPES
from app.queue.model import NewJob
from app.web.application import WebApplication
from app.web.errors import EXCEPTION_HANDLERS
from app.web.main import create_app
from app.web.webhooks import MAX_BODY, StripeWebhook, refuse
from tests.support.events import event_body
from tests.web.deliveries import SECRET, URL, event, header, signature, signed


def assert_refused(answer: httpx2.Response, status: int) -> None:
    """One status, and the shape of https://docs.stripe.com/api/errors."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) <= {"type", "message", "param"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]


def changed(*path: str, to: Any) -> bytes:
    """A body with one field changed."""
    body = event_body()
    at = body
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = to
    return json.dumps(body).encode()


BODY = event()
NOW = int(time.time())
HEADERS = {
    "empty": "",
    "garbage": "garbage",
    "commas": ",,,",
    "equals": "=,=,=",
    "non-ASCII": header(BODY)[:-1] + "é",
    "non-ASCII alone": "t=1,v1=\N{LATIN SMALL LETTER SHARP S}",
    "only the older scheme": f"t={NOW},v0={signature(BODY, at=NOW)}",
    "no signature": f"t={NOW}",
    "no time": f"v1={signature(BODY, at=NOW)}",
    "time without value": f"t,v1={signature(BODY, at=NOW)}",
    "empty time": f"t=,v1={signature(BODY, at=NOW)}",
    "two times": f"t={NOW},{header(BODY, at=NOW)}",
    "two times, one of them old": f"t={NOW},{header(BODY, at=NOW - 9_999)}",
    "a negative time": f"t=-{NOW},v1={signature(BODY, at=NOW)}",
    "a time of digits of another script": "t=\N{ARABIC-INDIC DIGIT ONE},v1=x",
    "a time without end": f"t={'9' * 5_000},v1=x",
    "a signature in capitals": header(BODY, at=NOW).upper(),
    "an unknown secret": header(BODY, "whsec_unknown"),
    "a future beyond the tolerance": header(BODY, at=NOW + 900),
    "a past beyond the tolerance": header(BODY, at=NOW - 900),
    "another body": header(event("evt_2")),
    "60 KB": f"t={NOW},v1=" + "a" * 60_000,
    "10,000 signatures": f"t={NOW}" + ",v1=a" * 10_000,
}


@pytest.mark.parametrize("told", HEADERS.values(), ids=HEADERS.keys())
def test_a_bad_signature_is_400(client: TestClient, redis: Redis, told: str) -> None:
    answer = client.post(URL, content=BODY, headers={b"Stripe-Signature": told.encode("utf-8")})
    assert_refused(answer, 400)
    assert redis.keys("rq:*") == []


def test_no_signature_at_all_is_400(client: TestClient) -> None:
    assert_refused(client.post(URL, content=BODY), 400)


def test_two_signature_headers_are_400(client: TestClient) -> None:
    answer = client.post(URL, content=BODY, headers=[*signed(BODY).items(), *signed(BODY).items()])
    assert_refused(answer, 400)


SIGNED = {
    "nothing": b"",
    "not JSON": b"not JSON",
    "half of it": BODY[: len(BODY) // 2],
    "two of them": BODY + BODY,
    "an array": b"[" + BODY + b"]",
    "an empty array": b"[]",
    "a text": b'"evt_1"',
    "a number": b"7",
    "null": b"null",
    "true": b"true",
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "a number without end": b"9" * 5_000,
    "a number without end inside": b'{"type": ' + b"9" * 5_000 + b"}",
    "a large float": b'{"type": 1e999}',
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "open brackets": b"[" * 400_000,
    "not UTF-8": BODY[:-1] + b', "x": "\xff\xfe"}',
    "UTF-16": BODY.decode().encode("utf-16"),
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "a byte order mark": b"\xef\xbb\xbf" + BODY,
    "NULs": b"\0" * 100,
    "no type": b"{}",
    "a type that is a list": b'{"type": []}',
    "gzip": b"\x1f\x8b\x08\x00" + b"\x00" * 50,
}


@pytest.mark.parametrize("body", SIGNED.values(), ids=SIGNED.keys())
def test_what_is_signed_but_cannot_be_read_is_400(
    client: TestClient, redis: Redis, body: bytes
) -> None:
    assert_refused(client.post(URL, content=body, headers=signed(body)), 400)
    assert redis.keys("rq:*") == []


def test_an_announced_compression_changes_nothing(client: TestClient) -> None:
    headers = {**signed(BODY), "Content-Encoding": "gzip", "Content-Type": "text/\xff"}
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    assert client.post(URL, content=BODY, headers=encoded).json() == {"outcome": "enqueued"}


WRONG: list[Any] = [
    None,
    7,
    -1,
    1.5,
    True,
    "",
    "a b",
    "x" * 256,
    "\0",
    "\ud800",
    "é",
    [],
    {},
    [{}],
    10**30,
]
FIELDS = [
    ("id",),
    ("type",),
    ("created",),
    ("livemode",),
    ("account",),
    ("data",),
    ("data", "object"),
    *(
        ("data", "object", name)
        for name in (
            "id",
            "status",
            "type",
            "created",
            "client_reference_id",
            "metadata",
            "last_error",
            "last_verification_report",
            "redaction",
        )
    ),
]


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
def test_a_wrong_type_in_a_field_is_200_or_400(client: TestClient, path: tuple[str, ...]) -> None:
    for value in WRONG:
        body = changed(*path, to=value)
        answer = client.post(URL, content=body, headers=signed(body))
        if answer.status_code != 200:
            assert_refused(answer, 400)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "evt:1"),
        (("id",), "evt.1"),
        (("id",), None),
        (("created",), True),
        (("created",), 1.0),
        (("created",), 10**12),
        (("livemode",), "false"),
        (("account",), ["acct_1"]),
        (("data",), []),
        (("data", "object", "id"), "vs 1"),
        (("data", "object", "status"), None),
        (("data", "object", "last_error"), "abandoned"),
    ],
    ids=str,
)
def test_a_field_that_we_need_has_to_be_of_stripes_form(
    client: TestClient, path: tuple[str, ...], value: object
) -> None:
    body = changed(*path, to=value)
    assert_refused(client.post(URL, content=body, headers=signed(body)), 400)


def test_a_refusal_quotes_nothing_of_the_delivery(client: TestClient) -> None:
    planted = "PLANTED-VALUE"
    for path in FIELDS:
        body = changed(*path, to=planted + " ")
        answer = client.post(URL, content=body, headers=signed(body))
        assert planted not in answer.text
    answer = client.post(URL, content=BODY, headers={"Stripe-Signature": f"t=1,v1={planted}"})
    assert planted not in answer.text


def test_a_body_over_the_limit_is_413(client: TestClient) -> None:
    fits = BODY + b" " * (MAX_BODY - len(BODY))
    assert client.post(URL, content=fits, headers=signed(fits)).status_code == 200
    larger = fits + b" "
    answer = client.post(URL, content=larger, headers=signed(larger))
    assert_refused(answer, 413)
    assert answer.headers["connection"] == "close"
    assert answer.json()["error"]["message"] == f"the body is over {MAX_BODY} bytes"


def test_a_body_over_the_limit_in_parts_is_413(client: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * (MAX_BODY // 10)

    assert_refused(client.post(URL, content=parts(), headers=signed(b"")), 413)


def converse(app: Starlette, body: list[bytes], then: str) -> list[MutableMapping[str, Any]]:
    """What the app sends to one who sends these parts, and `then` waits or disconnects."""
    parts = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    sent: list[MutableMapping[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": URL,
        "query_string": b"",
        "headers": [(b"stripe-signature", header(b"".join(body)).encode())],
    }

    async def receive() -> MutableMapping[str, Any]:
        if parts:
            return parts.pop(0)
        if then == "waits":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize("then", ["waits", "disconnects"])
@pytest.mark.parametrize("body", [[], [b"{"], [b"{"] * 50], ids=["none", "begun", "in parts"])
def test_a_body_that_never_comes_is_408(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, body: list[bytes], then: str
) -> None:
    monkeypatch.setattr("app.web.body.BODY_TIMEOUT", 0.05)
    start, content = converse(create_app(Settings.from_environment(environment)), body, then)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(content["body"])["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_405(client: TestClient, method: str) -> None:
    answer = client.request(method, URL)
    assert_refused(answer, 405)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/", "/webhooks", URL + "/", URL + "/x", "/v1/references", "/%00", "/\N{SNOWMAN}"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404(client: TestClient, method: str, path: str) -> None:
    assert_refused(client.request(method, path), 404)


class Taker:
    """Takes every job, as Redis does; what it takes has to be JSON."""

    def submit(self, job: NewJob) -> asyncio.Future[str]:
        json.dumps(job.payload).encode()
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        outcome.set_result("enqueued")
        return outcome


TAKER = StripeWebhook(
    Taker(),
    Settings(
        webhook_secrets=(SigningSecret(Secret(SECRET), None),), reference_metadata_keys=("user_id",)
    ),
    time.time,
)
APP = WebApplication(
    TAKER,
    routes=[Route(URL, refuse, methods=["POST"])],
    exception_handlers=EXCEPTION_HANDLERS,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)
SESSION = st.dictionaries(
    st.sampled_from([path[-1] for path in FIELDS if len(path) == 3]),
    JSON | st.just(1) | st.just("vs_1"),
)
EVENT = st.fixed_dictionaries(
    {
        "type": st.sampled_from(sorted(EVENT_TYPES)),
        "data": st.fixed_dictionaries({"object": SESSION}),
    },
    optional={"id": JSON, "created": JSON, "livemode": JSON, "account": JSON},
)


@pytest.fixture(scope="module")
def taking() -> Iterator[TestClient]:
    with TestClient(APP) as client:
        yield client


FUZZ = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@FUZZ
@given(body=st.binary(max_size=300) | JSON.map(json.dumps).map(str.encode))
def test_no_signed_body_is_5xx(taking: TestClient, body: bytes) -> None:
    assert taking.post(URL, content=body, headers=signed(body)).status_code in (200, 400)


@FUZZ
@given(body=EVENT)
def test_no_signed_event_is_5xx(taking: TestClient, body: dict[str, Any]) -> None:
    encoded = json.dumps(body).encode()
    assert taking.post(URL, content=encoded, headers=signed(encoded)).status_code in (200, 400)


@FUZZ
@given(change=st.dictionaries(st.sampled_from([path[-1] for path in FIELDS]), JSON, max_size=3))
def test_no_signed_event_with_some_fields_changed_is_5xx(
    taking: TestClient, change: dict[str, Any]
) -> None:
    body = event_body()
    session = body["data"]["object"]
    for name, value in change.items():
        (session if name in session else body)[name] = value
    encoded = json.dumps(body).encode()
    assert taking.post(URL, content=encoded, headers=signed(encoded)).status_code in (200, 400)


@FUZZ
@given(told=st.binary(max_size=80))
def test_no_header_is_5xx(taking: TestClient, told: bytes) -> None:
    told = bytes(byte for byte in told if byte not in b"\r\n\0")
    answer = taking.post(URL, content=BODY, headers={b"Stripe-Signature": told})
    assert answer.status_code == 400

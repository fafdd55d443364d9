"""`Idempotency-Key` at a start: the same key and parameters give the same session."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from redis import Redis

from tests.sandbox.processes import Sandbox
from tests.support.places import everything
from tests.web.sessions.conftest import (
    AT_STRIPE,
    BASE,
    BEARER,
    Backend,
    Recorder,
    error_of,
)


def start(backend: Backend, reference: str, key: str, **params: Any) -> httpx2.Response:
    body = {"type": "document", "client_reference_id": reference} | params
    return backend.post("", body, {"Idempotency-Key": key})


def test_the_key_goes_to_stripe(told: Backend, recorder: Recorder) -> None:
    assert start(told, "user-1", "a key").status_code == 200
    assert recorder.last["idempotency-key"] == "a key"


def test_the_same_key_gives_the_same_session_as_it_is_now(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    first = start(backend, reference, reference).json()
    again = start(backend, reference, reference).json()
    assert (first["resumed"], again["resumed"]) == (False, True)
    assert again["id"] == first["id"]
    sandbox.submit(first["id"], "verified")
    late = start(backend, reference, reference)
    assert (late.status_code, late.json()["id"], late.json()["status"]) == (
        200,
        first["id"],
        "verified",
    )
    assert backend.reference(reference).json()["standing"]["status"] == "verified"
    assert error_of(start(backend, reference, reference + "-2"), 409)["code"] == (
        "reference_verified"
    )


def test_the_same_key_with_other_parameters_is_stripes_error(
    backend: Backend, reference: str
) -> None:
    start(backend, reference, reference)
    for other in ({"metadata": {"a": "b"}}, {"reverify": True}):
        error = error_of(start(backend, reference, reference, **other), 400)
        assert error["type"] == "idempotency_error"
        assert reference in error["message"]
    error = error_of(start(backend, reference + "-x", reference), 400)
    assert error["type"] == "idempotency_error"
    assert backend.at_stripe(reference + "-x") == []


def test_another_key_resumes_the_open_session(backend: Backend, reference: str) -> None:
    first = start(backend, reference, reference).json()
    other = start(backend, reference, reference + "-2").json()
    assert (other["id"], other["resumed"]) == (first["id"], True)
    # It stands for that session too.
    assert error_of(start(backend, reference, reference + "-2", metadata={"a": "b"}), 400)


def test_what_was_refused_may_be_asked_for_better_with_the_same_key(
    backend: Backend, reference: str
) -> None:
    error_of(start(backend, reference, reference, return_url="nonsense"), 400)
    assert start(backend, reference, reference).status_code == 200


def test_a_lost_answer_is_made_up_for_by_the_same_key(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "hang_up": "after"})
    error_of(start(backend, reference, reference), 503)
    again = start(backend, reference, reference)
    assert [again.json()["id"]] == backend.at_stripe(reference)


def test_a_key_that_only_stripe_remembers_gives_its_session_as_it_is_now(
    backend: Backend, sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    first = start(backend, reference, reference).json()
    assert backend.post(f"/{first['id']}/cancel").status_code == 200
    redis.flushall()
    again = start(backend, reference, reference).json()
    assert (again["id"], again["status"], again["resumed"]) == (first["id"], "canceled", True)
    other = start(backend, reference, reference + "-2").json()
    assert other["id"] != first["id"]


def test_a_key_of_a_session_that_is_over_closes_no_other(
    backend: Backend, redis: Redis, reference: str
) -> None:
    first = start(backend, reference, reference).json()
    assert backend.post(f"/{first['id']}/cancel").status_code == 200
    flow = {"client_reference_id": reference, "verification_flow": "vf_1"}
    other = backend.post("", flow).json()
    redis.flushall()  # now only Stripe remembers the key
    again = start(backend, reference, reference).json()
    assert (again["id"], again["status"]) == (first["id"], "canceled")
    assert backend.get("/" + other["id"]).json()["status"] == "requires_input"


def test_accounts_have_keys_of_their_own(backend: Backend, reference: str) -> None:
    own = start(backend, reference, reference).json()
    params = {"type": "document", "client_reference_id": reference}
    headers = {"Stripe-Account": "acct_1", "Idempotency-Key": reference}
    other = backend.post("", params, headers)
    assert other.status_code == 200
    assert other.json()["id"] != own["id"]


@pytest.mark.parametrize("key", ["k" * 256, b"\xe9"])
def test_a_key_that_stripe_would_not_take_is_400(
    told: Backend, recorder: Recorder, key: Any
) -> None:
    body = {"type": "document", "client_reference_id": "user-1"}
    answer = told.client.post(BASE, json=body, headers={**BEARER, "Idempotency-Key": key})
    assert "Idempotency-Key" in error_of(answer, 400)["message"]
    assert recorder.asked == []


def test_redis_holds_neither_the_key_nor_the_reference(
    backend: Backend, redis: Redis, reference: str
) -> None:
    start(backend, reference, f"{reference}-key", metadata={"name": "Jenny"})
    held = repr(everything(redis))
    assert "identity:idempotency:" in held
    assert reference not in held
    assert "Jenny" not in held
    assert all(redis.ttl(name) > 0 for name in redis.scan_iter("identity:idempotency:*"))

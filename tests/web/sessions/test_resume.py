"""Resume means what was asked: the open session becomes it, or gives way to one that is it."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from tests.sandbox.processes import Sandbox
from tests.support.places import everything
from tests.web.sessions.conftest import AT_STRIPE, Backend, error_of

SELFIE = {"document": {"require_matching_selfie": True}}
HOME, AWAY = "https://example.com/home", "https://example.com/away"


def at_stripe(backend: Backend, reference: str) -> dict[str, str]:
    """The status of each of the reference's sessions."""
    found = backend.sandbox.control("GET", "/sessions")["data"]
    return {s["id"]: s["status"] for s in found if s["client_reference_id"] == reference}


def in_ledger(backend: Backend, reference: str) -> dict[str, str]:
    sessions = backend.reference(reference).json()["sessions"]
    return {session["id"]: session["status"] for session in sessions}


def test_a_stronger_check_is_asked_for_in_the_same_session(
    backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    again = backend.created(reference, options=SELFIE)
    assert (again["id"], again["resumed"]) == (made["id"], True)
    assert again["options"]["document"]["require_matching_selfie"] is True
    weaker = backend.created(reference)
    assert weaker["id"] == made["id"]
    assert "document" not in (weaker["options"] or {})


def test_another_type_and_other_metadata_and_details_are_updated(
    backend: Backend, reference: str
) -> None:
    made = backend.created(reference, metadata={"plan": "gold", "note": "x"})
    again = backend.created(
        reference,
        type="id_number",
        metadata={"plan": "red"},
        provided_details={"email": "jenny@example.com"},
    )
    assert (again["id"], again["resumed"]) == (made["id"], True)
    assert again["type"] == "id_number"
    assert again["metadata"] == {"plan": "red", "note": "x"}
    assert again["provided_details"] == {"email": "jenny@example.com"}
    assert again["url"]
    assert in_ledger(backend, reference) == {made["id"]: "requires_input"}
    (session,) = backend.reference(reference).json()["sessions"]
    assert session["type"] == "id_number"


def test_what_is_as_asked_is_not_updated(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    params: dict[str, Any] = {"options": SELFIE, "metadata": {"plan": "gold"}, "return_url": HOME}
    made = backend.created(reference, **params)
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "status": 400})
    assert backend.created(reference, **params)["id"] == made["id"]


def test_a_stronger_check_is_not_refused_because_of_a_weaker_one(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    plain = backend.created(reference)
    sandbox.submit(plain["id"], "verified")
    assert error_of(backend.create(reference), 409)["code"] == "reference_verified"
    selfie = backend.created(reference, options=SELFIE)
    assert selfie["resumed"] is False
    sandbox.control("POST", "/clock", {"advance": 5})  # of two verified in one second, any is last
    sandbox.submit(selfie["id"], "verified")
    for options in (SELFIE, {}):
        error = error_of(backend.create(reference, options=options), 409)
        assert error["code"] == "reference_verified"
    standing = backend.reference(reference).json()["standing"]
    assert (standing["type"], standing["options"]) == ("document", SELFIE)
    number = backend.created(reference, type="id_number")
    assert number["id"] not in (plain["id"], selfie["id"])


def test_another_flow_takes_the_place_of_the_open_session(backend: Backend, reference: str) -> None:
    plain = backend.created(reference)
    flow = backend.post("", {"client_reference_id": reference, "verification_flow": "vf_1"}).json()
    assert flow["resumed"] is False
    expected = {plain["id"]: "canceled", flow["id"]: "requires_input"}
    assert at_stripe(backend, reference) == in_ledger(backend, reference) == expected
    again = backend.post("", {"client_reference_id": reference, "verification_flow": "vf_1"}).json()
    assert (again["id"], again["resumed"]) == (flow["id"], True)
    assert backend.created(reference)["resumed"] is False


def test_another_return_address_takes_the_place_of_the_open_session(
    backend: Backend, reference: str
) -> None:
    home = backend.created(reference, return_url=HOME)
    again = backend.created(reference, return_url=HOME, metadata={"plan": "gold"})
    assert (again["id"], again["metadata"]) == (home["id"], {"plan": "gold"})
    assert backend.created(reference)["id"] == home["id"]  # none is asked for
    away = backend.created(reference, return_url=AWAY)
    assert away["resumed"] is False
    expected = {home["id"]: "canceled", away["id"]: "requires_input"}
    assert at_stripe(backend, reference) == in_ledger(backend, reference) == expected
    back = backend.created(reference, return_url=HOME)
    assert back["id"] not in (home["id"], away["id"])


@pytest.mark.parametrize("made_with", [None, HOME])
def test_a_return_address_that_is_not_known_is_taken_for_another(
    backend: Backend, sandbox: Sandbox, reference: str, made_with: str | None
) -> None:
    params = {"type": "document", "client_reference_id": reference}
    sessions: Any = sandbox.client().v1.identity.verification_sessions
    elsewhere = sessions.create(params | ({"return_url": made_with} if made_with else {})).id
    started = backend.created(reference, return_url=HOME)
    assert started["resumed"] is False
    assert at_stripe(backend, reference) == {
        elsewhere: "canceled",
        started["id"]: "requires_input",
    }


def test_a_lost_answer_with_a_return_address_leaves_one_session(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    sandbox.control("POST", "/faults", {"path": AT_STRIPE, "method": "POST", "hang_up": "after"})
    error_of(backend.create(reference, return_url=HOME), 503)
    again = backend.created(reference, return_url=HOME)
    assert again["resumed"] is True
    assert at_stripe(backend, reference) == {again["id"]: "requires_input"}
    assert backend.created(reference, return_url=HOME, metadata={"a": "b"})["id"] == again["id"]


def test_if_the_other_session_cannot_be_made_the_open_one_stays(
    backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    assert error_of(backend.create(reference, return_url="nonsense"), 400)["param"] == "return_url"
    flow = backend.post("", {"client_reference_id": reference, "verification_flow": "flow"})
    assert error_of(flow, 400)
    assert at_stripe(backend, reference) == {made["id"]: "requires_input"}


def test_what_stripe_refuses_at_a_start_it_refuses_at_a_resume(
    backend: Backend, reference: str
) -> None:
    made = backend.created(reference)
    for params, param in (
        ({"type": "passport"}, "type"),
        ({"options": {"document": {"color": "red"}}}, "options[document][color]"),
        ({"metadata": {"k" * 41: "x"}}, "metadata"),
        ({"color": "red"}, "color"),
    ):
        assert error_of(backend.create(reference, **params), 400)["param"].startswith(param)
    assert at_stripe(backend, reference) == {made["id"]: "requires_input"}


def test_an_old_session_that_could_not_be_closed_is_closed_by_the_next_start(
    backend: Backend, sandbox: Sandbox, reference: str
) -> None:
    old = backend.created(reference, return_url=HOME)
    fault = {"path": f"{AT_STRIPE}/{old['id']}/cancel", "method": "POST", "status": 503}
    sandbox.control("POST", "/faults", fault)
    error_of(backend.create(reference, return_url=AWAY), 503)
    assert sorted(at_stripe(backend, reference).values()) == ["requires_input"] * 2
    sandbox.control("POST", "/clock", {"advance": 1})
    started = backend.created(reference, return_url=AWAY)
    assert started["resumed"] is True
    assert at_stripe(backend, reference) == {
        old["id"]: "canceled",
        started["id"]: "requires_input",
    }


def test_redis_holds_no_return_address(backend: Backend, redis: Redis, reference: str) -> None:
    backend.created(reference, return_url=f"{HOME}?user={reference}")
    held = repr(everything(redis))
    assert "identity:return-url:" in held
    assert "example.com" not in held
    assert reference not in held
    assert all(redis.ttl(name) > 0 for name in redis.scan_iter("identity:return-url:*"))

"""The parts that need no server: what they decide, from a given clock and randomness."""

from __future__ import annotations

import ast
import hashlib
import hmac
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.sandbox import params, storage
from deploy.sandbox.accounts import OWN, Scope
from deploy.sandbox.chaos import Chaos
from deploy.sandbox.clock import Clock
from deploy.sandbox.deliveries import Retries, signature_header
from deploy.sandbox.endpoints import Endpoint
from deploy.sandbox.errors import StripeError
from deploy.sandbox.events import TYPES, Event
from deploy.sandbox.ids import Ids
from deploy.sandbox.schedule import Copy, Schedule
from deploy.sandbox.session import LAST_ERRORS
from deploy.sandbox.state import NO_REQUEST, State

ENDPOINT = Endpoint("we_1", "http://127.0.0.1/", "whsec_1", False, 0)


def event(number: int, session: str = "vs_1") -> Event:
    return Event(f"evt_{number}", TYPES[0], 0, False, {"id": session}, NO_REQUEST)


def state() -> State:
    return State(Clock(wall=lambda: 1000.0), Ids(random.Random(1)))


@given(
    st.lists(
        st.sampled_from(["verified", *LAST_ERRORS, "cancel", "redact", "later", "advance"]),
        max_size=20,
    )
)
def test_any_life_keeps_the_rules_of_a_session(steps: list[str]) -> None:
    world = state()
    session = world.create({"type": "document"}, Scope(OWN, livemode=False), NO_REQUEST)
    refusals = []
    for step in steps:
        try:
            if step == "cancel":
                world.cancel(session, NO_REQUEST)
            elif step == "redact":
                world.redact(session, NO_REQUEST)
            elif step == "advance":
                world.clock.advance(5 * 24 * 3600)
                world.tick()
            else:
                world.submit(session, step.replace("later", "verified"), 60 * (step == "later"))
        except StripeError as error:
            refusals.append(error.status)
        assert set(refusals) <= {400}
        assert (session.client_secret is not None) == (session.status == "requires_input")
        assert (session.link is not None) == (session.status == "requires_input")
        assert (session.verified_at is not None) == (session.status == "verified")
        assert session.last_error is None or session.status in ("requires_input", "canceled")
        assert (session.submission is not None) == (session.status == "processing")
        assert session.redaction is None or session.status in ("verified", "canceled")
    assert len(world.events) == len(session.events)
    last = world.events[session.events[-1]]
    assert last.type.endswith(("redacted", session.status)) or len(world.events) == 1


@given(st.binary(max_size=200) | st.text("ab[]=&%0", max_size=30).map(str.encode))
def test_any_bytes_are_a_form_or_an_invalid_request(form: bytes) -> None:
    found: object
    try:
        found = params.decode(form)
    except StripeError as error:
        found = error
    assert found.status == 400 if isinstance(found, StripeError) else isinstance(found, dict)


def test_arrays_are_read_with_and_without_indices() -> None:
    array = params.array(params.string())
    for form in (b"types[]=a&types[]=b", b"types[1]=b&types[0]=a"):
        assert array(params.decode(form)["types"], "types") == ["a", "b"]


def test_the_header_is_stripes_signature_of_the_timestamp_and_the_body() -> None:
    digest = hmac.new(b"whsec_1", b"12.{}", hashlib.sha256).hexdigest()
    assert signature_header(b"{}", ["whsec_1"], 12) == f"t=12,v1={digest}"


def test_the_wait_between_tries_doubles_up_to_a_maximum() -> None:
    retries = Retries(initial=1, maximum=10)
    assert [retries.wait(tries) for tries in (1, 2, 3, 4, 5, 5000)] == [1, 2, 4, 8, 10, 10]


@given(st.integers(), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_chaos_plans_no_copy_or_one_to_three(
    seed: int, duplicate: float, reorder: float, drop: float
) -> None:
    chaos = Chaos()
    chaos.change({"duplicate": duplicate, "reorder": reorder, "drop": drop, "seed": seed})
    again = Chaos(duplicate=duplicate, reorder=reorder, drop=drop, randomness=random.Random(seed))
    plan = chaos.plan()
    assert plan == again.plan()
    assert len(plan) in ((0, 1) if duplicate == 0 else range(4))
    assert all(0 <= late <= 2 for late, _ in plan)


def test_a_refused_change_of_chaos_changes_nothing() -> None:
    chaos = Chaos()
    with pytest.raises(ValueError, match="drop"):
        chaos.change({"duplicate": 1, "drop": 2})
    assert chaos.duplicate == 0


def test_a_session_waits_for_its_own_first_tries_only() -> None:
    schedule = Schedule()
    one, two, other = (
        Copy(event(1), ENDPOINT, True),
        Copy(event(2), ENDPOINT, True),
        Copy(event(3, "vs_2"), ENDPOINT, True),
    )
    for copy in (one, two, other):
        schedule.add(copy, 0.0)
    assert [schedule.take(1.0) for _ in range(3)] == [one, other, None]
    schedule.again(one, 10.0)
    assert [schedule.take(1.0) for _ in range(2)] == [two, None]
    assert schedule.next_due() == 10.0
    schedule.done(two)
    assert schedule.take(10.0) is one
    assert schedule.pending == 2


def test_an_event_that_is_reordered_waits_for_nobody() -> None:
    schedule = Schedule()
    copies = [Copy(event(number), ENDPOINT, ordered=False) for number in range(3)]
    for copy in copies:
        schedule.add(copy, 0.0)
    assert [schedule.take(0.0) for _ in range(3)] == copies


def test_the_sandbox_imports_nothing_of_the_application_and_no_stripe() -> None:
    allowed = {"deploy", "httpx2", "starlette", "uvicorn", *sys.stdlib_module_names}
    for path in Path(params.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
            elif not isinstance(node, ast.Import):
                continue
            assert {name.partition(".")[0] for name in names} <= allowed, path


def test_what_belongs_to_an_account_still_does_after_a_restart() -> None:
    world, restarted = state(), state()
    world.accounts.platforms["acct_c"] = OWN
    session = world.create({"type": "document"}, Scope("acct_c", livemode=False), NO_REQUEST)
    storage.load(storage.dump(world, []), restarted, {})
    assert restarted.accounts.path("acct_c") == [OWN, "acct_c"]
    assert restarted.sessions[session.id].scope == ("acct_c", False)
    assert [event.path for event in restarted.events.values()] == [[OWN, "acct_c"]]

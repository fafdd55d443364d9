"""Thin events: what is kept of one, and which deliveries are of which kind."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from app.domain.errors import UnreadableEvent
from app.domain.event import EVENT_TYPES, SessionEvent
from app.domain.snapshot import SessionKey
from app.domain.thin_event import THIN_TYPES, ThinEvent, UnknownType, parse_delivery
from tests.support.events import OPENED, SENSITIVE, event_body, thin_body


def test_a_thin_event_keeps_what_names_it_and_its_session() -> None:
    event = parse_delivery(thin_body())
    session = SessionKey("vs_1", "acct_1", False)
    assert event == ThinEvent("evt_test_65thin", "verified", OPENED, session)
    assert SENSITIVE not in str(event)


def test_the_queue_gives_it_back_as_it_was() -> None:
    event = parse_delivery(thin_body())
    assert isinstance(event, ThinEvent)
    assert ThinEvent.unpack(event.pack()) == event


def test_the_types_are_those_of_the_stripe_package() -> None:
    known = importlib.import_module("stripe.events._event_classes")
    names = known._V2_EVENT_NOTIFICATION_CLASS_LOOKUP
    of_sessions = {name for name in names if "identity.verification_session" in name}
    assert of_sessions == THIN_TYPES
    assert len(THIN_TYPES) == len(EVENT_TYPES)


def test_a_thin_event_of_our_own_account_has_no_context() -> None:
    for body in (thin_body(context=None), {k: v for k, v in thin_body().items() if k != "context"}):
        event = parse_delivery(body)
        assert isinstance(event, ThinEvent)
        assert event.session.account == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None),
        ("id", "evt 1"),
        ("created", 1_700_000_000),
        ("created", "yesterday"),
        ("created", "2023-11-14T22:13:20"),  # of no time zone
        ("created", "1900-01-01T00:00:00Z"),
        ("context", "acct_1//acct_2"),
        ("context", "acct 1"),
        ("livemode", "false"),
        ("related_object", None),
        ("related_object", {"id": None}),
        ("related_object", {"id": "vs_1/cancel"}),
    ],
)
def test_a_thin_event_of_another_form_is_unreadable(field: str, value: Any) -> None:
    with pytest.raises(UnreadableEvent):
        parse_delivery(thin_body(**{field: value}))


def test_the_kind_of_a_delivery_is_told_by_its_type() -> None:
    assert isinstance(parse_delivery(event_body()), SessionEvent)
    assert parse_delivery(thin_body(type="v1.account.updated")) is None
    assert parse_delivery(event_body() | {"type": "account.updated"}) is None
    for added in (
        "identity.verification_session.paused",
        "v1.identity.verification_session.paused",
    ):
        assert parse_delivery(thin_body(type=added)) == UnknownType(added)


@pytest.mark.parametrize(
    ("account", "context", "expected"),
    [
        (None, None, ""),
        ("acct_c", None, "acct_c"),
        ("acct_c", "acct_c", "acct_c"),
        (None, "acct_p", "acct_p"),
        (None, "acct_p/acct_c", "acct_p/acct_c"),
        ("acct_c", "acct_p/acct_c", "acct_p/acct_c"),
    ],
)
def test_the_account_is_the_one_that_calls_have_to_name(
    account: str | None, context: str | None, expected: str
) -> None:
    event = SessionEvent.parse(event_body() | {"account": account, "context": context})
    assert event is not None
    assert event.snapshot.account == expected

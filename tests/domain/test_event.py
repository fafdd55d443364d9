"""SessionEvent.parse keeps a whitelist, and the queue gives an event back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.errors import UnreadableEvent
from app.domain.event import EVENT_TYPES, PACKED_FIELDS, SessionEvent
from app.domain.session import api_answer, merge
from app.domain.snapshot import MetadataKeys
from tests.domain.strategies import FAST, texts
from tests.support.events import (
    OPENED,
    SENSITIVE,
    at,
    event_body,
    full_body,
    paths,
    report_body,
    report_digest,
    with_value,
)

KEPT = {
    "id",
    "name",
    "created",
    "account",
    "livemode",
    "session_id",
    "status",
    "session_type",
    "verification_flow",
    "options",
    "session_created",
    "reference",
    "reference_source",
    "last_error_code",
    "report",
    "redaction",
    "purpose",
}


def parse(body: Any, *keys: str) -> SessionEvent:
    event = SessionEvent.parse(body, MetadataKeys(keys))
    assert event is not None
    return event


PATHS = paths(full_body())
MAPPINGS = [path for path in PATHS if isinstance(at(full_body(), path), dict)]
KNOWN_KEYS = {path[-1] for path in PATHS if path}


# --- what is kept ---------------------------------------------------------------------------


def test_an_event_keeps_exactly_the_documented_fields() -> None:
    body = full_body(reference="user-1")
    assert dict(zip(PACKED_FIELDS, parse(body).pack(), strict=True)) == {
        "id": "evt_1",
        "name": "requires_input",
        "created": OPENED,
        "account": "acct_1",
        "livemode": False,
        "session_id": "vs_1",
        "status": "requires_input",
        "session_type": "document",
        "verification_flow": "vf_1",
        "options": "pS",
        "session_created": OPENED,
        "reference": "user-1",
        "reference_source": 2,
        "last_error_code": "document_expired",
        "report": report_digest("vr_1"),
        "redaction": "processing",
        "purpose": "",
    }


def test_no_secret_or_personal_value_outlives_parsing() -> None:
    event = parse(full_body(), "user_id")
    assert SENSITIVE in json.dumps(full_body())
    for text in (repr(event), json.dumps(event.pack()), repr(event.observation())):
        assert SENSITIVE not in text


def test_no_secret_or_personal_value_outlives_an_api_answer() -> None:
    seen = api_answer(full_body()["data"]["object"], account="", date=OPENED)
    assert SENSITIVE not in repr(seen)


@FAST
@given(
    path=st.sampled_from(MAPPINGS),
    key=texts.filter(lambda key: key not in KNOWN_KEYS),
    value=st.sampled_from([SENSITIVE, [SENSITIVE], {"id": SENSITIVE}, {SENSITIVE: {"a": [1]}}]),
)
def test_a_field_that_is_not_on_the_whitelist_changes_nothing(
    path: tuple[str, ...], key: str, value: Any
) -> None:
    event = parse(with_value(full_body(), (*path, key), value), "user_id")
    assert event == parse(full_body(), "user_id")
    assert SENSITIVE not in repr(event) + json.dumps(event.pack())


def all_that_is_said_of(body: Any) -> str:
    """The parsed event in every form, or the refusal."""
    try:
        event = SessionEvent.parse(body)
    except UnreadableEvent as error:
        return str(error)
    return "" if event is None else repr(event) + json.dumps(event.pack())


@FAST
@given(path=st.sampled_from(PATHS), form=st.sampled_from(["{}", "{} {}", "{}@x.example"]))
def test_a_marked_value_in_any_field_is_dropped_or_the_event_is_refused(
    path: tuple[str, ...], form: str
) -> None:
    # In a field that is kept, a datum that is not of the form of Stripe's ids and enums is refused.
    kept = path in {
        ("id",), ("account",), ("data", "object", "id"), ("data", "object", "status"),
        ("data", "object", "type"), ("data", "object", "client_reference_id"),
        ("data", "object", "verification_flow"),
        ("data", "object", "last_error", "code"), ("data", "object", "redaction", "status"),
        ("data", "object", "last_verification_report"),
        ("data", "object", "last_verification_report", "id"),
    }  # fmt: skip
    assume(not kept or (form != "{}" and path[-1] != "client_reference_id"))
    value = form.format("Jenny", SENSITIVE) if form == "{} {}" else form.format(SENSITIVE)
    assert SENSITIVE not in all_that_is_said_of(with_value(full_body(), path, value))


def test_the_canceled_event_of_a_redaction_does_not_cancel_the_session_anew() -> None:
    first = parse(event_body("canceled", "canceled", at=OPENED + 10)).observation()
    again = parse(
        event_body("canceled", "canceled", id="evt_2", at=OPENED + 90, redaction="processing")
    ).observation()
    for one, other in ((first, again), (again, first)):
        assert merge(merge(None, one), other).status_since == OPENED + 10


# --- which events are ours ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["created", "processing", "requires_input", "verified", "canceled", "redacted"]
)
def test_each_of_the_six_types_is_read(name: str) -> None:
    event = parse(event_body(name))
    assert (event.type, event.name) == (f"identity.verification_session.{name}", name)


@pytest.mark.parametrize(
    "type_",
    [
        "identity.verification_session",
        "identity.verification_session.",
        "identity.verification_session.expired",
        "identity.verification_report.verified",
        "charge.succeeded",
        "",
    ],
)
def test_any_other_type_is_not_ours(type_: str) -> None:
    assert SessionEvent.parse({**event_body(), "type": type_}) is None


def test_an_event_of_another_type_may_have_any_other_shape() -> None:
    assert SessionEvent.parse({"type": "charge.succeeded"}) is None


def test_there_are_six_types() -> None:
    assert len(EVENT_TYPES) == 6


def test_the_status_is_the_objects_and_the_type_only_routes() -> None:
    event = parse(event_body("canceled", "verified"))
    assert (event.name, event.snapshot.status) == ("canceled", "verified")
    assert not event.observation().transition


@pytest.mark.parametrize(
    ("name", "status", "entered"),
    [
        ("created", "requires_input", True),
        ("processing", "processing", True),
        ("requires_input", "requires_input", True),
        ("verified", "verified", True),
        ("canceled", "canceled", True),
        ("redacted", "verified", False),
        ("redacted", "canceled", False),
        ("created", "processing", False),
    ],
)
def test_only_the_event_that_entered_a_status_tells_of_a_transition(
    name: str, status: str, entered: bool
) -> None:
    assert parse(event_body(name, status)).observation().transition is entered


def test_enum_values_that_stripe_adds_later_are_kept() -> None:
    event = parse(event_body("requires_input", "on_hold", error="moon_phase", redaction="paused"))
    assert (event.snapshot.status, event.snapshot.last_error_code, event.snapshot.redaction) == (
        "on_hold",
        "moon_phase",
        "paused",
    )


def test_an_account_is_empty_for_the_teams_own() -> None:
    assert parse(event_body()).snapshot.account == ""
    assert parse({**event_body(), "account": None}).snapshot.account == ""
    assert parse(event_body(account="acct_9")).snapshot.account == "acct_9"


def test_a_report_is_kept_by_a_digest_of_its_id_whether_expanded_or_not() -> None:
    digest = report_digest("vr_7")
    assert parse(event_body(report="vr_7")).snapshot.report == digest
    assert parse(event_body(report=report_body("vr_7"))).snapshot.report == digest
    assert parse(event_body(report="vr_8")).snapshot.report != digest
    assert parse(event_body(report=None)).snapshot.report is None


def test_null_and_absent_optional_fields_are_none() -> None:
    body = event_body()
    for name in ("last_error", "last_verification_report", "redaction", "type", "metadata"):
        del body["data"]["object"][name]
    event = parse(body)
    assert (
        event.snapshot.last_error_code,
        event.snapshot.report,
        event.snapshot.redaction,
        event.snapshot.type,
    ) == (
        None,
        None,
        None,
        None,
    )
    assert (
        parse(with_value(full_body(), ("data", "object", "last_error", "code"), None)) is not None
    )


# --- the reference --------------------------------------------------------------------------


def test_the_client_reference_id_comes_before_metadata() -> None:
    event = parse(event_body(reference="user-1", metadata={"user_id": "u-1"}), "user_id")
    assert (event.snapshot.reference, event.snapshot.reference_source) == ("user-1", 2)


@pytest.mark.parametrize(
    ("keys", "reference"),
    [(("user_id", "userId"), "u-1"), (("userId", "user_id"), "u-2"), (("x", "userId"), "u-2")],
)
def test_metadata_keys_are_looked_up_in_the_given_order(
    keys: tuple[str, ...], reference: str
) -> None:
    metadata = {"userId": "u-2", "user_id": "u-1"}
    event = parse(event_body(reference=None, metadata=metadata), *keys)
    assert (event.snapshot.reference, event.snapshot.reference_source) == (reference, 1)


@pytest.mark.parametrize("keys", [(), ("account_id",)])
def test_without_a_reference_the_session_is_an_orphan(keys: tuple[str, ...]) -> None:
    event = parse(event_body(reference=None, metadata={"user_id": "u-1"}), *keys)
    assert (event.snapshot.reference, event.snapshot.reference_source) == (None, 0)


UNUSABLE = [
    pytest.param("a\0b", id="NUL"),
    pytest.param("a\ud800", id="lone surrogate"),
    pytest.param("", id="empty"),
    pytest.param("x" * 5_001, id="too long"),
    pytest.param(17, id="number"),
    pytest.param(True, id="boolean"),
    pytest.param(["user-1"], id="list"),
    pytest.param({"id": "user-1"}, id="object"),
]


@pytest.mark.parametrize("value", UNUSABLE)
def test_a_reference_that_cannot_name_a_user_makes_an_orphan(value: Any) -> None:
    event = parse(event_body(reference=value))
    assert (event.snapshot.reference, event.snapshot.reference_source) == (None, 0)


@pytest.mark.parametrize("value", UNUSABLE)
def test_a_metadata_value_that_cannot_name_a_user_makes_an_orphan(value: Any) -> None:
    event = parse(event_body(reference=None, metadata={"user_id": value}), "user_id")
    assert (event.snapshot.reference, event.snapshot.reference_source) == (None, 0)


@pytest.mark.parametrize("metadata", [None, [], ["user_id"], "user_id", 7])
def test_metadata_that_is_not_an_object_makes_an_orphan(metadata: Any) -> None:
    body = with_value(event_body(reference=None), ("data", "object", "metadata"), metadata)
    assert parse(body, "user_id").snapshot.reference is None


@pytest.mark.parametrize("value", ["x" * 5_000, "é" * 5_000, "🙂", " ", "user 1/ü?#\n"])
def test_a_reference_is_kept_as_it_is_up_to_5000_characters(value: str) -> None:
    assert parse(event_body(reference=value)).snapshot.reference == value
    event = parse(event_body(reference=None, metadata={"user_id": value}), "user_id")
    assert event.snapshot.reference == value


# --- the queue's form -----------------------------------------------------------------------


def test_an_event_comes_back_from_the_queue_as_it_went_in() -> None:
    event = parse(full_body(reference="ü 🙂"))
    assert set(PACKED_FIELDS) == KEPT
    assert SessionEvent.unpack(json.loads(json.dumps(event.pack()))) == event


@pytest.mark.parametrize("index", range(len(PACKED_FIELDS)))
def test_a_queued_event_that_lacks_a_field_is_unreadable(index: int) -> None:
    values = parse(full_body()).pack()
    del values[index]
    with pytest.raises(UnreadableEvent):
        SessionEvent.unpack(values)


def test_a_queued_event_with_one_field_more_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent):
        SessionEvent.unpack([*parse(full_body()).pack(), "x"])


@pytest.mark.parametrize("values", [None, [], {}, "x", 7, {"id": "evt_1"}])
def test_what_is_not_a_queued_event_at_all_is_unreadable(values: Any) -> None:
    with pytest.raises(UnreadableEvent):
        SessionEvent.unpack(values)


def test_an_event_sees_its_session_as_of_its_own_second() -> None:
    event = parse(full_body(created=OPENED - 60))
    seen = event.observation()
    assert (seen.as_of, seen.snapshot.created, seen.event_id) == (OPENED, OPENED - 60, "evt_1")
    assert (seen.snapshot.id, seen.snapshot.account, seen.snapshot.livemode) == (
        "vs_1",
        "acct_1",
        False,
    )
    assert (seen.snapshot.status, seen.snapshot.last_error_code, seen.snapshot.report) == (
        "requires_input",
        "document_expired",
        report_digest("vr_1"),
    )

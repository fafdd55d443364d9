"""SessionEvent.parse keeps a whitelist, and answers anything malformed with one error."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.domain.errors import UnreadableEvent
from app.domain.event import EVENT_TYPES, LATEST_TIME, SessionEvent, api_answer, read_session
from tests.domain.builders import OPENED, SENSITIVE, event_body, report_body, session_body

FAST = settings(
    deadline=None,
    max_examples=120,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

KEPT = {
    "id",
    "type",
    "created",
    "account",
    "livemode",
    "session_id",
    "status",
    "session_type",
    "session_created",
    "reference",
    "reference_source",
    "last_error_code",
    "report",
    "redaction",
}

texts = st.text(max_size=8) | st.sampled_from(["\0", "\ud800", "evt_1", "verified", "a b", "1"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "code", "status", "type"]) | texts, inner)
    ),
    max_leaves=8,
)


def parse(body: Any, *keys: str) -> SessionEvent:
    event = SessionEvent.parse(body, keys)
    assert event is not None
    return event


def full_body(**fields: Any) -> dict[str, Any]:
    """An event in which no field is null, so that every one can be spoilt."""
    return event_body(
        "requires_input",
        account="acct_1",
        **{
            "error": "document_expired",
            "report": report_body(),
            "redaction": "processing",
            "metadata": {"user_id": "u-1", "userId": "u-2"},
            **fields,
        },
    )


def paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*path, key))
    return found


def at(body: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        body = body[key]
    return body


def with_value(body: dict[str, Any], path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(body)
    at(changed, path[:-1])[path[-1]] = value
    return changed


PATHS = paths(full_body())
MAPPINGS = [path for path in PATHS if isinstance(at(full_body(), path), dict)]
KNOWN_KEYS = {path[-1] for path in PATHS if path}


# --- what is kept ---------------------------------------------------------------------------


def test_an_event_keeps_exactly_the_documented_fields() -> None:
    body = full_body(reference="user-1")
    assert parse(body).to_dict() == {
        "id": "evt_1",
        "type": "identity.verification_session.requires_input",
        "created": OPENED,
        "account": "acct_1",
        "livemode": False,
        "session_id": "vs_1",
        "status": "requires_input",
        "session_type": "document",
        "session_created": OPENED,
        "reference": "user-1",
        "reference_source": 2,
        "last_error_code": "document_expired",
        "report": "vr_1",
        "redaction": "processing",
    }


def test_no_secret_or_personal_value_outlives_parsing() -> None:
    event = parse(full_body(), "user_id")
    assert SENSITIVE in json.dumps(full_body())
    for text in (repr(event), json.dumps(event.to_dict()), repr(event.observation())):
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
    assert SENSITIVE not in repr(event) + json.dumps(event.to_dict())


@FAST
@given(path=st.sampled_from(PATHS), form=st.sampled_from(["{}", "{} {}", "{}@x.example"]))
def test_a_marked_value_in_any_field_is_dropped_or_the_event_is_refused(
    path: tuple[str, ...], form: str
) -> None:
    # In a field that is kept, a datum that is not of the form of Stripe's ids and enums is refused.
    kept = path in {
        ("id",), ("account",), ("data", "object", "id"), ("data", "object", "status"),
        ("data", "object", "type"), ("data", "object", "client_reference_id"),
        ("data", "object", "last_error", "code"), ("data", "object", "redaction", "status"),
        ("data", "object", "last_verification_report"),
        ("data", "object", "last_verification_report", "id"),
    }  # fmt: skip
    assume(not kept or (form != "{}" and path[-1] != "client_reference_id"))
    value = form.format("Jenny", SENSITIVE) if form == "{} {}" else form.format(SENSITIVE)
    try:
        event = SessionEvent.parse(with_value(full_body(), path, value))
    except UnreadableEvent as error:
        assert SENSITIVE not in str(error)
    else:
        assert event is None or SENSITIVE not in repr(event) + json.dumps(event.to_dict())


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
    assert (event.name, event.status) == ("canceled", "verified")
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
    assert (event.status, event.last_error_code, event.redaction) == (
        "on_hold",
        "moon_phase",
        "paused",
    )


def test_an_account_is_empty_for_the_teams_own() -> None:
    assert parse(event_body()).account == ""
    assert parse({**event_body(), "account": None}).account == ""
    assert parse(event_body(account="acct_9")).account == "acct_9"


def test_a_report_is_kept_by_its_id_whether_expanded_or_not() -> None:
    assert parse(event_body(report="vr_7")).report == "vr_7"
    assert parse(event_body(report=report_body("vr_7"))).report == "vr_7"
    assert parse(event_body(report=None)).report is None


def test_null_and_absent_optional_fields_are_none() -> None:
    body = event_body()
    for name in ("last_error", "last_verification_report", "redaction", "type", "metadata"):
        del body["data"]["object"][name]
    event = parse(body)
    assert (event.last_error_code, event.report, event.redaction, event.session_type) == (
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
    assert (event.reference, event.reference_source) == ("user-1", 2)


@pytest.mark.parametrize(
    ("keys", "reference"),
    [(("user_id", "userId"), "u-1"), (("userId", "user_id"), "u-2"), (("x", "userId"), "u-2")],
)
def test_metadata_keys_are_looked_up_in_the_given_order(
    keys: tuple[str, ...], reference: str
) -> None:
    metadata = {"userId": "u-2", "user_id": "u-1"}
    event = parse(event_body(reference=None, metadata=metadata), *keys)
    assert (event.reference, event.reference_source) == (reference, 1)


@pytest.mark.parametrize("keys", [(), ("account_id",)])
def test_without_a_reference_the_session_is_an_orphan(keys: tuple[str, ...]) -> None:
    event = parse(event_body(reference=None, metadata={"user_id": "u-1"}), *keys)
    assert (event.reference, event.reference_source) == (None, 0)


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
    assert (event.reference, event.reference_source) == (None, 0)


@pytest.mark.parametrize("value", UNUSABLE)
def test_a_metadata_value_that_cannot_name_a_user_makes_an_orphan(value: Any) -> None:
    event = parse(event_body(reference=None, metadata={"user_id": value}), "user_id")
    assert (event.reference, event.reference_source) == (None, 0)


@pytest.mark.parametrize("metadata", [None, [], ["user_id"], "user_id", 7])
def test_metadata_that_is_not_an_object_makes_an_orphan(metadata: Any) -> None:
    body = with_value(event_body(reference=None), ("data", "object", "metadata"), metadata)
    assert parse(body, "user_id").reference is None


@pytest.mark.parametrize("value", ["x" * 5_000, "é" * 5_000, "🙂", " ", "user 1/ü?#\n"])
def test_a_reference_is_kept_as_it_is_up_to_5000_characters(value: str) -> None:
    assert parse(event_body(reference=value)).reference == value
    event = parse(event_body(reference=None, metadata={"user_id": value}), "user_id")
    assert event.reference == value


# --- malformed events -----------------------------------------------------------------------

WRONG: dict[str, list[Any]] = {
    "": [None, [], "event", 7, True],
    "type": [None, 7, [], {}, True],
    "id": [None, 7, "", "evt 1", "evt.1", "evt_1\n", "é", "x" * 256, [], {}],
    "created": [None, True, False, "1", 1.5, float("nan"), -1, LATEST_TIME + 1, 10**30, []],
    "account": [7, "", "acct 1", False, [], {}],
    "livemode": [None, 0, 1, "true", []],
    "data": [None, [], "x", False],
    "data.object": [None, [], "vs_1", 0],
    "data.object.id": [None, 7, "", "vs 1", "vs.1", "vs_1\n", "\ud800", "x" * 256],
    "data.object.status": [None, 7, "", "all good", "\0", [], {}],
    "data.object.type": [7, "", "a b", False, []],
    "data.object.created": [None, True, "1", 1.0, -1, LATEST_TIME + 1],
    "data.object.last_error": ["x", 7, [], [{}], "", 0, False],
    "data.object.last_error.code": [7, "", "a b", "x\n", False, [], {}],
    "data.object.last_verification_report": [7, "", "vr 1", [], False, {}, {"id": None}],
    "data.object.last_verification_report.id": [7, "", "vr 1", [], None],
    "data.object.redaction": ["redacted", [], 7, "", 0, False],
    "data.object.redaction.status": [7, "", "a b", False, []],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [pytest.param(p, v, id=f"{p}={v!r:.20}") for p, values in WRONG.items() for v in values],
)
def test_a_malformed_field_makes_the_event_unreadable(path: str, value: Any) -> None:
    body = with_value(full_body(), tuple(path.split(".")) if path else (), value)
    with pytest.raises(UnreadableEvent):
        SessionEvent.parse(body)


@pytest.mark.parametrize(
    "path",
    ["type", "id", "created", "livemode", "data", "data.object", "data.object.id",
     "data.object.status", "data.object.created"],
)  # fmt: skip
def test_a_missing_required_field_makes_the_event_unreadable(path: str) -> None:
    body = full_body()
    *where, name = path.split(".")
    del at(body, tuple(where))[name]
    with pytest.raises(UnreadableEvent):
        SessionEvent.parse(body)


def can_be_stored(event: SessionEvent | None) -> bool:
    if event is not None:
        json.dumps(event.to_dict(), allow_nan=False, ensure_ascii=False).encode()
        assert SessionEvent.from_dict(event.to_dict()) == event
    return True


@FAST
@given(body=json_values)
def test_arbitrary_json_is_read_or_refused_with_the_one_error(body: Any) -> None:
    with suppress(UnreadableEvent):
        assert can_be_stored(SessionEvent.parse(body, ("user_id",)))


@FAST
@given(path=st.sampled_from(PATHS), value=json_values)
def test_any_field_replaced_by_arbitrary_json_is_read_or_refused_with_the_one_error(
    path: tuple[str, ...], value: Any
) -> None:
    with suppress(UnreadableEvent):
        event = SessionEvent.parse(with_value(full_body(reference=None), path, value), ("user_id",))
        assert can_be_stored(event)


@FAST
@given(path=st.sampled_from(paths(full_body()["data"]["object"])), value=json_values)
def test_any_field_of_an_api_answer_replaced_is_read_or_refused_with_the_one_error(
    path: tuple[str, ...], value: Any
) -> None:
    session = with_value(full_body()["data"]["object"], path, value)
    with suppress(UnreadableEvent):
        api_answer(session, account="", date=OPENED, metadata_keys=("user_id",))


# --- the queue's form -----------------------------------------------------------------------


def test_an_event_comes_back_from_the_queue_as_it_went_in() -> None:
    event = parse(full_body(reference="ü 🙂"))
    assert event.to_dict().keys() == KEPT
    assert SessionEvent.from_dict(json.loads(json.dumps(event.to_dict()))) == event


@pytest.mark.parametrize("name", sorted(KEPT))
def test_a_queued_event_that_lacks_a_field_is_unreadable(name: str) -> None:
    fields = parse(full_body()).to_dict()
    del fields[name]
    with pytest.raises(UnreadableEvent):
        SessionEvent.from_dict(fields)


def test_a_queued_event_with_one_field_more_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent):
        SessionEvent.from_dict({**parse(full_body()).to_dict(), "client_secret": "x"})


@pytest.mark.parametrize("fields", [None, [], {}, "x", 7])
def test_what_is_not_a_queued_event_at_all_is_unreadable(fields: Any) -> None:
    with pytest.raises(UnreadableEvent):
        SessionEvent.from_dict(fields)


def test_an_event_sees_its_session_as_of_its_own_second() -> None:
    event = parse(full_body(created=OPENED - 60))
    seen = event.observation()
    assert (seen.as_of, seen.created, seen.event_id) == (OPENED, OPENED - 60, "evt_1")
    assert (seen.session_id, seen.account, seen.livemode) == ("vs_1", "acct_1", False)
    assert (seen.status, seen.last_error_code, seen.report) == (
        "requires_input",
        "document_expired",
        "vr_1",
    )


# --- API answers ----------------------------------------------------------------------------


def test_an_api_answer_counts_for_the_second_before_its_date() -> None:
    assert api_answer(session_body(), account="", date=OPENED + 60).as_of == OPENED + 59


def test_an_api_answer_has_no_event_and_tells_of_no_transition() -> None:
    seen = api_answer(session_body(status="verified"), account="acct_1", date=OPENED)
    assert (seen.name, seen.event_id, seen.transition) == ("verified", "", False)
    assert (seen.account, seen.livemode, seen.session_id) == ("acct_1", False, "vs_1")


def test_an_api_answer_of_a_redacted_session_is_routed_as_redacted() -> None:
    seen = api_answer(session_body(status="verified", redaction="redacted"), account="", date=9)
    assert (seen.name, seen.status) == ("redacted", "verified")


def test_an_api_answer_of_a_redaction_under_way_is_routed_by_its_status() -> None:
    seen = api_answer(session_body(status="verified", redaction="processing"), account="", date=9)
    assert seen.name == "verified"


def test_an_api_answer_gives_the_id_of_an_expanded_report() -> None:
    seen = api_answer(session_body(report=report_body("vr_7")), account="", date=OPENED)
    assert seen.report == "vr_7"


def test_an_api_answer_finds_the_reference_in_metadata() -> None:
    session = session_body(reference=None, metadata={"userId": "u-2"})
    seen = api_answer(session, account="", date=OPENED, metadata_keys=("user_id", "userId"))
    assert (seen.reference, seen.reference_source) == ("u-2", 1)


@pytest.mark.parametrize("session", [None, [], "vs_1", 7])
def test_an_api_answer_that_is_not_an_object_is_unreadable(session: Any) -> None:
    with pytest.raises(UnreadableEvent):
        api_answer(session, account="", date=OPENED)


def test_a_session_is_read_alike_from_an_event_and_from_an_answer() -> None:
    body = full_body(reference="user-1")
    told, asked = (
        parse(body).observation(),
        api_answer(body["data"]["object"], account="acct_1", date=OPENED + 1),
    )
    assert read_session(body["data"]["object"])["status"] == told.status == asked.status
    for name in ("session_id", "account", "livemode", "created", "type", "last_error_code",
                 "report", "redaction", "reference", "reference_source", "as_of"):  # fmt: skip
        assert getattr(told, name) == getattr(asked, name)

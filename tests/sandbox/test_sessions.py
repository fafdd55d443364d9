"""VerificationSessions through the official client."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from deploy.sandbox.reports import WITHOUT_REPORT
from deploy.sandbox.session import LAST_ERRORS
from tests.sandbox.processes import Sandbox
from tests.support.waiting import eventually

# One sandbox for all of them: they belong on one worker.
FULL: dict[str, Any] = {
    "type": "document",
    "client_reference_id": "user_1",
    "metadata": {"user_id": "1", "empty": ""},
    "options": {
        "document": {
            "allowed_types": ["passport", "id_card"],
            "require_id_number": False,
            "require_live_capture": True,
            "require_matching_selfie": True,
        },
    },
    "provided_details": {"email": "a@example.com", "phone": "+15555550100"},
    "related_customer": "cus_1",
    "related_customer_account": "acct_2",
    "related_person": {"account": "acct_2", "person": "person_1"},
    "return_url": "https://example.com/back",
}


@pytest.fixture
def sessions(client: stripe.StripeClient) -> Any:
    return client.v1.identity.verification_sessions


def test_create_answers_every_attribute_of_the_object(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create(FULL)
    assert session.object == "identity.verification_session"
    assert session.id.startswith("vs_")
    assert session.status == "requires_input"
    assert session.client_reference_id == "user_1"
    assert session.metadata.to_dict() == {"user_id": "1"}
    assert session.options.to_dict() == FULL["options"]
    assert session.provided_details.to_dict() == FULL["provided_details"]
    assert session.related_person.to_dict() == FULL["related_person"]
    assert (session.related_customer, session.related_customer_account) == ("cus_1", "acct_2")
    assert session.client_secret.startswith(f"{session.id}_secret_test_")
    assert session.url.startswith(f"{sandbox.url}/verify/")
    assert session.livemode is False
    assert session.last_error is session.last_verification_report is session.redaction is None
    assert "verified_outputs" not in session


def test_what_a_session_does_not_have_is_left_out(sessions: Any) -> None:
    session = sessions.create({"type": "document"})
    assert not {"related_person", "verification_flow", "verified_outputs"} & set(session.to_dict())


def test_create_by_verification_flow_needs_no_type(sessions: Any) -> None:
    session = sessions.create({"verification_flow": "vf_1"})
    assert (session.type, session.verification_flow) == ("verification_flow", "vf_1")
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.create({"verification_flow": "flow"})
    assert (error.value.code, error.value.param) == ("resource_missing", "verification_flow")


def test_a_verification_flow_asks_for_what_the_dashboard_says(
    sandbox: Sandbox, sessions: Any
) -> None:
    options = {"email": {"require_verification": True}, "document": {"require_id_number": True}}
    sandbox.control("POST", "/verification_flows/vf_2", {"options": options})
    session = sessions.create(
        {"verification_flow": "vf_2", "provided_details": {"email": "a@example.com"}}
    )
    assert session.options.to_dict() == options
    sandbox.submit(session.id, "email_verification_declined")
    shown = sessions.retrieve(session.id, {"expand": ["last_verification_report"]})
    report = shown.last_verification_report.to_dict()
    assert report["email"] == {
        "email": "a@example.com",
        "error": shown.last_error.to_dict(),
        "status": "unverified",
    }
    assert report["document"]["status"] == report["id_number"]["status"] == "verified"
    assert not {"phone", "selfie"} & set(report)
    assert report["options"] == {"document": {"require_id_number": True}}
    sandbox.control("POST", "/verification_flows/vf_2", {"options": {"x": {}}}, status=400)


@pytest.mark.parametrize("name", ["email", "phone"])
def test_options_that_only_answers_have_are_unknown_parameters(sessions: Any, name: str) -> None:
    options = {"options": {name: {"require_verification": True}}}
    session = sessions.create({"type": "document"})
    for arguments in (({"type": "document", **options},), (session.id, options)):
        call = sessions.create if len(arguments) == 1 else sessions.update
        with pytest.raises(stripe.InvalidRequestError) as error:
            call(*arguments)
        assert (error.value.code, error.value.param) == ("parameter_unknown", f"options[{name}]")


def test_a_reference_may_be_5000_characters_long_and_no_longer(sessions: Any) -> None:
    reference = "ü" * 5000
    session = sessions.create({"type": "document", "client_reference_id": reference})
    assert session.client_reference_id == reference
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.create({"type": "document", "client_reference_id": reference + "u"})
    assert error.value.param == "client_reference_id"


def test_a_verified_submission_goes_through_processing_to_verified(
    sandbox: Sandbox, sessions: Any, client: stripe.StripeClient
) -> None:
    session = sessions.create(FULL)
    sandbox.submit(session.id, "verified", delay=3600)
    processing = sessions.retrieve(session.id)
    assert (processing.status, processing.url, processing.client_secret) == (
        "processing",
        None,
        None,
    )
    other = sessions.create(FULL)
    assert sandbox.submit(other.id, "verified")["status"] == "verified"
    verified = sessions.retrieve(other.id, {"expand": ["verified_outputs"]})
    assert verified.status == "verified"
    assert verified.verified_outputs.first_name
    assert verified.verified_outputs.email == "a@example.com"
    assert "dob" not in verified.verified_outputs
    reports: Any = client.v1.identity.verification_reports
    report = reports.retrieve(verified.last_verification_report)
    assert report.verification_session == other.id
    assert report.document.status == report.selfie.status == "verified"
    assert not {"email", "id_number", "phone", "verification_flow"} & set(report.to_dict())


def test_a_submission_ends_after_its_delay(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create({"type": "document"})
    assert sandbox.submit(session.id, "verified", delay=0.2)["status"] == "processing"
    eventually(lambda: sandbox.truth(session.id)["status"] == "verified")


def test_each_failed_submission_makes_a_new_secret_and_link(
    sandbox: Sandbox, sessions: Any
) -> None:
    seen = [sessions.create({"type": "document"})]
    for code in LAST_ERRORS:
        sandbox.control("POST", "/clock", {"advance": 1})
        sandbox.submit(seen[0].id, code)
        seen.append(sessions.retrieve(seen[0].id))
        assert seen[-1].status == "requires_input"
        assert seen[-1].last_error.code == code
        assert seen[-1].last_error.reason
    for attribute in ("client_secret", "url"):
        assert len({session[attribute] for session in seen}) == len(seen)
    truth = sandbox.truth(seen[0].id)
    assert (truth["attempts"], truth["verified_at"]) == (len(LAST_ERRORS), None)


@pytest.mark.parametrize("code", WITHOUT_REPORT)
def test_an_attempt_that_ended_before_any_check_has_no_report(
    sandbox: Sandbox, sessions: Any, client: stripe.StripeClient, code: str
) -> None:
    session = sessions.create({"type": "document"})
    sandbox.submit(session.id, code)
    failed = sessions.retrieve(session.id)
    assert (failed.last_error.code, failed.last_verification_report) == (code, None)
    sandbox.submit(session.id, "document_expired")
    report = sessions.retrieve(session.id).last_verification_report
    for _ in range(2):
        sandbox.control("POST", "/clock", {"advance": 1})
        sandbox.submit(session.id, code)
    again = sessions.retrieve(session.id)
    assert (again.last_error.code, again.last_verification_report) == (code, report)
    reports = client.v1.identity.verification_reports
    assert [r.id for r in reports.list({"verification_session": session.id}).data] == [report]
    assert sandbox.truth(session.id)["attempts"] == 4


def test_reports_are_listed_by_their_filters(
    sandbox: Sandbox, sessions: Any, client: stripe.StripeClient
) -> None:
    document = sessions.create({"type": "document", "client_reference_id": "listed"})
    number = sessions.create({"type": "id_number", "client_reference_id": "listed"})
    for session, outcome in ((document, "document_expired"), (number, "verified")):
        sandbox.submit(session.id, outcome)
    sandbox.submit(document.id, "verified")
    reports: Any = client.v1.identity.verification_reports

    def listed(**filters: Any) -> list[str]:
        page = reports.list({"client_reference_id": "listed", **filters})
        assert page.url == "/v1/identity/verification_reports"
        return [report.verification_session for report in page.data]

    assert listed() == [document.id, number.id, document.id]
    assert listed(type="id_number") == [number.id]
    assert listed(verification_session=document.id) == [document.id] * 2
    now = document.created
    assert listed(created={"lt": now}) == []
    assert len(listed(created={"gte": now})) == 3
    assert listed(limit=1) == [document.id]
    with pytest.raises(stripe.InvalidRequestError) as error:
        listed(type="verification_flow")
    assert error.value.param == "type"


def test_walking_away_changes_nothing(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create({"type": "document"})
    sandbox.submit(session.id, "walk_away")
    assert sessions.retrieve(session.id).to_dict() == session.to_dict()


def test_the_check_that_failed_says_so_in_the_expanded_report(
    sandbox: Sandbox, sessions: Any
) -> None:
    session = sessions.create(FULL)
    sandbox.submit(session.id, "selfie_face_mismatch", reason="Not the same face.")
    shown = sessions.retrieve(session.id, {"expand": ["last_verification_report"]})
    report = shown.last_verification_report
    assert report.selfie.error.to_dict() == {
        "code": "selfie_face_mismatch",
        "reason": "Not the same face.",
    }
    assert (report.selfie.status, report.document.status) == ("unverified", "verified")


def test_sensitive_results_need_a_restricted_key(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create({"type": "id_number"})
    sandbox.submit(session.id, "verified", verified_outputs={"id_number": "123456789"})
    expand: Any = {"expand": ["verified_outputs.id_number", "last_verification_report"]}
    for call in (sessions.retrieve, sessions.redact):
        with pytest.raises(stripe.PermissionError):
            call(session.id, expand)
    restricted = sandbox.client("rk_test_1").v1.identity.verification_sessions
    assert restricted.retrieve(session.id, expand)["verified_outputs"]["id_number"] == "123456789"


def test_a_reviewer_can_take_back_what_was_verified_and_verify_it_again(
    sandbox: Sandbox, sessions: Any
) -> None:
    session = sessions.create({"type": "document"})
    path = f"/sessions/{session.id}/review"
    sandbox.control("POST", path, {"status": "verified"}, status=409)
    sandbox.submit(session.id, "verified")
    sandbox.control("POST", path, {"status": "verified"}, status=409)
    failed = sandbox.control(
        "POST", path, {"status": "requires_input", "last_error": "document_unverified_other"}
    )
    assert (failed["status"], failed["last_error"], failed["attempts"]) == (
        "requires_input",
        "document_unverified_other",
        1,
    )
    assert sandbox.control("POST", path, {"status": "verified"})["status"] == "verified"


def test_update_merges_metadata_and_an_empty_value_unsets_its_key(sessions: Any) -> None:
    session = sessions.create({"type": "document", "metadata": {"a": "1", "b": "2"}})
    updated = sessions.update(
        session.id,
        {
            "metadata": {"a": "", "c": "3"},
            "options": {"document": {"require_live_capture": True}},
            "provided_details": {"email": "b@example.com"},
            "type": "id_number",
        },
    )
    assert updated.metadata.to_dict() == {"b": "2", "c": "3"}
    assert updated.options.document.require_live_capture is True
    assert updated.provided_details.email == "b@example.com"
    assert updated.type == "id_number"
    cleared = sessions.update(session.id, {"options": {"document": ""}, "metadata": ""})
    assert (cleared.options.to_dict(), cleared.metadata.to_dict()) == ({}, {})


@pytest.mark.parametrize("name", ["client_reference_id", "return_url", "nonsense"])
def test_update_refuses_what_is_fixed_at_creation(sessions: Any, name: str) -> None:
    session = sessions.create({"type": "document"})
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.update(session.id, {name: "https://example.com"})
    assert (error.value.code, error.value.param) == ("parameter_unknown", name)


@pytest.mark.parametrize("outcome", ["verified", "processing", "canceled"])
def test_update_and_cancel_need_requires_input(
    sandbox: Sandbox, sessions: Any, outcome: str
) -> None:
    session = sessions.create({"type": "document"})
    if outcome == "canceled":
        sessions.cancel(session.id)
    else:
        sandbox.submit(session.id, "verified", delay=0 if outcome == "verified" else 3600)
    for call in (sessions.update, sessions.cancel):
        with pytest.raises(stripe.InvalidRequestError, match=outcome):
            call(session.id)
    sandbox.control("POST", f"/sessions/{session.id}/submit", {"outcome": "verified"}, status=409)


def test_a_canceled_session_has_no_secret_and_no_url(sessions: Any) -> None:
    session = sessions.cancel(sessions.create({"type": "document"}).id)
    assert (session.status, session.client_secret, session.url) == ("canceled", None, None)


def test_sessions_of_one_mode_are_invisible_to_the_other(sandbox: Sandbox, sessions: Any) -> None:
    live = sandbox.client("sk_live_1").v1.identity.verification_sessions
    session = live.create({"type": "document"})
    assert session.livemode is True
    assert [each.id for each in live.list().data] == [session.id]
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.retrieve(session.id)
    assert (error.value.http_status, error.value.code) == (404, "resource_missing")


def test_a_list_pages_newest_first_in_both_directions(sessions: Any) -> None:
    made = [
        sessions.create({"type": "document", "client_reference_id": "paged"}).id for _ in range(7)
    ]
    page = sessions.list({"client_reference_id": "paged", "limit": 3})
    assert (page.url, page.has_more) == ("/v1/identity/verification_sessions", True)
    assert [session.id for session in page.auto_paging_iter()] == made[::-1]
    newer = sessions.list({"client_reference_id": "paged", "limit": 2, "ending_before": made[2]})
    assert ([session.id for session in newer.data], newer.has_more) == ([made[4], made[3]], True)
    with pytest.raises(stripe.InvalidRequestError) as error:
        sessions.list({"starting_after": "vs_unknown"})
    assert (error.value.code, error.value.param) == ("resource_missing", "starting_after")


def test_a_list_keeps_to_its_filters(sandbox: Sandbox, sessions: Any) -> None:
    customer = {"related_customer": "cus_filter", "related_customer_account": "acct_filter"}
    session = sessions.create({"type": "document", **customer})
    other = sessions.create({"type": "document"})
    sandbox.submit(other.id, "verified")

    def listed(**filters: Any) -> set[str]:
        return {each.id for each in sessions.list({"limit": 100, **filters}).auto_paging_iter()}

    for name, value in customer.items():
        assert listed(**{name: value}) == {session.id}
    assert session.id not in listed(status="verified")
    assert other.id in listed(status="verified")
    now = session.created
    assert session.id in listed(created=now)
    assert session.id in listed(created={"gte": now, "lte": now})
    assert session.id not in listed(created={"gt": now})
    assert session.id not in listed(created={"lt": now})


def test_a_lists_expansions_begin_with_data(sandbox: Sandbox, sessions: Any) -> None:
    session = sessions.create({"type": "document", "client_reference_id": "expanded"})
    sandbox.submit(session.id, "verified")
    expand = ["data.verified_outputs", "data.last_verification_report"]
    (listed,) = sessions.list({"client_reference_id": "expanded", "expand": expand}).data
    assert listed.verified_outputs.first_name
    assert listed.last_verification_report.verification_session == session.id
    with pytest.raises(stripe.InvalidRequestError, match=r"try expanding 'data\.verified_outputs'"):
        sessions.list({"expand": ["verified_outputs"]})
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        sessions.retrieve(session.id, {"expand": ["data.verified_outputs"]})


def test_the_account_says_who_it_is(client: stripe.StripeClient) -> None:
    assert client.v1.accounts.retrieve_current().id.startswith("acct_")

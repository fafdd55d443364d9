"""Calls to Stripe's API, at a sandbox in a process of its own and at servers that misbehave."""

from __future__ import annotations

import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException

from app.domain.errors import UnreadableEvent
from app.domain.session import Observation
from app.domain.snapshot import CLIENT_REFERENCE_ID, METADATA, MetadataKeys
from app.local.valkey import free_port
from app.stripe import client
from app.stripe.client import StripeApi
from app.stripe.errors import StripeRefused, StripeUnavailable
from tests.sandbox.processes import Sandbox
from tests.support.events import report_digest
from tests.support.http_server import serving
from workers.time_limit import TimeLimit

PLANTED = "PLANTED-VALUE"
PATH = "/v1/identity/verification_sessions"
Call = Callable[[StripeApi, str], Observation]

CALLS: dict[str, Call] = {
    "retrieve": lambda api, session: api.retrieve(session, ""),
    "cancel": lambda api, session: api.cancel(session, "", f"{session}-cancel"),
    "redact": lambda api, session: api.redact(session, "", f"{session}-redact"),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@pytest.fixture
def api(sandbox: Sandbox) -> StripeApi:
    return StripeApi("sk_test_1", sandbox.url, MetadataKeys(("user_id",)))


def create(sandbox: Sandbox, **fields: Any) -> str:
    """A new session's id."""
    params: Any = {"type": "document", **fields}
    return str(sandbox.client().v1.identity.verification_sessions.create(params).id)


def assert_says_nothing(error: BaseException) -> None:
    """Neither the error nor the traceback that a log would show quotes what Stripe said."""
    assert PLANTED not in str(error) + repr(error)
    assert PLANTED not in "".join(traceback.format_exception(error))


def test_a_session_is_observed_as_of_the_second_before_it_was_asked_for(
    sandbox: Sandbox, api: StripeApi
) -> None:
    id = create(sandbox, client_reference_id="user_1")
    before = int(time.time())
    seen = api.retrieve(id, "")
    assert before - 2 <= seen.as_of <= int(time.time()) - 2
    shown = seen.snapshot
    assert (shown.id, shown.status, shown.reference) == (id, "requires_input", "user_1")
    assert (shown.account, shown.livemode, shown.type) == ("", False, "document")
    assert (seen.event_id, seen.transition) == ("", False)
    assert shown.reference_source == CLIENT_REFERENCE_ID


def test_an_attempts_outcome_is_observed(sandbox: Sandbox, api: StripeApi) -> None:
    id = create(sandbox)
    sandbox.submit(id, "document_expired", reason=PLANTED)
    failed = api.retrieve(id, "")
    shown = failed.snapshot
    assert (shown.status, shown.last_error_code) == ("requires_input", "document_expired")
    assert shown.report == report_digest(api.fetch(id, "").body["last_verification_report"])
    sandbox.submit(id, "verified", verified_outputs={"first_name": PLANTED})
    verified = api.retrieve(id, "")
    shown = verified.snapshot
    assert (shown.status, shown.last_error_code) == ("verified", None)
    assert PLANTED not in repr((failed, verified))


def test_the_reference_may_stand_in_metadata(sandbox: Sandbox, api: StripeApi) -> None:
    seen = api.retrieve(create(sandbox, metadata={"user_id": "user_2", "note": PLANTED}), "")
    assert (seen.snapshot.reference, seen.snapshot.reference_source) == ("user_2", METADATA)
    assert PLANTED not in repr(seen)


def test_a_connected_accounts_session_is_observed_as_its_own(
    sandbox: Sandbox, api: StripeApi
) -> None:
    sessions = sandbox.client().v1.identity.verification_sessions
    id = sessions.create({"type": "document"}, {"stripe_account": "acct_1"}).id
    assert api.retrieve(id, "acct_1").snapshot.account == "acct_1"


def test_cancel_closes_a_session_and_may_be_repeated(sandbox: Sandbox, api: StripeApi) -> None:
    id = create(sandbox)
    for _ in range(2):
        assert api.cancel(id, "", "key").snapshot.status == "canceled"
    assert sandbox.truth(id)["status"] == "canceled"


def test_redact_begins_a_redaction_and_may_be_repeated(sandbox: Sandbox, api: StripeApi) -> None:
    id = create(sandbox)
    sandbox.submit(id, "verified")
    for _ in range(2):
        seen = api.redact(id, "", "another key").snapshot
        assert (seen.status, seen.redaction) == ("verified", "processing")


def test_a_finished_redaction_is_observed(sandbox: Sandbox, api: StripeApi) -> None:
    id = create(sandbox)
    sandbox.control("POST", "/redaction", {"seconds": 0})
    api.redact(id, "", "yet another key")
    sandbox.control("POST", "/clock", {"advance": 1})
    seen = api.retrieve(id, "")
    assert (seen.name, seen.snapshot.redaction) == ("redacted", "redacted")


@calls
@pytest.mark.parametrize("status", [429, 500, 502, 503, 409])
def test_what_time_mends_is_unavailable(
    sandbox: Sandbox, api: StripeApi, call: Call, status: int
) -> None:
    id = create(sandbox)
    sandbox.control("POST", "/faults", {"path": PATH, "status": status})
    with pytest.raises(StripeUnavailable) as unavailable:
        call(api, id)
    assert_says_nothing(unavailable.value)
    assert unavailable.value.status == status
    assert sandbox.control("GET", "/faults")["data"] == []


def test_a_call_is_tried_once_as_the_queue_tries_again(sandbox: Sandbox, api: StripeApi) -> None:
    sandbox.control("POST", "/faults", {"path": PATH, "status": 500, "times": 2})
    with pytest.raises(StripeUnavailable):
        api.retrieve("vs_1", "")
    (left,) = sandbox.control("GET", "/faults")["data"]
    assert left["times"] == 1


@calls
def test_a_connection_that_ends_is_unavailable(
    sandbox: Sandbox, api: StripeApi, call: Call
) -> None:
    id = create(sandbox)
    sandbox.control("POST", "/faults", {"path": PATH, "hang_up": True})
    with pytest.raises(StripeUnavailable):
        call(api, id)


@calls
def test_a_connection_that_is_refused_is_unavailable(call: Call) -> None:
    with pytest.raises(StripeUnavailable) as unavailable:
        call(StripeApi("sk_test_1", f"http://127.0.0.1:{free_port()}"), f"vs_{PLANTED}")
    assert_says_nothing(unavailable.value)


def test_an_answer_that_does_not_come_is_unavailable(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = create(sandbox)
    monkeypatch.setattr(client, "TIMEOUT", 0.1)
    sandbox.control("POST", "/faults", {"path": PATH, "delay": 1.0})
    with pytest.raises(StripeUnavailable, match="did not answer in time"):
        StripeApi("sk_test_1", sandbox.url).retrieve(id, "")


def test_a_call_waits_no_longer_than_its_job_has_left(
    sandbox: Sandbox, api: StripeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = create(sandbox)
    monkeypatch.setattr(client, "SHARE_OF_JOB", 0.02)
    sandbox.control("POST", "/faults", {"path": PATH, "delay": 3.0})
    with TimeLimit(30, JobTimeoutException):  # type: ignore[no-untyped-call]  # RQ's
        with pytest.raises(StripeUnavailable, match="did not answer in time"):
            api.retrieve(id, "")
        left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert left > 0  # it was not the end of the job that ended the call


def test_a_job_whose_time_ends_in_a_call_has_waited_for_stripe(
    sandbox: Sandbox, api: StripeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = create(sandbox)
    monkeypatch.setattr(client, "SHARE_OF_JOB", 10)
    sandbox.control("POST", "/faults", {"path": PATH, "delay": 3.0})
    with (
        pytest.raises(StripeUnavailable, match="did not answer in time") as unavailable,
        TimeLimit(1.0, JobTimeoutException),  # type: ignore[no-untyped-call]  # RQ's
    ):
        api.retrieve(id, "")
    assert_says_nothing(unavailable.value)


@calls
def test_an_unknown_session_is_refused(api: StripeApi, call: Call) -> None:
    with pytest.raises(StripeRefused) as refused:
        call(api, f"vs_{PLANTED}")
    assert refused.value.code == "resource_missing"
    assert "404" in str(refused.value)
    assert "resource_missing" in str(refused.value)
    assert_says_nothing(refused.value)


def test_what_the_session_is_not_in_the_state_for_is_refused(
    sandbox: Sandbox, api: StripeApi
) -> None:
    id = create(sandbox)
    sandbox.submit(id, "verified")
    with pytest.raises(StripeRefused) as refused:
        api.cancel(id, "", "a key")
    assert "400" in str(refused.value)


def test_a_wrong_key_is_refused_and_not_told(sandbox: Sandbox) -> None:
    with pytest.raises(StripeRefused) as refused:
        StripeApi(f"wrong_{PLANTED}", sandbox.url).retrieve("vs_1", "")
    assert "401" in str(refused.value)
    assert_says_nothing(refused.value)


@contextmanager
def answering(status: int, body: str, date: str | None) -> Iterator[StripeApi]:
    """The API at a server that answers every request in this way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            if date is not None:
                self.send_header("Date", date)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    with serving(Handler) as url:
        yield StripeApi("sk_test_1", url)


SESSION = (
    '{"id": "vs_1", "object": "identity.verification_session", "created": 1, "livemode": false,'
    ' "status": "verified", "type": "document"}'
)
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


def test_the_answers_date_less_the_calls_seconds_and_one_more_is_what_counts() -> None:
    with answering(200, SESSION, DATE) as api:
        api._monotonic = iter([100.0, 103.2]).__next__
        assert api.retrieve("vs_1", "").as_of == 1_700_000_000 - 1 - 4


@pytest.mark.parametrize("date", [None, "", PLANTED])
def test_an_answer_without_a_date_is_unavailable(date: str | None) -> None:
    with answering(200, SESSION, date) as api, pytest.raises(StripeUnavailable) as unavailable:
        api.retrieve("vs_1", "")
    assert_says_nothing(unavailable.value)


@pytest.mark.parametrize("status", [200, 502, 503])
def test_an_answer_that_is_not_stripes_is_unavailable(status: int) -> None:
    page = f"<html>{PLANTED}: this site is being mended</html>"
    with answering(status, page, DATE) as api, pytest.raises(StripeUnavailable) as unavailable:
        api.retrieve("vs_1", "")
    assert_says_nothing(unavailable.value)


@pytest.mark.parametrize(
    ("status", "type"),
    [
        (400, "invalid_request_error"),
        (401, "invalid_request_error"),
        (402, "card_error"),
        (403, "invalid_request_error"),
        (404, "invalid_request_error"),
        (418, "something_new"),
    ],
)
def test_a_refusals_text_is_built_from_codes(status: int, type: str) -> None:
    body = (
        f'{{"error": {{"type": "{type}", "code": "a_code", "param": "{PLANTED}",'
        f' "message": "{PLANTED} is not a name"}}}}'
    )
    with answering(status, body, DATE) as api, pytest.raises(StripeRefused) as refused:
        api.retrieve("vs_1", "")
    assert refused.value.code == "a_code"
    # Stripe's package gives the code of some classes only.
    assert re.fullmatch(rf"Stripe answered {status} (a_code|[A-Za-z]+Error)", str(refused.value))
    assert_says_nothing(refused.value)


@pytest.mark.parametrize("body", ["[]", "null", "{}", '"PLANTED-VALUE"'])
def test_a_refusal_of_no_shape_at_all_is_still_one(body: str) -> None:
    with (
        answering(400, body, DATE) as api,
        pytest.raises((StripeUnavailable, StripeRefused)) as told,
    ):
        api.retrieve("vs_1", "")
    assert_says_nothing(told.value)
    assert getattr(told.value, "code", None) is None


def test_a_session_of_another_shape_is_unreadable() -> None:
    body = SESSION.replace('"created": 1', f'"created": "{PLANTED}"')
    with answering(200, body, DATE) as api, pytest.raises(UnreadableEvent) as unreadable:
        api.retrieve("vs_1", "")
    assert_says_nothing(unreadable.value)

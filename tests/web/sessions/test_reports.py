"""`/v1/identity/verification_reports`: passed through, and kept nowhere."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import httpx2
import pytest
from redis import Redis

from app.stripe.client import REPORTS
from tests.sandbox.processes import Sandbox
from tests.web.sessions.conftest import BEARER, Backend, Recorder, error_of, opened_backend

PLANTED = "PLANTED-NAME"
A_LIST = '{"object": "list", "data": [], "has_more": false, "url": "/x"}'


def read(backend: Backend, path: str = "", query: str = "", **headers: str) -> httpx2.Response:
    return backend.client.get(f"{REPORTS}{path}?{query}", headers=BEARER | headers)


def submitted(backend: Backend, reference: str) -> tuple[str, str]:
    """A session with a planted name, and its report."""
    made = backend.created(reference)
    backend.sandbox.submit(made["id"], "verified", verified_outputs={"first_name": PLANTED})
    return made["id"], backend.get("/" + made["id"]).json()["last_verification_report"]


def test_a_report_is_read_as_stripe_has_it_and_no_cache_keeps_it(
    backend: Backend, reference: str
) -> None:
    session, id = submitted(backend, reference)
    answer = read(backend, "/" + id)
    report = answer.json()
    assert (report["object"], report["id"]) == ("identity.verification_report", id)
    assert report["verification_session"] == session
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["request-id"].startswith("req_")


def test_the_reports_of_a_session_are_listed(backend: Backend, reference: str) -> None:
    session, id = submitted(backend, reference)
    answer = read(backend, query=f"verification_session={session}")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["object"], found["url"], found["has_more"]) == ("list", REPORTS, False)
    assert [report["id"] for report in found["data"]] == [id]
    assert answer.headers["cache-control"] == "no-store"


def test_nothing_of_a_report_stays_behind(
    backend: Backend, reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session, id = submitted(backend, reference)
    assert PLANTED in read(backend, "/" + id).text
    assert PLANTED in read(backend, query=f"verification_session={session}").text
    output = capsys.readouterr()
    for place in (backend.redis(), backend.ledger(), output.out, output.err):
        assert PLANTED not in place
    assert session in backend.ledger()  # what is kept would be found


def test_sensitive_fields_come_with_the_restricted_key_alone(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    with opened_backend(environment, sandbox) as backend:
        session, id = submitted(backend, reference)
        answer = read(backend, "/" + id, "expand[]=document.dob")
        assert "restricted key" in error_of(answer, 403)["message"]
    keys = {"STRIPE_RESTRICTED_KEY": "rk_test_1"}
    with opened_backend(environment | keys, sandbox) as backend:
        assert read(backend, "/" + id, "expand[]=document.dob").json()["document"]["dob"]
        query = f"verification_session={session}&expand[]=data.document.dob"
        (listed,) = read(backend, query=query).json()["data"]
        assert listed["document"]["dob"]


def test_everything_that_is_asked_for_is_passed_on(told: Backend, recorder: Recorder) -> None:
    recorder.body = A_LIST
    query = (
        "client_reference_id=u&created[gte]=1&type=document&verification_session=vs_1&limit=3"
        "&starting_after=vr_1&expand[0]=data.document.dob&color=red&api_key=x"
    )
    for path in ("", "/vr_1"):
        answer = read(told, path, query, **{"Stripe-Account": "acct_1"})
        assert answer.json() == json.loads(A_LIST)
        asked, _, sent = recorder.last["path"].partition("?")
        assert (asked, sorted(parse_qsl(sent))) == (REPORTS + path, sorted(parse_qsl(query)))
        assert recorder.last["stripe-account"] == "acct_1"
        assert recorder.last["authorization"] == "Bearer sk_test_1"


def test_stripe_itself_refuses_what_it_does_not_know(backend: Backend) -> None:
    assert error_of(read(backend, "/vr_x"), 404)["code"] == "resource_missing"
    assert error_of(read(backend, query="color=x"), 400)["code"] == "parameter_unknown"


@pytest.mark.parametrize("id", ["vr.1", "vr%201", "a" * 256, "%00"])
def test_an_id_that_is_none_is_400(told: Backend, recorder: Recorder, id: str) -> None:
    assert error_of(read(told, "/" + id), 400)["param"] == "report"
    assert recorder.asked == []


def test_a_long_list_of_what_to_expand_is_400(told: Backend, recorder: Recorder) -> None:
    query = "&".join("expand[]=x" for _ in range(21))
    for path in ("", "/vr_1"):
        assert error_of(read(told, path, query), 400)["param"] == "expand"
    assert recorder.asked == []


@pytest.mark.parametrize("body", [f"<html>{PLANTED}</html>", f'["{PLANTED}"]', ""])
def test_an_answer_that_is_not_stripes_is_503(told: Backend, recorder: Recorder, body: str) -> None:
    recorder.body = body
    for path in ("", "/vr_1"):
        answer = read(told, path)
        assert error_of(answer, 503)["type"] == "api_error"
        assert PLANTED not in answer.text


def test_no_token_is_401_and_stripe_is_not_asked(told: Backend, recorder: Recorder) -> None:
    for path in ("", "/vr_1"):
        assert error_of(told.client.get(REPORTS + path), 401)["type"] == "authentication_error"
    assert recorder.asked == []


def test_without_an_api_key_it_is_503(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis
) -> None:
    with opened_backend(environment | {"STRIPE_API_KEY": ""}, sandbox) as backend:
        assert "STRIPE_API_KEY" in error_of(read(backend, "/vr_1"), 503)["message"]

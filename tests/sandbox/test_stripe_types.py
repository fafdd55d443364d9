"""All that the sandbox answers and sends is of the types of the `stripe` package."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from stripe.identity import VerificationReport, VerificationSession

from deploy.sandbox.reports import WITHOUT_REPORT
from deploy.sandbox.session import LAST_ERRORS, STATUSES
from tests.sandbox.processes import Receiver, Sandbox
from tests.sandbox.stripe_types import breaches

SESSIONS = "/v1/identity/verification_sessions"
REPORTS = "/v1/identity/verification_reports"
# A restricted key: it may expand everything.
BEARER = {"Authorization": "Bearer rk_test_types"}
OUTPUTS = ("verified_outputs", "verified_outputs.dob", "verified_outputs.id_number")
SENSITIVE = (
    *("document.dob", "document.expiration_date", "document.number"),
    *("id_number.dob", "id_number.id_number"),
)
REPORT = ("last_verification_report", *(f"last_verification_report.{name}" for name in SENSITIVE))


class World:
    """A life of many sessions at random, and every answer about them."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self.sandbox = sandbox
        self.draw = random.Random(seed)
        self.sessions: list[str] = []
        self.answers: list[tuple[Any, Any]] = []

    def call(self, method: str, path: str, cls: Any, params: dict[str, Any] | None = None) -> Any:
        """An answer that was given, noted with its type; None for a refusal."""
        http = self.sandbox.http
        if method == "GET":
            answer = http.get(path, headers=BEARER, params=params)
        else:
            answer = http.post(path, headers=BEARER, data=params)
        if answer.status_code != 200:
            assert answer.status_code == 400, answer.text
            return None
        self.answers.append((answer.json(), cls))
        return answer.json()

    def create(self) -> None:
        form: dict[str, Any] = self.draw.choice(
            [
                {"type": "document"},
                {"type": "id_number"},
                {"verification_flow": "vf_everything"},
                {"type": "document", "options[document][require_matching_selfie]": "true"},
                {
                    "type": "document",
                    "options[document][require_id_number]": "true",
                    "options[document][allowed_types][]": "passport",
                },
            ]
        )
        extras: dict[str, str] = {
            "client_reference_id": "user_1",
            "metadata[plan]": "gold",
            "provided_details[email]": "jenny@example.com",
            "provided_details[phone]": "+15555550100",
            "related_customer": "cus_1",
            "return_url": "https://example.com",
        }
        given = {name: value for name, value in extras.items() if self.draw.random() < 0.5}
        if self.draw.random() < 0.2:
            given |= {"related_person[account]": "acct_1", "related_person[person]": "person_1"}
        self.sessions.append(self.call("POST", SESSIONS, VerificationSession, form | given)["id"])

    def step(self) -> None:
        """Anything that may happen to one of them, whether or not it is in order."""
        session = self.draw.choice(self.sessions)
        path = f"{SESSIONS}/{session}"
        what = self.draw.choice(["submit"] * 6 + ["review", "cancel", "redact", "update", "wait"])
        if what == "submit":
            outcome = self.draw.choice(["verified", *LAST_ERRORS])
            self.control(f"/sessions/{session}/submit", {"outcome": outcome})
        elif what == "review":
            code = self.draw.choice([None, *LAST_ERRORS])
            status = "verified" if code is None else "requires_input"
            body = {"status": status} | ({"last_error": code} if code else {})
            self.control(f"/sessions/{session}/review", body)
        elif what == "wait":
            self.control("/clock", {"advance": self.draw.choice([60, 86_400])})
        elif what == "update":
            self.call("POST", path, VerificationSession, {"metadata[a]": "1", "type": "document"})
        else:
            self.call("POST", f"{path}/{what}", VerificationSession)
        expand = {f"expand[{n}]": name for n, name in enumerate([*OUTPUTS, *REPORT])}
        self.call("GET", path, VerificationSession, self.draw.choice([{}, expand]))

    def control(self, path: str, body: dict[str, Any]) -> None:
        answer = self.sandbox.http.post(f"/_sandbox{path}", json=body)
        assert answer.status_code in (200, 409), answer.text

    def read_lists(self) -> None:
        """Every list to its end, each with all that can be expanded."""
        for path, cls, names in (
            (SESSIONS, VerificationSession, (*OUTPUTS, *REPORT)),
            (REPORTS, VerificationReport, SENSITIVE),
            ("/v1/events", stripe.Event, ()),
        ):
            expand = {f"expand[{n}]": f"data.{name}" for n, name in enumerate(names)}
            for item in self.listed(path, {"limit": 100, **expand}):
                self.answers.append((item, cls))
                if cls is stripe.Event:
                    self.answers.append((item["data"]["object"], VerificationSession))

    def listed(self, path: str, params: dict[str, Any]) -> Iterator[Any]:
        while True:
            page = self.sandbox.http.get(path, params=params, headers=BEARER).json()
            assert (page["object"], page["url"]) == ("list", path)
            yield from page["data"]
            if not page["has_more"]:
                return
            params = {**params, "starting_after": page["data"][-1]["id"]}


@pytest.mark.parametrize("seed", range(3))
def test_every_answer_and_event_of_a_random_life_is_of_stripes_types(
    sandbox: Sandbox, seed: int
) -> None:
    sandbox.control("POST", "/redaction", {"seconds": 3600})
    everything: dict[str, Any] = {
        "document": {"require_matching_selfie": True, "require_id_number": True}
    }
    everything |= {"email": {"require_verification": True}, "phone": {"require_verification": True}}
    everything |= {"id_number": {}, "matching": {"dob": "similar", "name": "none"}}
    sandbox.control("POST", "/verification_flows/vf_everything", {"options": everything})
    world = World(sandbox, seed)
    for _ in range(12):
        world.create()
    for _ in range(120):
        world.step()
    world.read_lists()
    found = {breach for answer, cls in world.answers for breach in breaches(answer, cls)}
    assert sorted(found) == []
    # It went through all that can be: otherwise nothing was shown.
    sessions = [answer for answer, cls in world.answers if cls is VerificationSession]
    assert {s["status"] for s in sessions} == set(STATUSES)
    assert "redacted" in {s["redaction"]["status"] for s in sessions if s["redaction"]}
    reports = [answer for answer, cls in world.answers if cls is VerificationReport]
    assert {check for r in reports for check in r} >= {"document", "id_number", "selfie", "email"}


@pytest.mark.parametrize("code", LAST_ERRORS)
def test_a_failed_check_says_so_in_one_of_its_own_codes(sandbox: Sandbox, code: str) -> None:
    world = World(sandbox, 1)
    world.call("POST", SESSIONS, VerificationSession, {"type": "document"})
    session = world.answers[0][0]["id"]
    sandbox.submit(session, code)
    reports = list(world.listed(REPORTS, {"verification_session": session}))
    assert [breach for report in reports for breach in breaches(report, VerificationReport)] == []
    checks = {"document", "id_number", "selfie", "email", "phone"}
    made = [(name, report[name]["status"]) for report in reports for name in checks & report.keys()]
    failed = [name for name, status in made if status == "unverified"]
    assert len(failed) == len(reports) == (code not in WITHOUT_REPORT)
    assert all(code.startswith(name) for name in failed)


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        ({"status": "done"}, ".status: 'done' is none of"),
        ({"status": None}, ".status: None is none of"),
        ({"created": "1"}, ".created: '1' is not of <class 'int'>"),
        ({"created": True}, ".created: True is not of <class 'int'>"),
        ({"color": 1}, ".color: VerificationSession does not know it"),
        ({"verification_flow": None}, ".verification_flow: null, where it is to be left out"),
        ({"last_error": {"code": "x", "reason": None}}, ".last_error.code: 'x' is none of"),
        ({"last_error": {"code": "abandoned"}}, ".last_error.reason: absent"),
        ({"options": {"document": {"allowed_types": ["x"]}}}, ".options.document.allowed_types[0]"),
        ({"last_verification_report": {"id": "vr_1"}}, ".last_verification_report"),
    ],
)
def test_the_test_itself_finds_a_breach(sandbox: Sandbox, change: Any, breach: str) -> None:
    world = World(sandbox, 1)
    session = world.call("POST", SESSIONS, VerificationSession, {"type": "document"})
    assert list(breaches(session, VerificationSession)) == []
    found = list(breaches(session | change, VerificationSession))
    assert found
    assert breach in found[0]


@pytest.mark.parametrize("field", ["id", "status", "client_secret", "metadata"])
def test_the_test_itself_finds_what_is_absent(sandbox: Sandbox, field: str) -> None:
    session = World(sandbox, 1).call("POST", SESSIONS, VerificationSession, {"type": "document"})
    del session[field]
    assert list(breaches(session, VerificationSession)) == [f".{field}: absent"]


def test_endpoints_the_account_and_errors_are_of_stripes_types(sandbox: Sandbox) -> None:
    world = World(sandbox, 1)
    form = {"url": "https://example.com", "enabled_events[]": "*"}
    endpoint = world.call("POST", "/v1/webhook_endpoints", stripe.WebhookEndpoint, form)
    world.call("GET", f"/v1/webhook_endpoints/{endpoint['id']}", stripe.WebhookEndpoint)
    secret = {"Authorization": "Bearer sk_test_types"}
    account = sandbox.http.get("/v1/account", headers=secret).json()
    world.answers.append((account, stripe.Account))
    for path in (f"{SESSIONS}/vs_unknown", f"{SESSIONS}?color=red"):
        answer = sandbox.http.get(path, headers=BEARER)
        world.answers.append((answer.json()["error"], stripe.ErrorObject))
    sandbox.http.delete(f"/v1/webhook_endpoints/{endpoint['id']}", headers=BEARER)
    assert [breach for answer, cls in world.answers for breach in breaches(answer, cls)] == []


def test_what_is_delivered_is_of_stripes_types(sandbox: Sandbox, receiver: Receiver) -> None:
    both = {"url": receiver.url, "events_from": ["@self", "@accounts"]}
    added = sandbox.control("POST", "/event_destinations", both)
    sessions = sandbox.client().v1.identity.verification_sessions
    for options in ({}, {"stripe_account": "acct_types"}):
        sandbox.submit(sessions.create({"type": "document"}, options).id, "verified")  # type: ignore[arg-type]  # options of the package are a TypedDict
    events = receiver.events(6)
    sandbox.control("DELETE", f"/event_destinations/{added['id']}")
    assert [breach for event in events for breach in breaches(event, stripe.Event)] == []
    assert {event.get("account") for event in events} == {None, "acct_types"}

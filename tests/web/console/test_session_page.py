"""A session's page, its cancellation, and the list and claim of orphans."""

from __future__ import annotations

from typing import Any

import pytest

from app.web.console.console import Console
from tests.support.account import KEY, Account
from tests.support.ledger import NOW, POLICY, observation
from tests.support.places import new
from tests.web.console.browser import Browser


@pytest.fixture
def environment(environment: dict[str, str], account: Account) -> dict[str, str]:
    """The web process' own, on the account at the local Stripe."""
    return {**environment, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": account.sandbox.url}


def apply(console: Console, *seen: Any) -> None:
    console.stores.ledger.apply(seen, policy=POLICY, now=NOW)


def orphans(console: Console, count: int) -> list[str]:
    """The ids of orphans, in their order."""
    ids = [f"vs_orphan_{number:03d}" for number in range(count)]
    apply(console, *(observation("verified", 100, session=id, reference=None) for id in ids))
    return ids


def test_a_session_leads_to_its_user(reader: Browser, console: Console) -> None:
    apply(console, observation("requires_input", 100, error="document_expired"))
    page = reader.get("/console/sessions/vs_1").text
    assert 'href="/console/references/user_1?livemode=false"' in page
    assert "document_expired" in page


def test_its_json_has_its_attempts_and_whose_it_is(reader: Browser, console: Console) -> None:
    apply(console, observation("requires_input", 100, error="document_expired"))
    told = reader.get("/console/sessions/vs_1.json").json()
    assert told["client_reference_id"] == "user_1"
    assert told["failed_attempts"] == [{"at": 100, "code": "document_expired", "counts": True}]


def test_its_dead_letters_are_a_link_away(reader: Browser, console: Console) -> None:
    apply(console, observation("verified", 100))
    events = console.stores.events
    events.enqueue_all([new("evt_dead")])
    (job,) = events.claim("token", 60, 1)
    events.bury(job, "permanent_error", "Broken", "it broke")
    console.stores.redis.sadd("identity:by_session:events:vs_1", "evt_dead")
    assert (
        "/console/dead-letters/evt_dead?queue=events" in reader.get("/console/sessions/vs_1").text
    )


@pytest.mark.parametrize("path", ["vs_never", "vs_1?livemode=true", "a.b", "%00"])
def test_a_session_that_nobody_knows_has_no_page(
    reader: Browser, console: Console, path: str
) -> None:
    apply(console, observation("verified", 100))
    assert reader.get(f"/console/sessions/{path}").status_code == 404


def test_an_open_session_is_canceled_at_stripe(
    operator: Browser, account: Account, console: Console
) -> None:
    session = account.open("user_1")
    apply(console, observation("requires_input", 100, session=session))
    path = f"/console/sessions/{session}"
    assert "Cancel this session" in operator.get(path).text
    answer = operator.post(f"{path}/cancel?livemode=false", confirm="cancel")
    page = operator.get(answer.headers["location"]).text
    assert "The session is canceled." in page
    assert "Cancel this session" not in page
    assert account.sandbox.truth(session)["status"] == "canceled"
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.target["session_id"]) == ("cancel", session)


def test_stripe_is_asked_about_an_orphan(
    operator: Browser, account: Account, console: Console
) -> None:
    session = account.open(reference=None)
    apply(console, observation("requires_input", 100, session=session, reference=None))
    account.sandbox.submit(session, "verified")
    assert "Ask Stripe now" in operator.get(f"/console/sessions/{session}").text
    answer = operator.post(f"/console/find/{session}/ask", account="")
    assert "verified" in operator.get(answer.headers["location"]).text


def test_stripes_refusal_to_cancel_is_told(
    operator: Browser, account: Account, console: Console
) -> None:
    session = account.verified("user_1")
    apply(console, observation("requires_input", 100, session=session))
    answer = operator.post(f"/console/sessions/{session}/cancel", confirm="cancel")
    assert answer.status_code == 502
    assert "Stripe answered 400" in answer.text


def test_unconfirmed_nothing_is_canceled(
    operator: Browser, account: Account, console: Console
) -> None:
    session = account.open("user_1")
    apply(console, observation("requires_input", 100, session=session))
    assert operator.post(f"/console/sessions/{session}/cancel").status_code == 400
    assert account.sandbox.truth(session)["status"] == "requires_input"


def test_orphans_are_listed_a_page_at_a_time(reader: Browser, console: Console) -> None:
    ids = orphans(console, 51)
    first = reader.get("/console/orphans").text
    assert ids[49] in first
    assert ids[50] not in first
    assert f"/console/orphans?livemode=false&amp;after={ids[49]}" in first
    rest = reader.get(f"/console/orphans.json?after={ids[49]}").json()
    assert [one["id"] for one in rest["data"]] == ids[50:]
    assert ids[0] not in reader.get("/console/orphans?livemode=true").text


def test_an_orphan_is_claimed_for_a_user(
    operator: Browser, account: Account, console: Console
) -> None:
    session = account.open(reference=None)
    apply(console, observation("requires_input", 100, session=session, reference=None))
    path = f"/console/sessions/{session}/claim?livemode=false"
    answer = operator.post(path, reference=" user_1", confirm="user_1")
    page = operator.get(answer.headers["location"]).text
    assert "The session counts for this user now, and Stripe knows it too." in page
    assert account.status("user_1") == "requires_input"
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.target["reference"]) == ("claim", "user_1")
    assert entry.target["session_id"] == session


@pytest.mark.parametrize(("reference", "confirm"), [("user_1", "user_2"), ("user_1", ""), ("", "")])
def test_an_orphan_is_claimed_for_nobody_else(
    operator: Browser, console: Console, reference: str, confirm: str
) -> None:
    (session,) = orphans(console, 1)
    path = f"/console/sessions/{session}/claim"
    answer = operator.post(path, reference=reference, confirm=confirm)
    assert answer.status_code == 400
    assert [one.id for one in console.stores.ledger.orphans.list(False, 2)] == [session]


def test_a_session_that_counts_for_another_cannot_be_claimed(
    operator: Browser, console: Console
) -> None:
    apply(console, observation("verified", 100))
    path = "/console/sessions/vs_1/claim"
    answer = operator.post(path, reference="user_2", confirm="user_2")
    assert answer.status_code == 400
    assert "names another reference already" in answer.text
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.result) == ("claim", "refused")
    assert entry.target["session_id"] == "vs_1"

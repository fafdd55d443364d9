"""The one box: what it leads to, and what it says where there is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from app.web.console.console import Console
from tests.support.account import KEY, Account
from tests.support.ledger import NOW, POLICY, observation
from tests.support.places import dead, new
from tests.web.console.browser import Browser


@pytest.fixture
def environment(environment: dict[str, str], account: Account) -> dict[str, str]:
    """The web process' own, on the account at the local Stripe."""
    return {**environment, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": account.sandbox.url}


def apply(console: Console, **fields: Any) -> None:
    """Have the ledger know `vs_1` of `user_1` as verified, by `evt_1`."""
    one = observation("verified", 100, **{"event": "evt_1", **fields})
    console.stores.ledger.apply([one], policy=POLICY, now=NOW)


@pytest.mark.parametrize("query", ["evt_1", "vs_1", "user_1", "%20vs_1%0A"])
def test_what_leads_to_one_page_goes_there(reader: Browser, console: Console, query: str) -> None:
    apply(console)
    answer = reader.get(f"/console/find?q={query}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/references/user_1?livemode=false"


def test_an_orphans_session_leads_to_its_own_page(reader: Browser, console: Console) -> None:
    apply(console, reference=None, account="acct_1")
    answer = reader.get("/console/find?q=vs_1")
    assert answer.headers["location"] == "/console/sessions/vs_1?livemode=false&account=acct_1"


def test_a_dead_letter_leads_to_its_page(reader: Browser, console: Console) -> None:
    dead(console.stores.events, "evt_2")
    answer = reader.get("/console/find?q=evt_2")
    assert answer.headers["location"] == "/console/dead-letters/evt_2?queue=events"


def test_a_queued_event_is_said_to_wait(reader: Browser, console: Console) -> None:
    console.stores.events.enqueue_all([new("evt_2")])
    answer = reader.get("/console/find?q=evt_2")
    assert answer.status_code == 200
    assert "waits for a worker" in answer.text


def test_a_user_of_both_modes_is_two_links(reader: Browser, console: Console) -> None:
    apply(console)
    apply(console, livemode=True, event="evt_2")
    page = reader.get("/console/find?q=user_1").text
    assert "/console/references/user_1?livemode=false" in page
    assert "/console/references/user_1?livemode=true" in page


def test_its_json_is_what_was_found_and_goes_nowhere(reader: Browser, console: Console) -> None:
    apply(console)
    told = reader.get("/console/find.json?q=vs_1").json()
    (hit,) = told["hits"]
    assert (hit["place"], hit["id"], hit["client_reference_id"]) == ("session", "vs_1", "user_1")
    assert told["looked_at"] == ["sessions", "references"]


@pytest.mark.parametrize("query", ["evt_9", "vs_9", "nobody", "<script>alert(1)</script>"])
def test_nothing_found_says_where_it_was_looked_for(reader: Browser, query: str) -> None:
    page = reader.get(f"/console/find?q={query}").text
    assert "Nothing found" in page
    assert "Looked at:" in page
    assert "<script>alert" not in page
    letters = "/console/dead-letters?reference=" in page
    assert letters is not query.startswith(("evt_", "vs_"))


def test_stripe_is_offered_for_sessions_and_reports_alone(operator: Browser) -> None:
    offered = {
        query: "Ask Stripe" in operator.get(f"/console/find?q={query}").text
        for query in ("vs_9", "vr_9", "evt_9", "nobody", "")
    }
    assert offered == {"vs_9": True, "vr_9": True, "evt_9": False, "nobody": False, "": False}


def test_a_session_is_fetched_from_stripe(
    operator: Browser, account: Account, console: Console
) -> None:
    session = account.verified("user-1")
    answer = operator.post(f"/console/find/{session}/ask", account="")
    assert answer.status_code == 303
    assert "user-1" in operator.get(answer.headers["location"]).text
    assert account.status("user-1") == "verified"
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.target["session_id"]) == ("find_at_stripe", session)


@pytest.mark.parametrize(
    ("id", "of", "status"),
    [("vs_never", "", 404), ("evt_1", "", 400), ("vs_1", "not an account", 400)],
)
def test_what_stripe_cannot_be_asked_for_is_refused(
    operator: Browser, id: str, of: str, status: int
) -> None:
    assert operator.post(f"/console/find/{id}/ask", account=of).status_code == status


def test_an_endless_query_is_400(reader: Browser) -> None:
    assert reader.get(f"/console/find?q={'x' * 5_001}").status_code == 400

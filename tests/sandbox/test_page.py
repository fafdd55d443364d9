"""The page behind a session's url."""

from __future__ import annotations

import re
from typing import Any

import pytest
import stripe

from deploy.sandbox.session import LAST_ERRORS
from tests.sandbox.processes import Sandbox

# One sandbox for all of them: they belong on one worker.


def create(client: stripe.StripeClient, **given: Any) -> Any:
    sessions: Any = client.v1.identity.verification_sessions
    return sessions.create({"type": "document", **given})


def test_the_page_has_a_button_for_every_outcome_and_needs_nothing_from_elsewhere(
    sandbox: Sandbox, client: stripe.StripeClient
) -> None:
    page = sandbox.http.get(create(client).url)
    assert page.status_code == 200
    assert set(re.findall(r'name="outcome" value="(\w+)"', page.text)) == {
        *LAST_ERRORS,
        "verified",
        "walk_away",
    }
    assert 'lang="en"' in page.text
    assert 'name="viewport"' in page.text
    assert not re.search(r"(src|href)=", page.text)
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("outcome", ["verified", "document_expired"])
def test_a_choice_is_applied_and_uses_the_link_up(
    sandbox: Sandbox, client: stripe.StripeClient, outcome: str
) -> None:
    session = create(client)
    closing = sandbox.http.post(session.url, data={"outcome": outcome})
    assert closing.status_code == 200
    assert "Thank you" in closing.text
    truth = sandbox.truth(session.id)
    assert outcome in (truth["status"], truth["last_error"])
    for again in (
        sandbox.http.get(session.url),
        sandbox.http.post(session.url, data={"outcome": "verified"}),
    ):
        assert again.status_code == 410
        assert "used" in again.text


def test_walking_away_leaves_the_link_good(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    session = create(client)
    assert sandbox.http.post(session.url, data={"outcome": "walk_away"}).status_code == 200
    assert sandbox.http.get(session.url).status_code == 200


def test_the_person_is_sent_back_to_the_return_url(
    sandbox: Sandbox, client: stripe.StripeClient
) -> None:
    session = create(client, return_url="https://example.com/back?a=1")
    answer = sandbox.http.post(session.url, data={"outcome": "verified"})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "https://example.com/back?a=1",
    )


def test_the_page_escapes_what_callers_wrote(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    session = create(client, client_reference_id="<script>alert(1)</script>$title")
    page = sandbox.http.get(session.url).text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;$title" in page


def test_an_unknown_link_is_a_404_and_a_canceled_sessions_a_410(
    sandbox: Sandbox, client: stripe.StripeClient
) -> None:
    assert sandbox.http.get("/verify/test_unknown").status_code == 404
    session = create(client)
    client.v1.identity.verification_sessions.cancel(session.id)
    assert sandbox.http.get(session.url).status_code == 410


def test_an_unknown_outcome_changes_nothing(sandbox: Sandbox, client: stripe.StripeClient) -> None:
    session = create(client)
    for data in ({"outcome": "gold"}, {}, {"other": "verified"}):
        assert sandbox.http.post(session.url, data=data).status_code == 400
    assert sandbox.truth(session.id)["status"] == "requires_input"

"""A user's page: what it shows, and what its buttons do."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from app.domain.snapshot import SessionKey
from app.operations.backfilled import KEY as BACKFILLED
from app.web.console.console import Console
from tests.support.account import KEY, Account
from tests.support.ledger import NOW, POLICY, life, observation
from tests.support.places import dead
from tests.web.console.browser import Browser

PAGE = "/console/references/user_1"


@pytest.fixture
def environment(environment: dict[str, str], account: Account) -> dict[str, str]:
    """The web process' own, on the account at the local Stripe."""
    at_stripe = {"STRIPE_API_KEY": KEY, "STRIPE_API_BASE": account.sandbox.url}
    return {**environment, **at_stripe, "MAX_ATTEMPTS": "3"}


def apply(console: Console, *seen: Any) -> None:
    console.stores.ledger.apply(seen, policy=POLICY, now=NOW)


def audited(console: Console) -> tuple[str, str, str, dict[str, Any]]:
    """What the audit says of the last action: who, what, how it ended, and on what."""
    (entry,) = console.stores.audit.page(None, 1)
    return entry.who, entry.action, entry.result, dict(entry.target)


def test_the_page_says_how_the_user_stands_and_what_is_next(
    reader: Browser, console: Console
) -> None:
    apply(console, observation("requires_input", 100, error="document_expired"))
    page = reader.get(PAGE).text
    assert "Not verified: the person has to submit something" in page
    assert "try again with another document" in page
    assert "2 of 3 left; 1 failed in all" in page
    assert 'href="/console/sessions/vs_1?livemode=false"' in page


def test_the_timeline_says_how_each_change_came(reader: Browser, console: Console) -> None:
    hour = 3_600
    apply(
        console,
        observation("requires_input", NOW - 3 * hour, event="evt_1"),
        observation("processing", NOW - 1, event="evt_2"),
        observation("verified", NOW, event=""),
    )
    console.stores.redis.zadd(BACKFILLED, {"evt_1": 1})
    page = reader.get(PAGE).text
    for way in ("by backfill, 3 h after Stripe had it", "by an event, at once", "by asking Stripe"):
        assert way in page


def test_while_redis_is_away_the_ledgers_part_is_shown(
    reader: Browser, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(console, *life())
    monkeypatch.setattr(console.stores.redis, "zmscore", raising_os_error)
    answer = reader.get(PAGE)
    assert answer.status_code == 200
    assert "by an event" in answer.text


def test_events_of_the_user_that_failed_are_a_link_away(reader: Browser, console: Console) -> None:
    apply(console, *life())
    dead(console.stores.events, "evt_dead")
    console.stores.redis.sadd("identity:by_session:events:vs_1", "evt_dead")
    (path,) = links(reader.get(PAGE).text, 'href="/console/dead-letters/')
    assert reader.get(f"/console/dead-letters/{path}").status_code == 200


def raising_os_error(*_: object) -> None:
    raise ConnectionError


def test_a_long_timeline_is_shown_part_by_part(reader: Browser, console: Console) -> None:
    for second in range(90):
        status = "processing" if second % 2 else "requires_input"
        apply(console, observation(status, 1_000 + second))
    first = reader.get(PAGE).text
    (older,) = links(first, 'rel="next" href="')
    second_part = reader.get(older.replace("&amp;", "&")).text
    assert 'rel="next"' not in second_part
    events = [
        *links(first, 'class="id">evt_1_', "_"),
        *links(second_part, 'class="id">evt_1_', "_"),
    ]
    assert events == [str(second) for second in reversed(range(1_000, 1_090))]
    told = reader.get(older.replace("&amp;", "&").replace("user_1?", "user_1.json?")).json()
    assert [line["as_of"] for line in told["timeline"]] == list(range(1_000, 1_040))


def links(page: str, before: str, end: str = '"') -> list[str]:
    """What stands in the page between two texts, by default up to the next quotation mark."""
    return [part.partition(end)[0] for part in page.split(before)[1:]]


@pytest.mark.parametrize(
    "reference",
    ["a/b", "<script>alert(1)</script>", "ünï 用户", "user.json", "x" * 5_000, "a?b#c&d"],
    ids=lambda reference: repr(reference[:20]),
)
def test_every_reference_has_its_page(reader: Browser, console: Console, reference: str) -> None:
    apply(console, observation("verified", 100, reference=reference))
    path = reader.get(f"/console/find?q={quote(reference)}").headers["location"]
    answer = reader.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("path", ["nobody", "user_1?livemode=true", "user_1?account=acct_2", "%00"])
def test_whom_nobody_knows_has_no_page(reader: Browser, console: Console, path: str) -> None:
    apply(console, *life())
    assert reader.get(f"/console/references/{path}").status_code == 404


@pytest.mark.parametrize(
    "query", ["livemode=1", "account=%21", "purpose=a/b", "before=x", "before=", f"before={9**30}"]
)
def test_a_query_that_means_nothing_is_400(reader: Browser, console: Console, query: str) -> None:
    apply(console, *life())
    assert reader.get(f"{PAGE}?{query}").status_code == 400


def test_another_purpose_of_the_user_is_a_link_away(reader: Browser, console: Console) -> None:
    apply(console, *life(), observation("canceled", 100, session="vs_2", purpose="driver"))
    (path,) = links(reader.get(PAGE).text, 'the default one, <a href="')
    assert "driver" in reader.get(path.replace("&amp;", "&")).text


def test_who_may_only_read_is_shown_no_button(reader: Browser, console: Console) -> None:
    apply(console, *life())
    page = reader.get(PAGE).text
    assert "Ask Stripe now" not in page
    assert "Redact every session" not in page


def test_stripe_is_asked_now_and_the_page_says_what_is_new(
    operator: Browser, account: Account, console: Console
) -> None:
    session = account.open("user_1")
    apply(console, observation("requires_input", 100, session=session))
    account.sandbox.submit(session, "verified")
    answer = operator.post(f"{PAGE}/ask?livemode=false")
    assert answer.status_code == 303
    assert "the standing has changed" in operator.get(answer.headers["location"]).text
    assert account.status("user_1") == "verified"
    who, action, result, target = audited(console)
    assert (who, action, result) == ("operator", "refresh_reference", "done")
    assert target["reference"] == "user_1"


def test_asking_about_the_other_mode_is_refused(operator: Browser, console: Console) -> None:
    apply(console, observation("verified", 100, livemode=True))
    answer = operator.post(f"{PAGE}/ask?livemode=true")
    assert answer.status_code == 400
    assert audited(console)[2] == "refused"
    assert "Ask Stripe now" not in operator.get(f"{PAGE}?livemode=true").text


def test_an_attempt_is_granted_with_a_reason(operator: Browser, console: Console) -> None:
    apply(console, *life(end="requires_input"))
    answer = operator.post(f"{PAGE}/allow?livemode=false", reason="a call to support")
    page = operator.get(answer.headers["location"]).text
    assert "One more attempt is granted" in page
    assert "of 4 left" in page
    assert "by an operator, who granted an attempt" in page
    assert "a call to support" in page
    (entry,) = console.stores.audit.page(None, 1)
    assert (entry.action, entry.reason) == ("allow_attempt", "a call to support")


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_without_a_reason_no_attempt_is_granted(
    operator: Browser, console: Console, reason: str
) -> None:
    apply(console, *life(end="requires_input"))
    assert operator.post(f"{PAGE}/allow", reason=reason).status_code == 400
    record = console.stores.ledger.read_reference("user_1", livemode=False)
    assert record is not None
    assert record.standing.attempts_granted == 0


def test_a_user_is_redacted_once_the_reference_was_typed(
    redactor: Browser, account: Account, console: Console
) -> None:
    session = account.verified("user_1")
    apply(console, observation("verified", 100, session=session))
    answer = redactor.post(f"{PAGE}/redact?livemode=false", reason="asked for", confirm="user_1")
    assert "Redaction is asked for" in redactor.get(answer.headers["location"]).text
    effects = console.stores.ledger.effects_due_unsent(2**40, 10, overdue=2**40)
    # Stripe has those of earlier tests too.
    assert session in [one.session_id for one in effects if one.kind == "redact"]
    assert audited(console)[:3] == ("redactor", "redact_reference", "done")


@pytest.mark.parametrize("typed", ["", "user_10", "USER_1"])
def test_another_reference_typed_redacts_nothing(
    redactor: Browser, account: Account, console: Console, typed: str
) -> None:
    apply(console, observation("verified", 100, session=account.verified("user_1")))
    answer = redactor.post(f"{PAGE}/redact", reason="asked for", confirm=typed)
    assert answer.status_code == 400
    assert audited(console)[2] == "refused"


def test_an_operator_may_not_redact(operator: Browser, console: Console) -> None:
    apply(console, *life())
    assert "Redact every session" not in operator.get(PAGE).text
    answer = operator.post(f"{PAGE}/redact", reason="asked for", confirm="user_1")
    assert answer.status_code == 403


def test_a_session_that_stripe_does_not_know_is_marked(reader: Browser, console: Console) -> None:
    apply(console, *life())
    console.stores.ledger.polling.mark_missing(SessionKey("vs_1", "", False), NOW)
    assert "(not known to Stripe)" in reader.get(PAGE).text

"""Troubles with deliveries, callers, Stripe and receivers: made, then mended as the page says.

Each goes on to its first `yield` with the trouble made, and to its second with it mended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import requests

from tests.e2e.runbook.stage import BOUND_SECRET, WITHIN, Stage
from tests.e2e.site import API_TOKEN, WEBHOOK_SECRET
from tests.notifications.receiver import answering
from tests.support.waiting import eventually

Trouble = Iterator[None]
# More than the alerts count as a mistake of one caller.
DELIVERIES, CALLS = 8, 30
NEW_SECRET = "whsec_" + "n" * 32
DAY = 86400


def badly_signed(stage: Stage) -> Trouble:
    """Stripe's endpoint has a secret that was not told here."""
    event = stage.event()
    assert {stage.deliver(event, NEW_SECRET) for _ in range(DELIVERIES)} == {400}
    yield
    secrets = stage.site.environment["STRIPE_WEBHOOK_SECRET"]
    stage.restart_web(STRIPE_WEBHOOK_SECRET=f"{secrets},{NEW_SECRET}")
    assert stage.deliver(event, NEW_SECRET) == 200
    yield


def host_clock_wrong(stage: Stage) -> Trouble:
    """By ten minutes, as what is signed looks from here."""
    event = stage.event()
    assert {stage.deliver(event, seconds_ago=600) for _ in range(DELIVERIES)} == {400}
    yield
    assert stage.deliver(event) == 200
    yield


def of_another_mode(stage: Stage) -> Trouble:
    """An endpoint of test mode has the secret that is bound to live."""
    event = stage.event()
    assert stage.deliver(event, BOUND_SECRET) == 400
    yield
    stage.restart_web(STRIPE_WEBHOOK_SECRET=f"{WEBHOOK_SECRET},test:{BOUND_SECRET}")
    assert stage.deliver(event, BOUND_SECRET) == 200
    yield


def unreadable(stage: Stage) -> Trouble:
    event = stage.event()
    without = {**event, "data": {"object": {**event["data"]["object"], "id": None}}}
    assert stage.deliver(without) == 400
    yield
    stage.do()
    assert stage.deliver(event) == 200
    yield


def not_taken(stage: Stage) -> Trouble:
    """Another application of RQ's has a job of the same id."""
    event = stage.event()
    key = f"rq:job:{event['id']}"
    stage.age(lambda redis: redis.hset(key, mapping={"origin": "default", "status": "queued"}))
    assert stage.deliver(event) == 503
    yield
    stage.age(lambda redis: redis.delete(key))
    assert stage.deliver(event) == 200
    yield


def tokens_refused(stage: Stage) -> Trouble:
    """A caller goes on with a token that was rolled."""
    assert {call(stage, "rolled" * 6) for _ in range(CALLS)} <= {401, 429}
    yield
    assert call(stage, API_TOKEN) == 404
    yield


def missed_by_webhook(stage: Stage) -> Trouble:
    """The endpoint is disabled at Stripe, and the backfill finds what happens."""
    stage.stripe("webhooks", enabled=False)
    stage.open_session()
    stage.run("python -m app backfill")
    yield
    stage.stripe("webhooks", enabled=True)
    stage.open_session()
    yield


def late(stage: Stage) -> Trouble:
    """Stripe sends what it made a quarter of an hour ago."""
    assert stage.deliver(stage.event(at=int(time.time()) - 900)) == 200
    stage.site.await_quiet()
    yield
    yield


def unknown_types(stage: Stage) -> Trouble:
    event = stage.event()
    assert stage.deliver({**event, "type": "identity.verification_session.paused"}) == 200
    yield
    yield


def no_events(stage: Stage) -> Trouble:
    """For two days, after which one comes that was not delivered."""
    stage.site.await_quiet()
    stage.sql(f"UPDATE events SET created = created - {2 * DAY}")
    yield
    stage.stripe("webhooks", enabled=False)
    stage.open_session()
    stage.stripe("webhooks", enabled=True)
    stage.do()
    yield


def backfill_stopped(stage: Stage) -> Trouble:
    """Stripe refuses the key, for two hours."""
    stage.stripe("faults", path="/v1/events", status=401, times=100)
    stage.sql(
        f"UPDATE cursors SET value = '{int(time.time()) - 7200}' WHERE name LIKE '%succeeded'"
    )
    stage.age(lambda redis: redis.delete("identity:backfill"))
    yield
    stage.stripe_has_no_faults()
    stage.age(lambda redis: redis.delete("identity:backfill"))  # its five minutes are over
    yield


def behind_stripe(stage: Stage) -> Trouble:
    """Nobody has asked about an open session that is due for an hour."""
    session = stage.open_session()
    stage.goes_well()
    stage.age(lambda redis: redis.set("identity:sweep", "a clock that hangs", ex=600))
    stage.sql(f"UPDATE sessions SET poll_at = {int(time.time()) - 3600} WHERE id = '{session}'")
    yield
    stage.do()
    stage.age(lambda redis: redis.delete("identity:sweep"))
    yield


def redactions_overdue(stage: Stage) -> Trouble:
    """It was asked for five days ago, and its end was never told."""
    session = stage.open_session()
    stage.site.sandbox.submit(session, "verified")
    stage.goes_well()
    stage.stripe("webhooks", enabled=False)
    stage.stripe("redaction", seconds=1)
    redact = f"{stage.site.url}/v1/verification_sessions/{session}/redact"
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    assert requests.post(redact, headers=headers, timeout=WITHIN).ok
    since = int(time.time()) - 5 * DAY
    aged = f"redaction_since = {since}, poll_at = {since}"
    stage.sql(f"UPDATE sessions SET {aged} WHERE id = '{session}'")
    yield
    stage.do()
    stage.stripe("redaction", seconds=0)
    stage.stripe("webhooks", enabled=True)
    yield


def orphans(stage: Stage) -> Trouble:
    """A session of live mode names nobody, and the live key sees to it."""
    event = stage.event(livemode=True, reference=None)
    assert stage.deliver(event) == 200
    stage.site.await_quiet()
    yield
    stage.do(
        STRIPE_API_KEY="sk_live_" + "d" * 32,
        SESSION=event["data"]["object"]["id"],
        CLIENT_REFERENCE_ID=stage.new("user"),
    )
    yield


def notifications_failing(stage: Stage) -> Trouble:
    stage.receiver.usual = answering(500)
    for _ in range(3):
        assert stage.deliver(stage.event()) == 200
    before = len(stage.receiver.requests)
    eventually(lambda: len(stage.receiver.requests) >= before + 3, WITHIN, "three were tried")
    yield
    stage.receiver.usual = None
    stage.do()
    yield


def receiver_gone(stage: Stage) -> Trouble:
    stage.receiver.usual = answering(410)
    assert stage.deliver(stage.event()) == 200
    yield
    stage.receiver.usual = None
    stage.do()
    yield


def call(stage: Stage, token: str) -> int:
    """The status that a caller of the API is answered with."""
    url = f"{stage.site.url}/v1/references/nobody"
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(url, headers=headers, timeout=WITHIN).status_code


TROUBLES = {
    "IdentityDeliveriesBadlySigned": badly_signed,
    "IdentityHostClockWrong": host_clock_wrong,
    "IdentityDeliveriesOfAnotherMode": of_another_mode,
    "IdentityDeliveriesUnreadable": unreadable,
    "IdentityDeliveriesNotTaken": not_taken,
    "IdentityTokensRefused": tokens_refused,
    "IdentityEventsMissedByWebhook": missed_by_webhook,
    "IdentityEventsLate": late,
    "IdentityUnknownEventTypes": unknown_types,
    "IdentityNoEvents": no_events,
    "IdentityBackfillStopped": backfill_stopped,
    "IdentityBehindStripe": behind_stripe,
    "IdentityRedactionsOverdue": redactions_overdue,
    "IdentityOrphans": orphans,
    "IdentityNotificationsFailing": notifications_failing,
    "IdentityReceiverGone": receiver_gone,
}

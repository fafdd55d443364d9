"""Forgetting a user: everywhere, and not while something would bring the user back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.notifications import stream
from app.operations.forget_reference import (
    Forgotten,
    StillAtStripe,
    StillQueued,
    forget_reference,
    person_of,
)
from app.operations.return_urls import ReturnUrls
from app.queue import waiting as module
from app.queue.waiting import waiting
from tests.notifications.receiver import CHANGED
from tests.support.deployment import Deployment, letter

USER = ReferenceKey("", False, "user-1")


def redacted(deployment: Deployment, reference: str = "user-1", session: str = "vs_1") -> None:
    """A user whose one session is verified and redacted."""
    deployment.apply(
        letter(f"{session}_v", reference=reference, session=session),
        letter(f"{session}_r", reference=reference, session=session, at=9, redaction="redacted"),
    )


def forget(deployment: Deployment, force: bool = False, **stores: Any) -> Forgotten:
    changed = replace(deployment.stores, **stores)
    return forget_reference(changed, USER, force=force, now=1)


def test_a_redacted_user_is_forgotten(deployment: Deployment) -> None:
    redacted(deployment)
    redacted(deployment, "user-2", "vs_2")
    assert forget(deployment) == Forgotten(1, 0, 0)
    assert person_of(deployment.stores, USER).keys == ()
    assert deployment.record("user-2").sessions


@pytest.mark.parametrize("status", ["requires_input", "processing", "verified"])
def test_one_that_stripe_has_not_redacted_is_not(deployment: Deployment, status: str) -> None:
    deployment.apply(letter("evt_1", status, session="vs_1"))
    with pytest.raises(StillAtStripe, match=r"1 session\(s\) are not redacted at Stripe: vs_1"):
        forget(deployment)
    assert deployment.record("user-1").sessions
    assert forget(deployment, force=True).sessions == 1


def test_a_session_that_was_canceled_unused_or_is_unknown_to_stripe_holds_nothing_up(
    deployment: Deployment,
) -> None:
    deployment.apply(
        letter("evt_1", "canceled", session="vs_1"), letter("evt_2", "processing", session="vs_2")
    )
    deployment.ledger.polling.mark_missing(SessionKey("vs_2", "", False), 1)
    assert forget(deployment).sessions == 2


@pytest.mark.parametrize("delay", [0, 60])
def test_while_events_of_the_user_wait_nothing_is_removed(
    deployment: Deployment, delay: float
) -> None:
    redacted(deployment)
    job = letter("evt_9", reference=None, session="vs_1")
    deployment.events.enqueue(replace(job, delay=delay))
    deployment.events.enqueue(letter("evt_8", reference="user-2"))
    with pytest.raises(StillQueued, match=r"1 event\(s\) of the user"):
        forget(deployment)
    assert deployment.record("user-1").sessions


def test_while_a_worker_has_one_nothing_is_removed(deployment: Deployment) -> None:
    redacted(deployment)
    deployment.events.enqueue(letter("evt_9", session="vs_other"))
    deployment.events.claim("token", 60, 1)
    with pytest.raises(StillQueued):
        forget(deployment)


def test_dead_letters_of_the_user_are_removed_and_others_stay(deployment: Deployment) -> None:
    redacted(deployment)
    deployment.bury(
        letter("evt_7", reference=None, session="vs_1"),
        letter("evt_8", session="vs_never_applied"),
        letter("evt_9", reference="user-2"),
        letter("evt_live", session="vs_live", livemode=True),
    )
    assert forget(deployment).dead_letters == 2
    assert deployment.dead == {"evt_9", "evt_live"}


def test_messages_of_the_stream_are_removed_and_others_stay(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "PART", 2)
    redacted(deployment)
    for reference, livemode in (("user-1", False), ("user-2", False), ("user-1", True)) * 2:
        message = replace(CHANGED, client_reference_id=reference, account="", livemode=livemode)
        stream.append(deployment.redis, "changes", message, 1)
    deployment.redis.xadd("changes", {"not": "ours"})
    settings = replace(deployment.stores.settings, notify_stream="changes")
    assert forget(deployment, settings=settings).stream_messages == 2
    assert deployment.redis.xlen("changes") == 5


def test_return_addresses_of_the_sessions_are_forgotten(deployment: Deployment) -> None:
    redacted(deployment)
    urls, session = ReturnUrls(deployment.redis), SessionKey("vs_1", "", False)
    urls.keep(session, "https://example.com/me")
    forget(deployment)
    assert urls.differs(session, "https://example.com/me")


def test_every_waiting_job_is_seen_page_by_page(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    queued = [letter(f"evt_{n}") for n in range(5)]
    scheduled = [replace(letter(f"evt_s{n}"), delay=60) for n in range(3)]
    deployment.events.enqueue_all([*queued, *scheduled])
    seen = [id for page in waiting(deployment.events) for id in page]
    assert sorted(seen) == sorted(job.id for job in (*queued, *scheduled))

"""Claim: an orphan counts for a reference from now on, here and at Stripe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.effects import PendingEffect
from app.domain.snapshot import LAST_METADATA_KEY, SessionKey
from app.domain.standing import ReferenceKey
from app.operations.claim_orphan import Claim, Claims
from app.queue.model import decode
from tests.support.account import KEY, Account
from tests.support.places import counts


def catch_up(account: Account) -> None:
    """All events of so far are in the ledger."""
    account.advance(120)
    list(account.backfill().steps())
    account.work()


def orphan(account: Account, *outcomes: str) -> str:
    """A session that names no reference, with what was submitted to it."""
    session = account.open(reference=None)
    for outcome in outcomes:
        account.sandbox.submit(session, outcome)
    catch_up(account)
    return session


def claims(
    account: Account, *, metadata_key: str = LAST_METADATA_KEY, with_key: bool = True
) -> Claims:
    """Claims of a team that is notified, with an API key or without one."""
    stores = account.context.stores
    stores = replace(
        stores,
        settings=replace(stores.settings, notify_stream="changes"),
        stripe=stores.stripe if with_key else None,
    )
    return Claims(stores, metadata_key=metadata_key, now=account.context.now)


def claim(account: Account, session: str, reference: str = "user-1", **options: Any) -> Claim:
    return claims(account, **options).claim(SessionKey(session, "", False), reference)


def test_a_claimed_orphan_counts_for_its_reference(account: Account) -> None:
    session = orphan(account, "verified")
    assert account.standing() is None
    found = claim(account, session)
    assert (found.outcome, found.status) == ("claimed", "verified")
    standing = account.standing()
    assert standing is not None
    assert (standing.status, standing.session_id) == ("verified", session)
    assert account.context.stores.ledger.orphans.list(False, 10) == []


def test_a_claim_is_a_line_of_its_own_in_the_timeline(account: Account) -> None:
    session = orphan(account)
    claim(account, session)
    record = account.context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    (line,) = record.timeline
    assert (line.cause, line.cause_session_id, line.event_id) == ("claimed", session, None)


def test_a_claim_brings_the_failed_attempts_along_each_once(account: Account) -> None:
    session = orphan(account, "document_expired", "abandoned")
    claim(account, session)
    standing = account.standing()
    assert standing is not None
    assert (standing.attempts, standing.status) == (2, "requires_input")


def test_the_team_is_notified_of_a_standing_that_a_claim_has_changed(account: Account) -> None:
    session = orphan(account, "verified")
    effects = account.context.stores.effects
    before = counts(effects)
    claim(account, session)
    assert counts(effects) == {**before, "queued": before["queued"] + 1}
    (job,) = effects.claim("token", 60, 10)
    effect = PendingEffect.unpack(*decode(job.data).arguments)
    assert (effect.kind, effect.reference_key) == (
        "notify",
        ReferenceKey("", False, "user-1").digest,
    )
    claim(account, session)
    assert effects.claim("token", 60, 10) == []


def test_the_reference_is_written_to_stripe_so_that_later_events_carry_it(
    account: Account,
) -> None:
    session = orphan(account)
    assert claim(account, session).at_stripe == "written"
    account.sandbox.submit(session, "verified")
    account.wipe_ledger()
    catch_up(account)
    standing = account.standing()
    assert standing is not None
    assert standing.status == "verified"


def test_the_teams_own_metadata_key_is_written_if_it_has_one(account: Account) -> None:
    session = orphan(account)
    claim(account, session, metadata_key="user_id")
    found = account.sandbox.client(KEY).v1.identity.verification_sessions.retrieve(session)
    assert found.metadata.to_dict() == {"user_id": "user-1"}


def test_a_session_that_stripe_lets_nobody_change_is_claimed_here_all_the_same(
    account: Account,
) -> None:
    session = orphan(account, "verified")
    found = claim(account, session)
    assert (found.outcome, found.at_stripe, found.status) == ("claimed", "refused", "verified")
    assert found.why is not None
    assert "400" in found.why


def test_if_stripe_is_away_the_claim_holds_and_can_be_written_later(account: Account) -> None:
    session = orphan(account)
    account.sandbox.control("POST", "/faults", {"path": "/v1/identity", "status": 503})
    assert claim(account, session).at_stripe == "unavailable"
    again = claim(account, session)
    assert (again.outcome, again.at_stripe) == ("already_claimed", "written")
    record = account.context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert len(record.timeline) == 1


def test_without_a_key_the_ledger_alone_knows(account: Account) -> None:
    found = claim(account, orphan(account), with_key=False)
    assert (found.outcome, found.at_stripe) == ("claimed", "not_asked")


def test_an_orphan_that_another_has_claimed_stays_anothers(account: Account) -> None:
    session = orphan(account)
    claim(account, session, "user-1")
    assert claim(account, session, "user-2").outcome == "not_an_orphan"
    assert account.standing("user-2") is None


def test_a_session_with_a_reference_of_its_own_cannot_be_claimed(account: Account) -> None:
    session = account.open("user-1")
    catch_up(account)
    for reference in ("user-1", "user-2"):
        assert claim(account, session, reference).outcome == "not_an_orphan"


def test_a_session_that_was_never_seen_cannot_be_claimed(account: Account) -> None:
    assert claim(account, "vs_never").outcome == "unknown_session"
    assert account.standing() is None


def test_a_session_of_the_other_mode_cannot_be_claimed(account: Account) -> None:
    session = orphan(account)
    found = claims(account).claim(SessionKey(session, "", True), "user-1")
    assert found.outcome == "unknown_session"


@pytest.mark.parametrize("reference", ["", "NUL \0 inside", "\ud800", "L" * 5_001])
def test_a_reference_that_can_name_nobody_is_refused(account: Account, reference: str) -> None:
    session = orphan(account)
    assert claim(account, session, reference).outcome == "unusable_reference"
    assert len(account.context.stores.ledger.orphans.list(False, 10)) == 1


def test_events_that_come_after_a_claim_count_for_the_reference(account: Account) -> None:
    session = orphan(account)
    claim(account, session, with_key=False)
    account.sandbox.submit(session, "verified")
    catch_up(account)
    standing = account.standing()
    assert standing is not None
    assert standing.status == "verified"


def test_orphans_are_listed_a_page_at_a_time_with_all_their_attempts(account: Account) -> None:
    sessions = sorted(orphan(account, "abandoned", "document_expired") for _ in range(3))
    orphans = account.context.stores.ledger.orphans
    first = orphans.list(False, 2)
    rest = orphans.list(False, 2, first[-1].id)
    assert [session.id for session in [*first, *rest]] == sessions
    assert {session.attempts for session in [*first, *rest]} == {2}
    assert orphans.list(True, 2) == []

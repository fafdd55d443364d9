"""Verifications that expire: what time makes of a standing, and what does not undo it."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.change import Policy
from app.domain.effects import Notify
from app.domain.reconcile import Known, reconcile
from app.domain.revision import Revision, review
from app.domain.session import Observation, Session
from app.domain.standing import Expiry, ReferenceKey, Standing, resolve, with_next_version
from tests.properties.observations import observations, often
from tests.support.observations import answer, joined, observation

KEY = ReferenceKey("", False, "user-1")
AFTER = 1_000  # seconds
VERIFIED = observation("verified", 100)


def sessions_of(*seen: Observation) -> list[Session]:
    ids = {one.snapshot.id for one in seen}
    return [joined(*(one for one in seen if one.snapshot.id == id)) for id in sorted(ids)]


def standing_of(*seen: Observation, now: int, after: int | None = AFTER) -> Standing:
    found = {resolve(order, Expiry(after, now)) for order in permutations(sessions_of(*seen))}
    (standing,) = found
    return standing


def test_a_verification_says_until_when_it_is_valid() -> None:
    standing = standing_of(VERIFIED, now=500)
    assert (standing.status, standing.verified_at, standing.verified_until) == (
        "verified",
        100,
        1_100,
    )


def test_where_nothing_expires_it_is_valid_for_ever() -> None:
    standing = standing_of(VERIFIED, now=10**9, after=None)
    assert (standing.status, standing.verified_until) == ("verified", None)


@pytest.mark.parametrize(("now", "status"), [(1_099, "verified"), (1_100, "expired")])
def test_it_expires_in_the_second_that_it_says(now: int, status: str) -> None:
    assert standing_of(VERIFIED, now=now).status == status


def test_an_expired_standing_asks_for_a_submission_and_says_since_when() -> None:
    standing = standing_of(VERIFIED, now=5_000)
    assert (standing.status, standing.session_id, standing.since) == ("expired", "vs_1", 1_100)
    assert (standing.verified_at, standing.verified_until) == (None, None)
    assert standing.next_step == "submit"


def test_a_later_verification_is_valid_beside_one_that_is_over() -> None:
    later = observation("verified", 900, session="vs_2", created=800)
    standing = standing_of(VERIFIED, later, now=1_500)
    assert (standing.status, standing.session_id, standing.verified_until) == (
        "verified",
        "vs_2",
        1_900,
    )


@pytest.mark.parametrize(
    ("status", "error", "step"),
    [
        ("requires_input", None, "submit"),
        ("requires_input", "document_expired", "use_another_document"),
        ("processing", None, "wait"),
    ],
)
def test_a_newer_open_session_decides_as_it_would_alone(
    status: str, error: str | None, step: str
) -> None:
    newer = observation(status, 2_000, error, session="vs_2", created=1_900)
    standing = standing_of(VERIFIED, newer, now=5_000)
    assert (standing.status, standing.session_id, standing.next_step) == (status, "vs_2", step)
    assert standing.verified_at is None


def test_an_older_open_session_and_a_canceled_one_do_not() -> None:
    older = observation("requires_input", 50, session="vs_0", created=0)
    canceled = observation("canceled", 2_000, session="vs_2", created=1_900)
    assert standing_of(older, VERIFIED, canceled, now=5_000).status == "expired"


def test_of_several_that_are_over_the_last_is_named() -> None:
    other = observation("verified", 300, session="vs_0", created=0)
    standing = standing_of(VERIFIED, other, now=5_000)
    assert (standing.session_id, standing.since) == ("vs_0", 1_300)


def test_attempts_before_an_expired_verification_do_not_count() -> None:
    failed = observation("requires_input", 50, "document_expired", "vr_1")
    standing = standing_of(failed, VERIFIED, now=5_000)
    assert (standing.attempts, standing.attempts_counted) == (1, 0)


LATE = [
    pytest.param(observation("processing", 90), id="a late event"),
    pytest.param(observation("verified", 100, event_id="evt_again"), id="the same news"),
    pytest.param(answer("verified", 4_000), id="a recheck"),
]


@pytest.mark.parametrize("late", LATE)
def test_nothing_that_comes_late_makes_it_verified_again(late: Observation) -> None:
    session = joined(VERIFIED)
    standing = with_next_version(None, resolve([session], Expiry(AFTER, 2_000)), 2_000)
    known = Known(sessions={session.key: session}, standings={KEY: standing})
    outcome = reconcile(known, [late], policy=Policy(notify=True), now=5_000, reverify_after=AFTER)
    assert outcome.standings == {}
    assert outcome.effects == ()


@often(100)
@given(
    seen=st.lists(st.sampled_from(["vs_1", "vs_2", "vs_3"]).flatmap(observations), max_size=8),
    data=st.data(),
)
def test_the_order_of_sessions_never_matters(seen: list[Observation], data: st.DataObject) -> None:
    sessions = sessions_of(*seen)
    expiry = Expiry(data.draw(st.integers(1, 4)), data.draw(st.integers(10, 18)))
    assert resolve(data.draw(st.permutations(sessions)), expiry) == resolve(sessions, expiry)


# --- the clock ------------------------------------------------------------------------------


def reviewed(
    before: Standing, *seen: Observation, now: int, after: int | None = AFTER
) -> Revision | None:
    return review(
        KEY, before, sessions_of(*seen), policy=Policy(notify=True), expiry=Expiry(after, now)
    )


def verified_before(after: int | None = AFTER) -> Standing:
    return with_next_version(None, standing_of(VERIFIED, now=200, after=after), 200)


def test_the_clock_turns_it_expired_and_the_team_is_told() -> None:
    revision = reviewed(verified_before(), VERIFIED, now=1_200)
    assert revision is not None
    assert revision.standing.status == "expired"
    line = revision.line
    assert (line.previous_status, line.status, line.cause) == ("verified", "expired", "expired")
    assert (line.version, line.at, line.event_id) == (1_200, 1_200, None)
    [effect] = revision.effects
    assert (effect.kind, effect.version) == (Notify.kind, 1_200)
    assert reviewed(revision.standing, VERIFIED, now=1_300) is None


@pytest.mark.parametrize(
    ("before", "after", "status", "until"),
    [
        pytest.param(AFTER, 9_000, "verified", 9_100, id="lengthened"),
        pytest.param(AFTER, 400, "expired", None, id="shortened"),
        pytest.param(AFTER, None, "verified", None, id="switched off"),
        pytest.param(None, AFTER, "verified", 1_100, id="switched on"),
    ],
)
def test_another_setting_changes_what_it_has_to(
    before: int | None, after: int | None, status: str, until: int | None
) -> None:
    revision = reviewed(verified_before(before), VERIFIED, now=600, after=after)
    assert revision is not None
    assert (revision.standing.status, revision.standing.verified_until) == (status, until)
    assert revision.line.cause == ("expired" if status == "expired" else "reverify_after_days")


def test_a_longer_setting_makes_an_expired_one_valid_again() -> None:
    expired = with_next_version(None, standing_of(VERIFIED, now=2_000), 2_000)
    revision = reviewed(expired, VERIFIED, now=2_100, after=9_000)
    assert revision is not None
    assert revision.standing.status == "verified"

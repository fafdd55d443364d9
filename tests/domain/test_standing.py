"""A standing is what all sessions of a reference give: any verified one wins, else the newest."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from app.domain.session import Session
from app.domain.standing import NO_SESSIONS, Standing, next_step, resolve, with_next_version
from tests.support.observations import joined, observation


def session(
    id: str,
    status: str = "requires_input",
    since: int = 10,
    *,
    created: int = 1,
    error: str | None = None,
    report: str | None = None,
    redaction: str | None = None,
) -> Session:
    return joined(
        observation(status, since, error, report, session=id, created=created, redaction=redaction)
    )


def standing_of(*sessions: Session) -> Standing:
    """The standing, which is the same for every order of the sessions."""
    found = {resolve(order) for order in permutations(sessions)}
    assert len(found) == 1
    return found.pop()


# --- which session decides ------------------------------------------------------------------


def test_one_session_gives_its_own_status() -> None:
    assert standing_of(session("vs_1", "requires_input", 10, error="abandoned")) == Standing(
        status="requires_input",
        session_id="vs_1",
        since=10,
        verified_at=None,
        attempts=1,
        last_error_code="abandoned",
        next_step="retry",
        redaction=None,
        type="document",
        verification_flow=None,
        options=None,
        version=0,
    )


@pytest.mark.parametrize("status", ["requires_input", "processing", "canceled", "on_hold"])
def test_a_verified_session_wins_over_any_other_however_new(status: str) -> None:
    standing = standing_of(
        session("vs_1", "verified", 10, created=1),
        session("vs_2", status, 90, created=80),
        session("vs_3", "canceled", 99, created=90),
    )
    assert (standing.status, standing.session_id, standing.next_step) == (
        "verified",
        "vs_1",
        "none",
    )


def test_of_verified_sessions_the_one_verified_last_decides_however_old() -> None:
    standing = standing_of(
        session("vs_1", "verified", 50, created=1),
        session("vs_2", "verified", 40, created=30),
        session("vs_3", "verified", 45, created=20),
    )
    assert (standing.session_id, standing.since, standing.verified_at) == ("vs_1", 50, 50)


def test_of_sessions_verified_in_one_second_the_greater_id_decides() -> None:
    standing = standing_of(session("vs_1", "verified", 50), session("vs_2", "verified", 50))
    assert standing.session_id == "vs_2"


def test_else_the_newest_session_that_is_not_canceled_decides() -> None:
    standing = standing_of(
        session("vs_1", "processing", 60, created=10),
        session("vs_2", "requires_input", 20, created=20),
        session("vs_3", "canceled", 90, created=30),
    )
    assert (standing.status, standing.session_id, standing.verified_at) == (
        "requires_input",
        "vs_2",
        None,
    )


def test_of_sessions_created_in_one_second_the_greater_id_decides() -> None:
    standing = standing_of(session("vs_a", "processing"), session("vs_b", "requires_input"))
    assert standing.session_id == "vs_b"


def test_where_all_sessions_are_canceled_the_reference_is_canceled() -> None:
    standing = standing_of(
        session("vs_1", "canceled", 50, created=10), session("vs_2", "canceled", 40, created=20)
    )
    assert (standing.status, standing.session_id, standing.since, standing.next_step) == (
        "canceled",
        "vs_2",
        40,
        "none",
    )


@pytest.mark.parametrize("status", ["verified", "requires_input", "canceled"])
def test_a_redacted_session_keeps_its_outcome_and_is_marked(status: str) -> None:
    kept, marked = session("vs_1", status), session("vs_1", status, redaction="redacted")
    assert standing_of(marked) == standing_of(kept)._replace(redaction="redacted")


def test_only_the_redaction_of_the_session_that_decides_is_told() -> None:
    standing = standing_of(
        session("vs_1", "verified", 10), session("vs_2", "canceled", 20, redaction="redacted")
    )
    assert standing.redaction is None


def test_attempts_are_those_of_all_sessions() -> None:
    twice = joined(
        observation("requires_input", 10, "abandoned", "vr_1", session="vs_1"),
        observation("requires_input", 20, "abandoned", session="vs_1"),
    )
    other = session("vs_2", "requires_input", 20, error="abandoned")
    assert standing_of(twice, other, session("vs_3", "verified", 30)).attempts == 3


def test_without_a_session_there_is_nothing_but_to_submit() -> None:
    assert resolve([]) == NO_SESSIONS
    assert (NO_SESSIONS.status, NO_SESSIONS.next_step) == ("none", "submit")


# --- next_step ------------------------------------------------------------------------------

STEPS = {
    None: "submit",
    "abandoned": "retry",
    "device_not_supported": "retry",
    "document_unverified_other": "retry",
    "selfie_face_mismatch": "retry",
    "selfie_unverified_other": "retry",
    "selfie_a_later_code": "retry",
    "id_number_insufficient_document_data": "retry",
    "id_number_mismatch": "retry",
    "id_number_unverified_other": "retry",
    "email_unverified_other": "retry",
    "email_verification_declined": "retry",
    "phone_unverified_other": "retry",
    "phone_verification_declined": "retry",
    "document_expired": "use_another_document",
    "document_type_not_supported": "use_another_document",
    "document_type_not_allowed": "use_another_document",
    "selfie_document_missing_photo": "use_another_document",
    "consent_declined": "offer_alternative",
    "country_not_supported": "offer_alternative",
    "selfie_manipulated": "review",
    "under_supported_age": "refuse",
    "document_a_later_code": "review",
    "moon_phase": "review",
    "xselfie_face_mismatch": "review",
}


@pytest.mark.parametrize(("code", "step"), STEPS.items())
def test_a_failed_attempts_code_says_what_to_ask_of_the_person(code: str | None, step: str) -> None:
    assert next_step("requires_input", code) == step
    assert standing_of(session("vs_1", error=code)).next_step == step


@pytest.mark.parametrize(
    ("status", "step"),
    [("processing", "wait"), ("verified", "none"), ("canceled", "none"), ("on_hold", "review")],
)
@pytest.mark.parametrize("code", [None, "abandoned", "under_supported_age"])
def test_any_other_status_says_it_whatever_the_code(
    status: str, code: str | None, step: str
) -> None:
    assert next_step(status, code) == step


# --- the version ----------------------------------------------------------------------------


NOW = 1_700_000_000


def test_the_first_standing_has_the_time_as_its_version() -> None:
    first = with_next_version(None, resolve([session("vs_1")]), NOW)
    assert first == resolve([session("vs_1")])._replace(version=NOW)


def test_a_lost_ledger_built_anew_outranks_every_version_that_it_gave_before() -> None:
    lost = with_next_version(None, resolve([session("vs_1")]), NOW)
    for _ in range(3):
        lost = with_next_version(lost, lost._replace(attempts=lost.attempts + 1), NOW)
    rebuilt = with_next_version(None, resolve([session("vs_1")]), NOW + 60)
    assert rebuilt.version > lost.version


def test_the_version_stays_where_nothing_differs() -> None:
    before = resolve([session("vs_1")])._replace(version=7)
    assert with_next_version(before, resolve([session("vs_1")]), NOW) == before


CHANGES = {
    "status": "verified",
    "session_id": "vs_2",
    "since": 99,
    "verified_at": 99,
    "attempts": 4,
    "last_error_code": "abandoned",
    "next_step": "retry",
    "redaction": "redacted",
    "attempts_counted": 2,
    "attempts_granted": 1,
    "verified_until": 99,
    "type": "id_number",
    "verification_flow": "vf_1",
    "options": '{"document":{"require_matching_selfie":true}}',
}


@pytest.mark.parametrize(("name", "value"), CHANGES.items())
def test_the_version_grows_when_anything_differs(name: str, value: object) -> None:
    before = resolve([session("vs_1")])._replace(version=NOW - 1)
    changes: dict[str, Any] = {name: value}
    after = before._replace(version=0, **changes)
    assert with_next_version(before, after, NOW + 9) == after._replace(version=NOW + 9)


def test_the_version_grows_by_one_within_a_second_and_where_the_clock_went_back() -> None:
    before = resolve([session("vs_1")])._replace(version=NOW)
    after = before._replace(version=0, attempts=4)
    for now in (NOW, NOW - 3_600):
        assert with_next_version(before, after, now).version == NOW + 1


def test_every_part_of_a_standing_counts_as_a_change() -> None:
    assert {*CHANGES, "version"} == {*Standing._fields}

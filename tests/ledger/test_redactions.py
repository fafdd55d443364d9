"""Which sessions the clock has redacted, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.domain.effects import PendingEffect
from app.domain.snapshot import SessionKey
from tests.ledger.conftest import Scribe
from tests.support.ledger import observation

NOW = 1_000


def verified(session: str, at: int, **fields: Any) -> Any:
    return observation("verified", at, session=session, reference=session, **fields)


def claim(scribe: Scribe, before: int = NOW, limit: int = 10, **given: Any) -> list[PendingEffect]:
    """What is claimed of test mode."""
    given = {"livemode": False, "now": NOW, **given}
    return scribe.ledger.redactions.claim_due(before=before, limit=limit, **given)


def claimed(scribe: Scribe, before: int = NOW, limit: int = 10, **given: Any) -> list[str]:
    return sorted(effect.session_id for effect in claim(scribe, before, limit, **given))


def test_those_that_are_due_are_claimed_oldest_first_and_no_more_than_asked_for(
    scribe: Scribe,
) -> None:
    scribe.apply(verified("vs_b", 20), verified("vs_c", 30), verified("vs_a", 10))
    assert claimed(scribe, before=30, limit=2) == ["vs_a", "vs_b"]
    assert claimed(scribe, before=29) == []
    assert claimed(scribe, before=30) == ["vs_c"]


def test_a_session_is_claimed_once_with_one_effect(scribe: Scribe) -> None:
    scribe.apply(verified("vs_a", 10))
    (effect,) = claim(scribe)
    assert (effect.kind, effect.session_id, effect.due) == ("redact_due", "vs_a", NOW)
    assert effect.reference_key is None
    assert scribe.ledger.effect_status(effect.id) == "pending"
    assert claim(scribe, now=NOW + 60) == []


def test_a_claim_is_for_one_mode(scribe: Scribe) -> None:
    scribe.apply(verified("vs_t", 10), verified("vs_l", 10, livemode=True))
    (effect,) = claim(scribe, livemode=True)
    assert (effect.session_id, effect.livemode) == ("vs_l", True)
    assert claimed(scribe) == ["vs_t"]


def test_what_was_not_due_after_all_is_claimed_again(scribe: Scribe) -> None:
    scribe.apply(verified("vs_a", 10))
    (first,) = claim(scribe)
    scribe.ledger.redactions.unclaim(SessionKey("vs_a", "", False))
    (second,) = claim(scribe, now=NOW + 60)
    assert second.id != first.id


def test_a_session_that_is_verified_anew_is_claimed_anew(scribe: Scribe) -> None:
    scribe.apply(verified("vs_a", 10))
    assert claimed(scribe) == ["vs_a"]
    scribe.apply(observation("requires_input", 20, session="vs_a", reference="vs_a", error="x"))
    scribe.apply(verified("vs_a", 30))
    assert claimed(scribe, before=29) == []
    assert claimed(scribe, before=30) == ["vs_a"]


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([observation("requires_input", 10)], id="open"),
        pytest.param([observation("canceled", 10)], id="closed unused"),
        pytest.param([observation("processing", 10)], id="processing"),
        pytest.param(
            [observation("verified", 10), observation("verified", 20, redaction="processing")],
            id="being redacted",
        ),
    ],
)
def test_a_session_with_nothing_to_redact_is_not_claimed(scribe: Scribe, seen: list[Any]) -> None:
    scribe.apply(*seen)
    assert claimed(scribe) == []


def test_a_session_that_failed_or_was_canceled_after_an_attempt_is_claimed(scribe: Scribe) -> None:
    scribe.apply(
        observation("requires_input", 10, session="vs_f", error="document_expired"),
        observation("requires_input", 10, session="vs_c", error="document_expired"),
        observation("canceled", 20, session="vs_c"),
    )
    assert claimed(scribe, before=19) == ["vs_f"]
    assert claimed(scribe, before=20) == ["vs_c"]


def test_an_orphan_is_claimed(scribe: Scribe) -> None:
    scribe.apply(observation("verified", 10, reference=None))
    assert claimed(scribe) == ["vs_1"]


def test_what_another_transaction_holds_is_left_for_the_next_round(
    scribe: Scribe, backend: str
) -> None:
    if backend == "sqlite":
        pytest.skip("a database with one writer at a time has no such thing")
    scribe.apply(verified("vs_a", 10), verified("vs_b", 20))
    with scribe.engine.begin() as other:
        other.execute(text("SELECT 1 FROM sessions WHERE id = 'vs_a' FOR UPDATE"))
        assert claimed(scribe) == ["vs_b"]
    assert claimed(scribe) == ["vs_a"]

"""The domain against a model: random lives, any order, any batches, answers of any delay.

Each life is a number: a failing one is repeated by `check(number)`.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from app.domain.event import TYPE_PREFIX, SessionEvent
from app.domain.reconcile import Known, reconcile
from app.domain.session import Observation, api_answer
from app.domain.snapshot import MetadataKeys
from app.domain.standing import ReferenceKey, Standing
from tests.properties.model import Ended, Seen, ends, live, settled, standings

KEYS = MetadataKeys(("user_id",))
NOW = 1_800_000_000


def observation(seen: Seen) -> Observation:
    """What the product makes of it."""
    body = seen.shown.body()
    if not seen.id:
        return api_answer(body, account="", date=seen.second, took=seen.took, metadata_keys=KEYS)
    event = SessionEvent.parse(
        {
            "id": seen.id,
            "type": TYPE_PREFIX + seen.name,
            "created": seen.second,
            "livemode": False,
            "data": {"object": body},
        },
        KEYS,
    )
    assert event is not None
    return SessionEvent.unpack(event.pack()).observation()


def deliver(observations: list[Observation], draw: random.Random) -> Known:
    """All of them in some order, some twice, in batches of some sizes; what is known then."""
    delivered = observations + draw.choices(observations, k=draw.randint(0, 4))
    draw.shuffle(delivered)
    known = Known()
    while delivered:
        size = draw.choice([1, 1, 2, 5, 100])
        batch, delivered = delivered[:size], delivered[size:]
        outcome = reconcile(known, batch, policy=None, now=NOW)
        known = Known(
            applied_events=known.applied_events | {one.event_id for one in batch if one.event_id},
            sessions={**known.sessions, **outcome.sessions},
            standings={**known.standings, **outcome.standings},
        )
    return known


def final(known: Known) -> dict[ReferenceKey, Standing]:
    """The standings, without their versions, of the users who have a session."""
    return {
        key: standing._replace(version=0)
        for key, standing in known.standings.items()
        if standing.status != "none"
    }


def sessions_of(known: Known) -> dict[str, Any]:
    return {
        session.id: (
            session.status,
            session.snapshot.last_error_code,
            session.snapshot.redaction,
            session.snapshot.reference,
            session.status_since,
            session.attempts,
        )
        for session in known.sessions.values()
    }


def expected_sessions(ended: dict[str, Ended]) -> dict[str, Any]:
    return {
        name: (
            end.last.status,
            end.last.code,
            end.redaction,
            end.user,
            end.since,
            len(end.failed),
        )
        for name, end in ended.items()
    }


def check(number: int) -> None:
    """Live the life of this number, and compare."""
    draw = random.Random(number)  # reproducible; nothing here is secret
    seen = live(draw)
    observations = [observation(one) for one in seen]
    one, other = deliver(observations, draw), deliver(observations, draw)
    assert final(one) == final(other), number
    assert one.sessions == other.sessions, number
    ended = ends(seen)
    assert sessions_of(one) == expected_sessions(ended), number
    stripe = settled(seen)
    assert {name: sessions_of(one)[name][:2] for name in stripe} == stripe, number
    found = {
        key.reference: {
            name: getattr(standing, name) for name in next(iter(standings(ended).values()))
        }
        for key, standing in final(one).items()
    }
    assert found == standings(ended), number


def test_two_thousand_lives_end_as_the_model_says_in_any_order_and_in_any_batches() -> None:
    for number in range(2_000):
        check(number)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_a_hundred_thousand_lives_end_as_the_model_says() -> None:
    for number in range(100_000):
        check(number)

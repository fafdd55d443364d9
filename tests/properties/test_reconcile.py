"""A batch gives what its members give one by one, and their order does not decide how it ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.change import Policy
from app.domain.reconcile import Applied, Known, Outcome, reconcile
from app.domain.session import Observation
from app.domain.standing import NO_SESSIONS, ReferenceKey, Standing
from tests.properties.observations import observations, often

POLICY = Policy(notify=True, max_attempts=2)
NOW = 1_000

batches = st.lists(
    st.sampled_from(["vs_1", "vs_2", "vs_3"]).flatmap(observations), min_size=1, max_size=12
)


def written(known: Known, outcome: Outcome, *events: str) -> Known:
    """What the ledger holds once the outcome of these events is written."""
    return Known(
        applied_events=known.applied_events | (frozenset(events) - {""}),
        sessions={**known.sessions, **outcome.sessions},
        standings={**known.standings, **outcome.standings},
    )


def one_by_one(known: Known, observed: list[Observation]) -> tuple[Known, list[Outcome]]:
    """Each observation in a transaction of its own."""
    outcomes = []
    for one in observed:
        outcome = reconcile(known, [one], policy=POLICY, now=NOW)
        known = written(known, outcome, one.event_id)
        outcomes.append(outcome)
    return known, outcomes


def stands(outcome: Outcome) -> dict[ReferenceKey, Standing]:
    """How the references stand that have a session, without how often they changed."""
    return {
        key: standing._replace(version=0)
        for key, standing in outcome.standings.items()
        if standing.status != NO_SESSIONS.status
    }


@often(100)
@given(earlier=batches, batch=batches)
def test_a_batch_gives_what_its_members_give_one_by_one(
    earlier: list[Observation], batch: list[Observation]
) -> None:
    known, _ = one_by_one(Known(), earlier)
    whole = reconcile(known, batch, policy=POLICY, now=NOW)
    end, parts = one_by_one(known, batch)
    assert written(known, whole).sessions == end.sessions
    assert written(known, whole).standings == end.standings
    assert whole.timeline == tuple(line for part in parts for line in part.timeline)
    assert whole.effects == tuple(effect for part in parts for effect in part.effects)
    last = {(key, name): attempt for part in parts for key, name, attempt in part.attempts}
    assert {(key, name): attempt for key, name, attempt in whole.attempts} == last
    applied: list[Applied] = [one for part in parts for one in part.applied]
    assert list(whole.applied) == applied


@often(80)
@given(batch=batches, data=st.data())
def test_a_batch_ends_alike_in_every_order(batch: list[Observation], data: st.DataObject) -> None:
    # Event ids are drawn from few: an event comes once, so that all of them count.
    unique = {one.event_id or index: one for index, one in enumerate(batch)}
    shuffled = data.draw(st.permutations(list(unique.values())))
    one = reconcile(Known(), unique.values(), policy=POLICY, now=NOW)
    other = reconcile(Known(), shuffled, policy=POLICY, now=NOW)
    assert one.sessions == other.sessions
    assert set(one.attempts) == set(other.attempts)
    assert stands(one) == stands(other)

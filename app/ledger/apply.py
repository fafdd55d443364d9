"""Observations into the ledger, in one transaction: load and lock, reconcile, save.

Locks are taken in one order, so that no two transactions deadlock: events by id, sessions by key,
references by digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from app.domain.change import Policy
from app.domain.effects import PendingEffect
from app.domain.reconcile import Applied, Known, Outcome, reconcile
from app.domain.session import Observation, ReferenceClaim, Session, seen
from app.domain.snapshot import SessionKey
from app.domain.standing import NO_SESSIONS, ReferenceKey, Standing
from app.ledger import rows
from app.ledger.bulk import ApplyStatements, Bulk
from app.ledger.rows import Discarded, LockedSession


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction, which the caller commits, and what its statements need."""

    connection: Connection
    statements: ApplyStatements
    now: int  # Unix seconds


def apply(
    transaction: Transaction, observations: Sequence[Observation], policy: Policy | None
) -> list[Applied]:
    """Write the observations and all that follows; gives what each did, in their order."""
    loaded = load(transaction, observations)
    outcome = reconcile(loaded.known, observations, policy=policy, now=transaction.now)
    written = save(transaction, outcome, loaded.inserted)
    return [
        replace(one, effects=tuple(effect for effect in one.effects if effect.id in written))
        for one in outcome.applied
    ]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the ledger knows, locked until the commit."""

    known: Known
    inserted: Mapping[SessionKey, Session]  # never seen before: written when they were locked


def load(transaction: Transaction, observations: Sequence[Observation]) -> Loaded:
    """Record the observations' events, lock what they concern, and read it."""
    new = _insert_events(transaction, observations)
    fresh = _fresh(observations, new)
    first_seen: dict[SessionKey, Session] = {}
    for observation in fresh:
        if observation.key not in first_seen:
            first_seen[observation.key] = seen(observation)
    locked = _lock_sessions(transaction, first_seen, fresh)
    claims = {key: session.claim for key, session in locked.items()}
    standings = _lock_references(transaction, _references(claims, fresh))
    sessions = _read_sessions(transaction, locked, standings)
    return Loaded(
        known=Known(
            applied_events=frozenset(one.event_id for one in observations) - new,
            sessions={session.key: session for session in sessions},
            standings=standings,
        ),
        inserted={key: first_seen[key] for key, session in locked.items() if session.is_new},
    )


def save(
    transaction: Transaction, outcome: Outcome, inserted: Mapping[SessionKey, Session]
) -> set[str]:
    """Write an outcome; gives the ids of the effects that are new."""
    statements, now = transaction.statements, transaction.now
    changed = [s for key, s in sorted(outcome.sessions.items()) if s != inserted.get(key)]
    _write(transaction, statements.update_sessions, [rows.session_values(s, now) for s in changed])
    _write(
        transaction,
        statements.insert_attempts,
        [rows.attempt_values(*attempt) for attempt in outcome.attempts],
    )
    _write(
        transaction,
        statements.update_standings,
        [rows.standing_values(key, s, now) for key, s in outcome.standings.items()],
    )
    _write(
        transaction,
        statements.insert_timeline,
        [rows.timeline_values(key, line) for key, line in outcome.timeline],
    )
    return insert_effects(transaction, outcome.effects)


def insert_effects(transaction: Transaction, effects: Iterable[PendingEffect]) -> set[str]:
    """Write effects; gives the ids of those that are new."""
    values = [rows.effect_values(effect, transaction.now) for effect in effects]
    return {row.id for row in _write(transaction, transaction.statements.insert_effects, values)}


def record_discarded(transaction: Transaction, discarded: Iterable[Discarded], why: str) -> None:
    """Write one timeline line for each discarded letter."""
    keyed = [(one.key, one) for one in discarded]
    standings = _lock_rows(transaction, {key for key, _ in keyed if key is not None})
    lines = []
    for key, one in keyed:
        standing = NO_SESSIONS if key is None else standings[key]
        line = rows.discarded_line(standing, one, why, transaction.now)
        lines.append(rows.timeline_values(key, line))
    _write(transaction, transaction.statements.insert_timeline, lines)


def _fresh(observations: Sequence[Observation], new: set[str]) -> list[Observation]:
    """The observations that are to be merged: of each new event one, and every API answer."""
    waiting = set(new)
    fresh = []
    for observation in observations:
        if not observation.event_id or observation.event_id in waiting:
            waiting.discard(observation.event_id)
            fresh.append(observation)
    return fresh


def _insert_events(transaction: Transaction, observations: Sequence[Observation]) -> set[str]:
    """The ids of the observations' events that no earlier transaction has applied."""
    values = {
        one.event_id: {
            "id": one.event_id,
            "name": one.name,
            "created": one.as_of,
            "account": one.snapshot.account,
            "livemode": one.snapshot.livemode,
            "session_id": one.snapshot.id,
            "applied_at": transaction.now,
        }
        for one in observations
        if one.event_id
    }
    events = [values[id] for id in sorted(values)]
    return {row.id for row in _write(transaction, transaction.statements.insert_events, events)}


def _lock_sessions(
    transaction: Transaction,
    first_seen: Mapping[SessionKey, Session],
    observations: Sequence[Observation],
) -> dict[SessionKey, LockedSession]:
    """Lock the observed sessions; one that was never seen is written."""
    merged = Counter(observation.key for observation in observations)
    values = [
        {**rows.session_values(first_seen[key], transaction.now), "observations": merged[key]}
        for key in sorted(first_seen)
    ]
    found = _write(transaction, transaction.statements.lock_sessions, values)
    locked = [rows.locked_session(row, merged) for row in found]
    return {session.key: session for session in locked}


def references_of(
    sessions: Iterable[Session], observations: Sequence[Observation]
) -> set[ReferenceKey]:
    """The references that stored sessions belong to, and those that observations move them to."""
    return _references({session.key: session.claim for session in sessions}, observations)


def _references(
    claims: Mapping[SessionKey, ReferenceClaim], observations: Sequence[Observation]
) -> set[ReferenceKey]:
    strongest = dict(claims)
    found = [*claims.items()]
    for observation in observations:
        key, claim = observation.key, observation.claim
        strongest[key] = max(strongest.get(key, claim), claim)
        found.append((key, strongest[key]))
    return {
        ReferenceKey(key.account, key.livemode, claim.reference)
        for key, claim in found
        if claim.reference
    }


def _lock_references(
    transaction: Transaction, references: set[ReferenceKey]
) -> dict[ReferenceKey, Standing]:
    """Lock the references; gives the standings of those that were seen before."""
    locked = _lock_rows(transaction, references)
    return {key: standing for key, standing in locked.items() if standing.version}


def _lock_rows(
    transaction: Transaction, references: Iterable[ReferenceKey]
) -> dict[ReferenceKey, Standing]:
    """Lock the rows of the references; version 0 is one never seen."""
    by_digest = {key.digest: key for key in references}
    values = [
        rows.standing_values(key, NO_SESSIONS, transaction.now)
        for _, key in sorted(by_digest.items())
    ]
    found = _write(transaction, transaction.statements.lock_standings, values)
    return {by_digest[row.key]: rows.standing_of(row) for row in found}


def _read_sessions(
    transaction: Transaction,
    locked: Mapping[SessionKey, LockedSession],
    standings: Mapping[ReferenceKey, Standing],
) -> list[Session]:
    """Every session of the references, and the observed ones that belong to none of them.

    Those just written are left out: to the ledger they are not known yet.
    """
    others = [
        key.id
        for key, session in locked.items()
        if not session.is_new
        and ReferenceKey(key.account, key.livemode, session.claim.reference) not in standings
    ]
    if not standings and not others:
        return []
    pack = transaction.statements.pack_list
    found = transaction.connection.execute(
        transaction.statements.read_sessions,
        {"keys": pack([key.digest for key in standings]), "ids": pack(others)},
    )
    sessions = rows.sessions_of(found.all())
    return [s for s in sessions if not (s.key in locked and locked[s.key].is_new)]


def _write(
    transaction: Transaction, bulk: Bulk, values: Sequence[Mapping[str, Any]]
) -> Sequence[Row[Any]]:
    """Execute a statement over rows, if there are any; gives what it returns."""
    if not values:
        return ()
    found = transaction.connection.execute(bulk.statement, bulk.parameters(values))
    return found.all() if found.returns_rows else ()

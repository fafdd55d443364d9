"""Observations into the ledger, in one transaction: load and lock, reconcile, save.

Locks are taken in one order, so that no two transactions deadlock: events by id, sessions by key,
references by digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.domain.change import Policy
from app.domain.effects import PendingEffect
from app.domain.reconcile import Applied, Known, Outcome, reconcile
from app.domain.registers import ReferenceClaim
from app.domain.revision import Revision
from app.domain.session import Observation, Session
from app.domain.snapshot import SessionKey
from app.domain.standing import NO_SESSIONS, ReferenceKey, Standing
from app.ledger import rows
from app.ledger.apply_statements import ApplyStatements
from app.ledger.bulk import Bulk
from app.ledger.rows import Discarded, LockedSession


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction, which the caller commits, and what its statements need."""

    connection: Connection
    statements: ApplyStatements
    now: int  # Unix seconds


def apply(
    transaction: Transaction,
    observations: Sequence[Observation],
    policy: Policy | None,
    reverify_after: int | None = None,
) -> list[Applied]:
    """Write the observations and all that follows; gives what each did, in their order.

    `reverify_after` is in seconds; None: a verification does not expire.
    """
    known, locked = load(transaction, observations)
    outcome = reconcile(
        known,
        observations,
        policy=policy,
        now=transaction.now,
        reverify_after=reverify_after,
    )
    written = save(transaction, outcome, locked)
    return [
        one._replace(effects=tuple(effect for effect in one.effects if effect.id in written))
        if one.effects
        else one
        for one in outcome.applied
    ]


def load(
    transaction: Transaction, observations: Sequence[Observation]
) -> tuple[Known, Mapping[SessionKey, LockedSession]]:
    """Record the observations' events, lock what they concern until the commit, and read it.

    Gives the locked sessions as well: those that something is merged into.
    """
    new = _insert_events(transaction, observations)
    fresh = _fresh(observations, new)
    locked = _lock_sessions(transaction, fresh)
    claims = {key: session.claim for key, session in locked.items()}
    standings = lock_references(transaction, _references(claims, fresh))
    sessions = _read_sessions(transaction, locked, standings)
    known = Known(
        applied_events=frozenset(one.event_id for one in observations) - new,
        sessions={session.key: session for session in sessions},
        standings=standings,
    )
    return known, locked


def save(
    transaction: Transaction, outcome: Outcome, locked: Mapping[SessionKey, LockedSession]
) -> set[str]:
    """Write an outcome; gives the ids of the effects that are new.

    Stripe knows a session of which anything has come: none of the `locked` is missing any more.
    """
    statements, now = transaction.statements, transaction.now
    observed = {
        key: {**key._asdict(), "observations": session.observations, "missing_since": None}
        for key, session in sorted(locked.items())
    }
    changed = sorted(outcome.sessions.items())
    _write(
        transaction,
        statements.update_sessions,
        [rows.session_values(session, now) | observed.pop(key) for key, session in changed],
    )
    _write(transaction, statements.count_observations, [*observed.values()])
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


def save_revisions(transaction: Transaction, revisions: Sequence[Revision]) -> None:
    """Write changed standings, whose references the transaction has locked."""
    statements, now = transaction.statements, transaction.now
    _write(
        transaction,
        statements.update_standings,
        [rows.standing_values(one.key, one.standing, now) for one in revisions],
    )
    _write(
        transaction,
        statements.insert_timeline,
        [rows.timeline_values(one.key, one.line) for one in revisions],
    )
    insert_effects(transaction, [effect for one in revisions for effect in one.effects])


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
    transaction: Transaction, observations: Sequence[Observation]
) -> dict[SessionKey, LockedSession]:
    """Lock the observed sessions; one that was never seen has a row from now on."""
    merged = Counter([observation.key for observation in observations])
    values = [
        {"id": id, "account": account, "livemode": livemode}
        for id, account, livemode in sorted(merged)
    ]
    found = _write(transaction, transaction.statements.lock_sessions, values)
    locked = [rows.locked_session(row, merged) for row in found]
    # They are found by id: one of that id in another account is not ours.
    return {session.key: session for session in locked if session.key in merged}


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
        strongest[key] = claim.join(strongest.get(key, claim))
        found.append((key, strongest[key]))
    return {
        ReferenceKey(key.account, key.livemode, claim.reference, claim.purpose)
        for key, claim in found
        if claim.reference
    }


def read_members(transaction: Transaction, references: Iterable[ReferenceKey]) -> list[Session]:
    """Every session of the references, which the transaction has locked."""
    pack = transaction.statements.pack_list
    keys = {"keys": pack([key.digest for key in references]), "ids": pack([])}
    found = transaction.connection.execute(transaction.statements.read_sessions, keys)
    return rows.sessions_of(found.all())


def lock_references(
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
    values = [rows.reference_values(key, transaction.now) for _, key in sorted(by_digest.items())]
    found = _write(transaction, transaction.statements.lock_standings, values)
    return {by_digest[row[0]]: rows.standing_of_fields(row[1:]) for row in found}


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
        and ReferenceKey(key.account, key.livemode, session.claim.reference, session.claim.purpose)
        not in standings
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
) -> Sequence[Any]:
    """Execute a statement over rows, if there are any; gives what it returns."""
    return bulk.write(transaction.connection, values)

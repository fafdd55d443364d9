"""What observations concern, locked until the commit, and read, in one round trip.

Locks are taken in one order, so that no two transactions deadlock: events by id, sessions by key,
references by digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.domain.reconcile import Known
from app.domain.registers import ReferenceClaim
from app.domain.session import Observation, Session
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey, Standing
from app.ledger import rows
from app.ledger.apply_statements import ApplyStatements
from app.ledger.pipeline import Answer, Pipeline
from app.ledger.rows import LockedSession

Claims = Sequence[tuple[SessionKey, ReferenceClaim]]


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open transaction, which the caller commits, and what its statements need."""

    connection: Connection
    statements: ApplyStatements
    now: int  # Unix seconds


@dataclass(frozen=True, slots=True)
class Concerned:
    """The sessions and references that observations concern."""

    sessions: frozenset[SessionKey]
    references: frozenset[ReferenceKey]
    orphans: frozenset[SessionKey]  # of the sessions those that belong to no reference

    def fits_in(self, other: Concerned) -> bool:
        """Whether the other concerns all that this does."""
        return (
            self.sessions <= other.sessions
            and self.references <= other.references
            and self.orphans <= other.orphans
        )


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is locked until the commit, and was read."""

    known: Known
    locked: Mapping[SessionKey, LockedSession]  # those that something is merged into
    concerned: Concerned  # what had to be locked
    fits: bool  # whether it was, and no row was inserted for anything else


def expect(observations: Sequence[Observation]) -> Concerned:
    """What observations concern by what they say themselves.

    That is all if none of them was applied before, and none names another reference than is known.
    """
    return _concerned(_claims(observations), None)


def load(
    transaction: Transaction, observations: Sequence[Observation], expected: Concerned
) -> Loaded:
    """Record the observations' events, lock what they are expected to concern, and read it.

    All in one round trip: what they do concern is known only then. Where that does not fit, the
    caller rolls back, and begins again with what had to be locked.
    """
    statements = transaction.statements
    pipeline = Pipeline(transaction.connection)
    ids = sorted({key.id for key in expected.sessions})
    orphans = [key.id for key in expected.orphans]
    events = pipeline.write(statements.insert_events, _event_values(observations, transaction.now))
    pipeline.write(statements.insert_sessions, (key._asdict() for key in sorted(expected.sessions)))
    sessions = pipeline.read(statements.lock_sessions, {"id": ids})
    by_digest, locked_standings = _lock_standings(transaction, pipeline, expected.references)
    members = pipeline.read(statements.read_sessions, {"keys": [*by_digest], "ids": orphans})
    pipeline.run()

    new = {row.id for row in events.rows}
    fresh = _fresh(observations, new)
    merged = Counter([one.key for one in fresh])
    # Rows are found by id: one of that id in another account is not ours.
    found = {one.key: one for one in (rows.locked_session(row, merged) for row in sessions.rows)}
    locked = {key: found[key] for key in merged if key in found}
    stored = {key: one.claim for key, one in locked.items() if not one.is_new}
    concerned = _concerned(_claims(fresh), stored)
    inserted = {key for key, one in found.items() if one.is_new}
    standings = _seen(by_digest, locked_standings)
    return Loaded(
        known=Known(
            applied_events=frozenset(one.event_id for one in observations) - new,
            # Those just inserted have no status: to the ledger they are not known yet.
            sessions={
                session.key: session
                for session in rows.sessions_of([row for row in members.rows if row.status])
            },
            standings=standings,
        ),
        locked=locked,
        concerned=concerned,
        fits=concerned.fits_in(expected)
        and inserted <= concerned.sessions
        and expected.references - standings.keys() <= concerned.references,
    )


def references_of(
    sessions: Iterable[Session], observations: Sequence[Observation]
) -> frozenset[ReferenceKey]:
    """The references that stored sessions belong to, and those that observations move them to."""
    stored = {session.key: session.claim for session in sessions}
    return _concerned(_claims(observations), stored).references


def read_members(transaction: Transaction, references: Iterable[ReferenceKey]) -> list[Session]:
    """Every session of the references, which the transaction has locked."""
    named: dict[str, list[str]] = {"keys": [key.digest for key in references], "ids": []}
    read = transaction.statements.read_sessions.read
    return rows.sessions_of(read(transaction.connection, named))


def lock_references(
    transaction: Transaction, references: Iterable[ReferenceKey]
) -> dict[ReferenceKey, Standing]:
    """Lock the references; gives the standings of those that were seen before."""
    pipeline = Pipeline(transaction.connection)
    by_digest, found = _lock_standings(transaction, pipeline, references)
    pipeline.run()
    return _seen(by_digest, found)


def _lock_standings(
    transaction: Transaction, pipeline: Pipeline, references: Iterable[ReferenceKey]
) -> tuple[dict[str, ReferenceKey], Answer]:
    """The references by their digests, in the order in which they are locked, and their rows."""
    statements, now = transaction.statements, transaction.now
    by_digest = dict(sorted((key.digest, key) for key in references))
    values = (rows.reference_values(key, now) for key in by_digest.values())
    pipeline.write(statements.insert_standings, values)
    return by_digest, pipeline.read(statements.lock_standings, {"key": [*by_digest]})


def _seen(by_digest: Mapping[str, ReferenceKey], found: Answer) -> dict[ReferenceKey, Standing]:
    """The standings of locked rows; version 0 is one never seen."""
    standings = ((by_digest[row[0]], rows.standing_of_fields(row[1:])) for row in found.rows)
    return {key: standing for key, standing in standings if standing.version}


def _claims(observations: Iterable[Observation]) -> Claims:
    return [(one.key, one.claim) for one in observations]


def _concerned(claims: Claims, stored: Mapping[SessionKey, ReferenceClaim] | None) -> Concerned:
    """Each session moves with the strongest claim so far; None: what is stored is not known."""
    strongest = dict(stored or {})
    found = [*strongest.items()]
    for key, claim in claims:
        strongest[key] = claim.join(strongest.get(key, claim))
        found.append((key, strongest[key]))
    references = [
        ReferenceKey(key.account, key.livemode, claim.reference, claim.purpose)
        for key, claim in found
        if claim.reference
    ]
    known = strongest if stored is None else stored
    return Concerned(
        sessions=frozenset([key for key, _ in claims]),
        references=frozenset(references),
        orphans=frozenset([key for key, claim in known.items() if not claim.reference]),
    )


def _fresh(observations: Sequence[Observation], new: set[str]) -> Sequence[Observation]:
    """The observations that are to be merged: of each new event one, and every API answer."""
    if len(new) == len(observations):  # as almost always
        return observations
    waiting = set(new)
    fresh = []
    for observation in observations:
        if not observation.event_id or observation.event_id in waiting:
            waiting.discard(observation.event_id)
            fresh.append(observation)
    return fresh


def _event_values(observations: Sequence[Observation], now: int) -> list[dict[str, Any]]:
    values = {
        one.event_id: {
            "id": one.event_id,
            "name": one.name,
            "created": one.as_of,
            "account": one.snapshot.account,
            "livemode": one.snapshot.livemode,
            "session_id": one.snapshot.id,
            "applied_at": now,
        }
        for one in observations
        if one.event_id
    }
    return [values[id] for id in sorted(values)]

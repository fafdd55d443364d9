"""One observation's transaction.

Locks are taken in one order, so that none can deadlock: the event, its session, the references
by their keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from app.domain.effects import Change, Effect, EffectRow, Policy
from app.domain.reference import NO_SESSIONS, Standing, resolve, succeed
from app.domain.session import Observation, Session, merge
from app.ledger import rows, statements
from app.ledger.rows import Discarded
from app.ledger.statements import Upserts

Decide = Callable[[Change], list[Effect]]


@dataclass(frozen=True, slots=True)
class Applied:
    """What an observation did. The standings are None for an orphan, as for a duplicate."""

    outcome: Literal["applied", "duplicate"]
    standing_before: Standing | None
    standing: Standing | None
    effects: tuple[EffectRow, ...]  # only those that this call has written


ORPHAN = ""  # names no reference
DUPLICATE = Applied("duplicate", None, None, ())


def lock_reference(
    connection: Connection,
    upserts: Upserts,
    account: str,
    livemode: bool,
    reference: str,
    now: int,
) -> Standing:
    """The standing of a reference, locked until the commit; version 0 where it was never seen."""
    first = {
        **rows.standing_values(NO_SESSIONS),
        "key": rows.reference_key(account, livemode, reference),
        "account": account,
        "livemode": livemode,
        "client_reference_id": reference,
        "updated_at": now,
    }
    return rows.standing_of(connection.execute(upserts.lock_reference, first).one())


@dataclass(frozen=True, slots=True)
class Noting:
    """A transaction that writes what operators did at `now` (Unix seconds)."""

    connection: Connection
    upserts: Upserts
    now: int

    def discarded(self, one: Discarded, why: str) -> None:
        """One line for one letter. The caller commits."""
        stood, key = NO_SESSIONS, None
        if one.reference is not None:
            key = rows.discarded_order(one)
            stood = lock_reference(
                self.connection, self.upserts, one.account, one.livemode, one.reference, self.now
            )
        line = rows.discarded_values(key, stood, one, why, self.now)
        self.connection.execute(statements.INSERT_TIMELINE, line)


@dataclass(frozen=True, slots=True)
class Observing:
    """A transaction that is under way for one observation at `now` (Unix seconds)."""

    connection: Connection
    upserts: Upserts
    observation: Observation
    now: int

    def apply(self, decide: Decide, policy: Policy) -> Applied:
        """Merge the observation, and write all that follows. The caller commits."""
        if self.observation.event_id and not self._is_new_event():
            return DUPLICATE
        stored = self._lock_session()
        told = merge(stored, self.observation)
        standings = self._lock_references(stored, told)
        before, others = self._read_sessions(stored, told)
        # Once more, now that the session's earlier attempts have been read.
        session = merge(before, self.observation)
        sessions = [*others, session]
        after: dict[str, Standing] = {}
        for reference, stood in standings.items():
            resolved = resolve([s for s in sessions if s.reference == reference])
            after[reference] = succeed(stood, resolved)
            self._write_standing(self._key(reference), stood, after[reference])
        self._write_session(before, session)
        change = Change(
            observation=self.observation,
            session_before=before,
            session=session,
            standing_before=standings.get(session.reference or ORPHAN),
            standing=after.get(session.reference or ORPHAN),
            policy=policy,
        )
        left = {
            name: stands
            for name, stands in after.items()
            if name != session.reference and stands != standings[name]
        }
        written = self._write_effects(change, decide(change), left)
        return Applied("applied", change.standing_before, change.standing, written)

    def _is_new_event(self) -> bool:
        seen = self.observation
        values = {
            "id": seen.event_id,
            "name": seen.name,
            "created": seen.as_of,
            "account": seen.account,
            "livemode": seen.livemode,
            "session_id": seen.session_id,
            "applied_at": self.now,
        }
        return self.connection.execute(self.upserts.insert_event, values).first() is not None

    def _lock_session(self) -> Session | None:
        """The session as stored, without its attempts; where there was none, it is now written."""
        first = rows.session_values(merge(None, self.observation), self.now)
        row = self.connection.execute(self.upserts.lock_session, first).one()
        return None if row.observations == 1 else rows.session_of(row)

    def _lock_references(self, stored: Session | None, told: Session) -> dict[str, Standing | None]:
        """The standings of the reference the session belongs to and of any it leaves, by name."""
        named = {s.reference for s in (stored, told) if s is not None and s.reference is not None}
        standings: dict[str, Standing | None] = {}
        for reference in sorted(named, key=self._key):
            stood = lock_reference(
                self.connection, self.upserts, told.account, told.livemode, reference, self.now
            )
            standings[reference] = stood if stood.version else None
        return standings

    def _read_sessions(
        self, stored: Session | None, told: Session
    ) -> tuple[Session | None, list[Session]]:
        """The session as it stood, and the others of the references locked."""
        if stored is None and told.reference is None:
            return None, []
        found = self.connection.execute(
            statements.READ_CONCERNED,
            {
                "key": rows.key_of(told),
                "other_key": rows.key_of(stored) if stored is not None else None,
                **self._this_session(),
            },
        )
        before, others = None, []
        for session in rows.sessions_of(found.all()):
            if session.id == told.id:
                before = session
            else:
                others.append(session)
        return (before if stored is not None else None), others

    def _write_standing(self, key: str, before: Standing | None, after: Standing) -> None:
        if after == before:
            return
        values = {**rows.standing_values(after), "updated_at": self.now, "reference_key": key}
        self.connection.execute(statements.UPDATE_REFERENCE, values)
        line = rows.timeline_values(key, before, after, self.observation, self.now)
        self.connection.execute(statements.INSERT_TIMELINE, line)

    def _write_session(self, before: Session | None, session: Session) -> None:
        # A session never seen was written when it was locked.
        if before is not None and session != before:
            values = rows.session_values(session, self.now)
            for name in ("id", "account", "livemode"):
                del values[name]
            self.connection.execute(statements.UPDATE_SESSION, {**values, **self._this_session()})
        attempts = rows.attempt_values(session, before)
        if attempts:
            self.connection.execute(self.upserts.insert_attempts, attempts)

    def _write_effects(
        self, change: Change, asked: list[Effect], left: dict[str, Standing]
    ) -> tuple[EffectRow, ...]:
        effects = [
            rows.effect_row(effect, self.observation, change.session, change.standing, self.now)
            for effect in asked
        ]
        if change.policy.notify:
            effects += [
                rows.left_row(self.observation, reference, standing, self.now)
                for reference, standing in left.items()
            ]
        if not effects:
            return ()
        values = [rows.effect_values(effect, self.now) for effect in effects]
        new = set(self.connection.execute(self.upserts.insert_effects, values).scalars())
        return tuple(effect for effect in effects if effect.id in new)

    def _key(self, reference: str) -> str:
        """The key of a reference of the observation's account and mode."""
        return rows.reference_key(self.observation.account, self.observation.livemode, reference)

    def _this_session(self) -> dict[str, str | bool]:
        return {
            "session_id": self.observation.session_id,
            "session_account": self.observation.account,
            "session_livemode": self.observation.livemode,
        }
